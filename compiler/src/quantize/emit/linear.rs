//! Convolutions and dense layers.

use ir::graph::{ValueId, Window};
use ir::qgraph::{QOp, QWeights};

use super::{Emitter, Group};
use crate::quantize::QuantizeError;
use crate::quantize::layout::Layout;
use crate::quantize::weights::{Layer, quantize};

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
        let op = self.linear(group, [oc, ic, kh, kw], window, groups)?;
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
        let op = self.linear(group, [oc, ic, 1, 1], point, 1)?;
        self.push(group, op, &[id], Layout::of_groups(to, &[h, w, vec![last]]));
        Ok(())
    }

    /// The operator for constants of shape `[oc, ic, kh, kw]`.
    fn linear(
        &mut self,
        group: Group<'_>,
        [oc, ic, kh, kw]: [usize; 4],
        window: Window,
        groups: usize,
    ) -> Result<QOp, QuantizeError> {
        let node = group.node;
        let constant =
            |id: &ValueId| self.graph.values[id.0 as usize].constant.as_ref()?.f32_values();
        let weights = constant(&node.inputs[1]).unwrap_or_default();
        let bias = node.inputs.get(2).and_then(constant).unwrap_or_default();
        let (input, output) = (self.params(node.inputs[0]), self.params(group.result));
        let layer =
            Layer { node: &node.name, weights: &weights, bias: &bias, channels: oc, input, output };
        let quantized = quantize(&layer, self.options.granularity, self.arithmetic)?;
        let requant = (quantized.scale.iter().zip(&quantized.bound))
            .map(|(scale, &bound)| self.requant(node, input.scale * scale / output.scale, bound))
            .collect::<Result<_, _>>()?;
        let weights = QWeights {
            oc,
            kernel: [kh, kw],
            ic,
            bits: self.options.weight_bits,
            data: channels_last(&quantized.data, [oc, ic, kh, kw]),
        };
        let bounds = output.bounds(group.clip);
        Ok(QOp::Conv { weights, bias: quantized.bias, requant, window, groups, bounds })
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
