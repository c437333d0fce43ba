//! Requantization of sixteen columns at a time with 512-bit vectors.

use std::arch::x86_64::*;

use crate::requantize::PackedRequant;

/// Requantizes every column of every row and returns how many columns those are.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn qs8_requantize_1x16__avx512(
    sums: &[i32],
    constants: &PackedRequant,
    out: &mut [i8],
) -> usize {
    let columns = constants.columns();
    let [zero_point, lo, hi] = constants.output();
    let zero = _mm512_set1_epi32(zero_point);
    // clamp(r + Z, lo, hi) = clamp(r, lo - Z, hi - Z) + Z, and the right side cannot leave 32 bits.
    let (lo, hi) = (_mm512_set1_epi32(lo - zero_point), _mm512_set1_epi32(hi - zero_point));
    for first in (0..columns).step_by(16) {
        let present = (columns - first).min(16);
        let mask = u16::MAX >> (16 - present);
        // SAFETY: the mask keeps to the `present` columns that each slice has from `first` on.
        let (bias, multiplier, shift) = unsafe {
            (
                _mm512_maskz_loadu_epi32(mask, constants.bias()[first..].as_ptr()),
                _mm512_maskz_loadu_epi32(mask, constants.multiplier()[first..].as_ptr().cast()),
                _mm_maskz_loadu_epi8(mask, constants.shift()[first..].as_ptr().cast()),
            )
        };
        let low = Lanes::new(_mm512_castsi512_si256(multiplier), shift);
        let high =
            Lanes::new(_mm512_extracti64x4_epi64::<1>(multiplier), _mm_srli_si128::<8>(shift));
        let rows = sums.chunks_exact(columns).zip(out.chunks_exact_mut(columns));
        for (sums, out) in rows {
            // SAFETY: the mask keeps to the `present` columns that the row has from `first` on.
            let acc = unsafe { _mm512_maskz_loadu_epi32(mask, sums[first..].as_ptr()) };
            let acc = _mm512_add_epi32(acc, bias);
            let first_half = low.round(_mm512_castsi512_si256(acc));
            let second_half = high.round(_mm512_extracti64x4_epi64::<1>(acc));
            let rounded = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(first_half), second_half);
            let clamped = _mm512_min_epi32(_mm512_max_epi32(rounded, lo), hi);
            let bytes = _mm512_cvtepi32_epi8(_mm512_add_epi32(clamped, zero));
            // SAFETY: as for the load.
            unsafe { _mm_mask_storeu_epi8(out[first..].as_mut_ptr(), mask, bytes) };
        }
    }
    columns
}

/// Constants of eight columns in 64-bit lanes.
#[derive(Clone, Copy)]
struct Lanes {
    multiplier: __m512i,
    shift: __m512i,
    /// 1, or 0 where the shift is 0 and nothing is rounded.
    one: __m512i,
    /// Half a unit of the result, less one: what round half to even adds before the odd bit.
    half_less_one: __m512i,
}

impl Lanes {
    /// From eight multipliers and the shifts in the low eight bytes.
    #[target_feature(enable = "avx512f")]
    fn new(multiplier: __m256i, shift: __m128i) -> Self {
        let shift = _mm512_cvtepu8_epi64(shift);
        let one = _mm512_min_epu64(shift, _mm512_set1_epi64(1));
        let unit = _mm512_sllv_epi64(_mm512_set1_epi64(1), shift);
        let half_less_one = _mm512_sub_epi64(_mm512_srli_epi64::<1>(unit), one);
        Self { multiplier: _mm512_cvtepu32_epi64(multiplier), shift, one, half_less_one }
    }

    /// `round_half_even(acc * multiplier / 2^shift)`, saturated to 32 bits.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn round(self, acc: __m256i) -> __m256i {
        let product = _mm512_mul_epi32(_mm512_cvtepi32_epi64(acc), self.multiplier);
        let odd = _mm512_and_si512(_mm512_srlv_epi64(product, self.shift), self.one);
        let sum = _mm512_add_epi64(_mm512_add_epi64(product, self.half_less_one), odd);
        _mm512_cvtsepi64_epi32(_mm512_srav_epi64(sum, self.shift))
    }
}
