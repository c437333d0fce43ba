//! Requantization of sums in registers: sixteen columns at a time with 512-bit vectors.

use std::arch::x86_64::*;

use crate::panel_requant::PanelRequant;

/// Constants of sixteen columns.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    multiplier: __m512i,
    even_offset: __m512i,
    odd_offset: __m512i,
    shift: __m512i,
    lo: __m128i,
    hi: __m128i,
}

impl Columns {
    /// The sixteen from slot `first` on, a multiple of 16.
    ///
    /// # Safety
    /// `requant` must have those slots.
    #[target_feature(enable = "avx512f,avx512vl")]
    #[inline]
    pub(super) unsafe fn load(requant: &PanelRequant, first: usize) -> Self {
        // SAFETY: promised by the caller.
        unsafe {
            Self {
                multiplier: _mm512_loadu_si512(requant.multiplier.as_ptr().add(first).cast()),
                even_offset: _mm512_loadu_si512(requant.offset.as_ptr().add(first).cast()),
                odd_offset: _mm512_loadu_si512(requant.offset.as_ptr().add(first + 8).cast()),
                shift: _mm512_loadu_si512(requant.shift.as_ptr().add(first).cast()),
                lo: _mm_set1_epi8(requant.lo),
                hi: _mm_set1_epi8(requant.hi),
            }
        }
    }

    /// `(sum * multiplier + offset) >> (32 + shift)` of each column: 64-bit sums of the even and of the odd columns, whose upper
    /// halves go on together.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn round(&self, sums: __m512i) -> __m512i {
        let odd_multiplier = _mm512_srli_epi64::<32>(self.multiplier);
        let even = _mm512_mul_epi32(sums, self.multiplier);
        let odd = _mm512_mul_epi32(_mm512_srli_epi64::<32>(sums), odd_multiplier);
        let even = _mm512_add_epi64(even, self.even_offset);
        let odd = _mm512_add_epi64(odd, self.odd_offset);
        let high = _mm512_mask_shuffle_epi32::<0b11_11_01_01>(odd, 0x5555, even);
        _mm512_srav_epi32(high, self.shift)
    }

    /// Writes the results of the columns of `mask`.
    ///
    /// # Safety
    /// `out` must be valid for writes of the columns of `mask`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    pub(super) unsafe fn store(&self, sums: __m512i, out: *mut i8, mask: u16) {
        let bytes = _mm512_cvtsepi32_epi8(self.round(sums));
        let clamped = _mm_min_epi8(_mm_max_epi8(bytes, self.lo), self.hi);
        // SAFETY: masked-out columns are not touched.
        unsafe { _mm_mask_storeu_epi8(out, mask, clamped) };
    }
}
