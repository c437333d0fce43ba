//! Requantization: from a wide accumulator to a stored integer, by one multiplication, one rounding and one clamp.
//!
//! `M / 2^S` approximates `Sx * Sw / Sy` (Jacob et al., 2018, "Quantization and training of neural networks for
//! efficient integer-arithmetic-only inference", section 2.2), but with a single rounding instead of a cascade.

use serde::{Deserialize, Serialize};

use super::{NumericsError, Rounding, round_shift};

/// Largest right shift of a requantization.
pub const MAX_SHIFT: u8 = 62;

/// Widest multiplier in bits.
pub const MAX_MULTIPLIER_BITS: u8 = 31;

/// The positive real factor `multiplier / 2^shift`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Requant {
    /// `M`, below 2^31.
    pub multiplier: u32,
    /// `S`, 0..=62.
    pub shift: u8,
}

impl Requant {
    /// The factor 1.
    pub const ONE: Requant = Requant { multiplier: 1, shift: 0 };

    /// A factor from its two parts.
    ///
    /// # Errors
    /// When `multiplier` is 2^31 or more or `shift` is above 62.
    pub const fn new(multiplier: u32, shift: u8) -> Result<Requant, NumericsError> {
        if multiplier >> MAX_MULTIPLIER_BITS != 0 {
            return Err(NumericsError::MultiplierTooWide { multiplier, bits: MAX_MULTIPLIER_BITS });
        }
        if shift > MAX_SHIFT {
            return Err(NumericsError::ShiftTooLarge { shift });
        }
        Ok(Requant { multiplier, shift })
    }
}

/// `clamp(round(acc * M / 2^S) + zero_point, lo, hi)`.
///
/// The product register has 64 bits and saturates; [`product_fits`] proves that it does not, and every 32-bit
/// accumulator is safe. The sum with the zero point saturates too, before the clamp. If `lo > hi` the result is `hi`.
#[inline]
#[must_use]
pub fn requantize(acc: i64, rq: Requant, zero_point: i32, lo: i32, hi: i32, mode: Rounding) -> i32 {
    let product = acc.saturating_mul(i64::from(rq.multiplier));
    narrow(round_shift(product, rq.shift, mode), zero_point, lo, hi)
}

/// Adds the zero point and clamps, in `i64`, before narrowing.
#[inline]
pub(super) fn narrow(rounded: i64, zero_point: i32, lo: i32, hi: i32) -> i32 {
    let value = rounded.saturating_add(i64::from(zero_point));
    // Not `clamp`, which panics when the bounds are crossed, and bounds may come from outside.
    let value = value.max(i64::from(lo)).min(i64::from(hi));
    i32::try_from(value).expect("`value` lies between two i32 values")
}

/// Whether `|acc| <= acc_abs_max` keeps requantization inside 64 bits: `acc_abs_max * M + 2^(S-1) < 2^63`. No shift above
/// [`MAX_SHIFT`] does.
#[must_use]
pub const fn product_fits(acc_abs_max: u64, rq: Requant) -> bool {
    if rq.shift > MAX_SHIFT {
        return false;
    }
    let half = if rq.shift == 0 { 0 } else { 1u128 << (rq.shift - 1) };
    acc_abs_max as u128 * rq.multiplier as u128 + half < 1 << 63
}
