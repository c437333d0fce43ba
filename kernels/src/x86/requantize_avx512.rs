//! Requantization of sixteen columns at a time with 512-bit vectors.

use std::arch::x86_64::*;

use crate::requantize::PackedRequant;

/// Requantizes every column of every row and returns how many columns those are.
///
/// Products are formed in 64-bit lanes, the even columns in one vector and the odd ones in another.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn qs8_requantize_1x16__avx512(
    sums: &[i32],
    constants: &PackedRequant,
    out: &mut [i8],
) -> usize {
    match constants.direct_offset() {
        Some(offset) => direct(sums, constants, offset, out),
        None => general(sums, constants, out),
    }
    constants.columns()
}

/// Where a shift is all the rounding there is, and results fit 32 bits.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn direct(sums: &[i32], constants: &PackedRequant, offset: &[i64], out: &mut [i8]) {
    let [_, lo, hi] = constants.output();
    let whole_range = [lo, hi] == [i8::MIN.into(), i8::MAX.into()];
    let (lo, hi) = (_mm512_set1_epi32(lo), _mm512_set1_epi32(hi));
    each_block(sums, constants, offset, out, |even, odd, acc| {
        let even = even.shifted(even.sum(acc));
        let odd = odd.shifted(odd.sum(_mm512_srli_epi64::<32>(acc)));
        let stored = interleave(even, odd);
        if whole_range {
            return _mm512_cvtsepi32_epi8(stored);
        }
        _mm512_cvtepi32_epi8(_mm512_min_epi32(_mm512_max_epi32(stored, lo), hi))
    });
}

/// With ties and results of any size.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn general(sums: &[i32], constants: &PackedRequant, out: &mut [i8]) {
    let [zero_point, lo, hi] = constants.output();
    let zero = _mm512_set1_epi32(zero_point);
    // clamp(r + Z, lo, hi) = clamp(r, lo - Z, hi - Z) + Z, and the right side fits 32 bits after the clamp.
    let lo = _mm512_set1_epi64((lo - zero_point).into());
    let hi = _mm512_set1_epi64((hi - zero_point).into());
    each_block(sums, constants, constants.offset(), out, |even, odd, acc| {
        let even = even.rounded(even.sum(acc));
        let odd = odd.rounded(odd.sum(_mm512_srli_epi64::<32>(acc)));
        let even = _mm512_min_epi64(_mm512_max_epi64(even, lo), hi);
        let odd = _mm512_min_epi64(_mm512_max_epi64(odd, lo), hi);
        _mm512_cvtepi32_epi8(_mm512_add_epi32(interleave(even, odd), zero))
    });
}

/// Writes `convert(even columns, odd columns, sums)` of 16 columns at a time, all rows of them before the next 16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn each_block(
    sums: &[i32],
    constants: &PackedRequant,
    offset: &[i64],
    out: &mut [i8],
    convert: impl Fn(&Lanes, &Lanes, __m512i) -> __m128i,
) {
    let columns = constants.columns();
    for first in (0..columns).step_by(16) {
        let mask = u16::MAX >> (16 - (columns - first).min(16));
        let (even, odd) = Lanes::new(constants, &offset[first..], first, mask);
        let rows = sums.chunks_exact(columns).zip(out.chunks_exact_mut(columns));
        for (sums, out) in rows {
            // SAFETY: the mask keeps to the columns that the row has from `first` on.
            unsafe {
                let acc = _mm512_maskz_loadu_epi32(mask, sums.as_ptr().add(first));
                let bytes = convert(&even, &odd, acc);
                _mm_mask_storeu_epi8(out.as_mut_ptr().add(first), mask, bytes);
            }
        }
    }
}

/// The low halves of the lanes of `even`, with those of `odd` in the high halves.
#[target_feature(enable = "avx512f")]
#[inline]
fn interleave(even: __m512i, odd: __m512i) -> __m512i {
    _mm512_mask_shuffle_epi32::<0b10_10_00_00>(even, 0xaaaa, odd)
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
    /// The even and the odd ones of the columns of `mask` from `first` on, whose offsets `offset` starts with.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn new(constants: &PackedRequant, offset: &[i64], first: usize, mask: u16) -> (Self, Self) {
        let [low_mask, high_mask] = mask.to_le_bytes();
        // SAFETY: the masks keep to the columns that each slice has from `first` on.
        let (multiplier, shift, low, high) = unsafe {
            let offset = offset.as_ptr();
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

    /// `acc * multiplier + offset` of the low halves of the lanes of `acc`.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn sum(&self, acc: __m512i) -> __m512i {
        _mm512_add_epi64(_mm512_mul_epi32(acc, self.multiplier), self.offset)
    }

    /// `floor(sum / 2^shift)`; as the offset contains half a unit, that rounds half up.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn shifted(&self, sum: __m512i) -> __m512i {
        _mm512_srav_epi64(sum, self.shift)
    }

    /// As [`Lanes::shifted`], but half to even: where nothing is shifted out it was a tie, and the last bit is cleared.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn rounded(&self, sum: __m512i) -> __m512i {
        let shifted = self.shifted(sum);
        let tie = _mm512_testn_epi64_mask(sum, self.rest);
        _mm512_mask_and_epi64(shifted, tie, shifted, self.keep)
    }
}
