//! Requantization of sixteen columns at a time with 512-bit vectors.

use std::arch::x86_64::*;

use crate::requantize::PackedRequant;

/// Requantizes every column of every row and returns how many columns those are.
///
/// Products are formed in 64-bit lanes, the even columns in one vector and the odd ones in another. Half a unit is added
/// before the shift, which rounds half up; where nothing was shifted out it was a tie, and the last bit is cleared.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn qs8_requantize_1x16__avx512(
    sums: &[i32],
    constants: &PackedRequant,
    out: &mut [i8],
) -> usize {
    let columns = constants.columns();
    let [zero_point, lo, hi] = constants.output();
    let zero = _mm512_set1_epi32(zero_point);
    // clamp(r + Z, lo, hi) = clamp(r, lo - Z, hi - Z) + Z, and the right side fits 32 bits after the clamp.
    let (lo, hi) = (lo - zero_point, hi - zero_point);
    let (lo_wide, hi_wide) = (_mm512_set1_epi64(lo.into()), _mm512_set1_epi64(hi.into()));
    let (lo, hi) = (_mm512_set1_epi32(lo), _mm512_set1_epi32(hi));
    for first in (0..columns).step_by(16) {
        let present = (columns - first).min(16);
        let mask = u16::MAX >> (16 - present);
        let (even, odd) = Lanes::new(constants, first, mask);
        let rows = sums.chunks_exact(columns).zip(out.chunks_exact_mut(columns));
        for (sums, out) in rows {
            // SAFETY: the mask keeps to the `present` columns that the row has from `first` on.
            let acc = unsafe { _mm512_maskz_loadu_epi32(mask, sums[first..].as_ptr()) };
            let mut even = even.round(acc);
            let mut odd = odd.round(_mm512_srli_epi64::<32>(acc));
            if !constants.results_fit_32_bits() {
                even = _mm512_min_epi64(_mm512_max_epi64(even, lo_wide), hi_wide);
                odd = _mm512_min_epi64(_mm512_max_epi64(odd, lo_wide), hi_wide);
            }
            // The low halves of `odd` into the high halves of `even`.
            let rounded = _mm512_mask_shuffle_epi32::<0b10_10_00_00>(even, 0xaaaa, odd);
            let clamped = _mm512_min_epi32(_mm512_max_epi32(rounded, lo), hi);
            let bytes = _mm512_cvtepi32_epi8(_mm512_add_epi32(clamped, zero));
            // SAFETY: as for the load.
            unsafe { _mm_mask_storeu_epi8(out[first..].as_mut_ptr(), mask, bytes) };
        }
    }
    columns
}

/// Constants of eight columns, two apart, in 64-bit lanes.
#[derive(Clone, Copy)]
struct Lanes {
    multiplier: __m512i,
    offset: __m512i,
    shift: __m512i,
    /// The bits that are shifted out.
    rest: __m512i,
    /// What a tie keeps of the result: all but the last bit, or all where the shift is 0 and there are no ties.
    keep: __m512i,
}

impl Lanes {
    /// The even and the odd ones of the columns of `mask` from `first` on.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn new(constants: &PackedRequant, first: usize, mask: u16) -> (Self, Self) {
        let [low_mask, high_mask] = mask.to_le_bytes();
        // SAFETY: the masks keep to the columns that each slice has from `first` on.
        let (multiplier, shift, low, high) = unsafe {
            let offset = constants.offset()[first..].as_ptr();
            (
                _mm512_maskz_loadu_epi32(mask, constants.multiplier()[first..].as_ptr().cast()),
                _mm_maskz_loadu_epi8(mask, constants.shift()[first..].as_ptr().cast()),
                _mm512_maskz_loadu_epi64(low_mask, offset),
                _mm512_maskz_loadu_epi64(high_mask, offset.wrapping_add(8)),
            )
        };
        let shift = _mm512_cvtepu8_epi32(shift);
        let even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
        let odd = _mm512_add_epi64(even, _mm512_set1_epi64(1));
        let low_half = _mm512_set1_epi64(0xffff_ffff);
        (
            Self::from_vectors(
                _mm512_and_si512(multiplier, low_half),
                _mm512_permutex2var_epi64(low, even, high),
                _mm512_and_si512(shift, low_half),
            ),
            Self::from_vectors(
                _mm512_srli_epi64::<32>(multiplier),
                _mm512_permutex2var_epi64(low, odd, high),
                _mm512_srli_epi64::<32>(shift),
            ),
        )
    }

    #[target_feature(enable = "avx512f")]
    fn from_vectors(multiplier: __m512i, offset: __m512i, shift: __m512i) -> Self {
        let one = _mm512_set1_epi64(1);
        let rest = _mm512_sub_epi64(_mm512_sllv_epi64(one, shift), one);
        let rounds = _mm512_test_epi64_mask(shift, shift);
        let keep = _mm512_mask_set1_epi64(_mm512_set1_epi64(-1), rounds, !1);
        Self { multiplier, offset, shift, rest, keep }
    }

    /// `round_half_even((acc + bias) * multiplier / 2^shift)` of the low halves of the lanes of `acc`.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn round(self, acc: __m512i) -> __m512i {
        let sum = _mm512_add_epi64(_mm512_mul_epi32(acc, self.multiplier), self.offset);
        let rounded = _mm512_srav_epi64(sum, self.shift);
        let tie = _mm512_testn_epi64_mask(sum, self.rest);
        _mm512_mask_and_epi64(rounded, tie, rounded, self.keep)
    }
}
