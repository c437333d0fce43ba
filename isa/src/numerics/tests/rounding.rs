use proptest::prelude::*;

use super::round_ratio;
use crate::numerics::{MAX_SHIFT, NumericsError, Rounding, round_shift};

#[test]
fn small_values_at_every_shift_and_mode() {
    for mode in Rounding::ALL {
        for shift in 0..=13 {
            for p in -4096..=4096 {
                let expected = round_ratio(p.into(), 1 << shift, mode);
                assert_eq!(i128::from(round_shift(p, shift, mode)), expected, "{p} {shift} {mode}");
            }
        }
    }
}

/// The formulas of `docs/numerics.md`, as an adder and a shifter do them.
fn hardware_formula(p: i64, shift: u8, mode: Rounding) -> i64 {
    if shift == 0 {
        return p;
    }
    let half = 1 << (shift - 1);
    match mode {
        Rounding::HalfEven => (p + (half - 1) + ((p >> shift) & 1)) >> shift,
        Rounding::HalfUp => (p + half) >> shift,
        Rounding::HalfAway => (p + half - i64::from(p < 0)) >> shift,
        Rounding::Floor => p >> shift,
    }
}

proptest! {
    #[test]
    fn every_value_is_rounded_exactly(p in values(), shift in 0..=MAX_SHIFT) {
        for mode in Rounding::ALL {
            let expected = round_ratio(p.into(), 1 << shift, mode);
            prop_assert_eq!(i128::from(round_shift(p, shift, mode)), expected, "{}", mode);
        }
    }

    #[test]
    fn the_hardware_formulas_agree_below_62_bits(p in values(), shift in 0..=MAX_SHIFT) {
        let p = p >> 2;
        for mode in Rounding::ALL {
            prop_assert_eq!(round_shift(p, shift, mode), hardware_formula(p, shift, mode), "{}", mode);
        }
    }
}

/// All magnitudes alike, and the neighbourhood of ties: odd multiples of powers of two, plus or minus a little.
fn values() -> impl Strategy<Value = i64> {
    let any_magnitude = (any::<i64>(), 0u32..64).prop_map(|(p, down)| p >> down);
    let near_tie = (any::<i64>(), 0u32..62, -1i64..=1)
        .prop_map(|(p, bit, off)| (((p | 1) >> 32) | 1).wrapping_shl(bit).wrapping_add(off));
    prop_oneof![any_magnitude, near_tie, Just(i64::MIN), Just(i64::MAX), Just(i64::MIN + 1)]
}

#[test]
fn ties_go_where_the_names_say() {
    let halves = [-7, -5, -3, -1, 1, 3, 5, 7];
    let round = |mode| halves.map(|p| round_shift(p, 1, mode));
    assert_eq!(round(Rounding::HalfEven), [-4, -2, -2, 0, 0, 2, 2, 4]);
    assert_eq!(round(Rounding::HalfUp), [-3, -2, -1, 0, 1, 2, 3, 4]);
    assert_eq!(round(Rounding::HalfAway), [-4, -3, -2, -1, 1, 2, 3, 4]);
    assert_eq!(round(Rounding::Floor), [-4, -3, -2, -1, 0, 1, 2, 3]);
}

#[test]
fn half_even_and_half_away_are_symmetric_and_half_even_alone_is_unbiased_over_ties() {
    for p in 0..=4096 {
        for mode in [Rounding::HalfEven, Rounding::HalfAway] {
            assert_eq!(round_shift(-p, 5, mode), -round_shift(p, 5, mode), "{p} {mode}");
        }
    }
    // Sum of (rounded - exact), in 1/32, over one period of non-negative inputs.
    let bias = |mode| (0..64).map(|p| 32 * round_shift(p, 5, mode) - p).sum::<i64>();
    assert_eq!(Rounding::ALL.map(bias), [0, 32, 32, -992]);
}

#[test]
fn shifts_no_field_can_hold_count_as_62() {
    for p in [i64::MIN, -1, 1, i64::MAX] {
        assert_eq!(round_shift(p, 200, Rounding::HalfUp), round_shift(p, 62, Rounding::HalfUp));
    }
}

#[test]
fn names_are_read_back() {
    for mode in Rounding::ALL {
        assert_eq!(mode.to_string().parse(), Ok(mode));
        let json = serde_json::to_string(&mode).unwrap();
        assert_eq!(json, format!("\"{mode}\""));
        assert_eq!(serde_json::from_str::<Rounding>(&json).unwrap(), mode);
    }
    let error = "nearest".parse::<Rounding>().unwrap_err();
    assert_eq!(error, NumericsError::UnknownRounding { found: "nearest".to_owned() });
    assert_eq!(format!("{:>10}|", Rounding::Floor), "     floor|");
}
