//! `qcc`: from ONNX to a program.

pub(crate) mod args;
mod autopilot;
pub(crate) mod calibrate;
pub(crate) mod compile;
mod diagnose;
pub(crate) mod explain;
mod forms;
mod profile;

use std::fmt::Write;
use std::process::ExitCode;

use clap::CommandFactory;

use args::{Cli, Command};

/// Runs the command.
pub(crate) fn main() -> ExitCode {
    let other = crate::qsim::args::Cli::command();
    let cli = match crate::usage::parse(|cli: &Cli| cli.compile.model.as_deref(), &other) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let talk = cli.talk.talk();
    let result = match &cli.command {
        None => compile::compile_command(&cli.compile, talk),
        Some(Command::Ops) => crate::output::print(&ir::onnx::supported_ops_manual()),
        Some(Command::Passes) => crate::output::print(&passes()),
        Some(Command::Explain(args)) => explain::explain_command(args),
        Some(Command::Diagnose(args)) => diagnose::diagnose_command(args, talk),
        Some(Command::Fetch { name: None, output }) => crate::fetch::list(output),
        Some(Command::Fetch { name: Some(name), output }) => {
            crate::fetch::fetch(name, output, talk)
        }
    };
    crate::finish(result, cli.talk.color)
}

/// The passes in order, with what each does.
fn passes() -> String {
    let mut out = String::new();
    for pass in compiler::passes::GRAPH {
        let _ = writeln!(out, "{:<18} {}", pass.name, pass.about);
    }
    out
}
