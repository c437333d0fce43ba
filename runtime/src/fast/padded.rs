//! The input of a window operator with its padding written out, so that every window lies inside the data.

use std::borrow::Cow;

use ir::qgraph::{Hwc, Window};
use rayon::prelude::*;

use super::scratch::Scratch;
use super::stored::{Pooled, Stored};

/// A few elements more, so that kernels may load whole groups at the end.
const MARGIN: usize = 4;

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
    pub(crate) fn apply<'a, T: Stored>(
        &self,
        data: &'a [T],
        value: T,
        scratch: &mut Scratch,
    ) -> Cow<'a, [T]> {
        if self.is_none() {
            return Cow::Borrowed(data);
        }
        Cow::Owned(
            self.write(data, value, 1, scratch, |to: &mut [T], from| to.copy_from_slice(from)),
        )
    }

    /// The data with `value` in the padding, every element 128 more: the form that products take. In `parts` pieces at once.
    pub(crate) fn apply_excess(
        &self,
        data: &[i8],
        value: i8,
        parts: usize,
        scratch: &mut Scratch,
    ) -> Vec<u8> {
        let excess = |x: i8| x.cast_unsigned() ^ 0x80;
        let copy = |to: &mut [u8], from: &[i8]| {
            to.iter_mut().zip(from).for_each(|(to, &from)| *to = excess(from));
        };
        if self.is_none() {
            let mut out = scratch.take(data.len() + MARGIN);
            let piece = data.len().div_ceil(parts).max(1);
            in_pieces(&mut out[..data.len()], piece, parts, |i, out| {
                copy(out, &data[i * piece..]);
            });
            return out;
        }
        self.write(data, excess(value), parts, scratch, copy)
    }

    fn write<T: Copy + Sync, U: Pooled>(
        &self,
        data: &[T],
        value: U,
        parts: usize,
        scratch: &mut Scratch,
        copy: impl Fn(&mut [U], &[T]) + Sync,
    ) -> Vec<U> {
        let Hwc { h, w, c } = self.input;
        let [top, left] = self.before;
        let stride = self.row_stride();
        let mut padded = scratch.take(self.padded[0] * stride + MARGIN);
        // The windows may end before the input does, or even before it begins.
        let columns = w.min(self.padded[1].saturating_sub(left));
        let row = |y: usize, out: &mut [U]| match y.checked_sub(top).filter(|&y| y < h) {
            Some(y) if columns > 0 && out.len() == stride => {
                let (before, rest) = out.split_at_mut(left * c);
                let (inside, after) = rest.split_at_mut(columns * c);
                before.fill(value);
                copy(inside, &data[y * w * c..][..columns * c]);
                after.fill(value);
            }
            // The margin, too, is shorter than a row.
            _ => out.fill(value),
        };
        let rows = self.padded[0].div_ceil(parts);
        in_pieces(&mut padded, rows * stride, parts, |i, out| {
            out.chunks_mut(stride).enumerate().for_each(|(y, out)| row(i * rows + y, out));
        });
        padded
    }
}

/// Calls `each(i, piece)` for pieces of `len` elements, all at once if there are several `parts`.
pub(crate) fn in_pieces<T: Send>(
    out: &mut [T],
    len: usize,
    parts: usize,
    each: impl Fn(usize, &mut [T]) + Sync,
) {
    if parts == 1 {
        out.chunks_mut(len).enumerate().for_each(|(i, piece)| each(i, piece));
    } else {
        out.par_chunks_mut(len).enumerate().for_each(|(i, piece)| each(i, piece));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2 x 2 pixels of one channel under windows of one tap.
    fn padded(pad: usize, stride: usize, output: usize) -> Vec<i8> {
        let window =
            Window { kernel: [1; 2], stride: [stride; 2], dilation: [1; 2], pad: [pad; 4] };
        let square = |side| Hwc { h: side, w: side, c: 1 };
        let padding = Padding::new(&window, square(2), square(output), 1 << 20).unwrap();
        padding.apply(&[1, 2, 3, 4], 9, &mut Scratch::default()).to_vec()
    }

    #[test]
    fn the_border_holds_the_value() {
        let image = [9, 9, 9, 9, 9, 1, 2, 9, 9, 3, 4, 9, 9, 9, 9, 9];
        assert_eq!(padded(1, 1, 4), [&image[..], &[9; 4]].concat());
    }

    #[test]
    fn windows_may_miss_the_input() {
        // One position in the corner of the padding; then every third pixel of 2 + 2 * 2, the last in column 3.
        assert_eq!(padded(2, 5, 1), [9; 1 + 4]);
        let image = [9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 1, 2, 9, 9, 3, 4];
        assert_eq!(padded(2, 3, 2), [&image[..], &[9; 4]].concat());
    }

    #[test]
    fn nothing_is_copied_without_padding() {
        assert_eq!(padded(0, 1, 2), [1, 2, 3, 4]);
        assert_eq!(padded(0, 1, 1), [1, 2, 3, 4]);
    }
}
