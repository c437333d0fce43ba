//! `qdse study MODEL.onnx --data TEST.npz`.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use compiler::compile::Network;
use compiler::options::Options;
use explorer::study::{Candidates, Labelled, Setup};
use ir::onnx::LoadOptions;
use ir::qgraph::QValue;
use isa::Hardware;
use isa::program::Preprocess;

use super::args::{StudyArgs, StudyFormat};
use crate::args::parse_shape;
use crate::data::Samples;
use crate::data::labels::{Classes, read_names};
use crate::error::CliError;
use crate::output::{Output, Talk, check_distinct};
use crate::preprocess;
use crate::progress::Progress;
use crate::qcc::compile::{
    Calibrated, first_output_values, inputs, observe, options, read_network, rewrite,
};

/// Bits of weights and activations that the schemes replace.
const WIDTHS: [u8; 2] = [8, 8];

/// Compares the schemes as the arguments say and prints the table.
pub(crate) fn study_command(args: &StudyArgs, talk: Talk) -> Result<(), CliError> {
    let path = &args.model;
    let hardware = args.machine.machine(Hardware::default())?;
    let how = args.method.preprocess.as_deref().map(preprocess::parse).transpose()?;
    let options = options(&args.method, WIDTHS, how.as_ref())?;
    let hw = args.machine.hw.as_deref().map(Path::new);
    check_distinct(
        &[Some(path), Some(&args.data), args.calib.as_deref(), args.names.as_deref(), hw],
        &[("-o", args.output.as_deref())],
    )?;
    let load_options = LoadOptions { shapes: parse_shape(&args.shape)?, ..LoadOptions::default() };
    let model = read_network(path, &load_options)?;
    for warning in &model.warnings {
        talk.warn(warning);
    }
    let values = first_output_values(&model.graph);
    let names = match &args.names {
        Some(names) => read_names(names, values)?,
        None => Vec::new(),
    };
    let mut shown = Output::open(args.output.as_deref().unwrap_or(Path::new("-")))?;
    let network = rewrite(path, model.graph.clone(), talk)?;
    let inputs = inputs(&network.graph);
    let classes = Classes { names: &names, count: values };
    let samples = Samples::read(&args.data, &inputs, how.as_ref(), Some(&classes))?;
    let source = Source { args, network: &network, inputs: &inputs, how: how.as_ref(), talk };
    let measured = source.measured(&samples)?;
    let mut hashes = BTreeSet::new();
    let setup =
        Setup { original: &model.graph, network: &network, options: &options, hardware: &hardware };
    let candidates = Candidates::prepare(setup, |options| {
        let Calibrated { table, probes, sample_hashes } = source.calibrate(&samples, options)?;
        hashes.extend(sample_hashes);
        talk.detail(format_args!("{}-bit activations: {}", options.act_bits, table.method));
        Ok((table, probes))
    })?;
    let progress = Progress::over(talk, "measuring", measured.len());
    let start = Instant::now();
    let study = candidates.evaluate(
        measured.len(),
        |i| {
            let sample = samples.sample(measured[i])?;
            let real = samples.real(&sample)?;
            let inputs =
                real.ok_or_else(|| CliError::in_file(&args.data, "holds no real values"))?;
            Ok(Labelled { inputs, label: samples.labels.as_ref().map(|l| l[measured[i]]) })
        },
        || start.elapsed(),
        || progress.tick(),
    );
    drop(progress);
    let study = study.map_err(|first| samples.explain(&args.data, first))?;
    if args.calib.is_some() {
        warn_overlap(&samples, &hashes, talk);
    }
    if samples.labels.is_none() {
        talk.note("no labels in the data: top-1 is not known");
    }
    let text = match args.format {
        StudyFormat::Text => study.to_text(),
        StudyFormat::Json => study.to_json(),
        StudyFormat::Csv => study.to_csv(),
    };
    shown.put(text.as_bytes())?;
    Output::finish(vec![shown])
}

/// Where ranges come from.
struct Source<'a> {
    args: &'a StudyArgs,
    network: &'a Network,
    inputs: &'a [QValue],
    how: Option<&'a Preprocess>,
    talk: Talk,
}

impl Source<'_> {
    /// Whether some samples of `--data` calibrate and the others are measured.
    fn splits(&self) -> bool {
        self.args.calib.is_none() && !self.args.no_data
    }

    /// The samples of `--data` that are measured.
    fn measured(&self, samples: &Samples<'_>) -> Result<Vec<usize>, CliError> {
        if !self.splits() {
            return Ok((0..samples.count).collect());
        }
        if samples.count < 2 {
            return Err(CliError::in_file(
                &self.args.data,
                "holds one sample, which cannot both calibrate and be measured\n  hint: --calib FILE, or --no-data",
            ));
        }
        let measured: Vec<usize> = (1..samples.count).step_by(2).collect();
        self.talk.note(format_args!(
            "{} of {} samples calibrate, {} are measured (--calib takes others)",
            samples.count - measured.len(),
            samples.count,
            measured.len()
        ));
        Ok(measured)
    }

    /// What is known of activations, for one width of them.
    fn calibrate(&self, samples: &Samples<'_>, options: &Options) -> Result<Calibrated, CliError> {
        if self.args.no_data {
            let _stage = Progress::stage(self.talk, "calibrating");
            let table = self.network.calibrate_without_data(options).map_err(CliError::refused)?;
            return Ok(Calibrated { table, ..Calibrated::default() });
        }
        let Some(path) = &self.args.calib else {
            let chosen = (0..samples.count).step_by(2).collect();
            return observe(
                self.network,
                &self.args.data,
                samples,
                chosen,
                None,
                options,
                self.talk,
            );
        };
        let samples = Samples::read(path, self.inputs, self.how, None)?;
        let all = (0..samples.count).collect();
        observe(self.network, path, &samples, all, None, options, self.talk)
    }
}

/// As `qsim` warns.
fn warn_overlap(samples: &Samples<'_>, hashes: &BTreeSet<u64>, talk: Talk) {
    let calibrated = |sample: &Result<crate::data::Sample, CliError>| {
        sample.as_ref().is_ok_and(|sample| hashes.contains(&sample.hash()))
    };
    let overlap = samples.each().filter(calibrated).count();
    if overlap > 0 {
        talk.warn(format_args!(
            "{overlap} of {} samples were used for calibration: accuracy on them says little",
            samples.count
        ));
    }
}
