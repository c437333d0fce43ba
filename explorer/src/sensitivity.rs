//! What one change of widths does to a network's answers: layer by layer, on the integers.
//!
//! A base is quantized once. Each change is made to it alone, and what that adds to the outputs is measured against the base:
//! the sum of squared differences over the sum of squares (noise over signal, ZeroQ's and HAWQ's idea measured instead of
//! estimated). Such noises of single changes add up well as long as they are small, which is what searches build on.
//!
//! Only what lies behind a change is computed anew.

mod suffix;

use compiler::compile::CompileError;
use compiler::options::Options;
use ir::qgraph::QGraph;
use isa::Hardware;
use rayon::prelude::*;
use runtime::{Prepared, QTensor, RuntimeError, dequantize, quantize};

use crate::bench::Bench;
use crate::score::arg_max;
use suffix::Suffix;

/// Changes prepared at a time: each holds the network's weights once more.
const BATCH: usize = 8;

/// Another width for one layer's weights or for one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Name of the node (or of an input, whose value is meant).
    pub node: String,
    /// What changes.
    pub bits: Bits,
}

/// Which bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    /// Per weight of the node.
    Weights(u8),
    /// Per activation that the node computes.
    Activations(u8),
}

/// What a change does to the answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// The change.
    pub change: Change,
    /// Squared differences over squares of the base's outputs: the mean of it over the outputs. Infinite for a change that
    /// leaves no integer form.
    pub noise: f64,
    /// Share of samples whose largest value of the first output stays the same one, where that output is one vector.
    pub agreement: Option<f64>,
}

/// Why nothing can be measured.
#[derive(Debug, thiserror::Error)]
pub enum SensitivityError {
    /// The base has no integer form.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// A sample cannot be run.
    #[error(transparent)]
    Run(#[from] RuntimeError),
}

impl Change {
    /// The options with this change.
    #[must_use]
    pub fn applied(&self, to: &Options) -> Options {
        let mut options = to.clone();
        match self.bits {
            Bits::Weights(bits) => options.layer_bits.insert(self.node.clone(), bits),
            Bits::Activations(bits) => options.layer_act_bits.insert(self.node.clone(), bits),
        };
        options
    }
}

/// What each of some changes to `base` does, over samples (elements of every input, in ONNX order); `tick` after each change. The
/// network is quantized for `hardware`, which may be roomier than the bench's. The result does not depend on threads.
///
/// # Errors
/// When the base has no integer form, or a sample does not fit the network.
pub fn sensitivity(
    bench: &Bench<'_>,
    hardware: &Hardware,
    base: &Options,
    changes: &[Change],
    samples: &[Vec<Vec<f32>>],
    tick: impl Fn() + Sync,
) -> Result<Vec<Effect>, SensitivityError> {
    let base_graph = bench.sketch(base, hardware)?;
    let prepared = Prepared::new(&base_graph)?;
    let mut effects = Vec::with_capacity(changes.len());
    for batch in changes.chunks(BATCH) {
        let variants: Vec<Option<QGraph>> = batch
            .par_iter()
            .map(|change| bench.sketch(&change.applied(base), hardware).ok())
            .collect();
        let suffixes: Vec<Option<Suffix>> =
            variants.iter().map(|v| Some(Suffix::behind(&base_graph, v.as_ref()?))).collect();
        let runners: Vec<Option<Prepared<'_>>> = suffixes
            .iter()
            .map(|s| s.as_ref().map(|s| Prepared::new(s.graph())).transpose())
            .collect::<Result<_, _>>()?;
        let of_sample = |sample: &Vec<Vec<f32>>| -> Result<Sums, RuntimeError> {
            let values = prepared.run_all(&stored(&base_graph, sample)?)?;
            let ours = base_graph.outputs.iter();
            let ours: Vec<Vec<f32>> = ours
                .map(|&id| dequantize(&values[id.0 as usize], &base_graph.values[id.0 as usize]))
                .collect::<Result<_, _>>()?;
            let signal = ours.iter().map(|output| squares(output)).collect();
            let moved = suffixes.iter().zip(&runners).map(|(suffix, runner)| {
                let (Some(suffix), Some(runner)) = (suffix, runner) else { return Ok(None) };
                let outputs = suffix.outputs(runner, &values, sample)?;
                Ok(Some(Moved::from(&ours, &outputs)))
            });
            Ok(Sums { signal, moved: moved.collect::<Result<_, RuntimeError>>()? })
        };
        let sums: Vec<Sums> = samples.par_iter().map(of_sample).collect::<Result<_, _>>()?;
        let scores = is_vector(&base_graph);
        for (index, change) in batch.iter().enumerate() {
            effects.push(effect(change, &sums, index, scores));
            tick();
        }
    }
    Ok(effects)
}

/// What one sample shows.
struct Sums {
    /// Squares of each output of the base.
    signal: Vec<f64>,
    /// What each change did.
    moved: Vec<Option<Moved>>,
}

/// What a change did to the outputs of one sample.
struct Moved {
    /// Squared differences of each output that can change.
    noise: Vec<f64>,
    /// Whether the first one's largest value stayed.
    same: bool,
}

impl Moved {
    /// `None` among the outputs are those in front of the change.
    fn from(before: &[Vec<f32>], after: &[Option<Vec<f32>>]) -> Moved {
        let pairs = || before.iter().zip(after);
        let noise = |(before, after): (&Vec<f32>, &Option<Vec<f32>>)| match after {
            Some(after) => {
                let squared = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
                before.iter().zip(after).map(squared).sum()
            }
            None => 0.0,
        };
        let same = |(before, after): (&Vec<f32>, &Option<Vec<f32>>)| {
            after.as_ref().is_none_or(|after| arg_max(after) == arg_max(before))
        };
        Moved { noise: pairs().map(noise).collect(), same: pairs().take(1).all(same) }
    }
}

/// Sums over the samples, in their order.
fn effect(change: &Change, samples: &[Sums], index: usize, scores: bool) -> Effect {
    let outputs = samples.first().map_or(0, |first| first.signal.len());
    let moved: Option<Vec<&Moved>> = samples.iter().map(|s| s.moved[index].as_ref()).collect();
    let change = change.clone();
    let Some(moved) = moved.filter(|_| outputs > 0) else {
        return Effect { change, noise: f64::INFINITY, agreement: None };
    };
    let ratio = |output: usize| {
        let signal: f64 = samples.iter().map(|s| s.signal[output]).sum();
        let noise: f64 = moved.iter().map(|m| m.noise[output]).sum();
        if noise == 0.0 { 0.0 } else { noise / signal.max(f64::MIN_POSITIVE) }
    };
    let noise = (0..outputs).map(ratio).sum::<f64>() / outputs as f64;
    let same = moved.iter().filter(|m| m.same).count();
    let agreement = scores.then(|| same as f64 / moved.len() as f64);
    Effect { change, noise, agreement }
}

/// Whether the first output is one vector, so that its largest value is an answer.
fn is_vector(graph: &QGraph) -> bool {
    graph.outputs.first().is_some_and(|id| {
        let extents = graph.values[id.0 as usize].shape.extents();
        extents.iter().filter(|&&extent| extent > 1).count() == 1
    })
}

/// Stored integers of a sample.
fn stored(graph: &QGraph, sample: &[Vec<f32>]) -> Result<Vec<QTensor>, RuntimeError> {
    let inputs = graph.inputs.iter().zip(sample);
    inputs.map(|(&id, real)| quantize(real, &graph.values[id.0 as usize])).collect()
}

fn squares(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v).powi(2)).sum()
}
