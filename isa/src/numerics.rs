//! The arithmetic of the machine: the only definitions of rounding, saturation and requantization.
//!
//! Everything that computes a value (compiler, host runtime, simulator) calls these functions or is tested against
//! them, so that what is measured is what is shipped. All of it is `i64` integer arithmetic; no function here can
//! overflow silently, panic, or see a floating-point operation. [`encode`] turns real scales into multipliers and
//! does so on the bits of the `f64`. `docs/numerics.md` explains the arithmetic from first principles.
#![deny(clippy::float_arithmetic)]

mod elementwise;
pub mod encode;
mod error;
mod nonlinear;
pub mod param;
mod requant;
mod rounding;
mod width;

pub use elementwise::{
    AddParams, MulParams, PReluParams, RescaleParams, add, max, min, mul, prelu, rescale,
};
pub use encode::AddMultipliers;
pub use error::NumericsError;
pub use nonlinear::{LUT16_NODES, lut16, softmax_row};
pub use requant::{MAX_MULTIPLIER_BITS, MAX_SHIFT, Requant, product_fits, requantize};
pub use rounding::{Rounding, round_shift};
pub use width::{accumulator_bits, accumulator_bound, fits, wrap};

#[cfg(test)]
mod tests;
