//! Addition, multiplication, extrema and rescaling of stored integers, each with exactly one rounding.
//!
//! Rescaling both operands of an addition before adding would round twice: one result in six would be off by one.

use super::requant::narrow;
use super::{Requant, Rounding, requantize, round_shift};

/// Constants of `y = clamp(round(((a - za) * ma + (b - zb) * mb) / 2^shift) + zy, lo, hi)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddParams {
    /// Signed multiplier of `a`: `Sa / Sy * 2^shift`.
    pub ma: i32,
    /// Signed multiplier of `b`: `Sb / Sy * 2^shift`, negative for a subtraction.
    pub mb: i32,
    /// Common right shift, 0..=62.
    pub shift: u8,
    /// Zero point of `a`.
    pub za: i32,
    /// Zero point of `b`.
    pub zb: i32,
    /// Zero point of the result.
    pub zy: i32,
    /// Smallest result.
    pub lo: i32,
    /// Largest result.
    pub hi: i32,
}

/// Constants of `y = clamp(round((a - za) * (b - zb) * M / 2^S) + zy, lo, hi)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MulParams {
    /// `M / 2^S = Sa * Sb / Sy`.
    pub requant: Requant,
    /// Zero point of `a`.
    pub za: i32,
    /// Zero point of `b`.
    pub zb: i32,
    /// Zero point of the result.
    pub zy: i32,
    /// Smallest result.
    pub lo: i32,
    /// Largest result.
    pub hi: i32,
}

/// Constants of `y = clamp(round((x - za) * (x >= za ? positive : negative) / 2^shift) + zy, lo, hi)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PReluParams {
    /// Multiplier from the zero point on: `Sx / Sy * 2^shift`.
    pub positive: u32,
    /// Multiplier below the zero point: `slope * Sx / Sy * 2^shift`.
    pub negative: i64,
    /// Right shift, 0..=62.
    pub shift: u8,
    /// Zero point of `x`.
    pub za: i32,
    /// Zero point of the result.
    pub zy: i32,
    /// Smallest result.
    pub lo: i32,
    /// Largest result.
    pub hi: i32,
}

/// Constants of `y = clamp(round((a - za) * m / 2^shift) + zy, lo, hi)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RescaleParams {
    /// Signed multiplier: `Sa / Sy * 2^shift`.
    pub m: i32,
    /// Right shift, 0..=62.
    pub shift: u8,
    /// Zero point of `a`.
    pub za: i32,
    /// Zero point of the result.
    pub zy: i32,
    /// Smallest result.
    pub lo: i32,
    /// Largest result.
    pub hi: i32,
}

/// `(value - zero) * multiplier`; beyond 64 bits (no stored int16 comes near) it saturates.
#[inline]
fn scaled(value: i32, zero: i32, multiplier: impl Into<i64>) -> i64 {
    (i64::from(value) - i64::from(zero)).saturating_mul(multiplier.into())
}

/// Sum of two stored integers of different scales; see [`AddParams`]. One rounding for both operands.
#[inline]
#[must_use]
pub fn add(a: i32, b: i32, p: &AddParams, mode: Rounding) -> i32 {
    let sum = scaled(a, p.za, p.ma).saturating_add(scaled(b, p.zb, p.mb));
    narrow(round_shift(sum, p.shift, mode), p.zy, p.lo, p.hi)
}

/// The larger of two stored integers of different scales, with the constants of an addition:
/// `clamp(round(max((a - za) * ma, (b - zb) * mb) / 2^shift) + zy, lo, hi)`. Rounding is monotone, so this is the larger of
/// the two rescaled operands.
#[inline]
#[must_use]
pub fn max(a: i32, b: i32, p: &AddParams, mode: Rounding) -> i32 {
    let larger = scaled(a, p.za, p.ma).max(scaled(b, p.zb, p.mb));
    narrow(round_shift(larger, p.shift, mode), p.zy, p.lo, p.hi)
}

/// The smaller of two stored integers; as [`max`].
#[inline]
#[must_use]
pub fn min(a: i32, b: i32, p: &AddParams, mode: Rounding) -> i32 {
    let smaller = scaled(a, p.za, p.ma).min(scaled(b, p.zb, p.mb));
    narrow(round_shift(smaller, p.shift, mode), p.zy, p.lo, p.hi)
}

/// A leaky ReLU of any slope; see [`PReluParams`].
#[inline]
#[must_use]
pub fn prelu(x: i32, p: &PReluParams, mode: Rounding) -> i32 {
    let multiplier = if x >= p.za { i64::from(p.positive) } else { p.negative };
    narrow(round_shift(scaled(x, p.za, multiplier), p.shift, mode), p.zy, p.lo, p.hi)
}

/// Product of two stored integers; see [`MulParams`].
#[inline]
#[must_use]
pub fn mul(a: i32, b: i32, p: &MulParams, mode: Rounding) -> i32 {
    let product = (i64::from(a) - i64::from(p.za)).saturating_mul(i64::from(b) - i64::from(p.zb));
    requantize(product, p.requant, p.zy, p.lo, p.hi, mode)
}

/// The same real value at another scale, zero point or width; see [`RescaleParams`].
#[inline]
#[must_use]
pub fn rescale(a: i32, p: &RescaleParams, mode: Rounding) -> i32 {
    narrow(round_shift(scaled(a, p.za, p.m), p.shift, mode), p.zy, p.lo, p.hi)
}
