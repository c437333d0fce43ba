//! Accumulators that ONNX Runtime requantizes to another integer.
//!
//! Its kernels compute `rint(fl32(fl32(acc) * s))` with `s = fl32(fl32(Sx * Sw) / Sy)`; ours, `acc * M / 2^S` with one rounding.
//! Both are non-decreasing in `acc`, so each is known by where it steps, and the accumulators that differ are those between
//! the two places of the same step.

use isa::numerics::{Requant, Rounding, requantize};

use crate::onnx::{factor, weight_scale};
use crate::qgraph::Bounds;

/// Accumulators in a row whose result differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The first.
    pub first: i64,
    /// The last.
    pub last: i64,
}

impl Difference {
    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.last.abs_diff(self.first) + 1
    }
}

/// Our requantization.
#[derive(Clone, Copy)]
pub(super) struct Own {
    pub(super) requant: Requant,
    pub(super) mode: Rounding,
}

/// ONNX Runtime's: its factor `s`.
#[derive(Clone, Copy)]
pub(super) struct Float(f32);

impl Float {
    /// The factor when the weight scale is the one of the [exported](crate::onnx::save_qdq) model.
    pub(super) fn new(requant: Requant, input_scale: f64, output_scale: f64) -> Option<Float> {
        let (sx, sy) = (input_scale as f32, output_scale as f32);
        let sw = weight_scale(factor(requant), sx, sy)?;
        Some(Float((sx * sw) / sy)).filter(|s| s.0.is_finite())
    }

    fn requantize(self, acc: i64, zero_point: i32, bounds: Bounds) -> i32 {
        // Bounds are at most 16 bits, exact as floats; so is what is left between them.
        let (lo, hi) = (bounds.lo - zero_point, bounds.hi - zero_point);
        let product = (acc as f32) * self.0;
        product.max(lo as f32).min(hi as f32).round_ties_even() as i32 + zero_point
    }
}

/// All accumulators in `min..=max` for which the two differ, in order.
pub(super) fn differences(
    own: Own,
    ort: Float,
    zero_point: i32,
    bounds: Bounds,
    (min, max): (i64, i64),
) -> Vec<Difference> {
    let ours = |acc: i64| requantize(acc, own.requant, zero_point, bounds.lo, bounds.hi, own.mode);
    let theirs = |acc: i64| ort.requantize(acc, zero_point, bounds);
    let lowest = ours(min).min(theirs(min));
    let highest = ours(max).max(theirs(max));
    let mut found: Vec<Difference> = Vec::new();
    for result in lowest + 1..=highest {
        let a = first_at_least(result, min, max, ours);
        let b = first_at_least(result, min, max, theirs);
        if a == b {
            continue;
        }
        let (first, last) = (a.min(b), a.max(b) - 1);
        match found.last_mut() {
            // One accumulator may be late for several results.
            Some(before) if first <= before.last + 1 => before.last = before.last.max(last),
            Some(_) | None => found.push(Difference { first, last }),
        }
    }
    found
}

/// The first of `min..=max` whose image under a non-decreasing function is `result` or more; `max + 1` if there is none.
fn first_at_least(result: i32, min: i64, max: i64, f: impl Fn(i64) -> i32) -> i64 {
    let (mut below, mut rest) = (min, max - min + 1);
    while rest > 0 {
        let half = rest / 2;
        if f(below + half) < result {
            below += half + 1;
            rest -= half + 1;
        } else {
            rest = half;
        }
    }
    below
}
