//! Int8 loops, plain and SIMD.
//!
//! Matrix product, depthwise convolution, dot product, addition and requantization on stored integers, exact in every case: no
//! intermediate saturates, and sums are two's complement `i32`, so that every order of summation gives the same bits.
//! The host runtime and the simulator's array both call these functions, with operands described as rows of segments
//! ([`Rows`]), which covers dense matrices and convolution windows without copying the windows out (im2col).
//!
//! Each function has one plain version, which defines it, and versions for the vector units of x86-64; the best one the
//! processor offers is chosen once ([`InstructionSet::best`]). All versions are proven equal by property tests.
#![deny(clippy::float_arithmetic)]
#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "packing, pointers and strides serve the vector kernels")
)]

mod add;
mod depthwise;
mod depthwise_row;
mod dispatch;
mod dot;
mod gemm;
mod gemm16;
mod matrix;
mod panel_requant;
mod plain;
mod requantize;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use add::{AddConstants, qs8_add};
pub use depthwise::{PackedDepthwise, qs8_depthwise};
pub use depthwise_row::{DepthwiseRow, DepthwiseShape, PackedDepthwiseRow, qs8_depthwise_row};
pub use dispatch::InstructionSet;
pub use dot::qs8_dot;
pub use gemm::{PackedWeights, qs8_gemm, qs8_gemm_requantize, qs8_gemm_unpacked};
pub use gemm16::qs16_gemm;
pub use matrix::{Accumulate, Activation, Rows, Sums};
pub use panel_requant::{ColumnRequant, PanelRequant};
pub use requantize::{PackedRequant, qs8_requantize};

#[cfg(test)]
mod tests;
