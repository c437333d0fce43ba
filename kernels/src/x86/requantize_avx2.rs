//! Requantization of eight columns at a time with 256-bit vectors.

use std::arch::x86_64::*;

use crate::requantize::PackedRequant;

/// Requantizes the columns up to the last multiple of 8 in every row; returns how many those are.
///
/// Products are formed in 64-bit lanes, the even columns in one vector and the odd ones in another.
#[target_feature(enable = "avx2")]
pub(super) fn qs8_requantize_1x8__avx2(
    sums: &[i32],
    constants: &PackedRequant,
    out: &mut [i8],
) -> usize {
    match constants.direct_offset() {
        Some(offset) => direct(sums, constants, offset, out),
        None => general(sums, constants, out),
    }
    constants.columns() / 8 * 8
}

/// Where a shift is all the rounding there is, and results fit 32 bits.
#[target_feature(enable = "avx2")]
fn direct(sums: &[i32], constants: &PackedRequant, offset: &[i64], out: &mut [i8]) {
    each_block(sums, constants, offset, out, |even, odd, acc| {
        let even = even.shifted(even.sum(acc));
        let odd = odd.shifted(odd.sum(_mm256_srli_epi64::<32>(acc)));
        interleave(even, odd)
    });
}

/// With ties and results of any size.
#[target_feature(enable = "avx2")]
fn general(sums: &[i32], constants: &PackedRequant, out: &mut [i8]) {
    let [zero_point, lo, hi] = constants.output();
    let zero = _mm256_set1_epi32(zero_point);
    // clamp(r + Z, lo, hi) = clamp(r, lo - Z, hi - Z) + Z, and the right side fits 32 bits after the clamp.
    let lo = _mm256_set1_epi64x((lo - zero_point).into());
    let hi = _mm256_set1_epi64x((hi - zero_point).into());
    each_block(sums, constants, constants.offset(), out, |even, odd, acc| {
        let even = clamp_wide(even.rounded(even.sum(acc)), lo, hi);
        let odd = clamp_wide(odd.rounded(odd.sum(_mm256_srli_epi64::<32>(acc))), lo, hi);
        _mm256_add_epi32(interleave(even, odd), zero)
    });
}

/// Writes `convert(even columns, odd columns, sums)`, saturated to the bounds, of 8 columns at a time, all rows of them
/// before the next 8.
#[target_feature(enable = "avx2")]
#[inline]
fn each_block(
    sums: &[i32],
    constants: &PackedRequant,
    offset: &[i64],
    out: &mut [i8],
    convert: impl Fn(&Lanes, &Lanes, __m256i) -> __m256i,
) {
    let columns = constants.columns();
    let [_, lo, hi] = constants.output().map(|v| _mm_set1_epi8(v as i8));
    for first in (0..columns / 8).map(|block| block * 8) {
        let even = Lanes::new(constants, offset, first);
        let odd = Lanes::new(constants, offset, first + 1);
        let rows = sums.chunks_exact(columns).zip(out.chunks_exact_mut(columns));
        for (sums, out) in rows {
            // SAFETY: every row has eight columns from `first` on.
            unsafe {
                let acc = _mm256_loadu_si256(sums.as_ptr().add(first).cast());
                let stored = convert(&even, &odd, acc);
                let (low, high) =
                    (_mm256_castsi256_si128(stored), _mm256_extracti128_si256::<1>(stored));
                let words = _mm_packs_epi32(low, high);
                let bytes = _mm_packs_epi16(words, words);
                let bytes = _mm_min_epi8(_mm_max_epi8(bytes, lo), hi);
                _mm_storel_epi64(out.as_mut_ptr().add(first).cast(), bytes);
            }
        }
    }
}

/// The low halves of the lanes of `even`, with those of `odd` in the high halves.
#[target_feature(enable = "avx2")]
#[inline]
fn interleave(even: __m256i, odd: __m256i) -> __m256i {
    _mm256_blend_epi32::<0b1010_1010>(even, _mm256_slli_epi64::<32>(odd))
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
    fn new(constants: &PackedRequant, offset: &[i64], first: usize) -> Self {
        let lanes = |value: &dyn Fn(usize) -> i64| {
            let [a, b, c, d] = [0, 2, 4, 6].map(|i| value(first + i));
            _mm256_setr_epi64x(a, b, c, d)
        };
        let shift = lanes(&|j| i64::from(constants.shift()[j]));
        let sign = _mm256_set1_epi64x(i64::MIN);
        let unit = _mm256_set1_epi64x(1);
        Self {
            multiplier: lanes(&|j| i64::from(constants.multiplier()[j])),
            offset: _mm256_xor_si256(lanes(&|j| offset[j]), sign),
            shift,
            rest: _mm256_sub_epi64(_mm256_sllv_epi64(unit, shift), unit),
            one: _mm256_add_epi64(unit, _mm256_cmpeq_epi64(shift, _mm256_setzero_si256())),
            sign: _mm256_srlv_epi64(sign, shift),
        }
    }

    /// `acc * multiplier + offset` of the low halves of the lanes of `acc`, 2^63 too large.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn sum(&self, acc: __m256i) -> __m256i {
        _mm256_add_epi64(_mm256_mul_epi32(acc, self.multiplier), self.offset)
    }

    /// `floor(sum / 2^shift)`; as the offset contains half a unit, that rounds half up. There is no arithmetic shift of
    /// 64-bit lanes, which is why sums are kept unsigned.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn shifted(&self, sum: __m256i) -> __m256i {
        _mm256_sub_epi64(_mm256_srlv_epi64(sum, self.shift), self.sign)
    }

    /// As [`Lanes::shifted`], but half to even: where nothing is shifted out it was a tie, and the last bit is cleared.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn rounded(&self, sum: __m256i) -> __m256i {
        let tie = _mm256_cmpeq_epi64(_mm256_and_si256(sum, self.rest), _mm256_setzero_si256());
        _mm256_andnot_si256(_mm256_and_si256(tie, self.one), self.shifted(sum))
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn clamp_wide(value: __m256i, lo: __m256i, hi: __m256i) -> __m256i {
    let raised = _mm256_blendv_epi8(value, lo, _mm256_cmpgt_epi64(lo, value));
    _mm256_blendv_epi8(raised, hi, _mm256_cmpgt_epi64(raised, hi))
}
