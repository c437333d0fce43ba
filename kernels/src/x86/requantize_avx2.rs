//! Requantization of eight columns at a time with 256-bit vectors.

use std::arch::x86_64::*;

use crate::requantize::PackedRequant;

/// Requantizes the columns up to the last multiple of 8 in every row; returns how many those are.
///
/// Products are formed in 64-bit lanes, the even columns in one vector and the odd ones in another. Half a unit is added
/// before the shift, which rounds half up; where nothing was shifted out it was a tie, and the last bit is cleared.
#[target_feature(enable = "avx2")]
pub(super) fn qs8_requantize_1x8__avx2(
    sums: &[i32],
    constants: &PackedRequant,
    out: &mut [i8],
) -> usize {
    let columns = constants.columns();
    let [zero_point, lo, hi] = constants.output();
    let zero = _mm256_set1_epi32(zero_point);
    // clamp(r + Z, lo, hi) = clamp(r, lo - Z, hi - Z) + Z, and the right side fits 32 bits after the clamp.
    let (lo, hi) = (lo - zero_point, hi - zero_point);
    let (lo_wide, hi_wide) = (_mm256_set1_epi64x(lo.into()), _mm256_set1_epi64x(hi.into()));
    let (lo, hi) = (_mm256_set1_epi32(lo), _mm256_set1_epi32(hi));
    let vectors = columns / 8;
    for first in (0..vectors).map(|v| v * 8) {
        let (even, odd) = (Lanes::new(constants, first), Lanes::new(constants, first + 1));
        let rows = sums.chunks_exact(columns).zip(out.chunks_exact_mut(columns));
        for (sums, out) in rows {
            let acc = load(&sums[first..first + 8]);
            let mut even = even.round(acc);
            let mut odd = odd.round(_mm256_srli_epi64::<32>(acc));
            if !constants.results_fit_32_bits() {
                even = clamp_wide(even, lo_wide, hi_wide);
                odd = clamp_wide(odd, lo_wide, hi_wide);
            }
            let rounded = _mm256_blend_epi32::<0b1010_1010>(even, _mm256_slli_epi64::<32>(odd));
            let clamped = _mm256_min_epi32(_mm256_max_epi32(rounded, lo), hi);
            let stored = _mm256_add_epi32(clamped, zero);
            let (low, high) =
                (_mm256_castsi256_si128(stored), _mm256_extracti128_si256::<1>(stored));
            let words = _mm_packs_epi32(low, high);
            let bytes = _mm_cvtsi128_si64(_mm_packs_epi16(words, words));
            out[first..first + 8].copy_from_slice(&bytes.to_le_bytes().map(u8::cast_signed));
        }
    }
    vectors * 8
}

/// Constants of four columns, two apart, in 64-bit lanes.
#[derive(Clone, Copy)]
struct Lanes {
    multiplier: __m256i,
    /// Offset, plus 2^63 to make the sum unsigned.
    offset: __m256i,
    shift: __m256i,
    /// The bits that are shifted out.
    rest: __m256i,
    /// 1, or 0 where the shift is 0 and there are no ties.
    one: __m256i,
    /// The 2^63 of `offset` after the shift.
    sign: __m256i,
}

impl Lanes {
    /// Columns `first`, `first + 2`, `first + 4` and `first + 6`.
    #[target_feature(enable = "avx2")]
    fn new(constants: &PackedRequant, first: usize) -> Self {
        let lanes = |value: &dyn Fn(usize) -> i64| {
            let [a, b, c, d] = [0, 2, 4, 6].map(|i| value(first + i));
            _mm256_setr_epi64x(a, b, c, d)
        };
        let shift = lanes(&|j| i64::from(constants.shift()[j]));
        let sign = _mm256_set1_epi64x(i64::MIN);
        let unit = _mm256_set1_epi64x(1);
        Self {
            multiplier: lanes(&|j| i64::from(constants.multiplier()[j])),
            offset: _mm256_xor_si256(lanes(&|j| constants.offset()[j]), sign),
            shift,
            rest: _mm256_sub_epi64(_mm256_sllv_epi64(unit, shift), unit),
            one: _mm256_add_epi64(unit, _mm256_cmpeq_epi64(shift, _mm256_setzero_si256())),
            sign: _mm256_srlv_epi64(sign, shift),
        }
    }

    /// `round_half_even((acc + bias) * multiplier / 2^shift)` of the low halves of the lanes of `acc`.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn round(self, acc: __m256i) -> __m256i {
        let sum = _mm256_add_epi64(_mm256_mul_epi32(acc, self.multiplier), self.offset);
        // There is no arithmetic shift of 64-bit lanes, so the sum is shifted as an unsigned number, 2^63 too large.
        let rounded = _mm256_sub_epi64(_mm256_srlv_epi64(sum, self.shift), self.sign);
        let tie = _mm256_cmpeq_epi64(_mm256_and_si256(sum, self.rest), _mm256_setzero_si256());
        _mm256_andnot_si256(_mm256_and_si256(tie, self.one), rounded)
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn clamp_wide(value: __m256i, lo: __m256i, hi: __m256i) -> __m256i {
    let raised = _mm256_blendv_epi8(value, lo, _mm256_cmpgt_epi64(lo, value));
    _mm256_blendv_epi8(raised, hi, _mm256_cmpgt_epi64(raised, hi))
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(eight: &[i32]) -> __m256i {
    assert_eq!(eight.len(), 8, "a vector is eight sums");
    // SAFETY: eight sums are 32 bytes.
    unsafe { _mm256_loadu_si256(eight.as_ptr().cast()) }
}
