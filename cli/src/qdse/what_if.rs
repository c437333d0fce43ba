//! `qdse what-if PROG.bin [--set NAME=VALUE]`: the same integers compiled for another machine, or how cycles depend on each parameter.

use std::path::Path;

use compiler::backend::reference_graph;
use compiler::compile::program;
use explorer::around::{OF_QUANTIZATION, sensitivities, to_text};
use explorer::compare::Comparison;
use isa::Program;
use serde_json::json;
use simulator::report::{ProgramFile, Report};

use super::args::WhatIfArgs;
use crate::error::CliError;
use crate::output::{Output, Talk, check_distinct};
use crate::progress::Progress;
use crate::qsim::load;

/// Compiles the graph of a program anew as the arguments say and prints what changes.
pub(crate) fn what_if_command(args: &WhatIfArgs, talk: Talk) -> Result<(), CliError> {
    let path = &args.program;
    let hw = args.machine.hw.as_deref().map(Path::new);
    check_distinct(&[Some(path), hw], &[("-o", args.output.as_deref())])?;
    let mut shown = Output::open(args.output.as_deref().unwrap_or(Path::new("-")))?;
    let before = load(path)?;
    let hardware = args.machine.machine(before.hardware.clone())?;
    let graph = reference_graph(&before).map_err(|e| CliError::in_file(path, e))?;
    let json = args.format == "json";
    let text = if args.machine.hw.is_none() && args.machine.set.is_empty() {
        let stage = Progress::stage(talk, "compiling for other machines");
        let found = sensitivities(&graph, &hardware);
        drop(stage);
        let (now, found) = found.map_err(|e| CliError::in_file(path, e))?;
        match json {
            true => format!("{:#}\n", json!({ "cycles": now, "parameters": found })),
            false => to_text(now, &found),
        }
    } else {
        let fixed = before.hardware.incompatible_with(&hardware);
        if let Some(name) = fixed.iter().find(|name| OF_QUANTIZATION.contains(name)) {
            return Err(CliError::Refused(format!(
                "`{name}` decides the integers of the program\n  hint: qcc --set {name}=.. quantizes the network for another machine"
            )));
        }
        let _stage = Progress::stage(talk, "compiling");
        let after = program(&graph, &hardware, before.meta.clone()).map_err(CliError::refused)?;
        let names = ["as it is".to_owned(), "with the changes".to_owned()];
        let found = Comparison::new(names, [&report(&before)?, &report(&after)?]);
        if json { found.to_json() } else { found.to_text() }
    };
    shown.put(text.as_bytes())?;
    Output::finish(vec![shown])
}

/// What `qsim` says of a program's time.
pub(crate) fn report(program: &Program) -> Result<Report, CliError> {
    let timing = timing::run(program, timing::Mode::Event).map_err(CliError::refused)?;
    Report::new(program, &program.hardware, &ProgramFile::default(), &timing)
        .map_err(CliError::refused)
}
