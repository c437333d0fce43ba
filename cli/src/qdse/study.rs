//! `qdse study MODEL.onnx --data TEST.npz`.

use std::path::Path;
use std::time::Instant;

use compiler::options::BiasCorrection;
use explorer::study::{Candidates, Labelled, Setup};
use ir::onnx::LoadOptions;
use isa::Hardware;

use super::args::{StudyArgs, StudyFormat};
use super::source::Source;
use crate::args::parse_shape;
use crate::data::Samples;
use crate::data::labels::{Classes, read_names};
use crate::error::CliError;
use crate::output::{Output, Talk, check_distinct};
use crate::parts::NetworkInputs;
use crate::preprocess;
use crate::progress::Progress;
use crate::qcc::compile::{first_output_values, options, read_network, rewrite};

/// Bits of weights and activations that the schemes replace.
const WIDTHS: [u8; 2] = [8, 8];

/// Compares the schemes as the arguments say and prints the table.
pub(crate) fn study_command(args: &StudyArgs, talk: Talk) -> Result<(), CliError> {
    let StudyArgs { source: args, format, output } = args;
    let (path, data) = (args.model()?, args.data()?);
    let hardware = args.machine.machine(Hardware::default())?;
    let how = args.method.preprocess.as_deref().map(preprocess::parse).transpose()?;
    let options = options(&args.method, WIDTHS, how.as_ref())?;
    if args.no_data && options.bias_correction == BiasCorrection::Empirical {
        return Err(CliError::Usage(
            "--bias-correction empirical needs samples, not --no-data".into(),
        ));
    }
    let hw = args.machine.hw.as_deref().map(Path::new);
    check_distinct(
        &[Some(path), Some(data), args.calib.as_deref(), args.names.as_deref(), hw],
        &[("-o", output.as_deref())],
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
    let mut shown = Output::open(output.as_deref().unwrap_or(Path::new("-")))?;
    let network = rewrite(path, model.graph.clone(), &args.method, talk)?;
    let inputs = NetworkInputs::of_graph(&network.graph)?;
    let classes = Classes { names: &names, count: values };
    let samples = Samples::read(data, &inputs, how.as_ref(), Some(&classes))?;
    let source = Source::new(args, &network, &inputs, how.as_ref(), talk);
    let measured = source.measured(&samples)?;
    let setup =
        Setup { original: &model.graph, network: &network, options: &options, hardware: &hardware };
    let candidates = Candidates::prepare(setup, |options| {
        let table = source.calibrate(&samples, options)?;
        talk.detail(format_args!("{}-bit activations: {}", options.act_bits, table.method));
        Ok((table, source.probes().cloned().unwrap_or_default()))
    })?;
    let progress = Progress::over(talk, "measuring", measured.len());
    let start = Instant::now();
    let study = candidates.evaluate(
        measured.len(),
        |i| {
            let sample = samples.sample(measured[i])?;
            let real = samples.real(&sample)?;
            let inputs = real.ok_or_else(|| CliError::in_file(data, "holds no real values"))?;
            Ok(Labelled { inputs, label: samples.labels.as_ref().map(|l| l[measured[i]]) })
        },
        || start.elapsed(),
        || progress.tick(),
    );
    drop(progress);
    let study = study.map_err(|first| samples.explain(data, first))?;
    source.warn_overlap(&samples);
    if samples.labels.is_none() {
        talk.note("no labels in the data: top-1 is not known");
    }
    let text = match format {
        StudyFormat::Text => study.to_text(),
        StudyFormat::Json => study.to_json(),
        StudyFormat::Csv => study.to_csv(),
    };
    shown.put(text.as_bytes())?;
    Output::finish(vec![shown])
}
