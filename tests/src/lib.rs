//! Shared parts of the cross-crate tests: generators and oracles.

pub mod case;
pub mod choices;
pub mod generate;
pub mod machines;
pub mod oracle;
