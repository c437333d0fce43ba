//! Maximum and average pools.

use ir::graph::{ValueId, Window};
use ir::qgraph::{Hwc, QOp, QType};

use super::{Emitter, Group};
use crate::quantize::QuantizeError;
use crate::quantize::fusion::Clip;
use crate::quantize::layout::Layout;
use crate::quantize::params::{Params, storable};

/// Most taps of an average pool whose windows are whole that is one step. Larger ones sum columns first: a machine must not need
/// all of a large map at once.
const MOST_TAPS: usize = 1 << 10;

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
        let layout = Layout::standard(self.shape(group.result));
        let output = layout.hwc;
        if count_include_pad && window.pad != [0; 4] {
            let Hwc { h, w, .. } = self.hwc(x);
            let met = met_padding(&window, [h, w], [output.h, output.w]);
            x = self.bordered(group, x, met);
            window.pad = [0; 4];
        }
        let input = self.hwc(x);
        let whole = uncut(&window, [input.h, input.w], [output.h, output.w]);
        if whole && window.kernel[0] > 1 && window.kernel[0] * window.kernel[1] > MOST_TAPS {
            x = self.column_sums(group, x, window, output.h)?;
            let [kernel, stride, dilation] =
                [window.kernel, window.stride, window.dilation].map(|[_, along_x]| [1, along_x]);
            window = Window { kernel, stride, dilation, ..window };
        }
        let (from, to) = (self.params_of(x), self.params(group.result));
        let [kh, kw] = window.kernel;
        let taps = kh * kw;
        // Windows of all counts up to the full one can occur at a border.
        let first = if whole { taps } else { 1 };
        let requant = (first..=taps)
            .map(|n| {
                self.requant(group.node, from.scale / (n as f64 * to.scale), n as u64 * from.span())
            })
            .collect::<Result<_, _>>()?;
        let op = QOp::AveragePool { window, requant, bounds: to.bounds(group.clip) };
        self.push(group, op, &[x], layout);
        Ok(())
    }

    /// Means of the window's columns, as int16 sums that are kept whole where they fit, else shifted by the fewest bits.
    fn column_sums(
        &mut self,
        group: Group<'_>,
        x: ValueId,
        window: Window,
        rows: usize,
    ) -> Result<ValueId, QuantizeError> {
        let (from, taps) = (self.params_of(x), window.kernel[0]);
        let largest = from.span() * taps as u64;
        let fits = |shift: &u32| largest.div_ceil(1 << shift) <= i16::MAX.unsigned_abs().into();
        let shift = (0..u64::BITS).find(fits).expect("a shift leaves one bit");
        let step = f64::from(2f32.powi(shift.cast_signed()));
        let scale = storable(from.scale * step / taps as f64);
        let to = Params { dtype: QType::I16, scale, zero_point: 0 };
        let [kernel, stride, dilation] =
            [window.kernel, window.stride, window.dilation].map(|[along_y, _]| [along_y, 1]);
        let op = QOp::AveragePool {
            window: Window { kernel, stride, dilation, pad: [0; 4] },
            requant: vec![self.requant(group.node, 1.0 / step, largest)?],
            bounds: to.bounds(Clip::NONE),
        };
        let (base, shape) = (&group.node.name, Hwc { h: rows, ..self.hwc(x) });
        let output = self.added_value(base, "columns", shape, to);
        self.push_added(base, "columns", "AveragePool", op, &[x], output);
        Ok(output)
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

/// The padding that `output` rows and columns of windows meet: what lies behind the last one would be a place for one more in
/// ceil mode, where windows may begin in elements but not in padding.
fn met_padding(window: &Window, input: [usize; 2], output: [usize; 2]) -> [usize; 4] {
    let [top, left, ..] = window.pad;
    let behind = |axis: usize| {
        let reach = window.reach(axis).unwrap_or(usize::MAX);
        let end = ((output[axis] - 1) * window.stride[axis]).saturating_add(reach);
        window.pad[axis + 2].min(end.saturating_sub(window.pad[axis] + input[axis]))
    };
    [top, left, behind(0), behind(1)]
}

/// Whether no window of `output` rows and columns reaches beyond the `input` rows and columns.
pub(in crate::quantize) fn uncut(window: &Window, input: [usize; 2], output: [usize; 2]) -> bool {
    let fits = |axis: usize| {
        let reach = window.reach(axis);
        reach.is_some_and(|reach| (output[axis] - 1) * window.stride[axis] + reach <= input[axis])
    };
    window.pad == [0; 4] && fits(0) && fits(1)
}
