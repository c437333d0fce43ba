//! Shared parts of the cross-crate tests: generators and oracles.

pub mod generate;
pub mod machines;
pub mod oracle;
