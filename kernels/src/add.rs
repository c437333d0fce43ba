//! Addition of two int8 tensors of different scales, round half to even.

use crate::{InstructionSet, plain};

/// Constants of `clamp(round_half_even(((a - a_zero) * a_multiplier + (b - b_zero) * b_multiplier) / 2^shift) + zero,
/// lo, hi)`.
#[derive(Clone, Copy, Debug)]
pub struct AddConstants {
    /// Zero point of the first operand, an int8.
    pub a_zero: i32,
    /// Signed multiplier of the first operand.
    pub a_multiplier: i32,
    /// Zero point of the second operand, an int8.
    pub b_zero: i32,
    /// Signed multiplier of the second operand.
    pub b_multiplier: i32,
    /// Common right shift, 0 to 62.
    pub shift: u8,
    /// Zero point of the result, an int8.
    pub zero: i32,
    /// Smallest result, an int8.
    pub lo: i32,
    /// Largest result, an int8, not below `lo`.
    pub hi: i32,
}

/// Adds element by element; one rounding for both operands.
///
/// # Panics
/// If the lengths differ or a constant is outside its range.
pub fn qs8_add(a: &[i8], b: &[i8], constants: &AddConstants, out: &mut [i8]) {
    add_with(InstructionSet::best(), a, b, constants, out);
}

fn add_with(set: InstructionSet, a: &[i8], b: &[i8], c: &AddConstants, out: &mut [i8]) {
    assert!(
        a.len() == b.len() && a.len() == out.len(),
        "operands and result must be of one length"
    );
    let bytes = [c.a_zero, c.b_zero, c.zero, c.lo, c.hi];
    assert!(bytes.iter().all(|&v| i8::try_from(v).is_ok()), "a zero point or bound is no int8");
    assert!(c.lo <= c.hi && c.shift <= 62, "bounds must increase and the shift be at most 62");
    let done = match set {
        InstructionSet::Plain => 0,
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 | InstructionSet::Avx512Vnni => crate::x86::qs8_add(set, a, b, c, out),
        #[cfg(not(target_arch = "x86_64"))]
        _ => 0,
    };
    plain::qs8_add(&a[done..], &b[done..], c, &mut out[done..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::element;
    use proptest::prelude::*;

    const UNIT: AddConstants = AddConstants {
        a_zero: 0,
        a_multiplier: 1,
        b_zero: 0,
        b_multiplier: 1,
        shift: 1,
        zero: 0,
        lo: -128,
        hi: 127,
    };

    #[test]
    fn ties_go_to_the_even_neighbour() {
        // Halves of 1, 3, -1, -3, 5: 0.5, 1.5, -0.5, -1.5, 2.5.
        let mut out = [0; 5];
        qs8_add(&[0, 1, -2, -1, 2], &[1, 2, 1, -2, 3], &UNIT, &mut out);
        assert_eq!(out, [0, 2, 0, -2, 2]);
    }

    #[test]
    fn zero_points_signs_and_saturation() {
        // ((a - 1) * 3 - (b + 2) * 2) / 1 + 10 for (2, 0), (100, -100), (-100, 100).
        let constants = AddConstants {
            a_zero: 1,
            a_multiplier: 3,
            b_zero: -2,
            b_multiplier: -2,
            shift: 0,
            zero: 10,
            lo: -120,
            hi: 127,
        };
        let mut out = [0; 3];
        qs8_add(&[2, 100, -100], &[0, -100, 100], &constants, &mut out);
        assert_eq!(out, [9, 127, -120]);
    }

    #[test]
    fn ties_in_every_vector() {
        // (a + b) * 2^12 / 2^13: half of every sum, over all pairs of int8.
        let all = || i8::MIN..=i8::MAX;
        let (a, b): (Vec<i8>, Vec<i8>) = all().flat_map(|a| all().map(move |b| (a, b))).unzip();
        let constants = AddConstants { a_multiplier: 4096, b_multiplier: 4096, shift: 13, ..UNIT };
        let half = |(&a, &b): (&i8, &i8)| {
            let sum = i32::from(a) + i32::from(b);
            let floor = sum >> 1;
            (floor + (sum & floor & 1)) as i8
        };
        let expected: Vec<i8> = a.iter().zip(&b).map(half).collect();
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            let mut out = vec![0; a.len()];
            add_with(set, &a, &b, &constants, &mut out);
            assert!(out == expected, "{set}");
        }
    }

    proptest! {
        #[test]
        fn every_set_equals_exact_arithmetic(
            pairs in prop::collection::vec((element(), element()), 1..100),
            zeros in prop::array::uniform3(-128..=127_i32),
            multipliers in prop::array::uniform2(prop_oneof![any::<i32>(), -(1 << 27)..1 << 27]),
            shift in prop_oneof![0..=62_u8, 13..=42_u8, Just(13), Just(42)],
        ) {
            let (a, b): (Vec<i8>, Vec<i8>) = pairs.into_iter().unzip();
            let [a_zero, b_zero, zero] = zeros;
            let [a_multiplier, b_multiplier] = multipliers;
            let constants =
                AddConstants { a_zero, a_multiplier, b_zero, b_multiplier, shift, zero, ..UNIT };
            let exact = |(&a, &b): (&i8, &i8)| {
                let a = i128::from(i32::from(a) - a_zero) * i128::from(a_multiplier);
                let p = a + i128::from(i32::from(b) - b_zero) * i128::from(b_multiplier);
                let unit = 1_i128 << shift;
                let (floor, twice_rest) = (p.div_euclid(unit), 2 * p.rem_euclid(unit));
                let up = twice_rest > unit || (twice_rest == unit && floor % 2 != 0);
                (floor + i128::from(up) + i128::from(zero)).clamp(-128, 127) as i8
            };
            let expected: Vec<i8> = a.iter().zip(&b).map(exact).collect();
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                let mut out = vec![0; a.len()];
                add_with(set, &a, &b, &constants, &mut out);
                prop_assert_eq!(&out, &expected, "{}", set);
            }
        }
    }
}
