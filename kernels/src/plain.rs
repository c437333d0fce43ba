//! The plain version of every kernel: these loops are the definition.
//!
//! Sums wrap in two's complement, as the vector units' do, so that every version gives the same bits even where a
//! caller has not proved that the sums fit.

use crate::matrix::{Accumulate, Rows, Sums};

/// Sum of `a[i] * b[i]`.
pub(crate) fn qs8_dot(a: &[i8], b: &[i8]) -> i32 {
    let products = a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b));
    products.fold(0, i32::wrapping_add)
}

/// `c[r][j] (+)= sum over segments s and elements i of a[r][s][i] * w[j][s][i]`, `w` row-major `[n][segments][len]`.
pub(crate) fn qs8_gemm(a: &Rows<'_>, w: &[i8], c: &mut Sums<'_>) {
    let depth = a.segments() * a.segment_len();
    let accumulate = c.accumulate();
    for r in 0..a.len() {
        for (j, sum) in c.row(r).iter_mut().enumerate() {
            let weights = &w[j * depth..][..depth];
            let mut acc = 0_i32;
            for s in 0..a.segments() {
                let part = &weights[s * a.segment_len()..][..a.segment_len()];
                acc = acc.wrapping_add(qs8_dot(a.segment(r, s), part));
            }
            *sum = match accumulate {
                Accumulate::Replace => acc,
                Accumulate::Add => sum.wrapping_add(acc),
            };
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

/// `clamp(round_half_even((acc + bias) * multiplier / 2^shift) + zero_point, lo, hi)` with `acc + bias` in wrapping
/// `i32` and everything after it in `i64`, where it fits: `2^31 * 2^31 + 2^61 < 2^63`.
pub(crate) fn qs8_requantize_one(
    acc: i32,
    bias: i32,
    multiplier: u32,
    shift: u8,
    [zero_point, lo, hi]: [i32; 3],
) -> i8 {
    let product = i64::from(acc.wrapping_add(bias)) * i64::from(multiplier);
    let rounded = if shift == 0 {
        product
    } else {
        let half_less_one = (1_i64 << (shift - 1)) - 1;
        (product + half_less_one + ((product >> shift) & 1)) >> shift
    };
    (rounded + i64::from(zero_point)).clamp(i64::from(lo), i64::from(hi)) as i8
}
