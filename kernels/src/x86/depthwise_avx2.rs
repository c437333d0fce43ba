//! Depthwise convolution with 256-bit vectors: two taps of 16 channels at a time.

use std::arch::x86_64::*;

use super::avx2::store16;
use crate::depthwise::PAIR_CHANNELS;
use crate::matrix::{Accumulate, Rows, Sums};

/// The depthwise product of `x` with `w` packed in blocks of pairs of taps for exactly the shape of `x` and `c`.
#[target_feature(enable = "avx2")]
pub(super) fn qs8_depthwise_1x16__avx2(x: &Rows<'_>, w: &[i16], c: &mut Sums<'_>) {
    let [rows, channels] = c.shape();
    let (taps, pairs) = (x.segments(), x.segments().div_ceil(2));
    let block_len = pairs * PAIR_CHANNELS * 2;
    let right_shape = rows == x.len() && channels == x.segment_len();
    let packed_len = channels.div_ceil(PAIR_CHANNELS) * block_len;
    assert!(right_shape && w.len() == packed_len, "weights packed for another shape");
    let add = c.accumulate() == Accumulate::Add;
    let mut pixels: Vec<&[i8]> = Vec::with_capacity(pairs * 2);
    for r in 0..rows {
        pixels.clear();
        // The odd tap of the last pair has zero weights: any values will do.
        pixels.extend((0..pairs * 2).map(|t| x.segment(r, t.min(taps - 1))));
        for (block, weights) in w.chunks_exact(block_len).enumerate() {
            let first = block * PAIR_CHANNELS;
            let mut acc = [_mm256_setzero_si256(); 2];
            let pairs = pixels.chunks_exact(2).zip(weights.chunks_exact(PAIR_CHANNELS * 2));
            for (pixels, weights) in pairs {
                let (x0, x1) = (channels16(pixels[0], first), channels16(pixels[1], first));
                // SAFETY: `weights` are 32 elements, two vectors.
                let (w0, w1) = unsafe {
                    let w = weights.as_ptr().cast::<__m256i>();
                    (_mm256_loadu_si256(w), _mm256_loadu_si256(w.add(1)))
                };
                let low = _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(x0, x1));
                let high = _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(x0, x1));
                acc[0] = _mm256_add_epi32(acc[0], _mm256_madd_epi16(low, w0));
                acc[1] = _mm256_add_epi32(acc[1], _mm256_madd_epi16(high, w1));
            }
            let sums = &mut c.row(r)[first..];
            // SAFETY: as many sums as are left in the row.
            unsafe { store16(acc, sums.as_mut_ptr(), sums.len().min(PAIR_CHANNELS), add) };
        }
    }
}

/// Channels `first..first + 16` of a pixel, zeros beyond the last.
#[target_feature(enable = "avx2")]
#[inline]
fn channels16(pixel: &[i8], first: usize) -> __m128i {
    let rest = &pixel[first..];
    if let Some(block) = rest.first_chunk::<16>() {
        // SAFETY: 16 bytes.
        return unsafe { _mm_loadu_si128(block.as_ptr().cast()) };
    }
    let mut block = [0_i8; 16];
    block[..rest.len()].copy_from_slice(rest);
    // SAFETY: 16 bytes.
    unsafe { _mm_loadu_si128(block.as_ptr().cast()) }
}
