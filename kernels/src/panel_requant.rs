//! Requantization inside the product kernels, while the sums are still in registers.

use crate::gemm::PANEL;

/// How one column's sums become results.
#[derive(Clone, Copy, Debug)]
pub struct ColumnRequant {
    /// Added to the sum.
    pub bias: i32,
    /// Multiplier, below 2^31.
    pub multiplier: u32,
    /// Shift, 0 to 62.
    pub shift: u8,
    /// No sum without bias is larger in magnitude.
    pub largest: u32,
}

/// Constants for panels of [`PANEL`] columns: `clamp((sum * multiplier + offset) >> (32 + shift), lo, hi)`.
///
/// One form of the requantization `round((sum + bias) * m / 2^s) + zero point` that needs nothing but the upper half of each
/// 64-bit sum, for columns where that is the same integer: multiplier and shift are scaled so that the shift is at least 32,
/// bias, half a unit and zero point are part of the offset, and no sum that can occur lies halfway between two results, so
/// that it does not matter how ties are rounded.
#[derive(Clone, Debug)]
pub struct PanelRequant {
    columns: usize,
    /// By slot; filled up with zeros to whole panels, as the others.
    pub(crate) multiplier: Vec<i32>,
    /// By panel: the even slots, then the odd ones.
    pub(crate) offset: Vec<i64>,
    /// By slot, less 32.
    pub(crate) shift: Vec<i32>,
    pub(crate) lo: i8,
    pub(crate) hi: i8,
}

impl PanelRequant {
    /// Constants for `columns`; `output` is zero point, smallest and largest result. `None` if some column has no such form.
    pub fn new(columns: &[ColumnRequant], output: [i32; 3]) -> Option<Self> {
        Self::ordered(columns, output, columns.len(), |slot| slot)
    }

    /// As [`PanelRequant::new`] for at least `slots` slots, of which slot `i` holds column `order(i)`, if there is one.
    pub(crate) fn ordered(
        columns: &[ColumnRequant],
        [zero_point, lo, hi]: [i32; 3],
        slots: usize,
        order: impl Fn(usize) -> usize,
    ) -> Option<Self> {
        let (lo, hi) = (i8::try_from(lo).ok()?, i8::try_from(hi).ok()?);
        let columns_of_slots: Vec<Scaled> =
            columns.iter().map(|column| Scaled::new(column, zero_point)).collect::<Option<_>>()?;
        let slots = slots.next_multiple_of(PANEL);
        let filler = Scaled { multiplier: 0, offset: 0, shift: 0 };
        let at = |slot: usize| *columns_of_slots.get(order(slot)).unwrap_or(&filler);
        let within =
            |i: usize| i / PANEL * PANEL + i % PANEL % (PANEL / 2) * 2 + i % PANEL / (PANEL / 2);
        Some(Self {
            columns: columns.len(),
            multiplier: (0..slots).map(|slot| at(slot).multiplier).collect(),
            offset: (0..slots).map(|i| at(within(i)).offset).collect(),
            shift: (0..slots).map(|slot| at(slot).shift).collect(),
            lo,
            hi,
        })
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The plain version for the sum of the column in slot `slot`: this is what the vector kernels compute.
    pub(crate) fn one(&self, slot: usize, sum: i32) -> i8 {
        let (panel, i) = (slot / PANEL * PANEL, slot % PANEL);
        let offset = self.offset[panel + i / 2 + i % 2 * (PANEL / 2)];
        let product = i64::from(sum) * i64::from(self.multiplier[slot]);
        let high = product.wrapping_add(offset) >> 32 >> self.shift[slot];
        high.clamp(self.lo.into(), self.hi.into()) as i8
    }
}

/// One column's constants.
#[derive(Clone, Copy)]
struct Scaled {
    multiplier: i32,
    offset: i64,
    shift: i32,
}

impl Scaled {
    fn new(column: &ColumnRequant, zero_point: i32) -> Option<Self> {
        let &ColumnRequant { bias, multiplier, shift, largest } = column;
        let largest = i128::from(largest) + i128::from(bias).abs();
        if largest > i128::from(i32::MAX) {
            return None;
        }
        // A tie is an odd multiple of half a unit. The product has the multiplier's factors of two already, so sum and bias
        // must bring the others, and are 0 or at least that large.
        let missing = u32::from(shift).checked_sub(1 + multiplier.trailing_zeros());
        if multiplier != 0 && missing.is_some_and(|missing| largest >> missing > 0) {
            return None;
        }
        let up = u32::from(32_u8.saturating_sub(shift));
        let shift = u32::from(shift) + up;
        let multiplier = i128::from(multiplier) << up;
        let half = (1_i128 << shift) / 2 * i128::from(up < 32);
        let offset = i128::from(bias) * multiplier + half + (i128::from(zero_point) << shift);
        let reach = largest * multiplier + half + (128 << shift);
        let shift = i32::try_from(shift - 32).ok().filter(|&shift| shift < 32)?;
        i64::try_from(reach).ok()?;
        Some(Self {
            multiplier: i32::try_from(multiplier).ok()?,
            offset: i64::try_from(offset).ok()?,
            shift,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plain;
    use proptest::prelude::*;

    fn column(multiplier: u32, shift: u8, largest: u32) -> ColumnRequant {
        ColumnRequant { bias: 0, multiplier, shift, largest }
    }

    fn has_form(column: ColumnRequant) -> bool {
        PanelRequant::new(&[column], [0, -128, 127]).is_some()
    }

    #[test]
    fn columns_whose_sums_may_tie_have_no_form() {
        // 3 * 2^15 / 2^16 = 1.5, and nothing smaller ties.
        assert!(has_form(column(3, 16, (1 << 15) - 1)));
        assert!(!has_form(column(3, 16, 1 << 15)));
        // With a factor of two in the multiplier half as much does.
        assert!(!has_form(column(6, 16, 1 << 14)));
        assert!(has_form(column(0, 20, 1000)));
    }

    #[test]
    fn what_would_overflow_has_no_form() {
        assert!(!has_form(column(1, 62, 1)));
        assert!(!has_form(column((1 << 31) - 1, 20, 5)));
        assert!(!has_form(column(1, 40, 1 << 31)));
    }

    proptest! {
        #[test]
        fn where_there_is_a_form_it_equals_the_definition(
            bias in prop_oneof![-500..500_i32, any::<i32>()],
            multiplier in prop_oneof![0..1_u32 << 31, 1..1_u32 << 24, Just(1 << 23)],
            shift in 0..=62_u8,
            (largest, sum) in (0..1_u32 << 31).prop_flat_map(|l| (Just(l), -(l as i32)..=l as i32)),
            zero in -128..=127_i32,
        ) {
            let output = [zero, -128, 127];
            let column = ColumnRequant { bias, multiplier, shift, largest };
            if let Some(requant) = PanelRequant::new(&[column], output) {
                let offset = i64::from(bias) * i64::from(multiplier) + (1 << shift >> 1);
                let expected = plain::qs8_requantize_one(sum, multiplier, offset, shift, output);
                prop_assert_eq!(requant.one(0, sum), expected);
            }
        }
    }
}
