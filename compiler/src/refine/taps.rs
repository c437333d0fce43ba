//! What a layer's weights see of its input: one tap per kernel position and input channel, `[kh, kw, c]`.

use std::ops::Range;

use ir::graph::Window;
use ir::qgraph::{Hwc, QGraph, QOp, QType};
use runtime::{QData, QTensor};

/// Where the windows of a convolution lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taps {
    window: Window,
    input: Hwc,
    output: Hwc,
    /// Stored integer of the padding.
    zero_point: i32,
    /// Whether the input is int16.
    wide: bool,
}

impl Taps {
    /// Taps of node `node`, which must be a convolution.
    pub(super) fn of(q: &QGraph, node: usize) -> Taps {
        let QOp::Conv { window, .. } = &q.nodes[node].op else {
            unreachable!("only convolutions have taps");
        };
        let value = |id: ir::graph::ValueId| &q.values[id.0 as usize];
        let (x, y) = (value(q.nodes[node].inputs[0]), value(q.nodes[node].output));
        Taps { wide: x.dtype == QType::I16, ..Taps::new(*window, x.shape, y.shape, x.zero_point) }
    }

    /// Taps of a window over an int8 input of which `zero_point` is the padding.
    pub(super) fn new(window: Window, input: Hwc, output: Hwc, zero_point: i32) -> Taps {
        Taps { window, input, output, zero_point, wide: false }
    }

    /// Sum of the stored integers that each tap sees over all positions of the result.
    pub(super) fn sums(&self, x: &QTensor) -> Vec<i64> {
        let Hwc { h, w, c } = self.input;
        let [kh, kw] = self.window.kernel;
        // The columns that a tap sees are the same in every row, so each row is summed once per tap of a kernel row.
        let mut rows = vec![0i64; h * kw * c];
        for (y, row) in rows.chunks_exact_mut(kw * c).enumerate() {
            for (kx, sums) in row.chunks_exact_mut(c).enumerate() {
                let columns = (0..self.output.w).filter_map(|ox| self.position(1, ox, kx, w));
                for column in columns {
                    let at = (y * w + column) * c;
                    add(sums, &x.data, at..at + c);
                }
            }
        }
        let mut sums = vec![0i64; kh * kw * c];
        for (tap, sums) in sums.chunks_exact_mut(c).enumerate() {
            let (ky, kx) = (tap / kw, tap % kw);
            let seen = (0..self.output.h).filter_map(|oy| self.position(0, oy, ky, h));
            let mut count = 0;
            for y in seen {
                let row = &rows[(y * kw + kx) * c..][..c];
                sums.iter_mut().zip(row).for_each(|(sum, row)| *sum += row);
                count += 1;
            }
            let columns = (0..self.output.w).filter(|&ox| self.position(1, ox, kx, w).is_some());
            let outside = self.output.h * self.output.w - count * columns.count();
            let padding = outside as i64 * i64::from(self.zero_point);
            sums.iter_mut().for_each(|sum| *sum += padding);
        }
        sums
    }

    /// Positions of the result.
    pub(super) fn positions(&self) -> usize {
        self.output.h * self.output.w
    }

    /// Taps of all channels.
    pub(super) fn count(&self) -> usize {
        self.window.kernel.iter().product::<usize>() * self.input.c
    }

    /// Whether the input is int16.
    pub(super) fn is_wide(&self) -> bool {
        self.wide
    }

    /// What each tap of one of `groups` groups of channels reads at some places, each a sample and a position of the result: steps above the
    /// zero point, one column per tap, one after the other. Int16 has zero in the middle, so all of them have 16 bits.
    pub(super) fn columns(
        &self,
        samples: &[QTensor],
        places: &[(usize, usize)],
        (group, groups): (usize, usize),
    ) -> Vec<i16> {
        let Hwc { h, w, c } = self.input;
        let channels = c / groups;
        let [kh, kw] = self.window.kernel;
        let mut columns = vec![0; kh * kw * channels * places.len()];
        for (row, &(sample, position)) in places.iter().enumerate() {
            let (oy, ox) = (position / self.output.w, position % self.output.w);
            for tap in 0..kh * kw {
                let y = self.position(0, oy, tap / kw, h);
                let x = self.position(1, ox, tap % kw, w);
                let Some((y, x)) = y.zip(x) else {
                    continue;
                };
                let first = (y * w + x) * c + group * channels;
                for channel in 0..channels {
                    let steps = samples[sample].get(first + channel) - self.zero_point;
                    columns[(tap * channels + channel) * places.len() + row] = steps as i16;
                }
            }
        }
        columns
    }

    /// Index of the input along an axis (0 = h, 1 = w) that tap `tap` of position `out` reads; `None` in the padding.
    fn position(&self, axis: usize, out: usize, tap: usize, extent: usize) -> Option<usize> {
        let Window { stride, dilation, pad, .. } = self.window;
        let place = out * stride[axis] + tap * dilation[axis];
        place.checked_sub(pad[axis]).filter(|&place| place < extent)
    }
}

fn add(sums: &mut [i64], data: &QData, range: Range<usize>) {
    match data {
        QData::I8(data) => {
            sums.iter_mut().zip(&data[range]).for_each(|(sum, &q)| *sum += i64::from(q));
        }
        QData::I16(data) => {
            sums.iter_mut().zip(&data[range]).for_each(|(sum, &q)| *sum += i64::from(q));
        }
    }
}
