//! The loss of integers that are there already, layer by layer and by kind: of a program, whose options are not known.

use ir::graph::Graph;
use ir::qgraph::QGraph;

use super::measure::Measured;
use super::{KINDS, by_kind, decibels, float_model, mean_ratio, source, whole_noise};

/// What separates an integer network's outputs from those of its float original.
#[derive(Clone, Debug)]
pub struct Split {
    /// Samples that noise was measured on.
    pub samples: u64,
    /// Signal to noise of the outputs; `None` without noise.
    pub sqnr_db: Option<f64>,
    /// What the sum of all layers predicts for it.
    pub predicted_sqnr_db: Option<f64>,
    /// The layers in program order, with inputs of the network first.
    pub layers: Vec<SplitLayer>,
}

/// The loss of one layer.
#[derive(Clone, Debug)]
pub struct SplitLayer {
    /// Name of the node, or of the network's input.
    pub name: String,
    /// Shares of the noise of all layers at the outputs, in the order of [`Split::KINDS`].
    pub shares: [f64; Split::KINDS.len()],
}

impl Split {
    /// Kinds of loss. Rounding of multipliers is part of that of weights.
    pub const KINDS: [&'static str; 4] = [KINDS[0], KINDS[1], KINDS[2], KINDS[4]];
}

/// Measures noise on `samples`, each the real elements of all inputs; calls `tick` after each. `graph` is the float network after the
/// passes, `q` its integers, whose biases are taken to be corrected for the mean errors of weights.
///
/// # Errors
/// When either cannot be run.
pub fn split(
    graph: &Graph,
    q: &QGraph,
    samples: &[Vec<Vec<f32>>],
    tick: impl Fn() + Sync,
) -> Result<Split, String> {
    let sources = source::sources(graph, q, q);
    let float = float_model(graph)?;
    let rounded = float_model(&source::rounded(graph, &sources))?;
    let measured =
        Measured { graph, float: &float, rounded: &rounded, sources: &sources, corrected: true };
    let (noise, signal) = measured.run(samples, tick)?;
    let whole = whole_noise(q, &float, graph, samples)?;
    let relative = |noise: &[f64]| mean_ratio(noise, &signal);
    let each: Vec<f64> = noise.iter().map(|noise| relative(&noise.outputs)).collect();
    let total: f64 = each.iter().sum();
    let mut layers: Vec<SplitLayer> = Vec::new();
    for ((source, noise), at_outputs) in sources.iter().zip(&noise).zip(&each) {
        let [weights, rounding, clipping, _, tables] = by_kind(source, noise, *at_outputs);
        let index = layers.iter().position(|layer| layer.name == source.name);
        let index = index.unwrap_or_else(|| {
            layers.push(SplitLayer { name: source.name.clone(), shares: Default::default() });
            layers.len() - 1
        });
        for (sum, part) in
            layers[index].shares.iter_mut().zip([weights, rounding, clipping, tables])
        {
            *sum += if total > 0.0 { part / total } else { 0.0 };
        }
    }
    Ok(Split {
        samples: samples.len() as u64,
        sqnr_db: decibels(1.0, relative(&whole)),
        predicted_sqnr_db: decibels(1.0, total),
        layers,
    })
}
