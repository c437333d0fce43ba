use isa::numerics::{Requant, Rounding, requantize};
use proptest::prelude::*;

use super::rounding::{Difference, Float, Own, differences};
use super::*;
use crate::qgraph::Bounds;

const BOUNDS: Bounds = Bounds { lo: -128, hi: 127 };

fn differ(own: Own, ort: f64, range: (i64, i64)) -> Vec<Difference> {
    let ort = Float::new(Requant::from_scale(ort, 24).unwrap(), 1.0, 1.0).unwrap();
    differences(own, ort, 3, BOUNDS, range)
}

#[test]
fn a_decimal_scale_differs_at_its_ties_only() {
    // fl32(0.1) is above 0.1, so that 5 * fl32(0.1) is above a tie; float32 rounds the product down onto the tie, then to even.
    let own = Own {
        requant: Requant::from_scale(f64::from(0.1f32), 24).unwrap(),
        mode: Rounding::HalfEven,
    };
    let found = differ(own, f64::from(0.1f32), (-2000, 2000));
    assert!(found.contains(&Difference { first: 5, last: 5 }), "{found:?}");
    assert!(found.iter().all(|d| d.first == d.last && d.first.rem_euclid(10) == 5), "{found:?}");
    let exact = Own { requant: Requant::from_scale(0.125, 24).unwrap(), mode: Rounding::HalfEven };
    assert_eq!(differ(exact, 0.125, (-2000, 2000)), []);
    let up = Own { mode: Rounding::HalfUp, ..exact };
    // (-128 - 3) * 8 < acc <= (127 - 3) * 8: ties between an even integer and the odd one above it go up to the odd one.
    assert!(
        differ(up, 0.125, (-2000, 2000))
            .iter()
            .all(|d| d.first.rem_euclid(16) == 4 && d.first == d.last)
    );
    assert_eq!(differ(up, 0.125, (0, 100)).len(), 7);
}

proptest! {
    #[test]
    fn what_is_listed_differs_and_nothing_else(
        scale in prop_oneof![1e-4f64..1.0, (1u32..100).prop_map(|n| f64::from(n as f32 / 100.0))],
        bits in 1u8..=24,
        middle in prop_oneof![-300i64..300, -(1i64 << 26)..(1 << 26)],
        mode in prop::sample::select(&[Rounding::HalfEven, Rounding::HalfUp, Rounding::HalfAway, Rounding::Floor]),
    ) {
        let requant = Requant::from_scale(scale, bits).unwrap();
        let ort = Float::new(Requant::from_scale(scale, 24).unwrap(), 1.0, 1.0).unwrap();
        let (min, max) = (middle - 3000, middle + 3000);
        let found = differences(Own { requant, mode }, ort, 3, BOUNDS, (min, max));
        let expected: Vec<i64> = (min..=max)
            .filter(|&acc| {
                let s = (Requant::from_scale(scale, 24).unwrap().multiplier as f32)
                    / 2f32.powi(Requant::from_scale(scale, 24).unwrap().shift.into());
                let float = ((acc as f32) * s).clamp(-131.0, 124.0).round_ties_even() as i32 + 3;
                float != requantize(acc, requant, 3, BOUNDS.lo, BOUNDS.hi, mode)
            })
            .collect();
        let listed: Vec<i64> = found.iter().flat_map(|d| d.first..=d.last).collect();
        prop_assert_eq!(listed, expected);
    }

    #[test]
    fn sums_of_random_operands_stay_inside(
        weights in prop::collection::vec(-127i8..=127, 1..20),
        ends in (-128i32..=127, -128i32..=127),
        bias in -100_000i64..100_000,
        picks in prop::collection::vec(any::<u32>(), 20),
    ) {
        let (lo, hi) = (ends.0.min(ends.1), ends.0.max(ends.1));
        let (min, max) = extremes(&weights, lo, hi, bias);
        let channel = Channel { min, max, bound: accumulator_bound(&weights, lo, hi, bias), differences: None };
        let sum = |x: &dyn Fn(usize) -> i32| -> i64 {
            bias + weights.iter().enumerate().map(|(i, &w)| i64::from(w) * i64::from(x(i))).sum::<i64>()
        };
        let random = sum(&|i| lo + (picks[i] % (hi - lo + 1) as u32) as i32);
        prop_assert!((min..=max).contains(&random));
        let (most, least) = (
            sum(&|i| if weights[i] > 0 { hi } else { lo }),
            sum(&|i| if weights[i] > 0 { lo } else { hi }),
        );
        prop_assert_eq!((least, most), (min, max), "both ends are reached");
        let fits = |bits: u32| isa::numerics::fits(min, bits as u8) && isa::numerics::fits(max, bits as u8);
        prop_assert!(fits(channel.final_bits()) && (channel.final_bits() == 1 || !fits(channel.final_bits() - 1)));
        prop_assert!(channel.final_bits() <= channel.bits());
    }
}
