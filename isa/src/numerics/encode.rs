//! From real scales to integer multipliers and shifts: the compile-time side of requantization.
//!
//! A scale is a double; its significand is rounded, half to even and exactly once, to the multiplier's width. That is
//! done on the bits of the double, so every machine gets the same integers. An imported scale that is a product of
//! 32-bit floats has at most 24 significant bits and passes through a 24-bit multiplier unchanged.

use super::{MAX_MULTIPLIER_BITS, MAX_SHIFT, NumericsError, Requant, Rounding, round_shift};

/// On a shift-only machine (`add_multiplier_bits` = 1) the multipliers of an addition are at most 2^15.
const SHIFT_ONLY_ADD_LOG2: i32 = 15;

const MAX_SHIFT_I32: i32 = MAX_SHIFT as i32;

impl Requant {
    /// The factor nearest to `scale` whose multiplier has exactly `multiplier_bits` significant bits
    /// (2^(bits-1) <= M < 2^bits); 1 bit gives powers of two.
    ///
    /// A scale so small that it would need a shift above 62 gets shift 62 and a smaller multiplier, again by a single
    /// rounding; it may become 0.
    ///
    /// # Errors
    /// When `scale` is not positive and finite, when it is too large for a right shift (about
    /// `scale >= 2^multiplier_bits`), or when `multiplier_bits` is not 1..=31.
    pub fn from_scale(scale: f64, multiplier_bits: u8) -> Result<Requant, NumericsError> {
        check_bits(multiplier_bits)?;
        let real = Real::new(scale).filter(|real| !real.negative);
        let real =
            real.ok_or(NumericsError::BadScale { scale, expected: "positive and finite" })?;
        let shift = real.normalising_shift(multiplier_bits);
        if shift < 0 {
            return Err(NumericsError::ScaleTooLarge { scale, bits: multiplier_bits });
        }
        let shift = shift.min(MAX_SHIFT_I32);
        Ok(Requant { multiplier: real.magnitude(shift).unsigned_abs(), shift: to_field(shift) })
    }
}

/// Multipliers and common shift of an addition: `ma / 2^shift` and `mb / 2^shift`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddMultipliers {
    /// Signed multiplier of the first operand.
    pub ma: i32,
    /// Signed multiplier of the second operand.
    pub mb: i32,
    /// Common right shift, 0..=62.
    pub shift: u8,
}

impl AddMultipliers {
    /// The multipliers nearest to `scale_a` (`Sa / Sy`) and `scale_b` (`Sb / Sy`, negative to subtract).
    ///
    /// The larger magnitude has exactly `multiplier_bits` significant bits, the other shares its shift; each is
    /// rounded once, and shifts above 62 are handled as in [`Requant::from_scale`]. With 1 bit (a shift-only machine)
    /// both are powers of two, the smaller one 1 where possible and the larger at most 2^15; an operand more than
    /// 2^15 times smaller than the other becomes 0 or 1.
    ///
    /// # Errors
    /// When a scale is zero or not finite, when the larger one is too large for a right shift, or when
    /// `multiplier_bits` is not 1..=31.
    pub fn from_scales(
        scale_a: f64,
        scale_b: f64,
        multiplier_bits: u8,
    ) -> Result<Self, NumericsError> {
        check_bits(multiplier_bits)?;
        let real = |scale| {
            Real::new(scale).ok_or(NumericsError::BadScale { scale, expected: "finite and not 0" })
        };
        let (a, b) = (real(scale_a)?, real(scale_b)?);
        let larger = if a.order() >= b.order() { scale_a } else { scale_b };
        let too_large = NumericsError::ScaleTooLarge { scale: larger, bits: multiplier_bits };
        if multiplier_bits == 1 {
            return Self::powers_of_two(a, b).ok_or(too_large);
        }
        let shift = a.normalising_shift(multiplier_bits).min(b.normalising_shift(multiplier_bits));
        if shift < 0 {
            return Err(too_large);
        }
        let shift = shift.min(MAX_SHIFT_I32);
        let signed = |real: Real| real.signed(real.magnitude(shift));
        Ok(AddMultipliers { ma: signed(a), mb: signed(b), shift: to_field(shift) })
    }

    /// The multiplier of a rescaling, which is an addition with one operand: `mb` is 0.
    ///
    /// # Errors
    /// As [`from_scales`](Self::from_scales).
    pub fn from_scale(scale: f64, multiplier_bits: u8) -> Result<Self, NumericsError> {
        Ok(AddMultipliers { mb: 0, ..Self::from_scales(scale, scale, multiplier_bits)? })
    }

    /// The shift-only form; `None` when the larger operand is 2^16 or more.
    fn powers_of_two(a: Real, b: Real) -> Option<Self> {
        let (low, high) = (a.log2().min(b.log2()), a.log2().max(b.log2()));
        let shift = (-low).min(SHIFT_ONLY_ADD_LOG2 - high).clamp(0, MAX_SHIFT_I32);
        if high + shift > SHIFT_ONLY_ADD_LOG2 {
            return None;
        }
        let multiplier = |real: Real| {
            let exponent = real.log2() + shift;
            real.signed(if exponent >= 0 { 1 << exponent } else { real.magnitude(shift) })
        };
        Some(AddMultipliers { ma: multiplier(a), mb: multiplier(b), shift: to_field(shift) })
    }
}

/// A finite double other than zero: `+-significand * 2^exponent` with `2^52 <= significand < 2^53`, or a subnormal with
/// a smaller significand, so far below 2^-62 that every multiplier made of it is 0.
#[derive(Clone, Copy)]
struct Real {
    negative: bool,
    significand: i64,
    exponent: i32,
}

impl Real {
    fn new(value: f64) -> Option<Self> {
        if !value.is_finite() || value == 0.0 {
            return None;
        }
        let bits = value.abs().to_bits();
        let biased = i32::try_from(bits >> 52).expect("eleven bits");
        let fraction = (bits & ((1 << 52) - 1)).cast_signed();
        let leading = if biased == 0 { 0 } else { 1 << 52 };
        let (significand, exponent) = (fraction | leading, biased.max(1) - 1075);
        Some(Real { negative: value.is_sign_negative(), significand, exponent })
    }

    /// Sort key by magnitude.
    fn order(self) -> (i32, i64) {
        (self.exponent, self.significand)
    }

    /// The shift for which the magnitude, rounded to `bits` significant bits, lies in `2^(bits-1)..2^bits`.
    fn normalising_shift(self, bits: u8) -> i32 {
        let rounded = round_shift(self.significand, 53 - bits, Rounding::HalfEven);
        let carried = i32::from(rounded >> bits != 0);
        i32::from(bits) - 53 - self.exponent - carried
    }

    /// Exponent of the nearest power of two.
    fn log2(self) -> i32 {
        -self.normalising_shift(1)
    }

    /// `|self| * 2^shift` rounded half to even; the caller has chosen `shift` so that it is below 2^31.
    fn magnitude(self, shift: i32) -> i32 {
        // A significand below 2^53 shifted down by 54 or more is below one half.
        let down = u8::try_from(-(self.exponent + shift)).unwrap_or(u8::MAX).min(54);
        let rounded = round_shift(self.significand, down, Rounding::HalfEven);
        i32::try_from(rounded).expect("the shift leaves at most 31 bits")
    }

    fn signed(self, magnitude: i32) -> i32 {
        if self.negative { -magnitude } else { magnitude }
    }
}

fn check_bits(bits: u8) -> Result<(), NumericsError> {
    if (1..=MAX_MULTIPLIER_BITS).contains(&bits) {
        Ok(())
    } else {
        Err(NumericsError::BadMultiplierBits { bits })
    }
}

fn to_field(shift: i32) -> u8 {
    u8::try_from(shift).expect("the shift was limited to 0..=62")
}
