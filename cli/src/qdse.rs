//! `qdse`: which bit widths and which machine.

pub(crate) mod args;
mod checks;
mod folder;
mod identity;
mod merge;
mod mixed;
mod source;
mod study;
mod sweep;
mod what_if;

use std::process::ExitCode;

use clap::CommandFactory;

use args::{Cli, Command};
pub(crate) use what_if::report;

/// Runs the command.
pub(crate) fn main() -> ExitCode {
    let other = crate::qcc::args::Cli::command();
    let cli = match crate::usage::parse(|cli: &Cli| cli.sweep.source.model.as_deref(), &other) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let talk = cli.talk.talk();
    let result = match &cli.command {
        None => sweep::sweep_command(&cli.sweep, talk),
        Some(Command::Study(args)) => study::study_command(args, talk),
        Some(Command::Merge(args)) => merge::merge_command(args, talk),
        Some(Command::WhatIf(args)) => what_if::what_if_command(args, talk),
    };
    crate::finish(result, cli.talk.color)
}
