//! Why an integer network is worse than its float original: which layers add the noise, what it is, and what would help.
//!
//! Each source of noise, a layer's weights or a stored value, is put into the float network alone, with the integers and scales that ship, and what
//! arrives at the outputs is measured. Sources hardly interact at the noise of a usable network, so their noise adds up; the sum stands
//! beside the noise of the whole integer network, and what differs is the rest: other operators' rounding, and interaction.

mod cause;
mod measure;
mod source;
mod split;
mod spread;
mod text;

use compiler::calibrate::Calibration;
use compiler::compile::Network;
use compiler::options::{BiasCorrection, Options};
use compiler::refine::Probes;
use ir::graph::Graph;
use ir::onnx::save_in_common_operators;
use ir::qgraph::QGraph;
use isa::Hardware;
use rayon::prelude::*;
use runtime::FloatModel;
use serde::Serialize;

use crate::host::IntegerNetwork;
use cause::Remedy;
use measure::{Measured, Noise};
use source::{Kind, Source};

pub use split::{Split, SplitLayer, split};
pub use spread::{Spread, Subset, spread};

/// Multipliers beyond which more bits change nothing.
const FINEST_MULTIPLIER_BITS: u32 = 31;

/// What is diagnosed.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The float network after the passes.
    pub network: &'a Network,
    /// How it is quantized.
    pub options: &'a Options,
    /// For which machine.
    pub hardware: &'a Hardware,
    /// What is known of its activations.
    pub calibration: &'a Calibration,
    /// Samples to refine on.
    pub probes: &'a Probes,
}

/// A diagnosis. Shares are of the sum of all sources' noise power at the outputs.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    /// Name of the network.
    pub model: String,
    /// Samples that noise was measured on.
    pub samples: u64,
    /// Signal to noise of the integer network's outputs, mean over the outputs of noise to signal; `None` without noise.
    pub sqnr_db: Option<f64>,
    /// What the sum of all sources predicts for it.
    pub predicted_sqnr_db: Option<f64>,
    /// The loss by its kind.
    pub loss: Vec<Loss>,
    /// All sources, the worst one first.
    pub sources: Vec<Finding>,
    /// How much the choice of calibration samples matters, if there were enough of them.
    pub spread: Option<Spread>,
}

/// One kind of loss.
#[derive(Clone, Debug, Serialize)]
pub struct Loss {
    /// `weight rounding`, `activation rounding`, `clipping`, `multiplier rounding` or `table approximation`.
    pub kind: &'static str,
    /// Its share of the noise.
    pub share: f64,
}

/// One source of noise.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The node, or the network's input.
    pub name: String,
    /// Its ONNX operator.
    pub operator: String,
    /// `weights`, `value` or `table`.
    pub part: &'static str,
    /// Its share of the noise at the outputs.
    pub share: f64,
    /// Signal to noise where it enters, if it is the only noise; `None` without any.
    pub local_sqnr_db: Option<f64>,
    /// Signal to noise at the outputs, if it is the only noise.
    pub output_sqnr_db: Option<f64>,
    /// By how much its noise grows relative to the signal on the way to the outputs; negative where it shrinks.
    pub passed_on_db: Option<f64>,
    /// What it is, in words.
    pub cause: String,
    /// Option of `qcc` that removes it, or most of it.
    pub fix: Option<String>,
    /// Decibels that the outputs would gain by that.
    pub predicted_gain_db: Option<f64>,
}

/// Measures noise on `samples`, each the real elements of all inputs; calls `tick` after each.
///
/// # Errors
/// When the network cannot be quantized or run.
pub fn diagnose(
    subject: Subject<'_>,
    samples: &[Vec<Vec<f32>>],
    tick: impl Fn() + Sync,
) -> Result<Diagnosis, String> {
    let Subject { network, options, hardware, .. } = subject;
    let graph = &network.graph;
    let q = quantized(subject, hardware)?;
    // A machine that only shifts has scales of its own, which no multiplier rounds.
    let exact = if hardware.multiplier_bits == 1 {
        q.clone()
    } else {
        let finest = Hardware { multiplier_bits: FINEST_MULTIPLIER_BITS, ..hardware.clone() };
        quantized(subject, &finest)?
    };
    let sources = source::sources(graph, &q, &exact);
    let float = float_model(graph)?;
    let rounded = float_model(&source::rounded(graph, &sources))?;
    let corrected = options.bias_correction != BiasCorrection::Off;
    let measured =
        Measured { graph, float: &float, rounded: &rounded, sources: &sources, corrected };
    let (noise, signal) = measured.run(samples, tick)?;
    let whole = whole_noise(&q, &float, graph, samples)?;
    let relative = |noise: &[f64]| mean_ratio(noise, &signal);
    let each: Vec<f64> = noise.iter().map(|noise| relative(&noise.outputs)).collect();
    let total: f64 = each.iter().sum();
    let mut findings: Vec<Finding> = (sources.iter().zip(&noise).zip(&each))
        .map(|((source, noise), &at_outputs)| {
            finding(
                source,
                noise,
                at_outputs,
                total,
                cause::remedy(source, noise, options, corrected),
            )
        })
        .collect();
    findings.sort_by(|a, b| b.share.total_cmp(&a.share));
    Ok(Diagnosis {
        model: graph.name.clone(),
        samples: samples.len() as u64,
        sqnr_db: decibels(1.0, relative(&whole)),
        predicted_sqnr_db: decibels(1.0, total),
        loss: loss(&sources, &noise, &each, total),
        sources: findings,
        spread: None,
    })
}

fn float_model(graph: &Graph) -> Result<FloatModel, String> {
    FloatModel::load(save_in_common_operators(graph)).map_err(|e| e.to_string())
}

fn quantized(subject: Subject<'_>, hardware: &Hardware) -> Result<QGraph, String> {
    let Subject { network, options, calibration, probes, .. } = subject;
    let made = network.quantize_on(probes, calibration, options, hardware);
    made.map(|quantized| quantized.graph).map_err(|e| e.to_string())
}

/// Square of the integer network's noise at each output.
fn whole_noise(
    q: &QGraph,
    float: &FloatModel,
    graph: &Graph,
    samples: &[Vec<Vec<f32>>],
) -> Result<Vec<f64>, String> {
    let network = IntegerNetwork::new(q).map_err(|e| e.to_string())?;
    let noise = |sample: &Vec<Vec<f32>>| -> Result<Vec<f64>, String> {
        let integers = network.outputs(sample).map_err(|e| e.to_string())?;
        let reals = measure::outputs(float, graph, sample)?;
        Ok(integers.iter().zip(&reals).map(|(a, b)| measure::difference(a, b)).collect())
    };
    let parts: Result<Vec<Vec<f64>>, String> = samples.par_iter().map(noise).collect();
    let mut total = vec![0.0; graph.outputs.len()];
    for part in parts? {
        total.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    Ok(total)
}

/// Mean over outputs of noise to signal; an output that is always zero counts as is.
fn mean_ratio(noise: &[f64], signal: &[f64]) -> f64 {
    let ratio = |(noise, signal): (&f64, &f64)| if *signal > 0.0 { noise / signal } else { *noise };
    noise.iter().zip(signal).map(ratio).sum::<f64>() / signal.len().max(1) as f64
}

/// `10 log10(signal / noise)`, if there is noise.
fn decibels(signal: f64, noise: f64) -> Option<f64> {
    (noise > 0.0 && signal > 0.0).then(|| 10.0 * libm::log10(signal / noise))
}

fn finding(source: &Source, noise: &Noise, at_outputs: f64, total: f64, remedy: Remedy) -> Finding {
    let share = if total > 0.0 { at_outputs / total } else { 0.0 };
    let local_sqnr_db = decibels(noise.signal, noise.local);
    let output_sqnr_db = decibels(1.0, at_outputs);
    let gain = decibels(1.0, (1.0 - share * remedy.removed).max(f64::MIN_POSITIVE));
    Finding {
        name: source.name.clone(),
        operator: source.operator.clone(),
        part: match source.kind {
            Kind::Storage(_) => "value",
            Kind::Weights(_) => "weights",
            Kind::Table { .. } => "table",
        },
        share,
        local_sqnr_db,
        output_sqnr_db,
        passed_on_db: local_sqnr_db.zip(output_sqnr_db).map(|(local, output)| local - output),
        predicted_gain_db: gain.filter(|_| remedy.fix.is_some()),
        cause: remedy.cause,
        fix: remedy.fix,
    }
}

/// Kinds of loss.
const KINDS: [&str; 5] = [
    "weight rounding",
    "activation rounding",
    "clipping",
    "multiplier rounding",
    "table approximation",
];

/// The noise of one source at the outputs, by kind. What enters at one place passes on alike, whatever its kind.
fn by_kind(source: &Source, noise: &Noise, at_outputs: f64) -> [f64; KINDS.len()] {
    let of = |part: f64| if noise.local > 0.0 { at_outputs * part / noise.local } else { 0.0 };
    match source.kind {
        Kind::Weights(_) => [at_outputs, 0.0, 0.0, of(noise.multipliers), 0.0],
        Kind::Storage(_) => [0.0, of(noise.local - noise.clipped), of(noise.clipped), 0.0, 0.0],
        Kind::Table { .. } => [0.0, 0.0, 0.0, 0.0, at_outputs],
    }
}

/// The noise of all sources at the outputs by kind; `total` is that of the sources without the multipliers.
fn loss(sources: &[Source], noise: &[Noise], each: &[f64], total: f64) -> Vec<Loss> {
    let mut sums = [0.0; KINDS.len()];
    for ((source, noise), at_outputs) in sources.iter().zip(noise).zip(each) {
        let parts = by_kind(source, noise, *at_outputs);
        sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
    }
    let all = total + sums[3];
    let share = |part: f64| if all > 0.0 { part / all } else { 0.0 };
    KINDS.iter().zip(sums).map(|(kind, part)| Loss { kind, share: share(part) }).collect()
}

#[cfg(test)]
mod tests;
