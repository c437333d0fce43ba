//! Requantization of eight columns at a time with 256-bit vectors.

use std::arch::x86_64::*;

use crate::requantize::PackedRequant;

/// Requantizes the columns up to the last multiple of 8 in every row; returns how many those are.
///
/// Products are formed in the four 64-bit lanes of two vectors, one for the even columns and one for the odd.
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
    let lo = _mm256_set1_epi64x(i64::from(lo) - i64::from(zero_point));
    let hi = _mm256_set1_epi64x(i64::from(hi) - i64::from(zero_point));
    let vectors = columns / 8;
    for v in 0..vectors {
        let block = v * 8..v * 8 + 8;
        let bias = load(&constants.bias()[block.clone()]);
        let mut wide = [0_i64; 8];
        let (even, odd) = {
            let mut lanes = |value: &dyn Fn(usize) -> i64| {
                for (i, lane) in wide.iter_mut().enumerate() {
                    // Even columns first, then the odd ones.
                    *lane = value(block.start + i % 4 * 2 + i / 4);
                }
                // SAFETY: eight lanes of 64 bits are two vectors.
                unsafe {
                    let lanes = wide.as_ptr().cast::<__m256i>();
                    [_mm256_loadu_si256(lanes), _mm256_loadu_si256(lanes.add(1))]
                }
            };
            let multiplier = lanes(&|j| i64::from(constants.multiplier()[j]));
            let shift = lanes(&|j| i64::from(constants.shift()[j]));
            (Lanes::new(multiplier[0], shift[0]), Lanes::new(multiplier[1], shift[1]))
        };
        let rows = sums.chunks_exact(columns).zip(out.chunks_exact_mut(columns));
        for (sums, out) in rows {
            let acc = _mm256_add_epi32(load(&sums[block.clone()]), bias);
            let even = clamp(even.round(acc), lo, hi);
            let odd = clamp(odd.round(_mm256_srli_epi64::<32>(acc)), lo, hi);
            let rounded = _mm256_blend_epi32::<0b1010_1010>(even, _mm256_slli_epi64::<32>(odd));
            let stored = _mm256_add_epi32(rounded, zero);
            let (low, high) =
                (_mm256_castsi256_si128(stored), _mm256_extracti128_si256::<1>(stored));
            let words = _mm_packs_epi32(low, high);
            let bytes = _mm_cvtsi128_si64(_mm_packs_epi16(words, words));
            out[block.clone()].copy_from_slice(&bytes.to_le_bytes().map(u8::cast_signed));
        }
    }
    vectors * 8
}

/// Constants of four columns in 64-bit lanes.
#[derive(Clone, Copy)]
struct Lanes {
    multiplier: __m256i,
    shift: __m256i,
    /// 1, or 0 where the shift is 0 and nothing is rounded.
    one: __m256i,
    /// Half a unit of the result, less one: what round half to even adds before the odd bit.
    half_less_one: __m256i,
    /// The sign bit after a logical shift: `2^63 >> shift`.
    sign: __m256i,
}

impl Lanes {
    #[target_feature(enable = "avx2")]
    fn new(multiplier: __m256i, shift: __m256i) -> Self {
        let zero = _mm256_setzero_si256();
        let one = _mm256_add_epi64(_mm256_set1_epi64x(1), _mm256_cmpeq_epi64(shift, zero));
        let unit = _mm256_sllv_epi64(_mm256_set1_epi64x(1), shift);
        let half_less_one = _mm256_sub_epi64(_mm256_srli_epi64::<1>(unit), one);
        let sign = _mm256_srlv_epi64(_mm256_set1_epi64x(i64::MIN), shift);
        Self { multiplier, shift, one, half_less_one, sign }
    }

    /// `round_half_even(acc * multiplier / 2^shift)` of the low halves of the lanes of `acc`.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn round(self, acc: __m256i) -> __m256i {
        let product = _mm256_mul_epi32(acc, self.multiplier);
        let odd = _mm256_and_si256(_mm256_srlv_epi64(product, self.shift), self.one);
        let sum = _mm256_add_epi64(_mm256_add_epi64(product, self.half_less_one), odd);
        // There is no arithmetic shift of 64-bit lanes: shift as unsigned with the sign bit flipped, and flip it back.
        let flipped = _mm256_xor_si256(sum, _mm256_set1_epi64x(i64::MIN));
        _mm256_sub_epi64(_mm256_srlv_epi64(flipped, self.shift), self.sign)
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn clamp(value: __m256i, lo: __m256i, hi: __m256i) -> __m256i {
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
