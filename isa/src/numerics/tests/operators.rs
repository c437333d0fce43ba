use proptest::prelude::*;

use super::{quantized, round_ratio};
use crate::numerics::{
    AddParams, LUT16_NODES, MulParams, PReluParams, Requant, RescaleParams, Rounding, add, lut16,
    max, min, mul, prelu, product_fits, requantize, rescale, softmax_row,
};

const INT8: (i32, i32) = (-128, 127);

#[test]
fn requantize_of_every_8_bit_accumulator_and_multiplier() {
    for mode in Rounding::ALL {
        for multiplier in 1..256u32 {
            for shift in 0..=12 {
                let rq = Requant { multiplier, shift };
                for acc in -128..=127i64 {
                    let exact = i128::from(acc) * i128::from(multiplier);
                    let expected = quantized(exact, shift, (-3, -100, 90), mode);
                    let found = requantize(acc, rq, -3, -100, 90, mode);
                    assert_eq!(i128::from(found), expected, "{acc} * {rq:?} {mode}");
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn requantize_is_exact_wherever_the_proof_holds(
        acc in (any::<i64>(), 16u32..64).prop_map(|(acc, down)| acc >> down),
        multiplier in 0..1u32 << 31, shift in 0..=62u8, zero in -32768..=32767i32,
    ) {
        let rq = Requant { multiplier, shift };
        prop_assume!(product_fits(acc.unsigned_abs(), rq));
        let exact = i128::from(acc) * i128::from(multiplier);
        for mode in Rounding::ALL {
            let expected = quantized(exact, shift, (zero, -32768, 32767), mode);
            let found = requantize(acc, rq, zero, -32768, 32767, mode);
            prop_assert_eq!(i128::from(found), expected);
        }
    }

    #[test]
    fn every_32_bit_accumulator_obeys_the_proof(acc in any::<i32>(), multiplier in 0..1u32 << 31, shift in 0..=62u8) {
        let rq = Requant { multiplier, shift };
        prop_assert!(product_fits(acc.unsigned_abs().into(), rq));
    }

    /// No operand, however hostile, panics or leaves the bounds.
    #[test]
    fn anything_is_defined(
        v in any::<[i32; 8]>(), acc in any::<i64>(), multiplier in any::<u32>(), shift in any::<u8>(),
    ) {
        let [a, b, za, zb, zy, ma, mb, bound] = v;
        let (lo, hi) = (bound.min(zb), bound.max(zb));
        let requant = Requant { multiplier, shift };
        for mode in Rounding::ALL {
            let sum = add(a, b, &AddParams { ma, mb, shift, za, zb, zy, lo, hi }, mode);
            let product = mul(a, b, &MulParams { requant, za, zb, zy, lo, hi }, mode);
            let scaled = rescale(a, &RescaleParams { m: ma, shift, za, zy, lo, hi }, mode);
            let extrema = AddParams { ma, mb, shift, za, zb, zy, lo, hi };
            let (larger, smaller) = (max(a, b, &extrema, mode), min(a, b, &extrema, mode));
            let leaky = PReluParams { positive: multiplier, negative: acc, shift, za, zy, lo, hi };
            for y in [sum, product, scaled, larger, smaller, prelu(a, &leaky, mode), requantize(acc, requant, zy, lo, hi, mode)] {
                prop_assert!((lo..=hi).contains(&y));
            }
        }
    }
}

#[test]
fn a_product_beyond_64_bits_saturates_with_its_sign() {
    let rq = Requant { multiplier: (1 << 31) - 1, shift: 62 };
    assert!(!product_fits(1 << 47, rq));
    assert_eq!(requantize(1 << 47, rq, 0, -128, 127, Rounding::HalfEven), 2);
    assert_eq!(requantize(-(1 << 47), rq, 0, -128, 127, Rounding::HalfEven), -2);
    assert_eq!(requantize(0, rq, i32::MAX, 5, -5, Rounding::HalfEven), -5, "crossed bounds: hi");
}

#[test]
fn requant_refuses_what_its_fields_do_not_hold() {
    assert!(Requant::new((1 << 31) - 1, 62).is_ok());
    assert!(Requant::new(1 << 31, 0).is_err());
    assert!(Requant::new(1, 63).is_err());
    assert_eq!(requantize(-77, Requant::ONE, 0, -128, 127, Rounding::Floor), -77);
}

/// Multipliers and shifts: usual, cancelling, very unequal, shift-only, no shift, 31 bits.
const ADDS: [(i32, i32, u8, i32, i32, i32); 6] = [
    (11_184_811, 16_000_001, 24, -5, 17, 3),
    (16_777_215, -16_777_215, 23, 0, 0, 0),
    (3, 9_000_000, 22, -128, 127, -128),
    (4, 1, 3, 1, -1, 0),
    (1, -1, 0, 9, 9, 0),
    (2_147_483_647, 1_073_741_825, 31, -128, -128, 10),
];

#[test]
fn add_of_every_pair_of_bytes() {
    let (lo, hi) = INT8;
    for (ma, mb, shift, za, zb, zy) in ADDS {
        let params = AddParams { ma, mb, shift, za, zb, zy, lo, hi };
        for mode in Rounding::ALL {
            for (a, b) in pairs() {
                let exact =
                    i128::from(a - za) * i128::from(ma) + i128::from(b - zb) * i128::from(mb);
                let expected = quantized(exact, shift, (zy, lo, hi), mode);
                let found = add(a, b, &params, mode);
                assert_eq!(i128::from(found), expected, "{a} {b} {params:?} {mode}");
            }
        }
    }
}

#[test]
fn extrema_of_every_pair_of_bytes() {
    let (lo, hi) = INT8;
    for (ma, mb, shift, za, zb, zy) in ADDS {
        let params = AddParams { ma, mb, shift, za, zb, zy, lo, hi };
        for mode in Rounding::ALL {
            for (a, b) in pairs() {
                let exact =
                    |value: i32, zero: i32, m: i32| i128::from(value - zero) * i128::from(m);
                let (p, q) = (exact(a, za, ma), exact(b, zb, mb));
                let expected = |exact| quantized(exact, shift, (zy, lo, hi), mode);
                let (larger, smaller) = (max(a, b, &params, mode), min(a, b, &params, mode));
                assert_eq!(i128::from(larger), expected(p.max(q)), "{a} {b} {params:?} {mode}");
                assert_eq!(i128::from(smaller), expected(p.min(q)), "{a} {b} {params:?} {mode}");
                // The same as of the rescaled operands.
                let alone = [(a, ma, za), (b, mb, zb)].map(|(value, m, za)| {
                    rescale(value, &RescaleParams { m, shift, za, zy, lo, hi }, mode)
                });
                assert_eq!((larger, smaller), (alone[0].max(alone[1]), alone[0].min(alone[1])));
            }
        }
    }
}

#[test]
fn prelu_of_every_int16() {
    for (positive, negative, shift, za, zy) in [
        (8_388_608, 2_097_152, 23, 0, 0),
        (1, 0, 0, -5, 7),
        (12_345, -12_345, 20, 100, -3),
        ((1 << 31) - 1, -(1 << 31), 40, -32768, 32767),
    ] {
        let params = PReluParams { positive, negative, shift, za, zy, lo: -32768, hi: 32767 };
        for mode in Rounding::ALL {
            for x in -32768..=32767 {
                let m = if x < za { i128::from(negative) } else { i128::from(positive) };
                let expected = quantized(i128::from(x - za) * m, shift, (zy, -32768, 32767), mode);
                assert_eq!(i128::from(prelu(x, &params, mode)), expected, "{x} {params:?} {mode}");
            }
        }
    }
}

#[test]
fn mul_of_every_pair_of_bytes() {
    let (lo, hi) = INT8;
    for (multiplier, shift, za, zb, zy) in [
        (12_345_678, 30, -7, 90, -11),
        (1, 7, 0, 0, 0),
        (8_388_608, 23, -128, 127, 5),
        (3, 0, 4, 4, 4),
    ] {
        let requant = Requant { multiplier, shift };
        let params = MulParams { requant, za, zb, zy, lo, hi };
        for mode in Rounding::ALL {
            for (a, b) in pairs() {
                let exact = i128::from((a - za) * (b - zb)) * i128::from(multiplier);
                let expected = quantized(exact, shift, (zy, lo, hi), mode);
                let found = mul(a, b, &params, mode);
                assert_eq!(i128::from(found), expected, "{a} {b} {params:?} {mode}");
            }
        }
    }
}

#[test]
fn rescale_is_an_addition_of_nothing() {
    for (m, shift, za, zy) in [(11_184_811, 24, -5, 3), (-3, 1, 0, 0), (16_777_215, 15, 100, -100)]
    {
        let (lo, hi) = (-32768, 32767);
        let sum = AddParams { ma: m, mb: 0, shift, za, zb: 99, zy, lo, hi };
        let params = RescaleParams { m, shift, za, zy, lo, hi };
        for mode in Rounding::ALL {
            for a in -32768..=32767 {
                let expected =
                    quantized(i128::from(a - za) * i128::from(m), shift, (zy, lo, hi), mode);
                assert_eq!(
                    i128::from(rescale(a, &params, mode)),
                    expected,
                    "{a} {params:?} {mode}"
                );
                assert_eq!(rescale(a, &params, mode), add(a, -7, &sum, mode));
            }
        }
    }
}

fn pairs() -> impl Iterator<Item = (i32, i32)> {
    (-128..=127).flat_map(|a| (-128..=127).map(move |b| (a, b)))
}

#[test]
fn lut16_interpolates_exactly_even_between_extremes() {
    let extremes = std::array::from_fn(|i| if i % 2 == 0 { i16::MIN } else { i16::MAX });
    let odd: [i16; LUT16_NODES] = std::array::from_fn(|i| (i * i % 9973) as i16 - 4000);
    for nodes in [extremes, odd] {
        for v in i16::MIN..=i16::MAX {
            let offset = i128::from(v) + 32768;
            let (segment, within) = ((offset / 128) as usize, offset % 128);
            let (left, right) = (i128::from(nodes[segment]), i128::from(nodes[segment + 1]));
            let exact = left * (128 - within) + right * within;
            let expected = round_ratio(exact, 128, Rounding::HalfUp);
            assert_eq!(i128::from(lut16(&nodes, v)), expected, "{v}");
        }
    }
}

#[test]
fn lut16_of_a_line_is_the_line() {
    let nodes = std::array::from_fn(|i| (64 * i as i32 - 16384) as i16);
    for v in i16::MIN..=i16::MAX {
        assert_eq!(i32::from(lut16(&nodes, v)), (i32::from(v) + 1) >> 1);
    }
}

/// Softmax with rationals: the quotient `256 * E / T` rounded half up by definition.
fn softmax_oracle(x: &[i8], exp: &[u32; 256]) -> Vec<i8> {
    let max = x.iter().map(|&v| i32::from(v)).max().unwrap();
    let weights: Vec<i128> = x.iter().map(|&v| exp[(max - i32::from(v)) as usize].into()).collect();
    let total = weights.iter().sum::<i128>().max(1);
    let stored = |e: &i128| round_ratio(256 * e, total, Rounding::HalfUp) - 128;
    weights.iter().map(|e| stored(e).min(127) as i8).collect()
}

fn check_softmax(x: &[i8], exp: &[u32; 256]) {
    let mut out = vec![0; x.len()];
    softmax_row(x, exp, &mut out);
    assert_eq!(out, softmax_oracle(x, exp));
}

proptest! {
    #[test]
    fn softmax_is_the_rounded_quotient(
        x in prop::collection::vec(any::<i8>(), 1..200),
        exp in prop::collection::vec((any::<u32>(), 0u32..32).prop_map(|(e, down)| e >> down), 256),
    ) {
        check_softmax(&x, &exp.try_into().unwrap());
    }
}

#[test]
fn softmax_of_the_longest_row_and_of_degenerate_tables() {
    let x: Vec<i8> = (0..65536).map(|i| (i * 7 % 256) as u8 as i8).collect();
    check_softmax(&x, &[u32::MAX; 256]);
    check_softmax(&x[..300], &[0; 256]);
    check_softmax(&[5], &[1; 256]);
    check_softmax(&[-128, 127], &std::array::from_fn(|d| 1 << (23 - d.min(23))));
    softmax_row(&[], &[1; 256], &mut [7]);
}

#[test]
fn softmax_is_within_half_a_unit_of_the_real_function() {
    let scale = 0.05;
    let exp = std::array::from_fn(|d| ((-(d as f64) * scale).exp() * 8388608.0).round() as u32);
    for (n, step) in [(2, 91), (10, 37), (128, 13), (1000, 7)] {
        let x: Vec<i8> = (0..n).map(|i| (i * step % 251) as u8 as i8).collect();
        let mut out = vec![0; n];
        softmax_row(&x, &exp, &mut out);
        let real: Vec<f64> = x.iter().map(|&v| (f64::from(v) * scale).exp()).collect();
        let total: f64 = real.iter().sum();
        for (&y, e) in out.iter().zip(&real) {
            let exact = (256.0 * e / total).min(255.0);
            assert!((f64::from(y) + 128.0 - exact).abs() <= 0.5 + 1e-3, "{y} for {exact}");
        }
    }
}
