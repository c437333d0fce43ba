//! Addition by 16-bit multiplications.
//!
//! A multiplier below 2^27 is split as `m = high * 2^12 + low`, both of which fit 16 bits, so that
//! `a * ma + b * mb` takes two `vpmaddwd` instead of two 64-bit products. With the constant terms and half a unit of the
//! result put into `offset` (split alike),
//!
//! ```text
//! sum + half = top * 2^12 + rest,   top = high part + (low part >> 12),   rest = low part & 4095
//! floor((sum + half) / 2^S) = top >> (S - 12)
//! ```
//!
//! which rounds half up; it was a tie if nothing was shifted out, and then the even neighbour has the last bit clear.

use std::arch::x86_64::*;

use crate::AddConstants;

/// Bits of the low part of a multiplier.
const LOW_BITS: u32 = 12;

/// The constants in the form of the kernels.
pub(super) struct SplitConstants {
    /// Low and high halves: of `ma` in the low 16 bits, of `mb` in the high 16 bits.
    high: i32,
    low: i32,
    high_offset: i32,
    low_offset: i32,
    /// `S - 12`.
    shift: i32,
    zero: i16,
    /// Bounds less the zero point.
    lo: i16,
    hi: i16,
}

impl SplitConstants {
    /// `None` where the split does not apply: multipliers of 2^27 or more, shifts outside 13 to 42.
    pub(super) fn new(c: &AddConstants) -> Option<Self> {
        let small = |m: i32| m.unsigned_abs() < 1 << 27;
        if !small(c.a_multiplier) || !small(c.b_multiplier) || !(13..=42).contains(&c.shift) {
            return None;
        }
        let mask = (1 << LOW_BITS) - 1;
        let pair = |a: i32, b: i32| (b << 16) | (a & 0xffff);
        let of_zeros = i64::from(c.a_zero) * i64::from(c.a_multiplier)
            + i64::from(c.b_zero) * i64::from(c.b_multiplier);
        // Below 2^36 + 2^41, so that the high part fits 32 bits.
        let offset = (1_i64 << (c.shift - 1)) - of_zeros;
        let small = |value: i32| i16::try_from(value).expect("int8 constants");
        Some(Self {
            high: pair(c.a_multiplier >> LOW_BITS, c.b_multiplier >> LOW_BITS),
            low: pair(c.a_multiplier & mask, c.b_multiplier & mask),
            high_offset: i32::try_from(offset >> LOW_BITS).expect("below 2^30"),
            low_offset: (offset & i64::from(mask)) as i32,
            shift: i32::from(c.shift) - LOW_BITS as i32,
            zero: small(c.zero),
            lo: small(c.lo - c.zero),
            hi: small(c.hi - c.zero),
        })
    }
}

/// Adds blocks of 16 elements; returns how many elements it did.
#[target_feature(enable = "avx2")]
pub(super) fn qs8_add_1x16__avx2(
    a: &[i8],
    b: &[i8],
    constants: &SplitConstants,
    out: &mut [i8],
) -> usize {
    let high = _mm256_set1_epi32(constants.high);
    let low = _mm256_set1_epi32(constants.low);
    let high_offset = _mm256_set1_epi32(constants.high_offset);
    let low_offset = _mm256_set1_epi32(constants.low_offset);
    let low_mask = _mm256_set1_epi32((1 << LOW_BITS) - 1);
    let shift = _mm_cvtsi32_si128(constants.shift);
    let shifted_out = _mm256_set1_epi32(((1_i64 << constants.shift) - 1) as i32);
    let one = _mm256_set1_epi32(1);
    let quarter = |pairs: __m256i| {
        let low = _mm256_add_epi32(_mm256_madd_epi16(pairs, low), low_offset);
        let top = _mm256_add_epi32(_mm256_madd_epi16(pairs, high), high_offset);
        let top = _mm256_add_epi32(top, _mm256_srai_epi32::<12>(low));
        let rest =
            _mm256_or_si256(_mm256_and_si256(low, low_mask), _mm256_and_si256(top, shifted_out));
        let tie = _mm256_cmpeq_epi32(rest, _mm256_setzero_si256());
        _mm256_andnot_si256(_mm256_and_si256(tie, one), _mm256_sra_epi32(top, shift))
    };
    let (a_blocks, _) = a.as_chunks::<16>();
    let (b_blocks, _) = b.as_chunks::<16>();
    let (out_blocks, _) = out.as_chunks_mut::<16>();
    let (zero, lo, hi) = (
        _mm256_set1_epi16(constants.zero),
        _mm256_set1_epi16(constants.lo),
        _mm256_set1_epi16(constants.hi),
    );
    for ((a, b), out) in a_blocks.iter().zip(b_blocks).zip(out_blocks.iter_mut()) {
        // SAFETY: blocks are 16 bytes.
        let (a, b) =
            unsafe { (_mm_loadu_si128(a.as_ptr().cast()), _mm_loadu_si128(b.as_ptr().cast())) };
        let (a, b) = (_mm256_cvtepi8_epi16(a), _mm256_cvtepi8_epi16(b));
        // Unpacking and packing both work within 128-bit lanes, so that the order comes back.
        let first = quarter(_mm256_unpacklo_epi16(a, b));
        let second = quarter(_mm256_unpackhi_epi16(a, b));
        let sums = _mm256_packs_epi32(first, second);
        let sums = _mm256_add_epi16(_mm256_min_epi16(_mm256_max_epi16(sums, lo), hi), zero);
        let bytes =
            _mm_packs_epi16(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
        // SAFETY: blocks are 16 bytes.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), bytes) };
    }
    out_blocks.len() * 16
}

/// Adds blocks of 32 elements; returns how many elements it did.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn qs8_add_1x32__avx512(
    a: &[i8],
    b: &[i8],
    constants: &SplitConstants,
    out: &mut [i8],
) -> usize {
    let high = _mm512_set1_epi32(constants.high);
    let low = _mm512_set1_epi32(constants.low);
    let high_offset = _mm512_set1_epi32(constants.high_offset);
    let low_offset = _mm512_set1_epi32(constants.low_offset);
    let low_mask = _mm512_set1_epi32((1 << LOW_BITS) - 1);
    let shift = _mm_cvtsi32_si128(constants.shift);
    let shifted_out = _mm512_set1_epi32(((1_i64 << constants.shift) - 1) as i32);
    let all_but_one = _mm512_set1_epi32(!1);
    let quarter = |pairs: __m512i| {
        let low = _mm512_add_epi32(_mm512_madd_epi16(pairs, low), low_offset);
        let top = _mm512_add_epi32(_mm512_madd_epi16(pairs, high), high_offset);
        let top = _mm512_add_epi32(top, _mm512_srai_epi32::<12>(low));
        let rest =
            _mm512_or_si512(_mm512_and_si512(low, low_mask), _mm512_and_si512(top, shifted_out));
        let tie = _mm512_testn_epi32_mask(rest, rest);
        let rounded = _mm512_sra_epi32(top, shift);
        _mm512_mask_and_epi32(rounded, tie, rounded, all_but_one)
    };
    let (a_blocks, _) = a.as_chunks::<32>();
    let (b_blocks, _) = b.as_chunks::<32>();
    let (out_blocks, _) = out.as_chunks_mut::<32>();
    let (zero, lo, hi) = (
        _mm512_set1_epi16(constants.zero),
        _mm512_set1_epi16(constants.lo),
        _mm512_set1_epi16(constants.hi),
    );
    for ((a, b), out) in a_blocks.iter().zip(b_blocks).zip(out_blocks.iter_mut()) {
        // SAFETY: blocks are 32 bytes.
        let (a, b) = unsafe {
            (_mm256_loadu_si256(a.as_ptr().cast()), _mm256_loadu_si256(b.as_ptr().cast()))
        };
        let (a, b) = (_mm512_cvtepi8_epi16(a), _mm512_cvtepi8_epi16(b));
        // Unpacking and packing both work within 128-bit lanes, so that the order comes back.
        let first = quarter(_mm512_unpacklo_epi16(a, b));
        let second = quarter(_mm512_unpackhi_epi16(a, b));
        let sums = _mm512_packs_epi32(first, second);
        let sums = _mm512_add_epi16(_mm512_min_epi16(_mm512_max_epi16(sums, lo), hi), zero);
        let bytes = _mm512_cvtepi16_epi8(sums);
        // SAFETY: blocks are 32 bytes.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), bytes) };
    }
    out_blocks.len() * 32
}
