//! What can be wrong with a scale, a multiplier or a stored parameter.

use thiserror::Error;

/// A number that the arithmetic of the machine cannot represent.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum NumericsError {
    /// A scale that is zero, infinite, not a number, or negative where only positive ones make sense.
    #[error("scale {scale}: must be {expected}")]
    BadScale {
        /// The offending scale.
        scale: f64,
        /// The accepted kind of number.
        expected: &'static str,
    },
    /// A scale that would need a left shift.
    #[error(
        "scale {scale}: too large for a {bits}-bit multiplier without a left shift; give the result a larger scale"
    )]
    ScaleTooLarge {
        /// The offending scale.
        scale: f64,
        /// Significant bits of the multiplier.
        bits: u8,
    },
    /// A multiplier width outside the machine's range.
    #[error("multiplier of {bits} bits: must have 1..=31")]
    BadMultiplierBits {
        /// The offending width.
        bits: u8,
    },
    /// A multiplier that does not fit its field.
    #[error("multiplier {multiplier}: must be below 2^{bits}")]
    MultiplierTooWide {
        /// The offending multiplier.
        multiplier: u32,
        /// Bits of the field.
        bits: u8,
    },
    /// A shift above 62.
    #[error("shift {shift}: must be 0..=62")]
    ShiftTooLarge {
        /// The offending shift.
        shift: u8,
    },
    /// A bias that does not fit its field.
    #[error("bias {bias}: must fit a signed {bits}-bit integer")]
    BiasTooWide {
        /// The offending bias.
        bias: i64,
        /// Bits of the field.
        bits: u8,
    },
    /// A packed parameter entry of the wrong length.
    #[error("parameter entry of {found} bytes: must have {expected}")]
    EntryLength {
        /// Bytes given.
        found: usize,
        /// Bytes of one entry.
        expected: usize,
    },
    /// A packed parameter entry with a reserved bit set.
    #[error("parameter entry has reserved bits set ({bits:#x}): must be zero")]
    ReservedBits {
        /// The reserved bits, shifted down to bit 0.
        bits: u32,
    },
    /// A word that names no rounding mode.
    #[error("unknown rounding mode `{found}`: must be half-even, half-up, half-away or floor")]
    UnknownRounding {
        /// The word.
        found: String,
    },
}
