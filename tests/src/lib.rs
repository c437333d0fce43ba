//! Shared parts of the cross-crate tests: oracles and generators.
