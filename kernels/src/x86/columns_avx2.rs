//! Requantization of sums in registers: sixteen columns in two 256-bit vectors.

use std::arch::x86_64::*;

use crate::panel_requant::PanelRequant;

/// Constants of sixteen columns.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    halves: [Half; 2],
    lo: __m128i,
    hi: __m128i,
}

/// Constants of eight columns.
#[derive(Clone, Copy)]
struct Half {
    multiplier: __m256i,
    even_offset: __m256i,
    odd_offset: __m256i,
    shift: __m256i,
}

impl Columns {
    /// The sixteen from slot `first` on, a multiple of 16.
    ///
    /// # Safety
    /// `requant` must have those slots.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) unsafe fn load(requant: &PanelRequant, first: usize) -> Self {
        // SAFETY: promised by the caller.
        let half = |i: usize| unsafe {
            let slot = first + i * 8;
            Half {
                multiplier: _mm256_loadu_si256(requant.multiplier.as_ptr().add(slot).cast()),
                even_offset: _mm256_loadu_si256(requant.offset.as_ptr().add(first + i * 4).cast()),
                odd_offset: _mm256_loadu_si256(
                    requant.offset.as_ptr().add(first + 8 + i * 4).cast(),
                ),
                shift: _mm256_loadu_si256(requant.shift.as_ptr().add(slot).cast()),
            }
        };
        let (lo, hi) = (_mm_set1_epi8(requant.lo), _mm_set1_epi8(requant.hi));
        Self { halves: [half(0), half(1)], lo, hi }
    }

    /// Writes the results of the first `columns` columns, 1 to 16.
    ///
    /// # Safety
    /// `out` must be valid for writes of as many.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) unsafe fn store(&self, sums: [__m256i; 2], out: *mut i8, columns: usize) {
        let rounded = [self.halves[0].round(sums[0]), self.halves[1].round(sums[1])];
        // Packing keeps to 128-bit lanes: quarters 0, 2, 1, 3.
        let words = _mm256_packs_epi32(rounded[0], rounded[1]);
        let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
        let (low, high) = (_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
        let bytes = _mm_packs_epi16(low, high);
        let clamped = _mm_min_epi8(_mm_max_epi8(bytes, self.lo), self.hi);
        // SAFETY: sixteen bytes are written only where the caller has as many.
        unsafe {
            if columns == 16 {
                _mm_storeu_si128(out.cast(), clamped);
            } else {
                let mut all = [0_i8; 16];
                _mm_storeu_si128(all.as_mut_ptr().cast(), clamped);
                out.copy_from_nonoverlapping(all.as_ptr(), columns);
            }
        }
    }
}

impl Half {
    /// `(sum * multiplier + offset) >> (32 + shift)` of each column: 64-bit sums of the even and of the odd columns, whose upper
    /// halves go on together.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn round(&self, sums: __m256i) -> __m256i {
        let odd_multiplier = _mm256_srli_epi64::<32>(self.multiplier);
        let even = _mm256_mul_epi32(sums, self.multiplier);
        let odd = _mm256_mul_epi32(_mm256_srli_epi64::<32>(sums), odd_multiplier);
        let even = _mm256_add_epi64(even, self.even_offset);
        let odd = _mm256_add_epi64(odd, self.odd_offset);
        let high = _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(even), odd);
        _mm256_srav_epi32(high, self.shift)
    }
}
