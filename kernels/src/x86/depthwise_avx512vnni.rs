//! Depthwise convolution with 512-bit vectors: four taps of 64 channels at a time.
//!
//! `vpdpbusd` adds four products within 32 bits, so the same channel of four taps must stand side by side: bytes and then
//! words of the four vectors are interleaved. That happens within 128-bit lanes and leaves the channels of a block as
//! four vectors of sums, vector `j` holding channels `16 * lane + 4 * j + 0..4`; a transposition of lanes at the end of
//! each pixel puts them in order. The activations are the unsigned operand, 128 too large, so that sums start at
//! `-128 * sum w`.

use std::arch::x86_64::*;

use crate::depthwise::QUAD_CHANNELS;
use crate::matrix::{Accumulate, Rows, Sums};

/// The depthwise product of `x` with `w` packed in blocks of quads of taps, and `starts` per channel (filled up to whole
/// blocks), for exactly the shape of `x` and `c`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) fn qs8_depthwise_1x64__avx512vnni(
    x: &Rows<'_>,
    w: &[i8],
    starts: &[i32],
    c: &mut Sums<'_>,
) {
    let [rows, channels] = c.shape();
    let quads = x.segments().div_ceil(4);
    let blocks = channels.div_ceil(QUAD_CHANNELS);
    let block_len = quads * 4 * QUAD_CHANNELS;
    let right_shape = rows == x.len() && channels == x.segment_len();
    let packed = w.len() == blocks * block_len && starts.len() == blocks * QUAD_CHANNELS;
    assert!(right_shape && packed, "weights packed for another shape");
    let add = c.accumulate() == Accumulate::Add;
    let last = x.segments() - 1;
    let mut pixels: Vec<*const i8> = Vec::with_capacity(quads * 4);
    for r in 0..rows {
        pixels.clear();
        // Taps beyond the last have zero weights: any values will do.
        let data = x.data().as_ptr();
        pixels.extend((0..quads * 4).map(|t| data.wrapping_add(x.offset(r, t.min(last)))));
        let sums = c.row(r);
        for block in 0..blocks {
            let first = block * QUAD_CHANNELS;
            let mask = u64::MAX >> (QUAD_CHANNELS - QUAD_CHANNELS.min(channels - first));
            let weights = &w[block * block_len..][..block_len];
            // SAFETY: every pixel has the channels of the mask from `first` on, and the weights are `4 * quads` vectors.
            let acc = unsafe { block_sums(&pixels, first, mask, weights.as_ptr()) };
            // SAFETY: `starts` has a whole block at `first`, the row of sums the columns of the mask.
            unsafe {
                let starts = starts.as_ptr().add(first);
                store64(in_order(acc), starts, sums.as_mut_ptr().add(first), mask, add);
            }
        }
    }
}

/// Sums of one block of channels over all taps, in the order of the interleaving.
///
/// # Safety
/// Every pixel must have the elements of `mask` from `first` on; `w` must be valid for as many vectors as there are
/// pixels, which come in fours.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[inline]
unsafe fn block_sums(pixels: &[*const i8], first: usize, mask: u64, w: *const i8) -> [__m512i; 4] {
    let unsigned = _mm512_set1_epi8(i8::MIN);
    let mut acc = [_mm512_setzero_si512(); 4];
    for (quad, pixels) in pixels.chunks_exact(4).enumerate() {
        let mut x = [_mm512_setzero_si512(); 4];
        for (x, &pixel) in x.iter_mut().zip(pixels) {
            // SAFETY: promised by the caller.
            let channels = unsafe { _mm512_maskz_loadu_epi8(mask, pixel.add(first)) };
            *x = _mm512_xor_si512(channels, unsigned);
        }
        let low = (_mm512_unpacklo_epi8(x[0], x[1]), _mm512_unpacklo_epi8(x[2], x[3]));
        let high = (_mm512_unpackhi_epi8(x[0], x[1]), _mm512_unpackhi_epi8(x[2], x[3]));
        let quads_of_taps = [
            _mm512_unpacklo_epi16(low.0, low.1),
            _mm512_unpackhi_epi16(low.0, low.1),
            _mm512_unpacklo_epi16(high.0, high.1),
            _mm512_unpackhi_epi16(high.0, high.1),
        ];
        for (j, (acc, x)) in acc.iter_mut().zip(quads_of_taps).enumerate() {
            // SAFETY: promised by the caller.
            let w = unsafe { _mm512_loadu_si512(w.add((quad * 4 + j) * 64).cast()) };
            *acc = _mm512_dpbusd_epi32(*acc, x, w);
        }
    }
    acc
}

/// Transposes the 4 x 4 lanes of four vectors.
#[target_feature(enable = "avx512f")]
#[inline]
fn in_order([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let (ab, cd) = (_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0x44>(c, d));
    let (ab_end, cd_end) = (_mm512_shuffle_i32x4::<0xee>(a, b), _mm512_shuffle_i32x4::<0xee>(c, d));
    [
        _mm512_shuffle_i32x4::<0x88>(ab, cd),
        _mm512_shuffle_i32x4::<0xdd>(ab, cd),
        _mm512_shuffle_i32x4::<0x88>(ab_end, cd_end),
        _mm512_shuffle_i32x4::<0xdd>(ab_end, cd_end),
    ]
}

/// Writes (or adds) the sums of `mask`, each with its start.
///
/// # Safety
/// `starts` must be valid for 64 reads, `c` for reads and writes of the elements of `mask`.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn store64(acc: [__m512i; 4], starts: *const i32, c: *mut i32, mask: u64, add: bool) {
    for (i, sums) in acc.into_iter().enumerate() {
        let mask = (mask >> (i * 16)) as u16;
        let c = c.wrapping_add(i * 16);
        // SAFETY: promised by the caller; masked-out elements are not touched.
        unsafe {
            let start = _mm512_loadu_si512(starts.add(i * 16).cast());
            let old = if add { _mm512_maskz_loadu_epi32(mask, c) } else { _mm512_setzero_si512() };
            let sums = _mm512_add_epi32(_mm512_add_epi32(start, old), sums);
            _mm512_mask_storeu_epi32(c, mask, sums);
        }
    }
}
