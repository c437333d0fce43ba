//! Requantization of rows of sums to int8, round half to even.

use crate::{InstructionSet, plain};

/// Constants of one requantization per column.
#[derive(Clone, Debug)]
pub struct PackedRequant {
    set: InstructionSet,
    multiplier: Vec<u32>,
    /// `bias * multiplier`, plus half a unit of the result.
    offset: Vec<i64>,
    shift: Vec<u8>,
    results_fit_32_bits: bool,
    zero_point: i32,
    lo: i32,
    hi: i32,
}

impl PackedRequant {
    /// Constants for as many columns as `bias`, `multiplier` (below 2^31) and `shift` (0 to 62) have; `output` is zero
    /// point, smallest and largest result.
    ///
    /// # Panics
    /// If the lengths differ, a constant is out of range, or the bounds are not increasing int8 values.
    pub fn new(bias: Vec<i32>, multiplier: Vec<u32>, shift: Vec<u8>, output: [i32; 3]) -> Self {
        Self::for_set(InstructionSet::best(), (bias, multiplier, shift), output)
    }

    fn for_set(
        set: InstructionSet,
        (bias, multiplier, shift): (Vec<i32>, Vec<u32>, Vec<u8>),
        [zero_point, lo, hi]: [i32; 3],
    ) -> Self {
        let columns = bias.len();
        assert!(multiplier.len() == columns && shift.len() == columns, "one of each per column");
        assert!(multiplier.iter().all(|&m| m >> 31 == 0), "a multiplier is 2^31 or more");
        assert!(shift.iter().all(|&s| s <= 62), "a shift is above 62");
        let byte = i32::from(i8::MIN)..=i32::from(i8::MAX);
        assert!(byte.contains(&lo) && byte.contains(&hi) && lo <= hi, "bounds are no int8 range");
        assert!(byte.contains(&zero_point), "the zero point is no int8");
        let half = |shift: u8| (1_i64 << shift) / 2;
        let factors = || multiplier.iter().zip(&shift);
        let offset = bias
            .iter()
            .zip(factors())
            .map(|(&bias, (&m, &shift))| i64::from(bias) * i64::from(m) + half(shift))
            .collect();
        // A sum with bias is below 2^32; halved at least, it stays below 2^31.
        let results_fit_32_bits = factors().all(|(&m, &shift)| u64::from(m) << 1 <= 1 << shift);
        Self { set, multiplier, offset, shift, results_fit_32_bits, zero_point, lo, hi }
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.multiplier.len()
    }

    /// What is added to each column's product: `bias * multiplier` and half a unit of the result.
    pub(crate) fn offset(&self) -> &[i64] {
        &self.offset
    }

    /// Whether every result fits 32 bits before the clamp, whatever the sum.
    pub(crate) fn results_fit_32_bits(&self) -> bool {
        self.results_fit_32_bits
    }

    /// Multiplier of each column.
    pub(crate) fn multiplier(&self) -> &[u32] {
        &self.multiplier
    }

    /// Shift of each column.
    pub(crate) fn shift(&self) -> &[u8] {
        &self.shift
    }

    /// Zero point, smallest and largest result.
    pub(crate) fn output(&self) -> [i32; 3] {
        [self.zero_point, self.lo, self.hi]
    }
}

/// `out[r][j] = clamp(round_half_even((sums[r][j] + bias[j]) * multiplier[j] / 2^shift[j]) + zero_point, lo, hi)`.
///
/// A sum and its bias must fit 32 bits together; otherwise the result is some value between the bounds. `sums` and `out` are dense rows of the constants' columns.
///
/// # Panics
/// If the two lengths differ or are no multiple of the number of columns.
pub fn qs8_requantize(sums: &[i32], constants: &PackedRequant, out: &mut [i8]) {
    let columns = constants.columns();
    assert_eq!(sums.len(), out.len(), "one result per sum");
    if sums.is_empty() {
        return;
    }
    assert!(columns > 0 && sums.len().is_multiple_of(columns), "rows must be complete");
    match constants.set {
        InstructionSet::Plain => requantize_columns(sums, constants, out, 0),
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 | InstructionSet::Avx512Vnni => {
            let done = crate::x86::qs8_requantize(constants.set, sums, constants, out);
            requantize_columns(sums, constants, out, done);
        }
        #[cfg(not(target_arch = "x86_64"))]
        _ => requantize_columns(sums, constants, out, 0),
    }
}

/// The plain loop, for the columns from `first` on.
fn requantize_columns(sums: &[i32], constants: &PackedRequant, out: &mut [i8], first: usize) {
    let columns = constants.columns();
    for (sums, out) in sums.chunks_exact(columns).zip(out.chunks_exact_mut(columns)) {
        for j in first..columns {
            let (multiplier, offset) = (constants.multiplier[j], constants.offset[j]);
            let (shift, output) = (constants.shift[j], constants.output());
            out[j] = plain::qs8_requantize_one(sums[j], multiplier, offset, shift, output);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ties_go_to_the_even_neighbour() {
        // Halves: -1.5, -0.5, 0.5, 1.5, 2.5 become -2, 0, 0, 2, 2; the zero point is added afterwards.
        let sums = [-3, -1, 1, 3, 5];
        let constants = PackedRequant::new(vec![0], vec![1], vec![1], [10, -128, 127]);
        let mut out = [0; 5];
        qs8_requantize(&sums, &constants, &mut out);
        assert_eq!(out, [8, 10, 10, 12, 12]);
    }

    /// The definition once more, in exact rational arithmetic on `i128`.
    fn oracle(acc: i64, multiplier: u32, shift: u8, [zero, lo, hi]: [i32; 3]) -> i8 {
        let (p, d) = (i128::from(acc) * i128::from(multiplier), 1_i128 << shift);
        let (floor, twice_rest) = (p.div_euclid(d), 2 * p.rem_euclid(d));
        let up = twice_rest > d || (twice_rest == d && floor % 2 != 0);
        (floor + i128::from(up) + i128::from(zero)).clamp(lo.into(), hi.into()) as i8
    }

    fn multiplier() -> impl Strategy<Value = u32> {
        prop_oneof![0..1_u32 << 31, Just(1), Just(0), Just((1 << 31) - 1), Just(1 << 23)]
    }

    fn bias() -> impl Strategy<Value = i32> {
        prop_oneof![-500..500, any::<i32>()]
    }

    fn sum() -> impl Strategy<Value = i32> {
        prop_oneof![any::<i32>(), -1000..1000, Just(i32::MIN), Just(i32::MAX), Just(0)]
    }

    proptest! {
        #[test]
        fn every_set_equals_exact_arithmetic(
            columns in prop::collection::vec((bias(), multiplier(), 0..=62_u8), 1..40),
            rows in 1..5_usize,
            zero in -128..=127_i32,
            bounds in (-128..=127_i32, -128..=127_i32),
            seed in prop::collection::vec(sum(), 160),
        ) {
            let n = columns.len();
            // Sums that fit 32 bits with their bias.
            let biases = columns.iter().map(|c| c.0).cycle();
            let fitting = |(&sum, bias): (&i32, i32)| sum.saturating_add(bias) - bias;
            let sums: Vec<i32> = seed[..rows * n].iter().zip(biases).map(fitting).collect();
            let output = [zero, bounds.0.min(bounds.1), bounds.0.max(bounds.1)];
            let constants = || {
                let bias = columns.iter().map(|c| c.0).collect();
                let multiplier = columns.iter().map(|c| c.1).collect();
                (bias, multiplier, columns.iter().map(|c| c.2).collect())
            };
            let expected: Vec<i8> = sums
                .iter()
                .zip(columns.iter().cycle())
                .map(|(&sum, &(bias, m, s))| oracle(i64::from(sum) + i64::from(bias), m, s, output))
                .collect();
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                let constants = PackedRequant::for_set(set, constants(), output);
                let mut out = vec![0; sums.len()];
                qs8_requantize(&sums, &constants, &mut out);
                prop_assert_eq!(&out, &expected, "{}", set);
            }
        }
    }
}
