#![expect(clippy::float_arithmetic, reason = "builds scales and emulates a float runtime")]

use proptest::prelude::*;

use crate::numerics::{
    AddMultipliers, NumericsError, Requant, Rounding, product_fits, requantize, round_shift,
};

/// `significand * 2^exponent`, exactly.
fn scale(significand: u64, exponent: i32) -> f64 {
    significand as f64 * 2f64.powi(exponent)
}

/// Whether `m / 2^s` is the multiple of `1 / 2^s` nearest to `significand * 2^exponent`, the even one if two are.
fn is_nearest(m: u64, s: u8, significand: u64, exponent: i32) -> bool {
    let point = -(exponent + i32::from(s));
    if point > 100 {
        return m == 0;
    }
    assert!(point >= 0);
    let unit = 1u128 << point;
    let error = (u128::from(m) * unit).abs_diff(u128::from(significand));
    2 * error < unit || (2 * error == unit && m.is_multiple_of(2))
}

proptest! {
    #[test]
    fn multipliers_are_normalised_and_nearest(significand in 1u64 << 52..1 << 53, exponent in -160..-21i32, bits in 1..=31u8) {
        let value = scale(significand, exponent);
        match Requant::from_scale(value, bits) {
            Ok(Requant { multiplier, shift }) => {
                prop_assert!(is_nearest(multiplier.into(), shift, significand, exponent));
                prop_assert!(multiplier < 1 << bits);
                prop_assert!(multiplier >= 1 << (bits - 1) || shift == 62);
            }
            Err(error) => {
                prop_assert_eq!(error, NumericsError::ScaleTooLarge { scale: value, bits });
                // Even with shift 0, more than `bits` bits.
                prop_assert!(!is_nearest((1 << bits) - 1, 0, significand, exponent));
                prop_assert!(value > 2f64.powi(i32::from(bits) - 1));
            }
        }
    }

    #[test]
    fn a_product_of_floats_survives_24_bits(value in (1e-12f32..1000.0).prop_filter("positive", |v| *v > 0.0)) {
        let Requant { multiplier, shift } = Requant::from_scale(value.into(), 24).unwrap();
        prop_assert_eq!(scale(multiplier.into(), -i32::from(shift)), f64::from(value));
    }

    #[test]
    fn add_multipliers_share_a_shift_and_are_nearest(
        sa in 1u64 << 52..1 << 53, ea in -100..-50i32, sb in 1u64 << 52..1 << 53, eb in -100..-50i32,
        bits in 2..=31u8, subtract in any::<bool>(),
    ) {
        let (a, b) = (scale(sa, ea), scale(sb, eb) * if subtract { -1.0 } else { 1.0 });
        if let Ok(found) = AddMultipliers::from_scales(a, b, bits) {
            prop_assert!(is_nearest(found.ma.unsigned_abs().into(), found.shift, sa, ea));
            prop_assert!(is_nearest(found.mb.unsigned_abs().into(), found.shift, sb, eb));
            let sign = if subtract { -1 } else { 1 };
            prop_assert!(found.ma >= 0 && found.mb * sign >= 0);
            let largest = found.ma.unsigned_abs().max(found.mb.unsigned_abs());
            prop_assert!(largest < 1 << bits && (largest >= 1 << (bits - 1) || found.shift == 62));
            let swapped = AddMultipliers::from_scales(b, a, bits).unwrap();
            prop_assert_eq!((swapped.ma, swapped.mb, swapped.shift), (found.mb, found.ma, found.shift));
        } else {
            prop_assert!(a.max(b.abs()) > 2f64.powi(i32::from(bits) - 1));
        }
    }

    #[test]
    fn shift_only_additions_have_powers_of_two(sa in 1u64 << 52..1 << 53, ea in -120..-40i32, sb in 1u64 << 52..1 << 53, eb in -120..-40i32) {
        let (a, b) = (scale(sa, ea), scale(sb, eb));
        if let Ok(AddMultipliers { ma, mb, shift }) = AddMultipliers::from_scales(a, b, 1) {
            for (m, value) in [(ma, a), (mb, b)] {
                prop_assert!(m == 0 || (m & (m - 1) == 0 && (1..=1 << 15).contains(&m)));
                // The nearest power of two is at most a factor 4/3 above or 3/2 below; else the operand was too small.
                let ratio = f64::from(m) / 2f64.powi(shift.into()) / value;
                let small = value * 2f64.powi(shift.into()) < 0.75;
                prop_assert!(small || (2.0 / 3.0..=4.0 / 3.0).contains(&ratio), "{} / 2^{} for {}", m, shift, value);
                prop_assert!(!small || ma.max(mb) == 1 << 15 || shift == 62);
            }
        } else {
            prop_assert!(a.max(b) >= 49152.0);
        }
    }
}

#[test]
fn small_rationals_at_every_small_width() {
    for bits in 1..=8u8 {
        for k in 1..=4096u64 {
            let Ok(Requant { multiplier, shift }) = Requant::from_scale(scale(k, -12), bits) else {
                panic!("{k}/4096 fits every width");
            };
            assert!((1 << (bits - 1)..1 << bits).contains(&multiplier));
            // Nearest among all multipliers of this width at this and the neighbouring shifts.
            let error = |m: u32, s: u8| (scale(m.into(), -i32::from(s)) - scale(k, -12)).abs();
            for m in 1 << (bits - 1)..1 << bits {
                for s in shift.saturating_sub(1)..=shift + 1 {
                    assert!(error(multiplier, shift) <= error(m, s), "{k}/4096 in {bits} bits");
                }
            }
        }
    }
}

#[test]
fn a_carry_halves_the_multiplier() {
    let almost_one = scale((1 << 53) - 1, -53);
    let halved = Requant { multiplier: 1 << 23, shift: 23 };
    assert_eq!(Requant::from_scale(almost_one, 24), Ok(halved));
    assert_eq!(Requant::from_scale(1.0, 24), Ok(halved));
    let sum = AddMultipliers::from_scales(almost_one, -0.25, 24);
    assert_eq!(sum, Ok(AddMultipliers { ma: 1 << 23, mb: -(1 << 21), shift: 23 }));
}

#[test]
fn tiny_scales_lose_significand_bits_and_then_everything() {
    let at_62 = |multiplier| Ok(Requant { multiplier, shift: 62 });
    assert_eq!(Requant::from_scale(scale(3, -63), 24), at_62(2));
    assert_eq!(Requant::from_scale(scale(5, -63), 24), at_62(2));
    assert_eq!(Requant::from_scale(scale(3, -65), 24), at_62(0));
    assert_eq!(Requant::from_scale(f64::from_bits(1), 24), at_62(0));
    assert_eq!(Requant::from_scale(f64::MIN_POSITIVE, 1), at_62(0));
}

#[test]
fn shift_only_examples() {
    let encode = |a, b| AddMultipliers::from_scales(a, b, 1);
    let found = |ma, mb, shift| Ok(AddMultipliers { ma, mb, shift });
    assert_eq!(encode(0.5, 0.125), found(4, 1, 3));
    assert_eq!(encode(1.0, -1.0), found(1, -1, 0));
    assert_eq!(encode(4.0, 2.0), found(4, 2, 0));
    assert_eq!(encode(1.0, scale(1, -15)), found(1 << 15, 1, 15));
    assert_eq!(encode(1.0, scale(1, -16)), found(1 << 15, 0, 15));
    assert_eq!(encode(32768.0, 0.25), found(1 << 15, 0, 0));
    assert!(encode(65536.0, 1.0).is_err());
    assert_eq!(Requant::from_scale(0.75, 1), Ok(Requant { multiplier: 1, shift: 0 }));
    assert_eq!(Requant::from_scale(0.7, 1), Ok(Requant { multiplier: 1, shift: 1 }));
}

#[test]
fn a_rescaling_may_enlarge_even_on_a_shift_only_machine() {
    let encode = |scale, bits| AddMultipliers::from_scale(scale, bits);
    let found = |ma, shift| Ok(AddMultipliers { ma, mb: 0, shift });
    assert_eq!(encode(256.0, 24), found(1 << 23, 15));
    assert_eq!(encode(-0.75, 24), found(-(3 << 22), 24));
    assert_eq!(encode(256.0, 1), found(256, 0));
    assert_eq!(encode(0.25, 1), found(1, 2));
}

#[test]
fn scales_that_are_none_are_refused() {
    for scale in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = Requant::from_scale(scale, 24).unwrap_err();
        assert!(matches!(error, NumericsError::BadScale { .. }), "{scale}");
        if scale != -1.0 {
            assert!(AddMultipliers::from_scales(1.0, scale, 24).is_err(), "{scale}");
            assert!(AddMultipliers::from_scales(scale, 1.0, 1).is_err(), "{scale}");
        }
    }
    for bits in [0, 32, 255] {
        let expected = NumericsError::BadMultiplierBits { bits };
        assert_eq!(Requant::from_scale(1.0, bits), Err(expected.clone()));
        assert_eq!(AddMultipliers::from_scales(1.0, 1.0, bits), Err(expected));
    }
    assert!(Requant::from_scale(scale(1, 23), 24).is_ok());
    assert!(Requant::from_scale(scale(1, 24), 24).is_err());
    assert!(Requant::from_scale(f64::MAX, 31).is_err());
}

/// Requantization as ONNX Runtime does it: accumulator and product in 32-bit float, conversion half to even.
fn float_requantize(acc: i32, scale: f32) -> i32 {
    ((acc as f32) * scale).clamp(-128.0, 127.0).round_ties_even() as i32
}

/// Fraction of results that differ from the float chain, over scales spread as in real layers.
fn mismatch(multiplier_bits: u8, mode: Rounding) -> f64 {
    let (mut differing, mut total) = (0u32, 0u32);
    let mut state = 1u64;
    for layer in 0..64 {
        let scale = 10f32.powf(-4.5 + layer as f32 / 32.0) * 1.2345678;
        let rq = Requant::from_scale(scale.into(), multiplier_bits).unwrap();
        assert!(product_fits(1 << 31, rq));
        for _ in 0..4096 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let spread = (140.0 / scale) as i64;
            let acc = (state >> 33) as i64 % (2 * spread) - spread;
            let float = float_requantize(acc as i32, scale);
            let integer = requantize(acc, rq, 0, -128, 127, mode);
            assert!(mode == Rounding::Floor || float.abs_diff(integer) <= 1, "{acc} * {scale}");
            differing += u32::from(float != integer);
            total += 1;
        }
    }
    f64::from(differing) / f64::from(total)
}

#[test]
fn more_multiplier_bits_come_closer_to_the_float_runtime() {
    assert!(mismatch(24, Rounding::HalfEven) < 1e-4);
    let [sixteen, twelve, eight] = [16, 12, 8].map(|bits| mismatch(bits, Rounding::HalfEven));
    assert!(sixteen < 1e-3 && sixteen < twelve && twelve < 1e-2 && twelve < eight);
    assert!(mismatch(24, Rounding::Floor) > 0.3);
}

#[test]
fn a_power_of_two_scale_is_a_plain_rounding_shift() {
    let rq = Requant::from_scale(scale(1, -9), 24).unwrap();
    for acc in -70_000..70_000 {
        let expected = round_shift(acc, 9, Rounding::HalfEven).clamp(-128, 127);
        assert_eq!(i64::from(requantize(acc, rq, 0, -128, 127, Rounding::HalfEven)), expected);
    }
}
