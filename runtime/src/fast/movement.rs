//! Operators that only move elements, in runs as long as the layout allows.

use ir::qgraph::{Hwc, Indices};

use super::stored::Stored;

/// Joins operands along `axis`: for every position before the axis, each operand's run of the rest.
pub(crate) fn concat<T: Stored>(operands: &[(&[T], Hwc)], axis: usize, out: &mut [T]) {
    let run = |shape: Hwc| shape.extents()[axis..].iter().product::<usize>();
    let stride: usize = operands.iter().map(|&(_, shape)| run(shape)).sum();
    for (i, out) in out.chunks_exact_mut(stride).enumerate() {
        let mut start = 0;
        for &(data, shape) in operands {
            let run = run(shape);
            out[start..start + run].copy_from_slice(&data[i * run..][..run]);
            start += run;
        }
    }
}

/// Surrounds the operand by a border of `value`, pixel by pixel.
pub(crate) fn pad<T: Stored>(
    (x, input): (&[T], Hwc),
    before: [usize; 3],
    value: T,
    (out, output): (&mut [T], Hwc),
) {
    out.fill(value);
    for (pixel, channels) in x.chunks_exact(input.c).enumerate() {
        let (y, x) = (pixel / input.w + before[0], pixel % input.w + before[1]);
        let start = (y * output.w + x) * output.c + before[2];
        out[start..start + input.c].copy_from_slice(channels);
    }
}

/// Picks elements by one index list per axis; a run of neighbouring channels is copied at once.
pub(crate) fn gather<T: Stored>((x, input): (&[T], Hwc), indices: &[Indices; 3], out: &mut [T]) {
    let [rows, columns, channels]: [Vec<usize>; 3] =
        [0, 1, 2].map(|axis| indices[axis].iter().collect());
    let neighbours = channels.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    for (out, &y) in out.chunks_exact_mut(columns.len() * channels.len()).zip(&rows) {
        let row = &x[y * input.w * input.c..][..input.w * input.c];
        for (out, &x) in out.chunks_exact_mut(channels.len()).zip(&columns) {
            let pixel = &row[x * input.c..][..input.c];
            if neighbours {
                out.copy_from_slice(&pixel[channels[0]..][..channels.len()]);
            } else {
                out.iter_mut().zip(&channels).for_each(|(out, &c)| *out = pixel[c]);
            }
        }
    }
}

/// An index permutation, worked out beforehand.
pub(crate) struct Reorder {
    /// Where each run of the result starts in the operand.
    starts: Vec<u32>,
    /// Elements of a run: the trailing axes that stay in place.
    run: usize,
}

impl Reorder {
    /// For an operand seen as `dims` and transposed by `perm`.
    pub(crate) fn new(dims: &[usize], perm: &[usize]) -> Self {
        let moved =
            (0..dims.len()).rev().find(|&axis| perm[axis] != axis).map_or(0, |axis| axis + 1);
        let run = dims[moved..].iter().product();
        let mut strides = vec![run; moved];
        for axis in (1..moved).rev() {
            strides[axis - 1] = strides[axis] * dims[axis];
        }
        // Grows one axis of the result at a time: every start so far, followed by each step along the next axis.
        let starts = perm[..moved].iter().fold(vec![0], |starts: Vec<u32>, &axis| {
            let step = |i: usize| u32::try_from(i * strides[axis]).expect("tensors are below 2^28");
            let next = |start: u32| (0..dims[axis]).map(move |i| start + step(i));
            starts.into_iter().flat_map(next).collect()
        });
        Self { starts, run }
    }

    /// Writes the operand's elements in their new order.
    pub(crate) fn run<T: Stored>(&self, x: &[T], out: &mut [T]) {
        if self.run == 1 {
            out.iter_mut().zip(&self.starts).for_each(|(out, &start)| *out = x[start as usize]);
            return;
        }
        for (out, &start) in out.chunks_exact_mut(self.run).zip(&self.starts) {
            out.copy_from_slice(&x[start as usize..][..self.run]);
        }
    }
}
