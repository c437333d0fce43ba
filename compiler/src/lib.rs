//! How a network becomes a program.

pub mod backend;
pub mod calibrate;
pub mod compile;
mod evaluate;
pub mod options;
pub mod passes;
pub mod quantize;
#[cfg(test)]
mod testing;
pub mod validate;
