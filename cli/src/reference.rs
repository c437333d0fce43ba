//! The command-line reference, generated from the same definitions that parse the arguments.

use std::fmt::Write;

use clap::{Arg, ArgAction, Command, CommandFactory};

/// Markdown reference of all binaries (`docs/generated/cli.md`).
#[must_use]
pub fn cli_manual() -> String {
    let mut out = String::from(
        "# Command line\n\nGenerated from the argument definitions; `UPDATE_DOCS=1 cargo test -p qcc-tests --test docs` rewrites it.\n",
    );
    let commands = [
        crate::qcc::args::Cli::command(),
        crate::qsim::args::Cli::command(),
        crate::qdse::args::Cli::command(),
    ];
    for mut command in commands {
        command.build();
        section(&mut out, &command, 2);
    }
    out
}

fn section(out: &mut String, command: &Command, level: usize) {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let _ = writeln!(out, "\n{} {name}\n", "#".repeat(level));
    if let Some(about) = command.get_about() {
        let _ = writeln!(out, "{about}.\n");
    }
    let shown: Vec<&Arg> = command
        .get_arguments()
        .filter(|a| !a.is_hide_set() && !["help", "version"].contains(&a.get_id().as_str()))
        .collect();
    // Options that all commands share are listed once, at the top.
    let shown: Vec<&Arg> = shown.into_iter().filter(|a| level == 2 || !a.is_global_set()).collect();
    if !shown.is_empty() {
        let _ = writeln!(out, "| argument | meaning |\n| --- | --- |");
    }
    for arg in &shown {
        let _ = writeln!(out, "| `{}` | {} |", spelling(arg).replace('|', "\\|"), meaning(arg));
    }
    for (arg, help) in shown.iter().filter_map(|a| Some((a, a.get_long_help()?))) {
        let _ = writeln!(out, "\n`{}`\n\n```text\n{help}\n```", spelling(arg));
    }
    for sub in command.get_subcommands().filter(|s| s.get_name() != "help") {
        section(out, sub, level + 1);
    }
}

fn spelling(arg: &Arg) -> String {
    let value = arg.get_value_names().map(|names| names.join(" ")).unwrap_or_default();
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let flag = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (None, Some(long)) => format!("--{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, None) => return value,
    };
    match takes_value {
        true if arg.is_require_equals_set() => format!("{flag}[={value}]"),
        true => format!("{flag} <{value}>"),
        false => flag,
    }
}

fn meaning(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let choices: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|v| !v.is_hide_set())
        .map(|v| format!("`{}`", v.get_name()))
        .collect();
    if matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) && !choices.is_empty() {
        let _ = write!(text, " ({})", choices.join(", "));
    }
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|v| v.to_string_lossy().into_owned()).collect();
    if matches!(arg.get_action(), ArgAction::Set) && !defaults.is_empty() {
        let _ = write!(text, "; default `{}`", defaults.join(" "));
    }
    text.replace('|', "\\|")
}
