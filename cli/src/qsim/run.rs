//! `qsim PROG.bin`: time, values, accuracy, check, trace, report.

mod orders;
mod outputs;
mod values;

use isa::Program;
use simulator::report::{ProgramFile, Report, Word};

use super::args::RunArgs;
use super::trace::Target;
use crate::args::Format;
use crate::error::{CliError, read_file};
use crate::float_model::sha256_hex;
use crate::output::{Talk, print, write_file};
use crate::preprocess;
use outputs::OutputFile;
use values::Run;

/// Runs a program as the arguments say and prints the report.
pub(crate) fn run(args: &RunArgs, talk: Talk) -> Result<(), CliError> {
    let path = args.program.as_deref().ok_or_else(|| CliError::Usage("name a program".into()))?;
    // Outputs are opened before the work, so that a bad path fails at once.
    let trace = args.trace.as_ref().map(|t| Target::open(t.as_deref(), path)).transpose()?;
    let bytes = read_file(path)?;
    let mut program = Program::from_bytes(&bytes).map_err(|e| CliError::in_file(path, e))?;
    args.machine.retime(&mut program)?;
    if let Some(given) = &args.preprocess {
        preprocess::check_same(&preprocess::parse(given)?, program.meta.preprocess.as_ref())?;
    }
    // Opened before the work, so that a bad path fails at once.
    let outputs = args.output.as_deref().map(|to| OutputFile::create(to, &program)).transpose()?;

    let mode = if args.cycle_stepped { timing::Mode::Stepped } else { timing::Mode::Event };
    let timing = match trace {
        None => timing::run(&program, mode).map_err(|e| CliError::in_file(path, e))?,
        Some(target) => {
            target.write(&program, mode, talk).map_err(|e| CliError::in_file(path, e))?
        }
    };
    let file = program_file(&bytes);
    let mut report = Report::new(&program, &program.hardware, &file, &timing)
        .map_err(|e| CliError::in_file(path, e))?;
    if !args.timing_only {
        Run::new(&program, args, talk)?.samples(&mut report, outputs)?;
    }
    show(args, &report)?;
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

fn show(args: &RunArgs, report: &Report) -> Result<(), CliError> {
    let text = match args.format {
        Format::Text => report.to_text(),
        Format::Json => report.to_json() + "\n",
        Format::Csv => report.to_csv(),
    };
    match &args.report {
        Some(path) => write_file(path, text.as_bytes()),
        None => print(&text),
    }
}
