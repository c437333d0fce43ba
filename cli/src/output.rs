//! The only place that prints or writes files: results to stdout, talk to stderr, files whole or not at all.

mod file;

use std::io::Write;

use crate::error::CliError;
pub(crate) use file::{Output, check_distinct, write_file};

/// How much to say on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Errors only.
    Quiet,
    /// Warnings and a line about what was made.
    Normal,
    /// Every step.
    Verbose,
}

/// Where talk goes, and how much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Talk {
    /// How much to say.
    pub verbosity: Verbosity,
}

impl Talk {
    /// A line about what happens.
    pub(crate) fn note(self, text: impl std::fmt::Display) {
        if self.verbosity >= Verbosity::Normal {
            say(&format!("{text}\n"));
        }
    }

    /// A line for `-v`.
    pub(crate) fn detail(self, text: impl std::fmt::Display) {
        if self.verbosity >= Verbosity::Verbose {
            say(&format!("{text}\n"));
        }
    }

    /// Something the user should know but that stops nothing.
    pub(crate) fn warn(self, text: impl std::fmt::Display) {
        if self.verbosity >= Verbosity::Normal {
            say(&format!("warning: {text}\n"));
        }
    }
}

/// Writes to stderr; a closed stderr is nobody's problem.
pub(crate) fn say(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Writes a result to stdout.
///
/// # Errors
/// [`CliError::Closed`] when the reader has gone (a closed pipe), [`CliError::Refused`] when the disk is full.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    print_bytes(text.as_bytes())
}

fn print_bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Err(CliError::Closed),
        Err(e) => Err(CliError::refused(format!("cannot write to stdout: {e}"))),
    }
}
