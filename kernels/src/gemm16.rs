//! Matrix product of int16 activations and int8 weights, sums in `i64`.

use crate::matrix::{Accumulate, Rows, Sums};

/// `c[r][j] (+)= sum over k of a[r][k] * w[j][k]`, `w` row-major `[columns][segments][segment_len]`. Exact: a product is
/// below 2^22, so that 2^41 of them fit.
///
/// # Panics
/// If the shapes of the three do not fit together.
pub fn qs16_gemm(a: &Rows<'_, i16>, w: &[i8], c: &mut Sums<'_, i64>) {
    let [rows, columns] = c.shape();
    let (segments, len) = (a.segments(), a.segment_len());
    assert_eq!(rows, a.len(), "the sums need a row per row");
    assert_eq!(w.len(), columns * segments * len, "the weights do not fill their shape");
    let accumulate = c.accumulate();
    for r in 0..rows {
        for (j, sum) in c.row(r).iter_mut().enumerate() {
            let weights = &w[j * segments * len..][..segments * len];
            let mut acc = match accumulate {
                Accumulate::Replace => 0,
                Accumulate::Add => *sum,
            };
            for s in 0..segments {
                acc += dot(a.segment(r, s), &weights[s * len..][..len]);
            }
            *sum = acc;
        }
    }
}

/// Products that certainly fit an `i32` sum: `256 * 2^22 = 2^30`.
const BLOCK: usize = 256;

/// Sum of `a[i] * b[i]`; in `i32` within a block, which compilers turn into vector code.
fn dot(a: &[i16], b: &[i8]) -> i64 {
    let block = |(a, b): (&[i16], &[i8])| -> i64 {
        i64::from(a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum::<i32>())
    };
    a.chunks(BLOCK).zip(b.chunks(BLOCK)).map(block).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extreme_values_do_not_overflow() {
        let a = [i16::MIN; 1000];
        let mut c = [7_i64];
        let mut sums = Sums::new(&mut c, [1, 1], 1, Accumulate::Add);
        qs16_gemm(&Rows::dense(&a, 1, 1000, 1000), &[-128; 1000], &mut sums);
        assert_eq!(c, [7 + 1000 * 32768 * 128]);
    }

    #[test]
    fn small_numbers() {
        // Two rows in two segments each: (1000, -2 | 3, 4) and (3, 4 | 1000, -2) times (1, 2, 3, 4).
        let data = [1000, -2, 3, 4];
        let offsets = [0, 2, 2, 0];
        let mut c = [0_i64; 2];
        let mut sums = Sums::new(&mut c, [2, 1], 1, Accumulate::Replace);
        qs16_gemm(&Rows::segmented(&data, &offsets, 2, 2), &[1, 2, 3, 4], &mut sums);
        assert_eq!(c, [1000 - 4 + 9 + 16, 3 + 8 + 3000 - 8]);
    }
}
