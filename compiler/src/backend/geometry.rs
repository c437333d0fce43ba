//! Rectangles, pixel tiles and channel blocks: the index arithmetic that planning and emission share.

use ir::qgraph::{Hwc, QType, Window};

/// Half-open rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rect {
    /// First row.
    pub y0: usize,
    /// Row behind the last.
    pub y1: usize,
    /// First column.
    pub x0: usize,
    /// Column behind the last.
    pub x1: usize,
}

impl Rect {
    /// Rows.
    pub(crate) fn h(&self) -> usize {
        self.y1 - self.y0
    }

    /// Columns.
    pub(crate) fn w(&self) -> usize {
        self.x1 - self.x0
    }

    /// Pixels.
    pub(crate) fn area(&self) -> usize {
        self.h() * self.w()
    }
}

/// The input pixels a window needs for an output tile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowInput {
    /// Input pixels inside the tensor; at least one, even if every tap is padding.
    pub rect: Rect,
    /// Input row of tap 0 of the first output row, relative to `rect.y0`.
    pub iy0: i32,
    /// Input column of tap 0 of the first output column, relative to `rect.x0`.
    pub ix0: i32,
}

/// Maps an output tile to the input pixels it reads.
pub(crate) fn window_input(out: Rect, window: &Window, input: Hwc) -> WindowInput {
    let (y0, y1, iy0) = span(out.y0, out.y1, window, 0, input.h);
    let (x0, x1, ix0) = span(out.x0, out.x1, window, 1, input.w);
    WindowInput { rect: Rect { y0, y1, x0, x1 }, iy0, ix0 }
}

/// One axis of [`window_input`]: clipped first and last input index, and the relative origin.
fn span(o0: usize, o1: usize, window: &Window, axis: usize, extent: usize) -> (usize, usize, i32) {
    let (stride, pad) = (window.stride[axis] as i64, window.pad[axis] as i64);
    let reach = ((window.kernel[axis] - 1) * window.dilation[axis]) as i64;
    let first = o0 as i64 * stride - pad;
    let last = (o1 as i64 - 1) * stride - pad + reach;
    let limit = extent as i64 - 1;
    let lo = first.clamp(0, limit);
    let hi = last.clamp(lo, limit);
    (lo as usize, hi as usize + 1, (first - lo) as i32)
}

/// Cuts `h x w` pixels into tiles of at most `th x tw`, row by row.
pub(crate) fn tiles(h: usize, w: usize, th: usize, tw: usize) -> Vec<Rect> {
    let mut out = Vec::with_capacity(h.div_ceil(th) * w.div_ceil(tw));
    for y0 in (0..h).step_by(th) {
        for x0 in (0..w).step_by(tw) {
            out.push(Rect { y0, y1: (y0 + th).min(h), x0, x1: (x0 + tw).min(w) });
        }
    }
    out
}

/// Candidate extents for cutting `n` into equal parts of at most `limit`: `ceil(n / k)` for every useful `k`.
pub(crate) fn cuts(n: usize, limit: usize) -> Vec<usize> {
    let mut out: Vec<usize> = Vec::new();
    let mut parts = n.div_ceil(limit.max(1)).max(1);
    while parts <= n && out.len() < 24 {
        let size = n.div_ceil(parts);
        if out.last() != Some(&size) {
            out.push(size);
        }
        // Fine steps while parts are few; coarse ones towards single pixels.
        parts += 1 + parts / 6;
    }
    if out.last() != Some(&1) {
        out.push(1);
    }
    out
}

/// Channel blocks of a tensor.
pub(crate) fn blocks(channels: usize, lanes: usize) -> usize {
    channels.div_ceil(lanes)
}

/// Byte planes of a storage type.
pub(crate) fn planes(dtype: QType) -> usize {
    match dtype {
        QType::I8 => 1,
        QType::I16 => 2,
    }
}

/// Scratchpad rows of `pixels` pixels of `n_blocks` channel blocks.
pub(crate) fn rows(dtype: QType, pixels: usize, n_blocks: usize) -> usize {
    planes(dtype) * pixels * n_blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(kernel: usize, stride: usize, pad: usize) -> Window {
        Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], pad: [pad; 4] }
    }

    #[test]
    fn window_input_clips_at_the_border_only() {
        let input = Hwc { h: 10, w: 12, c: 1 };
        let w = window_input(Rect { y0: 0, y1: 4, x0: 8, x1: 12 }, &window(3, 1, 1), input);
        assert_eq!(w.rect, Rect { y0: 0, y1: 5, x0: 7, x1: 12 });
        assert_eq!((w.iy0, w.ix0), (-1, 0));
    }

    #[test]
    fn window_input_keeps_one_pixel_when_all_taps_are_padding() {
        let w = window_input(
            Rect { y0: 0, y1: 1, x0: 0, x1: 1 },
            &window(1, 1, 2),
            Hwc { h: 3, w: 3, c: 1 },
        );
        assert_eq!(w.rect, Rect { y0: 0, y1: 1, x0: 0, x1: 1 });
        assert_eq!((w.iy0, w.ix0), (-2, -2));
    }

    #[test]
    fn tiles_cover_every_pixel_once() {
        let mut seen = [[0; 7]; 5];
        for t in tiles(5, 7, 2, 3) {
            for row in &mut seen[t.y0..t.y1] {
                for cell in &mut row[t.x0..t.x1] {
                    *cell += 1;
                }
            }
        }
        assert!(seen.iter().flatten().all(|&n| n == 1));
    }

    #[test]
    fn cuts_are_decreasing_and_end_at_one() {
        for n in 1..300 {
            let c = cuts(n, 64);
            assert!(c.windows(2).all(|p| p[0] > p[1]), "{n}: {c:?}");
            assert!(c[0] <= 64 && *c.last().unwrap() == 1);
        }
    }
}
