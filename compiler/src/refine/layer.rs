//! A layer of the integer graph beside the real constants that it stands for.

use ir::graph::{Graph, Node, Op, ValueId};
use ir::qgraph::{QGraph, QOp, QType};
use isa::numerics::{accumulator_bound, product_fits};

use crate::quantize::keeps_integers;

/// Whether a node has weights and biases that refining may change.
pub(super) fn is_layer(node: &Node) -> bool {
    matches!(node.op, Op::Conv { .. } | Op::Dense)
}

/// The real side of a convolution or dense layer. Weights are in the order of the integers: `[oc, kh, kw, ic]`.
pub(super) struct Layer<'a> {
    /// Index of the node in the integer graph.
    node: usize,
    float: &'a Node,
    /// Real weights.
    weights: Vec<f32>,
    /// Real biases; empty for none.
    bias: Vec<f32>,
    /// Real value of one step of the accumulator as the machine requantizes it, per output channel.
    unit: Vec<f64>,
    /// Real value of one step of the input.
    step: f64,
    zero_point: i32,
    dtype: QType,
    groups: usize,
    /// Input channels of a group.
    ic: usize,
    /// Positions of the kernel.
    taps: usize,
}

impl<'a> Layer<'a> {
    /// The layer that node `node` of `q` computes, if it is one of `graph`'s.
    pub(super) fn of(graph: &'a Graph, q: &QGraph, node: usize) -> Option<Layer<'a>> {
        let QOp::Conv { weights, requant, groups, .. } = &q.nodes[node].op else {
            return None;
        };
        // The compiler adds convolutions of its own under other names.
        let name = &q.nodes[node].name;
        let float = graph.nodes.iter().find(|n| n.name == *name && is_layer(n))?;
        if keeps_integers(graph, float) {
            return None;
        }
        let constant = |id: &ValueId| graph.values[id.0 as usize].constant.as_ref()?.f32_values();
        let real = constant(&float.inputs[1])?;
        let bias = float.inputs.get(2).and_then(constant).unwrap_or_default();
        let taps = weights.kernel[0] * weights.kernel[1];
        let source = |i: usize| {
            let (o, tap, c) = (i / weights.ic / taps, i / weights.ic % taps, i % weights.ic);
            real[(o * weights.ic + c) * taps + tap]
        };
        let value = |id: ValueId| &q.values[id.0 as usize];
        let (x, y) = (value(q.nodes[node].inputs[0]), value(q.nodes[node].output));
        let unit = requant
            .iter()
            .map(|r| libm::ldexp(f64::from(r.multiplier), -i32::from(r.shift)) * y.scale);
        Some(Layer {
            node,
            float,
            weights: (0..real.len()).map(source).collect(),
            bias: bias.into_owned(),
            unit: unit.collect(),
            step: x.scale,
            zero_point: x.zero_point,
            dtype: x.dtype,
            groups: *groups,
            ic: weights.ic,
            taps,
        })
    }

    /// Name of the node.
    pub(super) fn name(&self) -> &'a str {
        &self.float.name
    }

    /// The float value that the layer computes, before any activation function.
    pub(super) fn result(&self) -> ValueId {
        self.float.output
    }

    /// The float value that the layer reads.
    pub(super) fn operand(&self) -> ValueId {
        self.float.inputs[0]
    }

    /// Stored integer of a real zero of the input.
    pub(super) fn zero_point(&self) -> f64 {
        self.zero_point.into()
    }

    /// Groups of channels.
    pub(super) fn groups(&self) -> usize {
        self.groups
    }

    /// Output channels.
    pub(super) fn channels(&self) -> usize {
        self.unit.len()
    }

    /// Channels that the weights read.
    pub(super) fn operand_channels(&self) -> usize {
        self.ic * self.groups
    }

    /// Channels of the operand, if they are its axis 1.
    pub(super) fn input_channels(&self, graph: &Graph) -> Option<usize> {
        let shape = &graph.values[self.operand().0 as usize].shape;
        (self.float.op != Op::Dense || shape.len() == 2).then(|| shape[1])
    }

    /// Means per tap as stored integers of an input with these real means per channel, borders apart.
    pub(super) fn tap_means(&self, channels: impl Iterator<Item = f64>) -> Vec<f64> {
        let stored = channels.map(|mean| mean / self.step + f64::from(self.zero_point));
        stored.collect::<Vec<_>>().repeat(self.taps)
    }

    /// Mean of the layer's result per output channel if its input had these means per [tap](super::taps) as stored integers.
    pub(super) fn real_means(&self, taps: &[f64]) -> Vec<f64> {
        let real: Vec<f64> =
            taps.iter().map(|q| self.step * (q - f64::from(self.zero_point))).collect();
        let mean = |channel: usize| {
            let bias = self.bias.get(channel).copied().map_or(0.0, f64::from);
            let products = self.tap_indices(channel).zip(self.row(channel));
            bias + products.map(|(tap, w)| real[tap] * f64::from(*w)).sum::<f64>()
        };
        (0..self.channels()).map(mean).collect()
    }

    /// Biases for which the mean result of the integers is `target`, a mean per output channel, if their input has these
    /// means per tap as stored integers: the sums are linear, so the mean input has the mean sum.
    pub(super) fn biases(&self, q: &QGraph, taps: &[f64], target: &[f64]) -> Vec<i64> {
        let bias = |channel: usize| {
            let products = self.tap_indices(channel).zip(self.integers(q, channel));
            let sum: f64 = products.map(|(tap, w)| taps[tap] * f64::from(*w)).sum();
            // The cast saturates, and a bias that large is refused.
            (target[channel] / self.unit[channel] - sum).round_ties_even() as i64
        };
        (0..self.channels()).map(bias).collect()
    }

    /// Real weights of an output channel in steps of its integers.
    pub(super) fn steps(&self, channel: usize) -> Vec<f64> {
        let step = self.unit[channel] / self.step;
        self.row(channel).iter().map(|w| f64::from(*w) / step).collect()
    }

    /// Gives an output channel other integers, and the bias that goes with them, unless sums might then leave the accumulator; whether it was given.
    pub(super) fn set_weights(
        &self,
        q: &mut QGraph,
        channel: usize,
        integers: &[i8],
        acc_bits: u32,
    ) -> bool {
        let sum = |row: &[i8]| -> i64 { row.iter().map(|&w| i64::from(w)).sum() };
        let change = sum(self.integers(q, channel)) - sum(integers);
        let limit = self.limit(acc_bits);
        let (lo, hi) = self.dtype.range();
        let QOp::Conv { weights, bias, requant, .. } = &mut q.nodes[self.node].op else {
            unreachable!("a layer is a convolution");
        };
        let new = bias[channel] + i64::from(self.zero_point) * change;
        let bound = accumulator_bound(integers, lo, hi, new);
        let fits = bound < limit && product_fits(bound, requant[channel]);
        if fits {
            weights.data[channel * integers.len()..][..integers.len()].copy_from_slice(integers);
            bias[channel] = new;
        }
        fits
    }

    /// What no sum may reach.
    fn limit(&self, acc_bits: u32) -> u64 {
        1 << (acc_bits.min(self.dtype.accumulator_bits().into()) - 1)
    }

    /// Gives each output channel its bias, except where sums might then leave the accumulator; whether any was given.
    pub(super) fn set_biases(&self, q: &mut QGraph, biases: &[i64], acc_bits: u32) -> bool {
        let (lo, hi) = self.dtype.range();
        let limit = self.limit(acc_bits);
        let QOp::Conv { weights, bias, requant, .. } = &mut q.nodes[self.node].op else {
            unreachable!("a layer is a convolution");
        };
        let rows = weights.data.chunks_exact(weights.data.len() / weights.oc);
        let mut any = false;
        for (((row, old), requant), &new) in rows.zip(bias).zip(requant).zip(biases) {
            let bound = accumulator_bound(row, lo, hi, new);
            if bound < limit && product_fits(bound, *requant) {
                *old = new;
                any = true;
            }
        }
        any
    }

    /// Where the weights of an output channel find their taps, in order.
    pub(super) fn tap_indices(&self, channel: usize) -> impl Iterator<Item = usize> + use<> {
        let per_group = self.channels() / self.groups;
        let (ic, groups) = (self.ic, self.groups);
        let first = channel / per_group * ic;
        (0..self.taps).flat_map(move |tap| (0..ic).map(move |c| tap * ic * groups + first + c))
    }

    /// Weights of one output channel.
    fn row(&self, channel: usize) -> &[f32] {
        let length = self.weights.len() / self.channels();
        &self.weights[channel * length..][..length]
    }

    /// Stored integers of an output channel's weights.
    pub(super) fn integers<'q>(&self, q: &'q QGraph, channel: usize) -> &'q [i8] {
        let QOp::Conv { weights, .. } = &q.nodes[self.node].op else {
            unreachable!("a layer is a convolution");
        };
        let length = weights.data.len() / weights.oc;
        &weights.data[channel * length..][..length]
    }
}
