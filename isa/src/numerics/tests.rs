//! The arithmetic against definitions written another way: exact rationals on `i128`, by division instead of shifts.

mod encode;
mod operators;
mod param;
mod rounding;
mod width;

use super::Rounding;

/// `numerator / denominator` rounded by the textbook definition of each mode. `denominator > 0`.
fn round_ratio(numerator: i128, denominator: i128, mode: Rounding) -> i128 {
    let floor = numerator.div_euclid(denominator);
    let half_up = |n: i128| (2 * n + denominator).div_euclid(2 * denominator);
    match mode {
        Rounding::HalfEven => {
            let below = numerator - floor * denominator;
            let above = (floor + 1) * denominator - numerator;
            match below.cmp(&above) {
                std::cmp::Ordering::Less => floor,
                std::cmp::Ordering::Greater => floor + 1,
                std::cmp::Ordering::Equal => floor + floor.rem_euclid(2),
            }
        }
        Rounding::HalfUp => half_up(numerator),
        Rounding::HalfAway => numerator.signum() * half_up(numerator.abs()),
        Rounding::Floor => floor,
    }
}

/// `clamp(round(numerator / 2^shift) + zero, lo, hi)`.
fn quantized(numerator: i128, shift: u8, output: (i32, i32, i32), mode: Rounding) -> i128 {
    let (zero, lo, hi) = output;
    let rounded = round_ratio(numerator, 1 << shift, mode);
    (rounded + i128::from(zero)).clamp(lo.into(), hi.into())
}
