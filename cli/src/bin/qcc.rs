//! The `qcc` binary.

fn main() {}
