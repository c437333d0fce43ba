//! Scales that give back integer multipliers when a float runtime multiplies and divides them.

use isa::numerics::Requant;

/// Relative error up to which a value's own scale is taken to have made a multiplier. Half a unit of 24 bits is 2^-24;
/// the quotient of two scales, each rounded to float32, adds as much again.
const SAME: f64 = 1.0 / 4_194_304.0;

/// Floats tried on either side of the first guess.
const NEIGHBOURS: i32 = 4;

/// The real factor of a multiplier and a shift.
pub(crate) fn factor(requant: Requant) -> f64 {
    f64::from(requant.multiplier) / 2f64.powi(requant.shift.into())
}

/// The weight scale `w` for which `fl32(fl32(x * w) / y)`, the factor of ONNX Runtime's quantized kernels, comes nearest
/// to `wanted`; `None` where it leaves the range of float32.
pub(crate) fn weight_scale(wanted: f64, x: f32, y: f32) -> Option<f32> {
    let exact = wanted * f64::from(y) / f64::from(x);
    let error = |w: f32| (f64::from((x * w) / y) - wanted).abs();
    let distance = |w: f32| (f64::from(w) - exact).abs();
    let guess = Some(exact as f32).filter(|guess| guess.is_finite())?;
    let neighbours = (-NEIGHBOURS..=NEIGHBOURS).map(|steps| neighbour(guess, steps));
    let best = neighbours
        .min_by(|&a, &b| error(a).total_cmp(&error(b)).then(distance(a).total_cmp(&distance(b))))?;
    (best.is_finite() && (x * best).is_finite()).then_some(best)
}

/// The float `steps` places above a positive one, or zero.
fn neighbour(value: f32, steps: i32) -> f32 {
    f32::from_bits(value.to_bits().saturating_add_signed(steps))
}

/// Whether an operand at `scale`, divided by `unit`, makes the factor `wanted`, to a rounding relative to `slack`.
pub(super) fn makes(scale: f32, unit: f64, wanted: f64, slack: f64) -> bool {
    (f64::from(scale) / unit - wanted).abs() <= slack * SAME
}

/// The scale at which an operand enters an operator whose factor for it is `wanted` times the result's step: the
/// operand's `own` where that makes the factor, to a rounding relative to `slack`, else the one that does.
pub(super) fn operand_scale(wanted: f64, slack: f64, own: f32, unit: f64) -> f32 {
    if makes(own, unit, wanted, slack) { own } else { (wanted * unit) as f32 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_zero_multiplier_has_a_zero_scale() {
        assert_eq!(weight_scale(0.0, 0.1, 0.2), Some(0.0));
        assert_eq!(weight_scale(1e30, 1e-30, 1e30), None);
    }

    #[test]
    fn an_operand_keeps_its_scale_unless_the_machine_is_coarse() {
        let (own, unit) = (0.3f32, f64::from(0.7f32));
        let exact = Requant::from_scale(f64::from(own) / unit, 24).unwrap();
        assert_eq!(operand_scale(factor(exact), factor(exact), own, unit), own);
        let coarse = Requant::from_scale(f64::from(own) / unit, 1).unwrap();
        assert_eq!(operand_scale(factor(coarse), factor(coarse), own, unit), 0.35);
    }

    proptest! {
        /// Most multipliers come back exactly, and none misses by more than a unit of its 24 bits.
        #[test]
        fn multipliers_come_back(x in 1e-4f32..10.0, y in 1e-4f32..10.0, w in 1e-6f64..1.0) {
            let requant = Requant::from_scale(f64::from(x) * w / f64::from(y), 24);
            prop_assume!(requant.is_ok());
            let wanted = factor(requant.unwrap());
            let scale = weight_scale(wanted, x, y).unwrap();
            let made = f64::from(x * scale / y);
            prop_assert!((made - wanted).abs() <= wanted / f64::from(1 << 23), "{made} {wanted}");
        }
    }
}
