//! The instructions at the speed of the host runtime: whole rows, the same kernels, no checks of single values.
//!
//! Where a machine or an instruction leaves what the int8 kernels cover (16-bit operands, accumulators above 32 bits, other
//! rounding modes) the loops fall back on `isa::numerics` element by element, still a row at a time. Results equal the reference
//! wherever the reference does not trap.

mod array;
mod drain;
mod elementwise;
mod mover;
mod requant;
mod rows;
mod taps;
mod transfer;
mod window;

pub(super) use array::conv;
pub(super) use drain::drain;
pub(super) use elementwise::{add, lut, max, mul, prelu};
pub(super) use mover::{fill, move_bytes};
pub(super) use transfer::{load, store};
pub(super) use window::{depthwise, pool};

/// Buffers that live as long as a machine, so that no instruction allocates once they have grown. Their contents mean nothing between
/// instructions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch {
    /// Starts of the segments of the left operand of a product.
    offsets: Vec<u32>,
    /// Weights in the order of the segments.
    weights: Vec<i8>,
    /// Sums of an int8 product.
    sums: Vec<i32>,
    /// Sums of an int16 product.
    wide_sums: Vec<i64>,
    /// Windows of a 16-bit operand, copied together.
    windows: Vec<i16>,
    /// Results before they are written.
    bytes: Vec<i8>,
}

/// Numbers that a buffer of [`Scratch`] may hold: larger tiles are done in pieces. Small in tests, so that they meet the seams.
const BUFFER: usize = if cfg!(test) { 64 } else { 1 << 20 };

/// Products of two int8 that certainly fit an `i32` sum: `2^16 * 2^14 = 2^30`. Smaller in tests for the same reason.
const SAFE_PRODUCTS: usize = if cfg!(test) { 64 } else { 1 << 16 };
