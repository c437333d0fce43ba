//! Better integers for the same network: biases (and weights) chosen by what a layer does, not by rounding alone.
//!
//! Quantization rounds every constant by itself. What that does to a layer shows only on its inputs: rounded weights move
//! the mean of every output channel, and what moves is passed on to all later layers. Where samples are at hand, one
//! sweep over the integer graph follows them through the integers as the machine computes them, layer by layer, and
//! puts each layer right on its real inputs before it goes on. Where batch norms tell what a layer reads in the mean, no
//! samples are needed.
//!
//! Every change keeps what quantization proved: sums fit the accumulator, products fit 64 bits.

mod analytic;
mod frontier;
mod layer;
mod means;
mod probes;
mod taps;

pub use means::{Means, means};
pub use probes::Probes;

use std::collections::BTreeSet;

use ir::graph::{Graph, Node};
use ir::qgraph::QGraph;

use crate::calibrate::moments::propagate;
use crate::options::{BiasCorrection, Options};
use crate::passes::Context;
use crate::quantize::{QuantizeError, keeps_integers};
use frontier::Frontier;
use layer::{Layer, is_layer};

/// What refining may draw on beside the graph.
#[derive(Clone, Copy, Debug)]
pub struct Knowledge<'a> {
    /// What the passes noted.
    pub context: &'a Context,
    /// Samples and what the float network makes of them, if there are any.
    pub seen: Option<(&'a Probes, &'a Means)>,
}

/// Layers of `graph` whose biases are corrected by samples, if there are any.
///
/// Batch norms were trained on far more than anybody calibrates on, so where they tell the mean of a layer's input,
/// that is the better estimate; [`BiasCorrection::Auto`] leaves the other layers to samples.
#[must_use]
pub fn open_layers<'a>(graph: &'a Graph, context: &Context, way: BiasCorrection) -> Vec<&'a Node> {
    let layers = graph.nodes.iter().filter(|n| is_layer(n) && !keeps_integers(graph, n));
    match way {
        BiasCorrection::Off | BiasCorrection::Analytic => Vec::new(),
        BiasCorrection::Empirical => layers.collect(),
        BiasCorrection::Auto => {
            let moments = propagate(graph, context);
            layers.filter(|node| moments[node.inputs[0].0 as usize].is_none()).collect()
        }
    }
}

/// Refines `q`, the integer form of `graph`, in place and says what was done, for people.
///
/// # Errors
/// When the means are of another network, or a sample does not fit the graph.
pub fn refine(
    graph: &Graph,
    q: &mut QGraph,
    knowledge: Knowledge<'_>,
    options: &Options,
    acc_bits: u32,
) -> Result<Vec<String>, QuantizeError> {
    let way = options.bias_correction;
    if way == BiasCorrection::Off {
        return Ok(Vec::new());
    }
    if way == BiasCorrection::Empirical && knowledge.seen.is_none() {
        let found = "empirical without samples".into();
        return Err(QuantizeError::Option { name: "bias_correction", found, expected: "samples" });
    }
    let moments = propagate(graph, knowledge.context);
    let open = open_layers(graph, knowledge.context, way);
    let open: BTreeSet<&str> = open.iter().map(|node| node.name.as_str()).collect();
    // The samples go as far as they are needed.
    let last = q.nodes.iter().rposition(|node| open.contains(node.name.as_str()));
    let mut seen = match (knowledge.seen, last) {
        (Some((probes, means)), Some(last)) => {
            Some((Frontier::new(graph, q, probes)?, means, last))
        }
        (_, None) | (None, _) => None,
    };
    let (mut by_norms, mut by_samples, mut layers) = (0, 0, 0);
    for node in 0..q.nodes.len() {
        if let Some(layer) = Layer::of(graph, q, node) {
            layers += 1;
            match &seen {
                Some((frontier, means, _)) if open.contains(layer.name()) => {
                    let target = means.of(graph, layer.result(), layer.channels())?;
                    let biases = layer.biases(q, &frontier.tap_means(q, node), target);
                    by_samples += usize::from(layer.set_biases(q, &biases, acc_bits));
                }
                Some(_) | None => {
                    let input = moments[layer.operand().0 as usize].as_ref();
                    let biases = input.map(|input| analytic::biases(graph, q, &layer, input));
                    let set = biases.is_some_and(|b| layer.set_biases(q, &b, acc_bits));
                    by_norms += usize::from(set);
                }
            }
        }
        match &mut seen {
            Some((frontier, _, last)) if node < *last => frontier.advance(q, node)?,
            Some(_) | None => {}
        }
    }
    let samples = knowledge.seen.map_or(0, |(probes, _)| probes.len());
    let counts = [
        (by_norms, "batch-norm statistics".to_owned()),
        (by_samples, format!("{samples} samples")),
    ];
    let note = |(count, source): (usize, String)| {
        (count > 0).then(|| format!("biases of {count} of {layers} layers corrected by {source}"))
    };
    Ok(counts.into_iter().filter_map(note).collect())
}

#[cfg(test)]
mod tests;
