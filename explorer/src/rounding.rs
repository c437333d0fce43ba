//! Float graphs whose constants are rounded to fewer bits.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use compiler::quantize::weight_scale;
use ir::graph::{Graph, Node, Op, ValueId};
use ir::onnx::IntegerWeights;
use ir::tensor::{Data, Tensor};

/// Significand bits of half precision behind the leading one, and its smallest exponent.
const HALF: (i32, i32) = (10, -14);
/// From here on half precision has infinity only.
const HALF_OVERFLOW: f64 = 65520.0;

/// The nearest half-precision number, ties to even.
pub(crate) fn half(value: f32) -> f32 {
    let wide = f64::from(value);
    if !wide.is_finite() || wide == 0.0 {
        return value;
    }
    if wide.abs() >= HALF_OVERFLOW {
        return f32::INFINITY.copysign(value);
    }
    let (_, exponent) = libm::frexp(wide);
    let step = libm::ldexp(1.0, (exponent - 1).max(HALF.1) - HALF.0);
    ((wide / step).round_ties_even() * step) as f32
}

/// Floats of a constant that some node reads.
pub(crate) fn constants(graph: &Graph) -> impl Iterator<Item = (ValueId, Cow<'_, [f32]>)> {
    let read: BTreeSet<ValueId> = graph.nodes.iter().flat_map(|n| n.inputs.clone()).collect();
    read.into_iter()
        .filter_map(|id| Some((id, graph.values[id.0 as usize].constant.as_ref()?.f32_values()?)))
}

/// Nodes with weights, and the value that holds them: `[output channels, ..]`.
pub(crate) fn layers(graph: &Graph) -> impl Iterator<Item = (&Node, ValueId)> {
    graph.nodes.iter().filter_map(|node| match node.op {
        Op::Conv { .. } | Op::ConvTranspose { .. } | Op::Dense => {
            node.inputs.get(1).map(|&weights| (node, weights))
        }
        _ => None,
    })
}

/// The graph with all its constants in half precision.
pub(crate) fn half_constants(graph: &Graph) -> Graph {
    let mut out = graph.clone();
    for (id, values) in constants(graph) {
        replace(&mut out, id, values.iter().map(|&v| half(v)).collect());
    }
    out
}

/// A layer's weights as integers of `bits` bits, one scale per output channel.
pub(crate) fn integers(graph: &Graph, weights: ValueId, bits: u8) -> Option<IntegerWeights> {
    let tensor = graph.values[weights.0 as usize].constant.as_ref()?;
    let (values, channels) = (tensor.f32_values()?, *tensor.shape.first()?);
    let limit = f64::from(i8::MAX >> (8 - bits));
    let mut out = IntegerWeights { data: Vec::with_capacity(values.len()), scale: Vec::new() };
    for row in values.chunks_exact((values.len() / channels.max(1)).max(1)) {
        let scale = weight_scale(row, bits) as f32;
        let step = |w: &f32| {
            (f64::from(*w) / f64::from(scale)).round_ties_even().clamp(-limit, limit) as i8
        };
        out.data.extend(row.iter().map(step));
        out.scale.push(scale);
    }
    Some(out)
}

/// The graph with the weights that integers of `bits` bits stand for.
pub(crate) fn rounded_weights(graph: &Graph, bits: u8) -> Graph {
    let mut out = graph.clone();
    for (_, weights) in layers(graph) {
        if let Some(IntegerWeights { data, scale }) = integers(graph, weights, bits) {
            let taps = data.len() / scale.len().max(1);
            let real = data.iter().enumerate().map(|(i, &q)| f32::from(q) * scale[i / taps]);
            replace(&mut out, weights, real.collect());
        }
    }
    out
}

/// Integer weights of the layers that ONNX can quantize dynamically, by node.
pub(crate) fn dynamic_weights(graph: &Graph) -> BTreeMap<String, IntegerWeights> {
    let able = layers(graph).filter(|(n, _)| !matches!(n.op, Op::ConvTranspose { .. }));
    able.filter_map(|(n, weights)| Some((n.name.clone(), integers(graph, weights, 8)?))).collect()
}

/// Gives a constant other floats.
pub(crate) fn replace(graph: &mut Graph, id: ValueId, values: Vec<f32>) {
    if let Some(Tensor { data, .. }) = &mut graph.values[id.0 as usize].constant {
        *data = Data::F32(values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_rounds_to_even_and_reaches_its_ends() {
        for (value, expected) in [
            (1.0, 1.0),
            (1.0 + 1.0 / 2048.0, 1.0),
            (1.0 + 3.0 / 2048.0, 1.0 + 4.0 / 2048.0),
            (65504.0, 65504.0),
            (65519.0, 65504.0),
            (-65520.0, f32::NEG_INFINITY),
            (2f32.powi(-24), 2f32.powi(-24)),
            (2f32.powi(-25), 0.0),
            (1.5 * 2f32.powi(-24), 2.0 * 2f32.powi(-24)),
            (0.1, 0.099_975_586),
        ] {
            assert_eq!(half(value), expected, "{value}");
        }
    }
}
