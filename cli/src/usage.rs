//! Command lines that cannot be: one sentence and a hint, also where the parser alone would mislead.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Parser};
use isa::spelling::similar;

use crate::args::Color;
use crate::error::CliError;

/// Parses the process's arguments. `file` is the file that the command without a subcommand reads; `other` is the other tool, whose
/// options may have been meant.
///
/// # Errors
/// The exit code, once everything is said; 0 after `--help` and `--version`.
pub(crate) fn parse<C: Parser>(
    file: impl Fn(&C) -> Option<&Path>,
    other: &Command,
) -> Result<C, ExitCode> {
    let args: Vec<OsString> = std::env::args_os().collect();
    let refuse = |text: String| Err(crate::finish(Err(CliError::Usage(text)), Color::Auto));
    match C::try_parse_from(&args) {
        Ok(cli) => match file(&cli).and_then(|file| mistyped_command(&C::command(), file)) {
            Some(text) => refuse(text),
            None => Ok(cli),
        },
        Err(error) => match explain(&error, &args, &C::command(), other) {
            Some(text) => refuse(text),
            None => {
                // Nobody is left to tell of a closed pipe.
                let _ = error.print();
                Err(ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)))
            }
        },
    }
}

/// A lone word that is no file but nearly a command.
fn mistyped_command(command: &Command, file: &Path) -> Option<String> {
    let word = file.to_str().filter(|word| !word.contains(['/', '.']) && !file.exists())?;
    nearly_a_command(command, word)
}

fn nearly_a_command(command: &Command, word: &str) -> Option<String> {
    let tool = command.get_name();
    let near = similar(word, command.get_subcommands().map(Command::get_name));
    let near = near.first().filter(|near| !near.is_empty())?;
    Some(format!("no command is named `{word}`\n  hint: did you mean `{tool} {near}`?"))
}

/// What the parser's error means, where it does not say so itself.
fn explain(
    error: &clap::Error,
    args: &[OsString],
    command: &Command,
    other: &Command,
) -> Option<String> {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let tool = command.get_name();
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let given = context(ContextKind::InvalidArg)?;
            let name = given.strip_prefix("--")?;
            let owner = owner(other, name).or_else(|| owner(command, name))?;
            Some(format!("unexpected option `{given}`\n  hint: it is an option of `{owner}`"))
        }
        // A second word after the file is taken for a subcommand.
        ErrorKind::ArgumentConflict => {
            let second = context(ContextKind::InvalidSubcommand)?;
            let words = args.iter().skip(1).filter_map(|arg| arg.to_str());
            let before: Vec<&str> = words.take_while(|word| *word != second).collect();
            let is_command = command.get_subcommands().any(|known| known.get_name() == second);
            if is_command {
                return Some(format!(
                    "the command `{second}` comes first\n  hint: `{tool} {second} ..`"
                ));
            }
            let mistyped = before.iter().find_map(|word| nearly_a_command(command, word));
            Some(mistyped.unwrap_or_else(|| {
                format!("unexpected argument `{second}`\n  hint: {tool} takes one file; `{tool} --help` lists the commands")
            }))
        }
        _ => None,
    }
}

/// The tool, or that of its commands, that has a long option of this name.
fn owner(command: &Command, name: &str) -> Option<String> {
    let tool = command.get_name();
    if command.get_arguments().any(|arg| arg.get_long() == Some(name)) {
        return Some(tool.to_owned());
    }
    let owner = command.get_subcommands().find_map(|sub| owner(sub, name))?;
    Some(format!("{tool} {owner}"))
}
