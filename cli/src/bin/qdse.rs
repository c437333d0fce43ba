//! The `qdse` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    qcc::qdse_main()
}
