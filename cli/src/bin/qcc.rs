//! The `qcc` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    qcc::qcc_main()
}
