//! The `qsim` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    qcc::qsim_main()
}
