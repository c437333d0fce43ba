//! Rows of depthwise windows with 256-bit vectors: two taps of 16 channels at a time.

use std::arch::x86_64::*;

use super::columns_avx2::Columns;
use crate::depthwise::PAIR_CHANNELS;
use crate::depthwise_row::{DepthwiseRow, DepthwiseShape, PackedDepthwiseRow};

/// The row of windows that `x` holds, as many as `out` has pixels.
#[target_feature(enable = "avx2")]
pub(super) fn qs8_depthwise_row_1x16__avx2(
    x: &DepthwiseRow<'_>,
    weights: &[i16],
    w: &PackedDepthwiseRow,
    out: &mut [i8],
) {
    let DepthwiseShape { kernel: [down, across], stride, dilation, channels } = w.shape;
    let (taps, pairs) = (down * across, (down * across).div_ceil(2));
    let block_len = pairs * PAIR_CHANNELS * 2;
    let slots = channels.next_multiple_of(PAIR_CHANNELS);
    let packed = weights.len() == slots * pairs * 2 && w.requant.multiplier.len() == slots;
    assert!(packed, "weights packed for another shape");
    let starts: Vec<usize> = (0..pairs * 2)
        // The odd tap of the last pair has zero weights: any values will do.
        .map(|t| t.min(taps - 1))
        .map(|t| t / across * x.below + t % across * dilation * channels)
        .collect();
    for (block, weights) in weights.chunks_exact(block_len).enumerate() {
        let first = block * PAIR_CHANNELS;
        let present = PAIR_CHANNELS.min(channels - first);
        // SAFETY: there are constants for every block.
        let columns = unsafe { Columns::load(&w.requant, first) };
        for (pixel, out) in out.chunks_exact_mut(channels).enumerate() {
            let data = &x.data[pixel * stride * channels + first..];
            let mut acc = [_mm256_setzero_si256(); 2];
            for (taps, weights) in
                starts.chunks_exact(2).zip(weights.chunks_exact(PAIR_CHANNELS * 2))
            {
                let (x0, x1) =
                    (channels16(data, taps[0], present), channels16(data, taps[1], present));
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
            let out = &mut out[first..first + present];
            // SAFETY: `out` has the channels that are present.
            unsafe { columns.store(acc, out.as_mut_ptr(), present) };
        }
    }
}

/// Sixteen channels from `start` on as signed integers; beyond `present`, any values.
#[target_feature(enable = "avx2")]
#[inline]
fn channels16(data: &[u8], start: usize, present: usize) -> __m128i {
    let rest = &data[start..];
    let bytes = if let Some(block) = rest.first_chunk::<16>() {
        // SAFETY: 16 bytes.
        unsafe { _mm_loadu_si128(block.as_ptr().cast()) }
    } else {
        let mut block = [0_u8; 16];
        block[..present].copy_from_slice(&rest[..present]);
        // SAFETY: 16 bytes.
        unsafe { _mm_loadu_si128(block.as_ptr().cast()) }
    };
    _mm_xor_si128(bytes, _mm_set1_epi8(i8::MIN))
}
