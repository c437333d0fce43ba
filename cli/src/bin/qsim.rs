//! The `qsim` binary.

fn main() {}
