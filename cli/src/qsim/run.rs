//! `qsim PROG.bin`: time, values, accuracy, check, trace, report.

mod inject;
mod orders;
mod outputs;
mod values;

use std::path::Path;

use isa::Program;
use isa::program::ProgramError;
use simulator::report::{ProgramFile, Report, Word};

use super::args::RunArgs;
use super::page::{LOSS_SAMPLES, Pictures, Subject};
use super::trace::{Target, Written};
use crate::args::{Format, with_suffix};
use crate::error::{CliError, read_file};
use crate::float_model::sha256_hex;
use crate::host::ends;
use crate::output::{Output, Talk, check_distinct};
use crate::parts::{NetworkOutputs, host_work};
use crate::preprocess;
use outputs::OutputFile;
use values::Run;

/// Runs a program as the arguments say and prints the report.
pub(crate) fn run(args: &RunArgs, talk: Talk) -> Result<(), CliError> {
    let path = args.program.as_deref().ok_or_else(|| CliError::Usage("name a program".into()))?;
    let faults = inject::specs(&args.inject)?;
    let trace = args
        .trace
        .as_ref()
        .map(|given| given.clone().unwrap_or_else(|| with_suffix(path, "trace.json")));
    check_distinct(
        &[Some(path), args.data.as_deref(), args.input.as_deref(), args.float.as_deref()],
        &[
            ("--trace", trace.as_deref()),
            ("--output", args.output.as_deref()),
            ("--report", args.report.as_deref()),
            ("--html", args.html.as_deref()),
        ],
    )?;
    // Outputs are opened before the work, so that a bad path fails at once, and put in place after all of it.
    let trace = trace.as_deref().map(Target::open).transpose()?;
    let mut shown = Output::open(args.report.as_deref().unwrap_or(Path::new("-")))?;
    let pictures = Pictures::open(args.html.as_deref(), args.svg.as_deref())?;
    let bytes = read_file(path)?;
    let mut program = Program::from_bytes(&bytes).map_err(|e| not_a_program(path, e))?;
    args.machine.retime(&mut program)?;
    if let Some(given) = &args.preprocess {
        preprocess::check_same(&preprocess::parse(given)?, program.meta.preprocess.as_ref())?;
    }
    let file = program_file(&bytes);
    if !faults.is_empty() {
        let text = inject::run(&program, &file, path, args, &faults, talk)?;
        shown.put(text.as_bytes())?;
        return Output::finish(vec![shown]);
    }
    let names: Vec<String> = if args.raw {
        ends(&program, &program.outputs).into_iter().map(|output| output.name).collect()
    } else {
        NetworkOutputs::of_program(&program)?.outputs.into_iter().map(|(name, _)| name).collect()
    };
    let outputs = args.output.as_deref().map(|to| OutputFile::create(to, &names)).transpose()?;

    let mode = if args.cycle_stepped { timing::Mode::Stepped } else { timing::Mode::Event };
    let (timing, trace) = match trace {
        None => (timing::run(&program, mode).map_err(|e| CliError::in_file(path, e))?, None),
        Some(target) => {
            let (timing, written) = target.write(path, &program, mode)?;
            (timing, Some(written))
        }
    };
    let mut report = Report::new(&program, &program.hardware, &file, &timing)
        .map_err(|e| CliError::in_file(path, e))?;
    report.host = host_work(&program)?;
    let mut real_inputs = Vec::new();
    let values = match args.timing_only {
        true => None,
        false => {
            let run = Run::new(&program, args, talk)?;
            if args.html.is_some() || args.svg.is_some() {
                real_inputs = run.real_inputs(LOSS_SAMPLES)?;
            }
            run.samples(&mut report, outputs)?
        }
    };
    shown.put(text(args.format, &report).as_bytes())?;
    let subject = Subject { program: &program, path, report: &report, real_inputs: &real_inputs };
    let pictures = pictures.draw(subject, args.float.as_deref(), talk)?;
    let note = trace.as_ref().map(Written::note);
    let files =
        trace.map(|trace| trace.file).into_iter().chain(values).chain(pictures).chain([shown]);
    let finished = Output::finish(files.collect());
    if let (Some(note), Ok(())) = (note, &finished) {
        talk.note(note);
    }
    finished?;
    if let Some(race) = &report.orders.race {
        let word = |word: &Word| format!("{} word {} `{}`", word.engine, word.index, word.text);
        return Err(CliError::Failed(format!(
            "{} and {} race: their order decides what {} holds\n  hint: qsim verify names every race",
            word(&race.early),
            word(&race.late),
            race.place
        )));
    }
    match &report.check.first_mismatch {
        Some(m) => Err(CliError::Failed(format!(
            "the machine differs from the host runtime in {} elements; first `{}` of node `{}`, sample {}, [y, x, c] = {:?}: machine {}, host {}",
            report.check.mismatches.unwrap_or(0),
            m.tensor,
            m.node,
            m.sample,
            m.position,
            m.found,
            m.expected
        ))),
        None => Ok(()),
    }
}

/// What the report says of the file itself.
pub(crate) fn program_file(bytes: &[u8]) -> ProgramFile {
    ProgramFile {
        hash: sha256_hex(bytes),
        bytes: bytes.len() as u64,
        schema: isa::program::FORMAT_VERSION,
    }
}

/// The report in a form.
fn text(format: Format, report: &Report) -> String {
    match format {
        Format::Text => report.to_text(),
        Format::Json => report.to_json() + "\n",
        Format::Csv => report.to_csv(),
    }
}

/// What a file that is no program may be instead.
fn not_a_program(path: &Path, error: ProgramError) -> CliError {
    let hint = match path.extension().and_then(|e| e.to_str()) {
        Some("onnx") => format!("\n  hint: `qcc {}` compiles a network", path.display()),
        Some("qasm") => format!("\n  hint: `qsim asm {}` assembles text", path.display()),
        _ => String::new(),
    };
    CliError::in_file(path, format!("{error}{hint}"))
}
