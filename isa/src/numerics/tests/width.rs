use proptest::prelude::*;

use crate::numerics::{Requant, accumulator_bits, accumulator_bound, fits, product_fits, wrap};

#[test]
fn wrap_is_arithmetic_modulo_a_power_of_two() {
    for bits in 1..=16u8 {
        let (modulus, half) = (1i64 << bits, 1i64 << (bits - 1));
        for value in -70_000..70_000 {
            let wrapped = (value + half).rem_euclid(modulus) - half;
            assert_eq!(wrap(value, bits), wrapped, "{value} in {bits} bits");
            assert_eq!(fits(value, bits), (-half..half).contains(&value), "{value} in {bits} bits");
        }
    }
}

#[test]
fn widths_at_the_ends() {
    assert_eq!((wrap(5, 0), fits(0, 0), fits(1, 0)), (0, true, false));
    for value in [i64::MIN, i64::MAX] {
        for bits in [64, 65, 255] {
            assert_eq!(wrap(value, bits), value);
        }
        assert!(!fits(value, 63));
    }
    assert!(fits(i64::from(i32::MIN), 32) && !fits(i64::from(i32::MIN) - 1, 32));
}

proptest! {
    /// Adding in a random order, bias last or first, no partial sum leaves the register the bound asks for.
    #[test]
    fn no_partial_sum_exceeds_the_bound(
        terms in prop::collection::vec((any::<i8>(), 0..=255i32), 1..60),
        bias in -100_000..100_000i64, lo in -128..=0i32, order in any::<u64>(),
    ) {
        let weights: Vec<i8> = terms.iter().map(|&(w, _)| w).collect();
        let hi = lo + 255;
        let bound = accumulator_bound(&weights, lo, hi, bias);
        let bits = u8::try_from(accumulator_bits(bound)).unwrap();
        let mut summands: Vec<i64> =
            terms.iter().map(|&(w, x)| i64::from(w) * i64::from(lo + x)).chain([bias]).collect();
        let pivot = usize::try_from(order % 61).unwrap() % summands.len();
        summands.rotate_left(pivot);
        if order & (1 << 40) != 0 {
            summands.sort_unstable();
        }
        let mut sum = 0;
        for summand in summands {
            sum += summand;
            prop_assert!(sum.unsigned_abs() <= bound && fits(sum, bits));
        }
    }

    #[test]
    fn product_fits_is_the_inequality(acc in any::<u64>(), down in 0u32..64, multiplier in 0..1u32 << 31, shift in 0..=62u8) {
        let acc = acc >> down;
        // acc * M + 2^(S-1) <= i64::MAX, in checked i64 arithmetic.
        let half = if shift == 0 { 0 } else { 1i64 << (shift - 1) };
        let product = i64::try_from(acc).ok().and_then(|a| a.checked_mul(multiplier.into()));
        let expected = (acc == 0 || multiplier == 0 || product.is_some())
            && product.unwrap_or(0).checked_add(half).is_some();
        prop_assert_eq!(product_fits(acc, Requant { multiplier, shift }), expected);
    }
}

#[test]
fn the_bound_is_reached_and_the_width_is_the_smallest() {
    assert_eq!(accumulator_bound(&[127, -127, 1], -128, 127, -7), 255 * 128 + 7);
    assert_eq!(accumulator_bound(&[], -128, 127, i64::MIN), 1 << 63);
    assert_eq!(accumulator_bound(&[-128; 4], i32::MIN, 0, i64::MIN), (1 << 63) + (512 << 31));
    for (bound, bits) in [(0, 1), (1, 2), (127, 8), (128, 9), ((1 << 31) - 1, 32), (1 << 31, 33)] {
        assert_eq!(accumulator_bits(bound), bits, "{bound}");
    }
    assert_eq!(accumulator_bits(u64::MAX), 65);
    assert!(product_fits((1 << 63) - 1, Requant::ONE) && !product_fits(1 << 63, Requant::ONE));
}

#[test]
fn no_shift_overflows_the_proof() {
    for shift in 63..=u8::MAX {
        assert!(!product_fits(0, Requant { multiplier: 0, shift }));
    }
}
