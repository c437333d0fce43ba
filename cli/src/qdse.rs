//! `qdse`: which bit widths and which machine.

pub(crate) mod args;
mod study;

use std::process::ExitCode;

use clap::CommandFactory;

use args::{Cli, Command};

/// Runs the command.
pub(crate) fn main() -> ExitCode {
    let other = crate::qcc::args::Cli::command();
    let cli = match crate::usage::parse(|_: &Cli| None, &other) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let talk = cli.talk.talk();
    let result = match &cli.command {
        Command::Study(args) => study::study_command(args, talk),
    };
    crate::finish(result, cli.talk.color)
}
