//! `qsim --inject`: runs with faults, compared with runs without.

use std::path::Path;

use compiler::backend::reference_graph;
use compiler::validate::validate;
use isa::Program;
use isa::verify::verify;
use simulator::exec::Kernels;
use simulator::inject::{
    Bench, Campaign, FaultReport, FaultSpace, InjectError, SCHEMA_VERSION, Spec,
};
use simulator::report::{ProgramFacts, ProgramFile};

use super::values::Run;
use crate::args::Format;
use crate::error::CliError;
use crate::output::Talk;
use crate::progress::Progress;
use crate::qsim::args::RunArgs;

/// Runs of a campaign, where `--runs` says nothing.
const RUNS: u64 = 1000;

/// The spec that stands for one of each space.
const ALL: &str = "all";

/// A spec, and whether the user named it; of `all`, what the program does not have is left out.
pub(super) struct Wanted {
    spec: Spec,
    named: bool,
}

/// Reads `--inject`.
pub(super) fn specs(texts: &[String]) -> Result<Vec<Wanted>, CliError> {
    let mut specs = Vec::new();
    for text in texts {
        if text == ALL {
            let all = FaultSpace::ALL.map(|space| Wanted { spec: Spec::one(space), named: false });
            specs.extend(all);
        } else {
            let spec = text.parse().map_err(|e| CliError::Usage(format!("--inject {e}")))?;
            specs.push(Wanted { spec, named: true });
        }
    }
    Ok(specs)
}

/// Runs the campaigns; their report in the form that is asked for.
pub(super) fn run(
    program: &Program,
    file: &ProgramFile,
    path: &Path,
    args: &RunArgs,
    specs: &[Wanted],
    talk: Talk,
) -> Result<String, CliError> {
    let runs = args.runs.unwrap_or(RUNS);
    let most = usize::try_from(runs).unwrap_or(usize::MAX);
    let samples = Run::new(program, args, talk)?.inputs(most)?;
    let kernels = if args.reference { Kernels::Reference } else { Kernels::Fast };
    let graph = program.reference.as_ref().map(|_| reference_graph(program)).transpose();
    let graph = graph.map_err(|e| CliError::in_file(path, e))?;
    let verifier = |program: &Program| {
        let proved = |graph| validate(program, graph).is_empty();
        !verify(program).is_empty() || !graph.as_ref().is_none_or(proved)
    };
    let bench = Bench::new(program, kernels, &samples, &verifier)
        .map_err(|e| CliError::in_file(path, e))?;
    let mut campaigns = Vec::new();
    for Wanted { spec, named } in specs {
        let progress = Progress::over(talk, "injecting faults", most);
        match bench.campaign(spec, runs, args.seed, || progress.tick()) {
            Ok(results) => campaigns.push(Campaign::new(&bench, spec, &results)),
            Err(InjectError::Empty { .. }) if !named => {}
            Err(error) => return Err(CliError::in_file(path, format!("--inject {error}"))),
        }
    }
    let report = FaultReport {
        schema_version: SCHEMA_VERSION,
        program: ProgramFacts::new(program, file),
        seed: args.seed,
        runs,
        samples: samples.len() as u64,
        cycles: bench.cycles(),
        campaigns,
    };
    Ok(match args.format {
        Format::Text => report.to_text(),
        Format::Json => report.to_json() + "\n",
        Format::Csv => report.to_csv(),
    })
}
