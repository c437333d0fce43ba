//! The command line of qcc, qsim and qdse: the only place that prints.
//!
//! Results go to stdout, talk to stderr; files appear whole or not at all. Exit codes: 0 done, 1 input refused, 2 usage, 3 ran but a check or
//! constraint failed, 101 a bug of ours, 130 interrupted.

mod args;
mod data;
mod error;
mod fetch;
mod float_model;
mod host;
mod images;
mod interrupt;
mod output;
mod parts;
mod preprocess;
mod progress;
mod qcc;
mod qdse;
mod qsim;
pub mod reference;
pub mod untrusted;
mod usage;

use std::process::ExitCode;

use error::CliError;

/// Runs `qcc` on the process's arguments.
#[must_use]
pub fn qcc_main() -> ExitCode {
    interrupt::watch();
    qcc::main()
}

/// Runs `qsim` on the process's arguments.
#[must_use]
pub fn qsim_main() -> ExitCode {
    interrupt::watch();
    qsim::main()
}

/// Runs `qdse` on the process's arguments.
#[must_use]
pub fn qdse_main() -> ExitCode {
    interrupt::watch();
    qdse::main()
}

/// Turns a command's result into an exit code, saying what went wrong.
fn finish(result: Result<(), CliError>, color: args::Color) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !matches!(error, CliError::Closed) {
                let label = if color.on_stderr() { "\x1b[1;31merror:\x1b[0m" } else { "error:" };
                output::say(&format!("{label} {error}\n"));
            }
            error.exit_code()
        }
    }
}
