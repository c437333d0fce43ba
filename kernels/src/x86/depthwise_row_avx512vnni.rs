//! Rows of depthwise windows with 512-bit vectors: a column of taps of 64 channels at a time.
//!
//! `vpdpbusd` adds four products within 32 bits, so four taps of one channel must stand side by side: bytes and then words of
//! the four vectors below each other are interleaved, once for all windows that the column belongs to, whose sums are kept until
//! they are complete. Interleaving happens within 128-bit lanes, and so does the packing of the results, which undoes it.

use std::arch::x86_64::*;

use super::MAX_ROWS;
use super::columns_avx512::Columns;
use crate::depthwise_row::{BLOCK, DepthwiseRow, MOST_PENDING, PackedDepthwiseRow, TapColumns};

/// Taps multiplied at a time, and vectors of a block.
const QUAD: usize = 4;

/// Sums of one window and block.
type Sums = [__m512i; 4];

/// The row of windows that `x` holds, as many as `out` has pixels.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) fn qs8_depthwise_row_1x64__avx512vnni(
    x: &DepthwiseRow<'_>,
    columns: &TapColumns,
    w: &PackedDepthwiseRow,
    out: &mut [i8],
) {
    let channels = w.shape.channels;
    let pixels = out.len() / channels;
    let [down, across] = w.shape.kernel;
    let Some(last_window) = pixels.checked_sub(1) else { return };
    let last_column = last_window * w.shape.stride + across - 1;
    let end = (down - 1) * x.below + (last_column + 1) * channels;
    let blocks = channels.div_ceil(BLOCK);
    let block_len = columns.pending * w.shape.stride * columns.quads * 4 * BLOCK;
    let packed = columns.weights.len() == blocks * block_len
        && columns.starts.len() == blocks * BLOCK
        && w.requant.multiplier.len() == blocks * BLOCK;
    assert!(end <= x.data.len() && packed, "weights packed for another shape");
    let taps: Vec<usize> =
        (0..columns.quads * QUAD).map(|tap| tap.min(down - 1) * x.below).collect();
    for block in 0..blocks {
        let first = block * BLOCK;
        let part = Part {
            data: x.data[first..].as_ptr(),
            out: out[first..].as_mut_ptr(),
            weights: columns.weights[block * block_len..].as_ptr(),
            starts: columns.starts[first..].as_ptr(),
            first,
            mask: u64::MAX >> (BLOCK - BLOCK.min(channels - first)),
            pixels,
            last_column,
            taps: &taps,
            w,
        };
        // SAFETY: windows and results are inside data and `out` for the channels of the mask; weights, starts and constants have
        // the block.
        unsafe {
            match columns.pending {
                1 => part.run::<1>(),
                2 => part.run::<2>(),
                3 => part.run::<3>(),
                4 => part.run::<4>(),
                MOST_PENDING => part.run::<MOST_PENDING>(),
                _ => unreachable!("weights are packed for no more"),
            }
        }
    }
}

/// One block of channels of a row.
struct Part<'a> {
    data: *const u8,
    out: *mut i8,
    weights: *const i8,
    starts: *const i32,
    /// First channel.
    first: usize,
    /// Channels that exist.
    mask: u64,
    pixels: usize,
    last_column: usize,
    /// Where the taps of a column lie, filled up to whole quads with the last one.
    taps: &'a [usize],
    w: &'a PackedDepthwiseRow,
}

impl Part<'_> {
    /// Computes the part; a column belongs to at most `PENDING` windows.
    ///
    /// # Safety
    /// Pointers must be valid for the row's windows, results, weights and starts of this block.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn run<const PENDING: usize>(&self) {
        let (stride, channels) = (self.w.shape.stride, self.w.shape.channels);
        let per_column = self.taps.len() * BLOCK;
        let next_window = stride * per_column;
        // SAFETY: promised by the caller.
        let starts = unsafe { vectors(self.starts.cast()) };
        // Of the window that begins with the newest columns, of the one before, and so on.
        let mut acc = [starts; MAX_ROWS];
        let (mut column, mut x) = (0, self.data);
        for step in 0..self.pixels + PENDING - 1 {
            for j in 0..stride {
                for (quad, taps) in self.taps.chunks_exact(QUAD).enumerate() {
                    // SAFETY: promised by the caller.
                    unsafe {
                        let x = self.interleaved(x, taps);
                        let w = self.weights.add(j * per_column + quad * QUAD * BLOCK);
                        each_row!(P < PENDING {
                            let w = vectors(w.add(P * next_window));
                            acc[P] = multiply_add(acc[P], x, w);
                        });
                    }
                }
                // Columns beyond the last meet no window that exists, or weights of 0.
                x = if column < self.last_column { x.wrapping_add(channels) } else { x };
                column += 1;
            }
            if let Some(pixel) = (step + 1).checked_sub(PENDING) {
                // SAFETY: promised by the caller.
                unsafe { self.store(acc[PENDING - 1], self.out.add(pixel * channels)) };
            }
            let before = acc;
            each_row!(P < PENDING {
                acc[P] = if P == 0 { starts } else { before[P.saturating_sub(1)] };
            });
        }
    }

    /// The four `taps` of the column at `x`, side by side for each channel.
    ///
    /// # Safety
    /// The column must be readable for the channels of the mask.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    unsafe fn interleaved(&self, x: *const u8, taps: &[usize]) -> [__m512i; 4] {
        let mut vectors = [_mm512_setzero_si512(); MAX_ROWS];
        each_row!(T < QUAD {
            // SAFETY: promised by the caller.
            vectors[T] = unsafe { _mm512_maskz_loadu_epi8(self.mask, x.add(taps[T]).cast()) };
        });
        let [a, b, c, d, ..] = vectors;
        let low = (_mm512_unpacklo_epi8(a, b), _mm512_unpacklo_epi8(c, d));
        let high = (_mm512_unpackhi_epi8(a, b), _mm512_unpackhi_epi8(c, d));
        [
            _mm512_unpacklo_epi16(low.0, low.1),
            _mm512_unpackhi_epi16(low.0, low.1),
            _mm512_unpacklo_epi16(high.0, high.1),
            _mm512_unpackhi_epi16(high.0, high.1),
        ]
    }

    /// Requantizes the sums of a window and writes them.
    ///
    /// # Safety
    /// `out` must be valid for writes of the channels of the mask.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn store(&self, sums: Sums, out: *mut i8) {
        let requant = &self.w.requant;
        let first = self.first;
        // SAFETY: promised by the caller.
        let [a, b, c, d] = unsafe {
            [
                Columns::load(requant, first).round(sums[0]),
                Columns::load(requant, first + 16).round(sums[1]),
                Columns::load(requant, first + 32).round(sums[2]),
                Columns::load(requant, first + 48).round(sums[3]),
            ]
        };
        let words = (_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
        let bytes = _mm512_packs_epi16(words.0, words.1);
        let (lo, hi) = (_mm512_set1_epi8(requant.lo), _mm512_set1_epi8(requant.hi));
        let clamped = _mm512_min_epi8(_mm512_max_epi8(bytes, lo), hi);
        // SAFETY: masked-out channels are not touched.
        unsafe { _mm512_mask_storeu_epi8(out, self.mask, clamped) };
    }
}

/// Four vectors, one behind the other.
///
/// # Safety
/// 256 bytes must be readable at `at`.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn vectors(at: *const i8) -> Sums {
    // SAFETY: promised by the caller.
    unsafe {
        [
            _mm512_loadu_si512(at.cast()),
            _mm512_loadu_si512(at.add(BLOCK).cast()),
            _mm512_loadu_si512(at.add(2 * BLOCK).cast()),
            _mm512_loadu_si512(at.add(3 * BLOCK).cast()),
        ]
    }
}

/// Adds the products of four taps of each channel.
#[target_feature(enable = "avx512f,avx512vnni")]
#[inline]
fn multiply_add(acc: Sums, x: Sums, w: Sums) -> Sums {
    [
        _mm512_dpbusd_epi32(acc[0], x[0], w[0]),
        _mm512_dpbusd_epi32(acc[1], x[1], w[1]),
        _mm512_dpbusd_epi32(acc[2], x[2], w[2]),
        _mm512_dpbusd_epi32(acc[3], x[3], w[3]),
    ]
}
