//! Maximum and average pools.

use ir::graph::{ValueId, Window};
use ir::qgraph::{Hwc, QOp};

use super::{Emitter, Group};
use crate::quantize::QuantizeError;
use crate::quantize::layout::Layout;

impl Emitter<'_> {
    pub(super) fn max_pool(&mut self, group: Group<'_>, window: Window) {
        let x = self.image(group.node, group.node.inputs[0]);
        let layout = Layout::standard(self.shape(group.result));
        self.push(group, QOp::MaxPool { window }, &[x], layout);
    }

    pub(super) fn average_pool(
        &mut self,
        group: Group<'_>,
        mut window: Window,
        count_include_pad: bool,
    ) -> Result<(), QuantizeError> {
        let mut x = self.image(group.node, group.node.inputs[0]);
        if count_include_pad && window.pad != [0; 4] {
            x = self.bordered(group, x, window.pad);
            window.pad = [0; 4];
        }
        let layout = Layout::standard(self.shape(group.result));
        let (from, to) = (self.params_of(x), self.params(group.result));
        let [kh, kw] = window.kernel;
        let taps = kh * kw;
        // Windows of all counts up to the full one can occur at a border.
        let (input, output) = (self.hwc(x), layout.hwc);
        let first = if uncut(&window, [input.h, input.w], [output.h, output.w]) { taps } else { 1 };
        let requant = (first..=taps)
            .map(|n| {
                self.requant(group.node, from.scale / (n as f64 * to.scale), n as u64 * from.span())
            })
            .collect::<Result<_, _>>()?;
        let op = QOp::AveragePool { window, requant, bounds: to.bounds(group.clip) };
        self.push(group, op, &[x], layout);
        Ok(())
    }

    /// `x` with a border of zeros that count as elements.
    fn bordered(
        &mut self,
        group: Group<'_>,
        x: ValueId,
        [top, left, bottom, right]: [usize; 4],
    ) -> ValueId {
        let Hwc { h, w, c } = self.hwc(x);
        let padded = Hwc { h: top + h + bottom, w: left + w + right, c };
        let output = self.derived_value(x, &group.node.name, "pad", padded);
        let value = self.params_of(x).zero_point;
        let op = QOp::Pad { before: [top, left, 0], after: [bottom, right, 0], value };
        self.push_added(&group.node.name, "pad", "Pad", op, &[x], output);
        output
    }
}

/// Whether no window of `output` rows and columns reaches beyond the `input` rows and columns.
pub(in crate::quantize) fn uncut(window: &Window, input: [usize; 2], output: [usize; 2]) -> bool {
    let fits = |axis: usize| {
        let reach = window.reach(axis);
        reach.is_some_and(|reach| (output[axis] - 1) * window.stride[axis] + reach <= input[axis])
    };
    window.pad == [0; 4] && fits(0) && fits(1)
}
