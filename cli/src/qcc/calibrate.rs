//! What the float network tells before it is quantized: ranges, means and answers, from samples, a file, or neither.

use std::path::Path;

use compiler::calibrate::{Calibration, Sample};
use compiler::compile::{CompileError, Network};
use compiler::distill::Settings;
use compiler::options::{BiasCorrection, Options, WeightRounding};
use compiler::refine::Probes;
use isa::program::Preprocess;

use super::args::QuantizeArgs;
use crate::data::Samples;
use crate::error::{CliError, read_file};
use crate::output::Talk;
use crate::parts::NetworkInputs;
use crate::progress::Progress;

/// What is known of the network's activations.
#[derive(Default)]
pub(crate) struct Calibrated {
    /// Ranges and means.
    pub(crate) table: Calibration,
    /// Samples to refine on.
    pub(crate) probes: Probes,
    /// Hashes of the samples used.
    pub(crate) sample_hashes: Vec<u64>,
}

/// Ranges from a file, from samples, or from neither; and what refining needs.
pub(super) fn calibrate(
    network: &Network,
    q: &QuantizeArgs,
    options: &Options,
    how: Option<&Preprocess>,
    talk: Talk,
) -> Result<Calibrated, CliError> {
    let saved = q.calib_in.as_deref().map(saved_calibration).transpose()?;
    let Some(path) = &q.data else {
        if let Some(images) = q.distill {
            return distilled(network, images, options, talk);
        }
        if options.bias_correction == BiasCorrection::Empirical {
            return Err(CliError::Usage("--bias-correction empirical needs --data".into()));
        }
        if let way @ (WeightRounding::Gptq | WeightRounding::Descent) = options.weight_rounding {
            let what = format!("--rounding {} needs --data of at least 8 samples", way.name());
            return Err(CliError::Usage(what));
        }
        let table = match saved {
            Some(table) => {
                if table.means.is_some() {
                    talk.warn("the saved means serve nothing without the --data they were taken on: biases are not corrected by them");
                }
                table
            }
            None => calibrate_without_data(network, q.no_data, options, talk)?,
        };
        return Ok(Calibrated { table, probes: Probes::default(), sample_hashes: Vec::new() });
    };
    let inputs = NetworkInputs::of_graph(&network.graph)?;
    let samples = Samples::read(path, &inputs, how, None)?;
    let chosen = (0..samples.count).collect();
    observe(network, path, &samples, chosen, saved, options, talk)
}

/// What some samples of a file or folder tell, except the ranges if they are `saved`.
pub(crate) fn observe(
    network: &Network,
    path: &Path,
    samples: &Samples<'_>,
    chosen: Vec<usize>,
    saved: Option<Calibration>,
    options: &Options,
    talk: Talk,
) -> Result<Calibrated, CliError> {
    let (mut table, probes, sample_hashes) =
        watch(network, path, samples, chosen, talk, |each| match saved {
            Some(table) => {
                each.for_each(drop);
                Ok(table)
            }
            None => network.calibrate(each, options),
        })?;
    take_means(network, &probes, &mut table, options, talk)
        .map_err(|e| CliError::in_file(path, e))?;
    Ok(Calibrated { table, probes, sample_hashes })
}

/// What `see` makes of the real values of some samples, with samples to refine on and the hashes of all.
pub(crate) fn watch<T>(
    network: &Network,
    path: &Path,
    samples: &Samples<'_>,
    chosen: Vec<usize>,
    talk: Talk,
    see: impl FnOnce(&mut dyn Iterator<Item = Result<Sample, String>>) -> Result<T, CompileError>,
) -> Result<(T, Probes, Vec<u64>), CliError> {
    let progress = Progress::over(talk, "calibrating", chosen.len());
    let mut probes = network.room();
    let mut sample_hashes = Vec::with_capacity(chosen.len());
    let mut unread = None;
    let mut each = samples.those(chosen).map_while(|read| {
        progress.tick();
        match read.and_then(|sample| {
            sample_hashes.push(sample.hash());
            samples.real(&sample)
        }) {
            Ok(real) => {
                let real = real.unwrap_or_default();
                probes.offer(&real);
                Some(Ok(real))
            }
            Err(error) => {
                unread = Some(error);
                None
            }
        }
    });
    let seen = see(&mut each);
    drop(each);
    drop(progress);
    if let Some(first) = unread {
        return Err(samples.explain(path, first));
    }
    Ok((seen.map_err(|e| CliError::in_file(path, e))?, probes, sample_hashes))
}

/// Adds the means that biases are corrected to and the answers that choices are judged by, where they are wanted and not there.
pub(crate) fn take_means(
    network: &Network,
    probes: &Probes,
    table: &mut Calibration,
    options: &Options,
    talk: Talk,
) -> Result<(), CompileError> {
    let way = options.bias_correction;
    let by_samples = !matches!(way, BiasCorrection::Off | BiasCorrection::Analytic);
    if table.means.is_none() && by_samples {
        let _stage = Progress::stage(talk, "taking means");
        table.means = Some(network.means(probes, way)?);
    }
    let choices = way == BiasCorrection::Auto || options.weight_rounding == WeightRounding::Auto;
    if table.answers.is_none() && choices {
        let _stage = Progress::stage(talk, "taking answers");
        table.answers = network.answers(probes)?;
    }
    Ok(())
}

fn saved_calibration(path: &Path) -> Result<Calibration, CliError> {
    let text =
        String::from_utf8(read_file(path)?).map_err(|_| CliError::in_file(path, "is not text"))?;
    Calibration::from_json(&text).map_err(|e| CliError::in_file(path, e))
}

fn calibrate_without_data(
    network: &Network,
    no_data: bool,
    options: &Options,
    talk: Talk,
) -> Result<Calibration, CliError> {
    if !no_data {
        talk.note("no --data: calibrating without data");
    }
    let _stage = Progress::stage(talk, "calibrating");
    network.calibrate_without_data(options).map_err(CliError::refused)
}

/// Iterations of gradient descent: those of the paper.
const DISTILL_ITERATIONS: usize = 500;

/// Ranges and means of distilled images.
fn distilled(
    network: &Network,
    images: u32,
    options: &Options,
    talk: Talk,
) -> Result<Calibrated, CliError> {
    let settings = Settings {
        images: images as usize,
        iterations: DISTILL_ITERATIONS,
        seed: options.seed,
        input_range: options.input_range,
    };
    let progress = Progress::over(talk, "distilling", network.distillation_steps(&settings));
    let found = network.distill(&settings, &|| progress.tick());
    drop(progress);
    let found = found.ok_or_else(|| {
        CliError::Refused(
            "--distill: no batch norm whose input can be followed back to the network's inputs\n  hint: an export may have folded them into the convolutions; leave --distill out"
                .into(),
        )
    })?;
    let mut table = network.calibrate_on_distilled(&found, options).map_err(CliError::refused)?;
    let mut probes = network.room();
    found.samples.iter().for_each(|sample| probes.offer(sample));
    take_means(network, &probes, &mut table, options, talk).map_err(CliError::refused)?;
    Ok(Calibrated { table, probes, sample_hashes: Vec::new() })
}
