//! What an integer graph's dot products can reach, and where requantizing them can differ from ONNX Runtime.
//!
//! Both are exact statements about all inputs, derived from weights, biases and the ranges of stored operands alone.

mod rounding;

use isa::numerics::{accumulator_bits, accumulator_bound};

use crate::qgraph::{QGraph, QNode, QOp, QType};
use crate::verify::stored_ranges;

pub use rounding::Difference;

/// The dot products of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Name of the node.
    pub node: String,
    /// One per output channel.
    pub channels: Vec<Channel>,
}

/// The dot product of one output channel, with its bias.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Smallest value that operands in their stored range can give.
    pub min: i64,
    /// Largest value.
    pub max: i64,
    /// Largest absolute value of any partial sum in any order, equation (N6) of `docs/numerics.md`.
    pub bound: u64,
    /// Values of the accumulator whose result differs from ONNX Runtime's, in order; `None` where it has no such operator
    /// (16-bit operands or results) or the scale that it would need is outside the range of float32.
    pub differences: Option<Vec<Difference>>,
}

impl Channel {
    /// Bits of the narrowest two's complement register that holds the complete sum.
    #[must_use]
    pub fn final_bits(&self) -> u32 {
        // `-2^(n-1)` takes n bits, as does `2^(n-1) - 1`.
        let magnitude = |v: i64| if v < 0 { !v } else { v }.unsigned_abs();
        u64::BITS - magnitude(self.min).max(magnitude(self.max)).leading_zeros() + 1
    }

    /// Bits of the narrowest register that no partial sum in any order leaves.
    #[must_use]
    pub fn bits(&self) -> u32 {
        accumulator_bits(self.bound)
    }

    /// Values of the accumulator that can occur and whose result differs; `None` as in `differences`.
    #[must_use]
    pub fn differing(&self) -> Option<u64> {
        Some(self.differences.as_ref()?.iter().map(Difference::count).sum())
    }
}

/// The dot products of `graph`, which must be [verified](crate::verify): a convolution or dense layer each.
///
/// `compare` also looks for differences from ONNX Runtime, which takes some microseconds a channel and step of the result.
#[must_use]
pub fn layers(graph: &QGraph, compare: bool) -> Vec<Layer> {
    let ranges = stored_ranges(graph);
    graph.nodes.iter().filter_map(|node| layer(graph, node, &ranges, compare)).collect()
}

fn layer(graph: &QGraph, node: &QNode, ranges: &[(i32, i32)], compare: bool) -> Option<Layer> {
    let QOp::Conv { weights, bias, requant, window, bounds, .. } = &node.op else { return None };
    let input = graph.value(*node.inputs.first()?)?;
    let output = graph.value(node.output)?;
    let (lo, hi) = ranges[node.inputs[0].0 as usize];
    let padded = window.pad != [0; 4];
    let zero = input.zero_point;
    let (lo, hi) = if padded { (lo.min(zero), hi.max(zero)) } else { (lo, hi) };
    let any_order = input.dtype.range();
    let eight_bits = input.dtype == QType::I8 && output.dtype == QType::I8;
    let row = (weights.data.len() / weights.oc.max(1)).max(1);
    let channels = weights.data.chunks_exact(row).zip(bias).zip(requant);
    let channels = channels.map(|((row, &bias), &requant)| {
        let (min, max) = extremes(row, lo, hi, bias);
        let differences = (compare && eight_bits)
            .then(|| {
                let ort = rounding::Float::new(requant, input.scale, output.scale)?;
                let own = rounding::Own { requant, mode: graph.rounding };
                Some(rounding::differences(own, ort, output.zero_point, *bounds, (min, max)))
            })
            .flatten();
        let bound = accumulator_bound(row, any_order.0, any_order.1, bias);
        Channel { min, max, bound, differences }
    });
    Some(Layer { node: node.name.clone(), channels: channels.collect() })
}

/// Smallest and largest `bias + sum x * w` for `x` in `lo..=hi`.
fn extremes(weights: &[i8], lo: i32, hi: i32, bias: i64) -> (i64, i64) {
    let sum = |keep: fn(i64) -> i64| weights.iter().map(|&w| keep(w.into())).sum::<i64>();
    let (positive, negative) = (sum(|w| w.max(0)), sum(|w| w.min(0)));
    let (lo, hi) = (i64::from(lo), i64::from(hi));
    let least = positive.saturating_mul(lo).saturating_add(negative.saturating_mul(hi));
    let most = positive.saturating_mul(hi).saturating_add(negative.saturating_mul(lo));
    (least.saturating_add(bias), most.saturating_add(bias))
}

#[cfg(test)]
mod tests;
