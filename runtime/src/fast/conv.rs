//! Convolution by matrix products whose left operand is read in place: an indirect im2col.
//!
//! The padding is written out once; then the window of an output pixel is a few contiguous segments of the input, one per
//! kernel row (or per tap, with dilation or groups), which the kernels read where they lie. A 1x1 convolution of stride 1
//! needs not even that: its input is the left operand. Sums are requantized block by block, while they are in the cache.

use std::ops::Range;

use ir::qgraph::{Hwc, QType};
use isa::numerics::{Rounding, requantize};
use kernels::{
    Accumulate, DepthwiseRow, PackedDepthwise, PackedRequant, PackedWeights, Rows, Sums,
    qs8_depthwise, qs8_depthwise_row, qs8_gemm, qs8_requantize, qs16_gemm,
};

use super::fused::Fused;
use super::padded::{Padding, in_pieces};
use super::scratch::Scratch;
use super::stored::{Stored, Sum};
use crate::int8::{Conv, Target};
use crate::{QData, QTensor};

/// Sums of one block: small enough for the second-level cache.
const BLOCK_SUMS: usize = 1 << 16;

/// Fewest rows of a block, so that a pass over the weights is worth it.
const MIN_BLOCK_ROWS: usize = 48;

/// Most elements of padded input and of window starts; beyond that (absurd padding or stride) the plain loops serve.
const MAX_PADDED: usize = 1 << 26;

/// Multiply-accumulates below which a piece costs another thread more than it saves.
const PIECE_WORK: usize = 1 << 18;

/// A convolution with its weights packed.
pub(crate) struct FastConv<'g> {
    conv: Conv<'g>,
    zero_point: i32,
    target: Target,
    padding: Padding,
    windows: Windows,
    weights: Weights,
    /// Pieces that are computed at once.
    parts: usize,
    /// Constants of the vector kernel, where it applies: int8 in and out, round half to even.
    requant: Option<PackedRequant>,
}

/// Where the segments of each output pixel's window lie in the padded input.
struct Windows {
    /// Starts of the segments, pixel after pixel; `None` if pixel `r` is row `r` of the input.
    offsets: Option<Vec<u32>>,
    segments: usize,
    segment_len: usize,
}

enum Weights {
    /// With their requantization.
    Fused(Fused),
    /// One pack per group.
    Int8(Vec<PackedWeights>),
    /// Every channel is its own group and has one result.
    Depthwise(PackedDepthwise),
    /// Int16 activations: weights as they lie in the graph.
    Int16,
}

impl<'g> FastConv<'g> {
    /// Packs the weights of a checked node with operand `x`; `None` if its window asks for absurd amounts of memory.
    pub(crate) fn new(
        conv: Conv<'g>,
        (input, dtype, zero_point): (Hwc, QType, i32),
        target: Target,
        threads: usize,
    ) -> Option<Self> {
        let padding = Padding::new(conv.window, input, target.shape, MAX_PADDED)?;
        let w = conv.weights;
        let taps = w.kernel[0] * w.kernel[1];
        let depthwise = dtype == QType::I8 && conv.groups > 1 && w.ic == 1 && w.oc == conv.groups;
        let windows = Windows::new(&conv, &padding, depthwise, target.shape)?;
        let rows = [windows.segments, windows.segment_len];
        let fused =
            (dtype == QType::I8).then(|| Fused::new(&conv, &target, depthwise, rows)).flatten();
        let weights = match (fused, dtype) {
            (Some(fused), _) => Weights::Fused(fused),
            (None, QType::I16) => Weights::Int16,
            (None, QType::I8) if depthwise => {
                let tap_of_channel = |i: usize| w.data[i % w.oc * taps + i / w.oc];
                let by_tap: Vec<i8> = (0..taps * w.oc).map(tap_of_channel).collect();
                Weights::Depthwise(PackedDepthwise::new(&by_tap, taps, w.oc))
            }
            (None, QType::I8) => {
                let columns = w.oc / conv.groups;
                let (segments, len) = (windows.segments, windows.segment_len);
                let pack = |w| PackedWeights::segmented(w, columns, segments, len);
                Weights::Int8(w.data.chunks_exact(columns * taps * w.ic).map(pack).collect())
            }
        };
        let requant = match weights {
            Weights::Int8(_) | Weights::Depthwise(_) => vector_constants(&conv, &target),
            Weights::Fused(_) | Weights::Int16 => None,
        };
        let work = target.shape.h * target.shape.w * w.data.len();
        let parts = threads.min(work / PIECE_WORK).max(1);
        Some(Self { conv, zero_point, target, padding, windows, weights, parts, requant })
    }

    /// Computes the node.
    pub(crate) fn run(&self, x: &QTensor, scratch: &mut Scratch) -> QData {
        match (&x.data, &self.weights) {
            (QData::I8(data), Weights::Fused(fused)) => {
                QData::I8(self.requantized_in_registers(fused, data, scratch))
            }
            (QData::I8(data), _) => {
                let data = self.padding.apply(data, i8::narrow(self.zero_point), scratch);
                let sum = |pixels, sums: &mut [i32]| self.sum_int8(&data, pixels, sums);
                let result = match &self.requant {
                    Some(constants) => QData::I8(self.blocks(scratch, sum, |sums, out| {
                        qs8_requantize(sums, constants, out);
                    })),
                    None => self.requantized(scratch, sum),
                };
                scratch.give_copy(data);
                result
            }
            (QData::I16(data), _) => {
                let data = self.padding.apply(data, i16::narrow(self.zero_point), scratch);
                let sum = |pixels, sums: &mut [i64]| self.sum_int16(&data, pixels, sums);
                let result = self.requantized(scratch, sum);
                scratch.give_copy(data);
                result
            }
        }
    }

    /// The results of all pixels, in pieces of whole rows or pixels.
    fn requantized_in_registers(
        &self,
        fused: &Fused,
        data: &[i8],
        scratch: &mut Scratch,
    ) -> Vec<i8> {
        let (parts, zero) = (self.parts, i8::narrow(self.zero_point));
        let data = self.padding.apply_excess(data, zero, parts, scratch);
        let (Hwc { h, w, c }, window) = (self.target.shape, self.conv.window);
        let mut out = scratch.take(h * w * c);
        match fused {
            Fused::Product(groups) => {
                let (pixels, columns) = ((h * w).div_ceil(parts), c / groups.len());
                in_pieces(&mut out, pixels * c, parts, |i, out| {
                    let pixels = i * pixels..i * pixels + out.len() / c;
                    for (g, group) in groups.iter().enumerate() {
                        let channel = g * self.conv.weights.ic;
                        let rows = self.windows.rows(&data, channel, &pixels, &self.padding);
                        group.run(&rows, columns, (&mut out[g * columns..], c));
                    }
                });
            }
            Fused::Depthwise(row) => {
                let (rows, stride) = (h.div_ceil(parts), self.padding.row_stride());
                in_pieces(&mut out, rows * w * c, parts, |i, out| {
                    for (y, out) in out.chunks_exact_mut(w * c).enumerate() {
                        let data = &data[(i * rows + y) * window.stride[0] * stride..];
                        let below = window.dilation[0] * stride;
                        qs8_depthwise_row(&DepthwiseRow { data, below }, row, out);
                    }
                });
            }
        }
        scratch.give(data);
        out
    }

    /// The sums of all pixels, requantized by the scalar definition.
    fn requantized<S: Sum>(
        &self,
        scratch: &mut Scratch,
        sum: impl Fn(Range<usize>, &mut [S]),
    ) -> QData {
        match self.target.dtype {
            QType::I8 => QData::I8(self.blocks(scratch, sum, |s, out| self.requantize(s, out))),
            QType::I16 => QData::I16(self.blocks(scratch, sum, |s, out| self.requantize(s, out))),
        }
    }

    /// Results of all pixels: `sum(pixels, sums)` for a range of pixels, then `finish(sums, results)`.
    fn blocks<S: Sum, T: Stored>(
        &self,
        scratch: &mut Scratch,
        sum: impl Fn(Range<usize>, &mut [S]),
        finish: impl Fn(&[S], &mut [T]),
    ) -> Vec<T> {
        let Hwc { h, w, c } = self.target.shape;
        let pixels = h * w;
        let block = (BLOCK_SUMS / c).max(MIN_BLOCK_ROWS).min(pixels);
        let mut out = scratch.take(pixels * c);
        let sums = S::buffer(scratch);
        sums.resize(sums.len().max(block * c), S::default());
        for (i, out) in out.chunks_mut(block * c).enumerate() {
            let sums = &mut sums[..out.len()];
            sum(i * block..i * block + out.len() / c, sums);
            finish(sums, out);
        }
        out
    }

    /// Sums over the windows of `pixels`, without bias.
    fn sum_int8(&self, data: &[i8], pixels: Range<usize>, sums: &mut [i32]) {
        let channels = self.conv.weights.oc;
        match &self.weights {
            Weights::Int8(groups) => {
                let columns = channels / groups.len();
                for (g, weights) in groups.iter().enumerate() {
                    let rows =
                        self.windows.rows(data, g * self.conv.weights.ic, &pixels, &self.padding);
                    let shape = [rows.len(), columns];
                    let sums = &mut sums[g * columns..];
                    let mut sums = Sums::new(sums, shape, channels, Accumulate::Replace);
                    qs8_gemm(&rows, weights, &mut sums);
                }
            }
            Weights::Depthwise(weights) => {
                let rows = self.windows.rows(data, 0, &pixels, &self.padding);
                let shape = [rows.len(), channels];
                qs8_depthwise(
                    &rows,
                    weights,
                    &mut Sums::new(sums, shape, channels, Accumulate::Replace),
                );
            }
            Weights::Int16 | Weights::Fused(_) => {
                unreachable!("the check before the run proved the operand's type")
            }
        }
    }

    /// As [`Self::sum_int8`] for int16 activations.
    fn sum_int16(&self, data: &[i16], pixels: Range<usize>, sums: &mut [i64]) {
        let weights = self.conv.weights;
        let columns = weights.oc / self.conv.groups;
        let per_group = weights.data.len() / self.conv.groups;
        for (g, w) in weights.data.chunks_exact(per_group).enumerate() {
            let rows = self.windows.rows(data, g * weights.ic, &pixels, &self.padding);
            let shape = [rows.len(), columns];
            let sums = &mut sums[g * columns..];
            qs16_gemm(&rows, w, &mut Sums::new(sums, shape, weights.oc, Accumulate::Replace));
        }
    }

    /// Bias, multiplier, rounding and clamp by the scalar definition.
    fn requantize<S: Sum, T: Stored>(&self, sums: &[S], out: &mut [T]) {
        let Conv { bias, requant, bounds, .. } = self.conv;
        let (zero_point, rounding) = (self.target.zero_point, self.target.rounding);
        let channels = self.conv.weights.oc;
        for (sums, out) in sums.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
            for (o, (&sum, out)) in sums.iter().zip(out).enumerate() {
                let acc = sum.into() + bias[o];
                let y = requantize(acc, requant[o], zero_point, bounds.lo, bounds.hi, rounding);
                *out = T::narrow(y);
            }
        }
    }
}

impl Windows {
    fn new(conv: &Conv<'_>, padding: &Padding, depthwise: bool, output: Hwc) -> Option<Self> {
        let (w, window) = (conv.weights, conv.window);
        let [kh, kw] = w.kernel;
        if depthwise {
            return Self::scattered(conv, padding, output, [kh, kw], w.oc);
        }
        if kh * kw == 1 && window.stride == [1, 1] && padding.is_none() {
            return Some(Self { offsets: None, segments: 1, segment_len: w.ic });
        }
        if conv.groups == 1 && window.dilation[1] == 1 {
            // The taps of a kernel row are neighbours in the input.
            return Self::scattered(conv, padding, output, [kh, 1], kw * w.ic);
        }
        Self::scattered(conv, padding, output, [kh, kw], w.ic)
    }

    /// One segment for each of `segments` steps of the kernel down and across.
    fn scattered(
        conv: &Conv<'_>,
        padding: &Padding,
        output: Hwc,
        [down, across]: [usize; 2],
        segment_len: usize,
    ) -> Option<Self> {
        let segments = down * across;
        let pixels = output.h * output.w;
        pixels.checked_mul(segments).filter(|&starts| starts <= MAX_PADDED)?;
        let ([sy, sx], [dy, dx]) = (conv.window.stride, conv.window.dilation);
        let channels = conv.weights.ic * conv.groups;
        let mut offsets = Vec::with_capacity(pixels * segments);
        for pixel in 0..pixels {
            let (oy, ox) = (pixel / output.w, pixel % output.w);
            for segment in 0..segments {
                let (y, x) = (oy * sy + segment / across * dy, ox * sx + segment % across * dx);
                let start = y * padding.row_stride() + x * channels;
                offsets.push(u32::try_from(start).expect("at most MAX_PADDED elements"));
            }
        }
        Some(Self { offsets: Some(offsets), segments, segment_len })
    }

    /// Windows of `pixels` as rows of a product, over the channels from `first_channel` on.
    fn rows<'a, T>(
        &'a self,
        data: &'a [T],
        first_channel: usize,
        pixels: &Range<usize>,
        padding: &Padding,
    ) -> Rows<'a, T> {
        match &self.offsets {
            None => {
                let channels = padding.channels();
                let data = &data[pixels.start * channels + first_channel..];
                Rows::dense(data, pixels.len(), self.segment_len, channels)
            }
            Some(offsets) => {
                let offsets = &offsets[pixels.start * self.segments..pixels.end * self.segments];
                Rows::segmented(&data[first_channel..], offsets, self.segments, self.segment_len)
            }
        }
    }
}

/// Constants of the vector requantization, if it computes what the graph asks for.
fn vector_constants(conv: &Conv<'_>, target: &Target) -> Option<PackedRequant> {
    if target.dtype != QType::I8 || target.rounding != Rounding::HalfEven {
        return None;
    }
    // The check proved that bias and sum fit 32 bits together.
    let bias: Result<Vec<i32>, _> = conv.bias.iter().map(|&b| i32::try_from(b)).collect();
    let multiplier = conv.requant.iter().map(|requant| requant.multiplier).collect();
    let shift = conv.requant.iter().map(|requant| requant.shift).collect();
    let output = [target.zero_point, conv.bounds.lo, conv.bounds.hi];
    Some(PackedRequant::new(bias.ok()?, multiplier, shift, output))
}
