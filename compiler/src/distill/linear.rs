//! Convolutions and dense layers, and their adjoints with respect to the operand: im2col and sums of scaled rows.

use ir::graph::Window;

/// A convolution of one image; a dense layer over rows is one whose pixels are the rows.
pub(super) struct Linear {
    window: Window,
    groups: usize,
    /// Extents of operand and result: `[c, h, w]`.
    from: [usize; 3],
    to: [usize; 3],
    /// `[m, k]`, `k = c / groups * kh * kw`.
    weights: Vec<f32>,
    /// The same as `[groups, k, m / groups]`.
    transposed: Vec<f32>,
    /// `[m]`, or empty.
    bias: Vec<f32>,
}

impl Linear {
    pub(super) fn new(
        window: Window,
        groups: usize,
        from: [usize; 3],
        to: [usize; 3],
        weights: Vec<f32>,
        bias: Vec<f32>,
    ) -> Linear {
        let per_group = to[0] / groups;
        let k = weights.len() / to[0];
        let element = |i: usize| {
            let (g, rest) = (i / (k * per_group), i % (k * per_group));
            weights[(g * per_group + rest % per_group) * k + rest / per_group]
        };
        let transposed = (0..weights.len()).map(element).collect();
        Linear { window, groups, from, to, weights, transposed, bias }
    }

    fn pixels(&self) -> usize {
        self.to[1] * self.to[2]
    }

    /// Rows of im2col of one group.
    fn taps(&self) -> usize {
        self.weights.len() / self.to[0]
    }

    /// Whether im2col would copy the operand as it is.
    fn pointwise(&self) -> bool {
        let Window { kernel, stride, pad, .. } = self.window;
        kernel == [1, 1] && stride == [1, 1] && pad == [0; 4]
    }

    pub(super) fn forward(&self, x: &[f32], y: &mut [f32]) {
        let (pixels, taps, per_group) = (self.pixels(), self.taps(), self.to[0] / self.groups);
        let mut columns = vec![0.0; if self.pointwise() { 0 } else { taps * pixels }];
        for group in 0..self.groups {
            let x = self.of_group(x, group);
            let columns = if self.pointwise() {
                x
            } else {
                // Padding stays 0 from group to group.
                self.each_run(|column, place, len, step| {
                    let out = &mut columns[column..column + len];
                    if step == 1 {
                        out.copy_from_slice(&x[place..place + len]);
                    } else {
                        out.iter_mut()
                            .zip(x[place..].iter().step_by(step))
                            .for_each(|(o, x)| *o = *x);
                    }
                });
                &columns
            };
            for o in group * per_group..(group + 1) * per_group {
                let y = &mut y[o * pixels..(o + 1) * pixels];
                y.fill(self.bias.get(o).copied().unwrap_or(0.0));
                add_rows(y, &self.weights[o * taps..(o + 1) * taps], columns);
            }
        }
    }

    /// Adds to `dx` what arrives at the result.
    pub(super) fn backward(&self, dy: &[f32], dx: &mut [f32]) {
        let (pixels, taps, per_group) = (self.pixels(), self.taps(), self.to[0] / self.groups);
        let channel = self.from[1] * self.from[2];
        let per_group_in = self.from[0] / self.groups;
        let mut columns = vec![0.0; if self.pointwise() { 0 } else { taps * pixels }];
        for group in 0..self.groups {
            let dx = &mut dx[group * per_group_in * channel..(group + 1) * per_group_in * channel];
            let dy = &dy[group * per_group * pixels..(group + 1) * per_group * pixels];
            let weights =
                &self.transposed[group * taps * per_group..(group + 1) * taps * per_group];
            let rows = if self.pointwise() {
                &mut *dx
            } else {
                columns.fill(0.0);
                &mut columns[..]
            };
            for (row, weights) in rows.chunks_exact_mut(pixels).zip(weights.chunks_exact(per_group))
            {
                add_rows(row, weights, dy);
            }
            if !self.pointwise() {
                self.each_run(|column, place, len, step| {
                    let dx = dx[place..].iter_mut().step_by(step);
                    dx.zip(&columns[column..column + len]).for_each(|(dx, g)| *dx += g);
                });
            }
        }
    }

    fn of_group<'a>(&self, x: &'a [f32], group: usize) -> &'a [f32] {
        let len = x.len() / self.groups;
        &x[group * len..(group + 1) * len]
    }

    /// Calls `work` for each run of elements of im2col `[k, pixels]` of a group that lie inside the operand, with where the run begins in both, its
    /// length, and the operand's step.
    fn each_run(&self, mut work: impl FnMut(usize, usize, usize, usize)) {
        let Window { kernel, stride, dilation, pad } = self.window;
        let [_, h, w] = self.from;
        let [_, oh, ow] = self.to;
        for tap in 0..self.taps() {
            let c = tap / (kernel[0] * kernel[1]);
            let (ky, kx) = (tap / kernel[1] % kernel[0], tap % kernel[1]);
            // Columns `first..end` of the result have their tap at `x * stride + kx * dilation - pad` inside the operand.
            let offset = kx * dilation[1];
            let first = pad[1].saturating_sub(offset).div_ceil(stride[1]);
            let end = (w + pad[1]).saturating_sub(offset).div_ceil(stride[1]).min(ow);
            for y in 0..oh {
                let row = (y * stride[0] + ky * dilation[0]).checked_sub(pad[0]);
                if let (Some(row), true) = (row.filter(|&row| row < h), first < end) {
                    let column = (tap * oh + y) * ow + first;
                    let place = (c * h + row) * w + first * stride[1] + offset - pad[1];
                    work(column, place, end - first, stride[1]);
                }
            }
        }
    }
}

/// `y += sum over k of weights[k] * rows[k]`, four rows at a time: the sum stays in registers for longer.
fn add_rows(y: &mut [f32], weights: &[f32], rows: &[f32]) {
    let n = y.len();
    let mut fours = weights.chunks_exact(4).zip(rows.chunks_exact(4 * n));
    for (w, rows) in fours.by_ref() {
        let (a, rest) = rows.split_at(n);
        let (b, rest) = rest.split_at(n);
        let (c, d) = rest.split_at(n);
        for ((((y, a), b), c), d) in y.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *y += w[0] * a + w[1] * b + w[2] * c + w[3] * d;
        }
    }
    let done = weights.len() / 4 * 4;
    for (w, row) in weights[done..].iter().zip(rows[done * n..].chunks_exact(n)) {
        for (y, x) in y.iter_mut().zip(row) {
            *y += w * x;
        }
    }
}
