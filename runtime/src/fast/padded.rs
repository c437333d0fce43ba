//! The input of a window operator with its padding written out, so that every window lies inside the data.

use std::borrow::Cow;

use ir::qgraph::{Hwc, Window};

/// Rows and columns that the windows of one operator reach over, padding included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Padding {
    input: Hwc,
    /// Padding above and left of the input.
    before: [usize; 2],
    /// Extents that all windows together reach over; the input's last rows and columns may lie outside.
    padded: [usize; 2],
}

impl Padding {
    /// For windows over `input` with as many positions as `output` has rows and columns; `None` if that takes more than
    /// `limit` elements.
    pub(crate) fn new(window: &Window, input: Hwc, output: Hwc, limit: usize) -> Option<Self> {
        let reach = |axis: usize, positions: usize| {
            let taps = (window.kernel[axis] - 1).checked_mul(window.dilation[axis])?;
            (positions - 1).checked_mul(window.stride[axis])?.checked_add(taps)?.checked_add(1)
        };
        let padded = [reach(0, output.h)?, reach(1, output.w)?];
        let rows_and_columns = padded[0].max(input.h).checked_mul(padded[1].max(input.w))?;
        rows_and_columns.checked_mul(input.c).filter(|&elements| elements <= limit)?;
        Some(Self { input, before: [window.pad[0], window.pad[1]], padded })
    }

    /// Channels of the input.
    pub(crate) fn channels(&self) -> usize {
        self.input.c
    }

    /// Whether the windows stay inside the input.
    pub(crate) fn is_none(&self) -> bool {
        self.before == [0, 0] && self.padded[0] <= self.input.h && self.padded[1] <= self.input.w
    }

    /// Elements from one row of the (padded) data to the next.
    pub(crate) fn row_stride(&self) -> usize {
        let columns = if self.is_none() { self.input.w } else { self.padded[1] };
        columns * self.input.c
    }

    /// The data with `value` in the padding; borrowed if there is none.
    pub(crate) fn apply<'a, T: Copy>(&self, data: &'a [T], value: T) -> Cow<'a, [T]> {
        if self.is_none() {
            return Cow::Borrowed(data);
        }
        let Hwc { h, w, c } = self.input;
        let [top, left] = self.before;
        let stride = self.row_stride();
        // A few elements more, so that kernels may load whole groups at the end.
        let mut padded = vec![value; self.padded[0] * stride + 4];
        let columns = w.min(self.padded[1].saturating_sub(left));
        for y in 0..h.min(self.padded[0].saturating_sub(top)) {
            let start = (y + top) * stride + left * c;
            let row = &data[y * w * c..][..columns * c];
            padded[start..start + columns * c].copy_from_slice(row);
        }
        Cow::Owned(padded)
    }
}
