//! Rounding modes and the rounding right shift, the one place where precision is lost.
//!
//! Round half to even is the default because it alone is unbiased on power-of-two scales and equals the conversion
//! of ONNX Runtime; the other modes exist to compare with machines that have them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{MAX_SHIFT, NumericsError};

/// What a right shift does with the bits it drops. Text names: `half-even`, `half-up`, `half-away`, `floor`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// To nearest, ties to the even neighbour (IEEE 754 `roundTiesToEven`, ONNX).
    #[default]
    HalfEven,
    /// To nearest, ties towards plus infinity (TOSA `apply_scale_32`).
    HalfUp,
    /// To nearest, ties away from zero (C `round`).
    HalfAway,
    /// Towards minus infinity: plain arithmetic shift; for diagnosis, it is biased by half a unit.
    Floor,
}

impl Rounding {
    /// All modes, in declaration order.
    pub const ALL: [Rounding; 4] =
        [Rounding::HalfEven, Rounding::HalfUp, Rounding::HalfAway, Rounding::Floor];

    /// Text name, as in hardware files and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Rounding::HalfEven => "half-even",
            Rounding::HalfUp => "half-up",
            Rounding::HalfAway => "half-away",
            Rounding::Floor => "floor",
        }
    }
}

impl fmt::Display for Rounding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Rounding {
    type Err = NumericsError;

    fn from_str(text: &str) -> Result<Self, NumericsError> {
        let found = Rounding::ALL.into_iter().find(|mode| mode.name() == text);
        found.ok_or_else(|| NumericsError::UnknownRounding { found: text.to_owned() })
    }
}

/// `p / 2^shift` rounded to an integer by `mode`, exact for every `p`: no intermediate sum can overflow.
///
/// Equal to the hardware formulas of `docs/numerics.md` (which add half a unit before the shift) wherever those do
/// not overflow. `shift` is 0..=62; a larger one counts as 62 (no decoder lets it through).
#[inline]
#[must_use]
pub const fn round_shift(p: i64, shift: u8, mode: Rounding) -> i64 {
    if shift == 0 {
        return p;
    }
    let shift = if shift > MAX_SHIFT { MAX_SHIFT } else { shift };
    let quotient = p >> shift;
    let remainder = p & ((1 << shift) - 1);
    let half = 1 << (shift - 1);
    let up = match mode {
        Rounding::HalfEven => remainder + (quotient & 1) > half,
        Rounding::HalfUp => remainder >= half,
        Rounding::HalfAway => remainder >= half + (p < 0) as i64,
        Rounding::Floor => false,
    };
    quotient + up as i64
}
