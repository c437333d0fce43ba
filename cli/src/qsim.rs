//! `qsim`: run, check, verify, assemble and disassemble programs.

pub(crate) mod args;
mod check;
mod demo;
mod diff;
mod page;
pub(crate) mod run;
mod text;
mod trace;
mod verify;

use std::process::ExitCode;

use clap::CommandFactory;

use args::{Cli, Command};
pub(crate) use text::load;

/// Runs the command.
pub(crate) fn main() -> ExitCode {
    let other = crate::qcc::args::Cli::command();
    let cli = match crate::usage::parse(|cli: &Cli| cli.run.program.as_deref(), &other) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let talk = cli.talk.talk();
    let result = match &cli.command {
        None => run::run(&cli.run, talk),
        Some(Command::Verify { program, accumulators }) => {
            verify::verify(program, accumulators.as_ref().map(Option::as_deref))
        }
        Some(Command::Asm { source, output }) => text::assemble(source, output.as_deref(), talk),
        Some(Command::Disasm { program, output }) => text::disassemble(program, output.as_deref()),
        Some(Command::Diff(args)) => diff::diff(args, talk),
        Some(Command::Demo { output }) => demo::demo(output, talk),
    };
    crate::finish(result, cli.talk.color)
}
