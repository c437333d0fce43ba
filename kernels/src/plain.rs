//! The plain version of every kernel: these loops are the definition.
//!
//! Sums wrap in two's complement, as the vector units' do, so that every version gives the same bits even where a
//! caller has not proved that the sums fit.

use crate::AddConstants;
use crate::matrix::{Accumulate, Activation, Rows, Sums};
use crate::panel_requant::PanelRequant;

/// Sum of `a[i] * b[i]`.
pub(crate) fn qs8_dot(a: &[i8], b: &[i8]) -> i32 {
    let products = a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b));
    products.fold(0, i32::wrapping_add)
}

/// Sum over segments `s` and elements `i` of `a[r][s][i] * w[s][i]`.
fn sum<T: Activation>(a: &Rows<'_, T>, r: usize, w: &[i8]) -> i32 {
    let elements = (0..a.segments()).flat_map(|s| a.segment(r, s));
    let products = elements.zip(w).map(|(&a, &w)| i32::from(a.value()) * i32::from(w));
    products.fold(0, i32::wrapping_add)
}

/// `c[r][j] (+)= sum over segments s and elements i of a[r][s][i] * w[j][s][i]`, `w` row-major `[n][segments][len]`.
pub(crate) fn qs8_gemm<T: Activation>(a: &Rows<'_, T>, w: &[i8], c: &mut Sums<'_>) {
    let depth = a.segments() * a.segment_len();
    let accumulate = c.accumulate();
    for r in 0..a.len() {
        for (c, w) in c.row(r).iter_mut().zip(w.chunks_exact(depth)) {
            *c = match accumulate {
                Accumulate::Replace => sum(a, r, w),
                Accumulate::Add => c.wrapping_add(sum(a, r, w)),
            };
        }
    }
}

/// See [`crate::qs8_gemm_requantize`].
pub(crate) fn qs8_gemm_requantize<T: Activation>(
    a: &Rows<'_, T>,
    w: &[i8],
    requant: &PanelRequant,
    out: &mut Sums<'_, i8>,
) {
    let depth = a.segments() * a.segment_len();
    for r in 0..a.len() {
        for (j, (out, w)) in out.row(r).iter_mut().zip(w.chunks_exact(depth)).enumerate() {
            *out = requant.one(j, sum(a, r, w));
        }
    }
}

/// `c[r][j] = sum over taps t of x[r][t][j] * w[t][j]`, `w` row-major `[taps][channels]`.
pub(crate) fn qs8_depthwise(x: &Rows<'_>, w: &[i8], c: &mut Sums<'_>) {
    let channels = x.segment_len();
    let accumulate = c.accumulate();
    for r in 0..x.len() {
        for (j, sum) in c.row(r).iter_mut().enumerate() {
            let mut acc = match accumulate {
                Accumulate::Replace => 0,
                Accumulate::Add => *sum,
            };
            for t in 0..x.segments() {
                let product = i32::from(x.segment(r, t)[j]) * i32::from(w[t * channels + j]);
                acc = acc.wrapping_add(product);
            }
            *sum = acc;
        }
    }
}

/// `clamp(round_half_even((acc * multiplier + offset - half) / 2^shift) + zero_point, lo, hi)` in `i64`, with `half` the
/// half unit that `offset` contains. If `acc` fits 32 bits together with the bias in `offset`, so does the sum 64 bits:
/// `2^31 * 2^31 + 2^61 < 2^63`.
pub(crate) fn qs8_requantize_one(
    acc: i32,
    multiplier: u32,
    offset: i64,
    shift: u8,
    [zero_point, lo, hi]: [i32; 3],
) -> i8 {
    let sum = (i64::from(acc) * i64::from(multiplier)).wrapping_add(offset);
    // With half a unit added, the shift rounds half up; where it drops nothing it was a tie, which clears the last bit.
    let shifted_out = sum & ((1_i64 << shift) - 1);
    let tie = shift > 0 && shifted_out == 0;
    let rounded = (sum >> shift) & if tie { !1 } else { !0 };
    (rounded + i64::from(zero_point)).clamp(i64::from(lo), i64::from(hi)) as i8
}

/// See [`crate::qs8_add`]. A sum is below 2^40, so that nothing overflows.
pub(crate) fn qs8_add(a: &[i8], b: &[i8], c: &AddConstants, out: &mut [i8]) {
    let unit = 1_i64 << c.shift;
    // Round half to even adds half a unit, less one where the quotient is even; a shift of 0 rounds nothing.
    let (half_less_one, odd_mask) = if c.shift == 0 { (0, 0) } else { (unit / 2 - 1, 1) };
    let (zero, lo, hi) = (i64::from(c.zero), i64::from(c.lo), i64::from(c.hi));
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        let a = i64::from(i32::from(a) - c.a_zero) * i64::from(c.a_multiplier);
        let b = i64::from(i32::from(b) - c.b_zero) * i64::from(c.b_multiplier);
        let sum = a + b;
        let rounded = (sum + half_less_one + ((sum >> c.shift) & odd_mask)) >> c.shift;
        *out = (rounded + zero).clamp(lo, hi) as i8;
    }
}
