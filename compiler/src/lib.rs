//! How a network becomes a program.

pub mod backend;
pub mod calibrate;
pub mod compile;
pub mod distill;
mod evaluate;
pub mod options;
pub mod passes;
pub mod quantize;
pub mod random_weights;
pub mod refine;
#[cfg(test)]
mod testing;
pub mod validate;
