//! Pools and their adjoints on `[c, h, w]`.

use ir::graph::Window;

/// A pool over windows.
pub(super) struct Pool {
    window: Window,
    kind: Kind,
    /// Extents of operand and result: `[c, h, w]`.
    from: [usize; 3],
    to: [usize; 3],
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Max,
    Average { count_include_pad: bool },
}

impl Pool {
    /// `None` unless both shapes are `[1, c, h, w]`.
    pub(super) fn new(window: Window, kind: Kind, from: &[usize], to: &[usize]) -> Option<Pool> {
        let (&[1, c, h, w], &[1, channels, oh, ow]) = (from, to) else { return None };
        Some(Pool { window, kind, from: [c, h, w], to: [channels, oh, ow] })
    }

    pub(super) fn forward(&self, x: &[f32], y: &mut [f32]) {
        self.each(|at, taps, counted| {
            y[at] = match self.kind {
                Kind::Max => taps.iter().map(|&i| x[i]).fold(f32::NEG_INFINITY, f32::max),
                Kind::Average { .. } => taps.iter().map(|&i| x[i]).sum::<f32>() / counted as f32,
            };
        });
    }

    pub(super) fn backward(&self, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        self.each(|at, taps, counted| match self.kind {
            // The first of several largest elements, as a small change of the others would not matter.
            Kind::Max => {
                let largest = taps.iter().copied().reduce(|a, b| if x[b] > x[a] { b } else { a });
                largest.into_iter().for_each(|i| dx[i] += dy[at]);
            }
            Kind::Average { .. } => {
                let share = dy[at] / counted as f32;
                taps.iter().for_each(|&i| dx[i] += share);
            }
        });
    }

    /// Calls `work` for each element of the result with the elements of the operand in its window and the divisor of a mean.
    fn each(&self, mut work: impl FnMut(usize, &[usize], usize)) {
        let Window { kernel, stride, dilation, pad } = self.window;
        let [channels, h, w] = self.from;
        let [_, oh, ow] = self.to;
        let mut taps = Vec::with_capacity(kernel[0] * kernel[1]);
        // Place along an axis, counted from the first padded one.
        let place = |axis: usize, out: usize, k: usize| out * stride[axis] + k * dilation[axis];
        let declared = [h + pad[0] + pad[2], w + pad[1] + pad[3]];
        for at in 0..channels * oh * ow {
            let (c, y, x) = (at / (oh * ow), at / ow % oh, at % ow);
            taps.clear();
            let mut in_pads = 0;
            for k in 0..kernel[0] * kernel[1] {
                let (row, column) = (place(0, y, k / kernel[1]), place(1, x, k % kernel[1]));
                in_pads += usize::from(row < declared[0] && column < declared[1]);
                let inside = row.checked_sub(pad[0]).filter(|&r| r < h);
                if let (Some(r), Some(q)) = (inside, column.checked_sub(pad[1]).filter(|&q| q < w))
                {
                    taps.push((c * h + r) * w + q);
                }
            }
            let counted = match self.kind {
                Kind::Average { count_include_pad: true } => in_pads,
                Kind::Average { .. } | Kind::Max => taps.len(),
            };
            work(at, &taps, counted.max(1));
        }
    }
}
