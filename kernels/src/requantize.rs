//! Requantization of rows of sums to int8, round half to even.

use crate::{InstructionSet, plain};

/// One column's constants of `round_half_even((sum + bias) * multiplier / 2^shift)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequantColumn {
    /// Added to the sum.
    pub bias: i32,
    /// Below 2^31.
    pub multiplier: u32,
    /// 0 to 62.
    pub shift: u8,
    /// Largest absolute value of `sum + bias`, at most 2^31. A tight bound lets the kernel do without the treatment of
    /// ties where none can occur.
    pub bound: u32,
}

impl RequantColumn {
    /// Half a unit of the result, in units of the product.
    fn half(self) -> i64 {
        (1_i64 << self.shift) / 2
    }

    /// What is added to the product of the sum: the product of the bias, and half a unit.
    fn offset(self) -> i64 {
        i64::from(self.bias) * i64::from(self.multiplier) + self.half()
    }

    /// Whether some `sum + bias` within the bound lies exactly between two results: an odd multiple of half a unit, the
    /// smallest of which is `2^(shift - 1)` less the factors of two in the multiplier.
    fn may_tie(self) -> bool {
        let factors = self.multiplier.trailing_zeros();
        let exponent = (u32::from(self.shift)).checked_sub(factors + 1);
        self.multiplier != 0 && exponent.is_some_and(|e| 1_u64 << e <= u64::from(self.bound))
    }

    /// Offset with the zero point in it, where the shift alone gives the result: there are no ties, the result fits 32
    /// bits, and nothing leaves 64 bits on the way.
    fn direct_offset(self, zero_point: i32) -> Option<i64> {
        let zero_point = i128::from(zero_point) << self.shift;
        let largest =
            i128::from(self.bound) * i128::from(self.multiplier) + i128::from(self.half());
        let fits_64_bits = largest + zero_point.abs() < 1 << 63;
        // A sum of up to 2^31, halved at least.
        let fits_32_bits = u64::from(self.multiplier) << 1 <= 1 << self.shift;
        // The sum of offset and product is right even if the offset alone wraps.
        let offset = self.offset().wrapping_add(zero_point as i64);
        (!self.may_tie() && fits_32_bits && fits_64_bits).then_some(offset)
    }
}

/// Constants of one requantization per column.
#[derive(Clone, Debug)]
pub struct PackedRequant {
    set: InstructionSet,
    multiplier: Vec<u32>,
    offset: Vec<i64>,
    shift: Vec<u8>,
    /// Offsets with the zero point, if every column has one.
    direct_offset: Option<Vec<i64>>,
    zero_point: i32,
    lo: i32,
    hi: i32,
}

impl PackedRequant {
    /// Constants for as many columns as there are entries; `output` is zero point, smallest and largest result.
    ///
    /// # Panics
    /// If a constant is out of range or the bounds are not increasing int8 values.
    pub fn new(columns: &[RequantColumn], output: [i32; 3]) -> Self {
        Self::for_set(InstructionSet::best(), columns, output)
    }

    fn for_set(
        set: InstructionSet,
        columns: &[RequantColumn],
        [zero_point, lo, hi]: [i32; 3],
    ) -> Self {
        for column in columns {
            let RequantColumn { multiplier, shift, bound, .. } = *column;
            assert!(multiplier >> 31 == 0 && shift <= 62, "a multiplier or shift is out of range");
            assert!(bound <= 1 << 31, "sums must fit 32 bits");
        }
        let byte = i32::from(i8::MIN)..=i32::from(i8::MAX);
        assert!(byte.contains(&lo) && byte.contains(&hi) && lo <= hi, "bounds are no int8 range");
        assert!(byte.contains(&zero_point), "the zero point is no int8");
        Self {
            set,
            multiplier: columns.iter().map(|column| column.multiplier).collect(),
            offset: columns.iter().map(|column| column.offset()).collect(),
            shift: columns.iter().map(|column| column.shift).collect(),
            direct_offset: columns.iter().map(|column| column.direct_offset(zero_point)).collect(),
            zero_point,
            lo,
            hi,
        }
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.multiplier.len()
    }

    /// What is added to each column's product: `bias * multiplier` and half a unit of the result.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn offset(&self) -> &[i64] {
        &self.offset
    }

    /// Offsets with which `(sum * multiplier + offset) >> shift` is the result but for the clamp, zero point included;
    /// `None` if that is not so in every column.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn direct_offset(&self) -> Option<&[i64]> {
        self.direct_offset.as_deref()
    }

    /// Multiplier of each column.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn multiplier(&self) -> &[u32] {
        &self.multiplier
    }

    /// Shift of each column.
    #[cfg(target_arch = "x86_64")]
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
/// Where a sum with its bias exceeds the column's bound, the result is some value between the bounds of the output. `sums` and `out` are dense rows of the constants' columns.
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
        let column = RequantColumn { bias: 0, multiplier: 1, shift: 1, bound: 5 };
        let constants = PackedRequant::new(&[column], [10, -128, 127]);
        let mut out = [0; 5];
        qs8_requantize(&sums, &constants, &mut out);
        assert_eq!(out, [8, 10, 10, 12, 12]);
    }

    #[test]
    fn ties_are_expected_from_the_smallest_sum_that_can_tie() {
        // 12 / 2^6 = 3 / 16: sums of 8 (1.5), 24, ... tie.
        let column = |bound| RequantColumn { bias: 0, multiplier: 12, shift: 6, bound };
        assert!(!column(7).may_tie());
        assert!(column(8).may_tie());
        assert!(!RequantColumn { multiplier: 0, ..column(1 << 31) }.may_tie());
        assert!(!RequantColumn { shift: 0, ..column(1 << 31) }.may_tie());
        // A multiple of the unit never ties, half a unit does.
        assert!(!RequantColumn { multiplier: 64, ..column(1 << 31) }.may_tie());
        assert!(RequantColumn { multiplier: 32, ..column(1) }.may_tie());
    }

    /// The definition once more, in exact rational arithmetic on `i128`.
    fn oracle(acc: i64, multiplier: u32, shift: u8, [zero, lo, hi]: [i32; 3]) -> i8 {
        let (p, d) = (i128::from(acc) * i128::from(multiplier), 1_i128 << shift);
        let (floor, twice_rest) = (p.div_euclid(d), 2 * p.rem_euclid(d));
        let up = twice_rest > d || (twice_rest == d && floor % 2 != 0);
        (floor + i128::from(up) + i128::from(zero)).clamp(lo.into(), hi.into()) as i8
    }

    /// Any multiplier and shift; and small factors, few and many bits long, as networks have them.
    fn factor() -> impl Strategy<Value = (u32, u8)> {
        let multiplier =
            prop_oneof![0..1_u32 << 31, Just(1), Just(0), Just((1 << 31) - 1), Just(1 << 23)];
        prop_oneof![
            (multiplier, 0..=62_u8),
            (1_u32 << 23..1 << 24, 25..=40_u8),
            (1_u32..16, 4..=12_u8),
        ]
    }

    /// A column and what to take its sums from.
    fn column() -> impl Strategy<Value = RequantColumn> {
        let bias = prop_oneof![-500..500_i32, any::<i32>()];
        let bound = prop_oneof![1_u32..100_000, Just(1 << 31)];
        (bias, factor(), bound).prop_map(|(bias, (multiplier, shift), bound): (i32, _, u32)| {
            let bound = bound.max(bias.unsigned_abs());
            RequantColumn { bias, multiplier, shift, bound }
        })
    }

    fn sum() -> impl Strategy<Value = i32> {
        prop_oneof![any::<i32>(), -1000..1000, Just(i32::MIN), Just(i32::MAX), Just(0)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn every_set_equals_exact_arithmetic(
            columns in prop_oneof![
                prop::collection::vec(column(), 1..40),
                column().prop_flat_map(|column| prop::collection::vec(Just(column), 1..40)),
            ],
            rows in 1..5_usize,
            zero in -128..=127_i32,
            bounds in prop_oneof![(-128..=127_i32, -128..=127_i32), Just((-128, 127))],
            seed in prop::collection::vec(sum(), 160),
        ) {
            let n = columns.len();
            // Sums that keep to the bound with their bias.
            let fitting = |(&sum, column): (&i32, &RequantColumn)| {
                let (bias, bound) = (i64::from(column.bias), i64::from(column.bound));
                let with_bias = (i64::from(sum) + bias).clamp(-bound, bound.min(i64::from(i32::MAX)));
                (with_bias - bias).clamp(i32::MIN.into(), i32::MAX.into()) as i32
            };
            let sums: Vec<i32> =
                seed[..rows * n].iter().zip(columns.iter().cycle()).map(fitting).collect();
            let output = [zero, bounds.0.min(bounds.1), bounds.0.max(bounds.1)];
            let exact = |(&sum, column): (&i32, &RequantColumn)| {
                let acc = i64::from(sum) + i64::from(column.bias);
                oracle(acc, column.multiplier, column.shift, output)
            };
            let expected: Vec<i8> = sums.iter().zip(columns.iter().cycle()).map(exact).collect();
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                let constants = PackedRequant::for_set(set, &columns, output);
                let mut out = vec![0; sums.len()];
                qs8_requantize(&sums, &constants, &mut out);
                prop_assert_eq!(&out, &expected, "{}", set);
            }
        }
    }
}
