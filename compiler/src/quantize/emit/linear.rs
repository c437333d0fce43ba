//! Convolutions and dense layers.

use ir::graph::{Node, ValueId, Window};
use ir::indices::Indices;
use ir::qgraph::{Hwc, QOp, QWeights};
use ir::tensor::Tensor;
use isa::numerics::Requant;

use super::{Emitter, Group};
use crate::quantize::QuantizeError;
use crate::quantize::layout::Layout;
use crate::quantize::params::Params;
use crate::quantize::weights::given::{Given, Kept, keep, row_scales};
use crate::quantize::weights::{Layer, Quantized, quantize};

impl Emitter<'_> {
    pub(super) fn conv(
        &mut self,
        group: Group<'_>,
        window: Window,
        groups: usize,
    ) -> Result<(), QuantizeError> {
        let x = self.image(group.node, group.node.inputs[0]);
        let &[oc, ic, kh, kw] = self.shape(group.node.inputs[1]) else {
            unreachable!("a verified convolution has weights of four axes");
        };
        let (op, copies) = self.linear(group, [oc, ic, kh, kw], window, groups)?;
        let x = self.copied(group.node, x, copies);
        self.push(group, op, &[x], Layout::standard(self.shape(group.result)));
        Ok(())
    }

    /// A dense layer is a 1x1 convolution over rows: its last axis must be the channels, the others may lie anyhow.
    pub(super) fn dense(&mut self, group: Group<'_>) -> Result<(), QuantizeError> {
        let (x, y) = (group.node.inputs[0], group.result);
        let (from, to) = (self.shape(x), self.shape(y));
        let last = from.len() - 1;
        let layout = self.stored(x).layout;
        let innermost = |layout: &Layout| {
            let groups = layout.groups(from)?;
            let alone = groups[2].iter().all(|&axis| axis == last);
            (alone && layout.hwc.c == from[last]).then_some(groups)
        };
        let (layout, [h, w, _]) = match innermost(&layout) {
            Some(groups) => (layout, groups),
            None => {
                let standard = row_layout(from);
                let groups = innermost(&standard).expect("rows have their last axis innermost");
                (standard, groups)
            }
        };
        let id = self.arrange(&group.node.name, x, &layout);
        let &[oc, ic] = self.shape(group.node.inputs[1]) else {
            unreachable!("a verified dense layer has weights of two axes");
        };
        let point = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad: [0; 4] };
        let (op, copies) = self.linear(group, [oc, ic, 1, 1], point, 1)?;
        let id = self.copied(group.node, id, copies);
        self.push(group, op, &[id], Layout::of_groups(to, &[h, w, vec![last]]));
        Ok(())
    }

    /// The operator for constants of shape `[oc, ic, kh, kw]`, and how many times in a row it reads each input channel.
    fn linear(
        &mut self,
        group: Group<'_>,
        [oc, ic, kh, kw]: [usize; 4],
        window: Window,
        groups: usize,
    ) -> Result<(QOp, usize), QuantizeError> {
        let node = group.node;
        let constant = |id: &ValueId| self.graph.values[id.0 as usize].constant.as_ref();
        let weights = constant(&node.inputs[1]).expect("weights are constant");
        let bias = node.inputs.get(2).and_then(constant);
        let (input, output) = (self.params(node.inputs[0]), self.params(group.result));
        let (quantized, requant, copies, bits) = match row_scales(weights, oc) {
            Some((stored, scales)) => {
                let (node_name, integers) = (&node.name, stored.integers());
                let given = Given { node: node_name, integers, scales, bias, taps: kh * kw, input };
                let Kept { constants, copies, bits, .. } = keep(&given, self.arithmetic.acc_bits)?;
                let requant = self.given_requant(node, &constants, input, output)?;
                (constants, requant, copies, bits)
            }
            None => {
                let constants = self.own_constants(node, weights, bias, oc, input, output)?;
                let requant = (constants.scale.iter().zip(&constants.bound))
                    .map(|(s, &bound)| self.requant(node, input.scale * s / output.scale, bound))
                    .collect::<Result<_, _>>()?;
                (constants, requant, 1, self.bits[&node.name])
            }
        };
        let ic = ic * copies;
        let data = channels_last(&quantized.data, [oc, ic, kh, kw]);
        let weights = QWeights { oc, kernel: [kh, kw], ic, bits, data };
        let bounds = output.bounds(group.clip);
        Ok((QOp::Conv { weights, bias: quantized.bias, requant, window, groups, bounds }, copies))
    }

    fn own_constants(
        &self,
        node: &Node,
        weights: &Tensor,
        bias: Option<&Tensor>,
        channels: usize,
        input: Params,
        output: Params,
    ) -> Result<Quantized, QuantizeError> {
        let weights = weights.f32_values().unwrap_or_default();
        let bias = bias.and_then(Tensor::f32_values).unwrap_or_default();
        let kernel = self.shape(node.inputs[1])[2..].iter().product();
        let (node, bits) = (node.name.as_str(), self.bits[&node.name]);
        let layer = Layer { node, weights: &weights, bias: &bias, channels, kernel, input, output };
        let how = (self.options.granularity, self.options.weight_rounding);
        quantize(&layer, how, &self.arithmetic.with_bits(bits))
    }

    /// Multipliers as ONNX Runtime has them: the product of two scales, divided by the third, each rounded to single precision.
    fn given_requant(
        &self,
        node: &Node,
        constants: &Quantized,
        input: Params,
        output: Params,
    ) -> Result<Vec<Requant>, QuantizeError> {
        (constants.scale.iter().zip(&constants.bound))
            .map(|(&scale, &bound)| {
                let step = input.scale as f32 * scale as f32;
                self.requant(node, (step / output.scale as f32).into(), bound)
            })
            .collect()
    }

    /// `x` with each channel `copies` times in a row.
    fn copied(&mut self, node: &Node, x: ValueId, copies: usize) -> ValueId {
        if copies == 1 {
            return x;
        }
        let Hwc { h, w, c } = self.hwc(x);
        let channels: Indices = (0..c * copies).map(|i| i / copies).collect();
        let indices = [Indices::all(h), Indices::all(w), channels];
        let y = self.derived_value(x, &node.name, "copies", Hwc { h, w, c: c * copies });
        self.push_added(&node.name, "copies", "Gather", QOp::Gather { indices }, &[x], y);
        y
    }
}

/// Row-major order with the last axis as channels, whatever the number of axes.
fn row_layout(shape: &[usize]) -> Layout {
    let last = shape.len() - 1;
    let second = last.checked_sub(1).filter(|_| shape.len() > 2);
    let groups = [(0..second.unwrap_or(last)).collect(), second.into_iter().collect(), vec![last]];
    Layout::of_groups(shape, &groups)
}

/// `[oc, ic, kh, kw]` as `[oc, kh, kw, ic]`.
fn channels_last(data: &[i8], [oc, ic, kh, kw]: [usize; 4]) -> Vec<i8> {
    let taps = kh * kw;
    let kernel =
        |o: usize| (0..taps).flat_map(move |t| (0..ic).map(move |i| data[(o * ic + i) * taps + t]));
    (0..oc).flat_map(kernel).collect()
}
