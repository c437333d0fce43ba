//! `qcc diagnose MODEL.onnx --data SAMPLES`.

use std::path::Path;

use explorer::diagnose::{Diagnosis, Spread, Subject, diagnose, spread};
use ir::onnx::LoadOptions;
use isa::program::Preprocess;

use super::args::DiagnoseArgs;
use super::calibrate::{Calibrated, calibrate, observe};
use super::compile::{machine, quantize_options, read_network, rewrite};
use crate::args::parse_shape;
use crate::data::Samples;
use crate::error::CliError;
use crate::output::{Output, Talk, check_distinct};
use crate::parts::NetworkInputs;
use crate::preprocess;
use crate::progress::Progress;

/// Subsets of the calibration samples that are compared, and samples that each needs.
const SUBSETS: usize = 4;
const FEWEST: usize = 4;

/// Diagnoses a network as the arguments say.
pub(crate) fn diagnose_command(args: &DiagnoseArgs, talk: Talk) -> Result<(), CliError> {
    let q = &args.quantize;
    let path = args.model.as_path();
    let measured = args.measure.as_deref().or(q.data.as_deref()).ok_or_else(|| {
        CliError::Usage(
            "noise is measured on samples\n  hint: --data FILE, or --measure FILE with --no-data or --calib-in"
                .into(),
        )
    })?;
    check_distinct(
        &[Some(path), q.data.as_deref(), q.calib_in.as_deref(), args.measure.as_deref()],
        &[("-o", args.output.as_deref()), ("--calib-out", q.calib_out.as_deref())],
    )?;
    let hardware = machine(&args.machine, q)?;
    let how = q.method.preprocess.as_deref().map(preprocess::parse).transpose()?;
    let options = quantize_options(q, how.as_ref())?;
    let load_options = LoadOptions { shapes: parse_shape(&args.shape)?, ..LoadOptions::default() };
    let model = read_network(path, &load_options)?;
    model.warnings.iter().for_each(|warning| talk.warn(warning));
    let mut shown = Output::open(args.output.as_deref().unwrap_or(Path::new("-")))?;
    let mut saved = q.calib_out.as_deref().map(Output::open).transpose()?;
    let network = rewrite(path, model.graph, &args.quantize.method, talk)?;
    network.check_names(&options).map_err(|e| CliError::in_file(path, e))?;
    let inputs = NetworkInputs::of_graph(&network.graph)?;
    let samples = chosen(measured, &inputs, how.as_ref(), args.samples as usize)?;
    let Calibrated { table, probes, .. } = calibrate(&network, q, &options, how.as_ref(), talk)?;
    talk.note(format_args!("calibration: {}", table.method));
    if let Some(saved) = &mut saved {
        saved.put(table.to_json().as_bytes())?;
    }
    let subject = Subject {
        network: &network,
        options: &options,
        hardware: &hardware,
        calibration: &table,
        probes: &probes,
    };
    let refused = |e: String| CliError::in_file(path, e);
    let progress = Progress::over(talk, "diagnosing", samples.len());
    let found = diagnose(subject, &samples, || progress.tick());
    drop(progress);
    let mut found: Diagnosis = found.map_err(refused)?;
    if let Some(data) = q.data.as_deref().filter(|_| q.calib_in.is_none()) {
        found.spread = over_subsets(data, subject, &inputs, how.as_ref(), &samples, talk)?;
    }
    let text =
        if args.json || args.format == "json" { found.to_json() } else { found.to_text(args.top) };
    shown.put(text.as_bytes())?;
    Output::finish(saved.into_iter().chain([shown]).collect())
}

/// Real inputs of up to `most` samples, spread evenly.
fn chosen(
    path: &Path,
    inputs: &NetworkInputs,
    how: Option<&Preprocess>,
    most: usize,
) -> Result<Vec<Vec<Vec<f32>>>, CliError> {
    let samples = Samples::read(path, inputs, how, None)?;
    let count = most.min(samples.count);
    let read = |i: usize| {
        let sample = samples.sample(i * samples.count / count)?;
        let real = samples.real(&sample)?;
        real.ok_or_else(|| CliError::in_file(path, "holds no real values"))
    };
    (0..count).map(read).collect::<Result<_, _>>().map_err(|first| samples.explain(path, first))
}

/// The network calibrated on disjoint subsets of the samples in `data`, if there are enough of them.
fn over_subsets(
    data: &Path,
    subject: Subject<'_>,
    inputs: &NetworkInputs,
    how: Option<&Preprocess>,
    measured: &[Vec<Vec<f32>>],
    talk: Talk,
) -> Result<Option<Spread>, CliError> {
    let samples = Samples::read(data, inputs, how, None)?;
    if samples.count < SUBSETS * FEWEST {
        return Ok(None);
    }
    let Subject { network, options, .. } = subject;
    let mut calibrated = Vec::new();
    for subset in 0..SUBSETS {
        let part = (subset..samples.count).step_by(SUBSETS).collect();
        let Calibrated { table, probes, .. } =
            observe(network, data, &samples, part, None, options, talk)?;
        calibrated.push((table, probes));
    }
    spread(subject, &calibrated, measured).map(Some).map_err(|e| CliError::in_file(data, e))
}
