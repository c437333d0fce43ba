//! Where the taps of a sliding window fall.

use ir::qgraph::Window;

/// Input row (or column) that tap `tap` of output position `out` reads, or `None` if it lies in the padding.
///
/// `before` is the padding in front of the axis, `extent` the input's size along it.
#[inline]
pub(crate) fn tap_position(
    out: usize,
    tap: usize,
    stride: usize,
    dilation: usize,
    before: usize,
    extent: usize,
) -> Option<usize> {
    (out * stride + tap * dilation).checked_sub(before).filter(|&position| position < extent)
}

/// [`tap_position`] along rows for `window`.
#[inline]
pub(crate) fn tap_row(window: &Window, out: usize, tap: usize, extent: usize) -> Option<usize> {
    tap_position(out, tap, window.stride[0], window.dilation[0], window.pad[0], extent)
}

/// [`tap_position`] along columns for `window`.
#[inline]
pub(crate) fn tap_column(window: &Window, out: usize, tap: usize, extent: usize) -> Option<usize> {
    tap_position(out, tap, window.stride[1], window.dilation[1], window.pad[1], extent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_outside_the_input_are_padding() {
        // Five elements, one in front, stride 2, dilation 2: output 0 reads -1, 1, 3; output 2 reads 3, 5, 7.
        let at = |out, tap| tap_position(out, tap, 2, 2, 1, 5);
        assert_eq!([at(0, 0), at(0, 1), at(0, 2)], [None, Some(1), Some(3)]);
        assert_eq!([at(2, 0), at(2, 1), at(2, 2)], [Some(3), None, None]);
    }
}
