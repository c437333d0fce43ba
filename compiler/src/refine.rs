//! Better integers for the same network: weights and biases chosen by what a layer does, not by rounding alone.
//!
//! Quantization rounds every constant by itself. What that does to a layer shows only on its inputs: rounded weights move
//! the mean of every output channel, and what moves is passed on to all later layers. Where samples are at hand, a
//! sweep over the integer graph follows them through the integers as the machine computes them, layer by layer, and
//! puts each layer right on its real inputs before it goes on. Where batch norms tell what a layer reads in the mean, no
//! samples are needed.
//!
//! No way is the best for all networks. Of the samples every fourth is held out: nothing is fitted to it, and where the choice is left to the
//! compiler, that form of the network is kept whose answers on the held-out samples are closest to the float network's.
//!
//! Every change keeps what quantization proved: sums fit the accumulator, products fit 64 bits.

mod analytic;
mod answers;
mod frontier;
mod gram;
mod layer;
mod means;
mod probes;
mod rounding;
mod sweep;
mod taps;
mod weights;

pub use answers::{Answers, answers};
pub use means::{Means, means};
pub use probes::Probes;

use ir::graph::{Graph, Node};
use ir::qgraph::{QGraph, QNode, QOp};

use crate::calibrate::moments::propagate;
use crate::options::{BiasCorrection, Options, WeightRounding};
use crate::passes::Context;
use crate::quantize::{QuantizeError, keeps_integers};
use answers::Judge;
use layer::is_layer;
use sweep::{Form, Sweep};
use weights::Solver;

/// Up to this many bits per weight rounding is worth a sweep.
const FEW_BITS: u8 = 6;

/// What refining may draw on beside the graph.
#[derive(Clone, Copy, Debug)]
pub struct Knowledge<'a> {
    /// What the passes noted.
    pub context: &'a Context,
    /// Samples; empty if there are none.
    pub probes: &'a Probes,
    /// What the float network computes in the mean on those that are not held out.
    pub means: Option<&'a Means>,
    /// What it answers on those that are.
    pub answers: Option<&'a Answers>,
}

/// Layers of `graph` whose biases may be corrected by samples, if there are any.
///
/// Batch norms were trained on far more than anybody calibrates on, so where they tell the mean of a layer's input,
/// that is often the better estimate; [`BiasCorrection::Mixed`] leaves the other layers to samples.
#[must_use]
pub fn open_layers<'a>(graph: &'a Graph, context: &Context, way: BiasCorrection) -> Vec<&'a Node> {
    let layers = graph.nodes.iter().filter(|n| is_layer(n) && !keeps_integers(graph, n));
    match way {
        BiasCorrection::Off | BiasCorrection::Analytic => Vec::new(),
        BiasCorrection::Auto | BiasCorrection::Empirical => layers.collect(),
        BiasCorrection::Mixed => {
            let moments = propagate(graph, context);
            layers.filter(|node| moments[node.inputs[0].0 as usize].is_none()).collect()
        }
    }
}

/// Refines `q`, the integer form of `graph`, in place and says what was done, for people.
///
/// # Errors
/// When the means or answers are of another network, or a sample does not fit the graph.
pub fn refine(
    graph: &Graph,
    q: &mut QGraph,
    knowledge: Knowledge<'_>,
    options: &Options,
    acc_bits: u32,
) -> Result<Vec<String>, QuantizeError> {
    check(knowledge, options)?;
    let judge = match knowledge.answers {
        Some(answers) => Judge::new(q, knowledge.probes, answers)?,
        None => None,
    };
    let moments = propagate(graph, knowledge.context);
    let sweep = Sweep { graph, plain: q, knowledge, moments: &moments, acc_bits };
    let ways = ways(graph, knowledge, options, judge.is_some());
    let forms = ways.iter().map(|&way| sweep.run(way, None)).collect::<Result<Vec<_>, _>>()?;
    let mut notes = Vec::new();
    let names: Vec<&str> = ways.iter().map(|way| way.name()).collect();
    let best = least_noise(&forms, judge.as_ref(), "bias correction", &names, &mut notes)?;
    let way = ways[best];
    let mut form = forms.into_iter().nth(best).expect("one of them is the best");
    if let Some(solver) = solver(q, options, judge.is_some()) {
        let rounded = sweep.run(way, Some(solver))?;
        if options.weight_rounding == WeightRounding::Auto {
            let forms = [form, rounded];
            let names = ["each by itself", solver.name()];
            let best = least_noise(&forms, judge.as_ref(), "rounding", &names, &mut notes)?;
            form = forms.into_iter().nth(best).expect("one of two is the best");
        } else {
            form = rounded;
        }
    }
    notes.extend(form.done.notes(knowledge.probes));
    *q = form.graph;
    Ok(notes)
}

/// Refuses what only samples can do where there are none.
fn check(knowledge: Knowledge<'_>, options: &Options) -> Result<(), QuantizeError> {
    let refused = |name, way: &str, expected| {
        Err(QuantizeError::Option { name, found: format!("{way} without {expected}"), expected })
    };
    if options.bias_correction == BiasCorrection::Empirical && knowledge.means.is_none() {
        return refused("bias_correction", BiasCorrection::Empirical.name(), "samples");
    }
    match options.weight_rounding {
        way @ (WeightRounding::Gptq | WeightRounding::Descent)
            if knowledge.probes.held_out().is_empty() =>
        {
            refused("weight_rounding", way.name(), "8 samples")
        }
        _ => Ok(()),
    }
}

/// The ways to correct biases to choose from: one, or with a judge all that differ. Of equals the first is kept.
fn ways(
    graph: &Graph,
    knowledge: Knowledge<'_>,
    options: &Options,
    judged: bool,
) -> Vec<BiasCorrection> {
    use BiasCorrection::{Analytic, Auto, Empirical, Mixed, Off};
    let layers = |way| open_layers(graph, knowledge.context, way).len();
    match options.bias_correction {
        Auto if !judged || knowledge.means.is_none() => vec![Mixed],
        // Batch norms tell nothing.
        Auto if layers(Mixed) == layers(Empirical) => vec![Empirical, Off],
        Auto => vec![Mixed, Empirical, Analytic, Off],
        way => vec![way],
    }
}

/// How weights are rounded on samples, if at all.
fn solver(q: &QGraph, options: &Options, judged: bool) -> Option<Solver> {
    match options.weight_rounding {
        WeightRounding::Gptq => Some(Solver::NearestPlane),
        WeightRounding::Descent => Some(Solver::Descent),
        WeightRounding::Auto => {
            let few = |node: &QNode| match &node.op {
                QOp::Conv { weights, .. } => weights.bits <= FEW_BITS,
                _ => false,
            };
            (judged && q.nodes.iter().any(few)).then_some(Solver::Both)
        }
        WeightRounding::Nearest | WeightRounding::Squant => None,
    }
}

/// Index of the form whose answers on the held-out samples have the least noise; the first one without a judge, or of equals. Tells what all have.
fn least_noise(
    forms: &[Form],
    judge: Option<&Judge<'_>>,
    what: &str,
    names: &[&str],
    notes: &mut Vec<String>,
) -> Result<usize, QuantizeError> {
    let Some(judge) = judge.filter(|_| forms.len() > 1) else {
        return Ok(0);
    };
    let noise = |form: &Form| judge.noise(&form.graph);
    let noises = forms.iter().map(noise).collect::<Result<Vec<_>, _>>()?;
    let best = (0..forms.len()).min_by(|&i, &j| noises[i].total_cmp(&noises[j])).unwrap_or(0);
    let decibels = |noise: f64| -10.0 * libm::log10(noise);
    let each = names.iter().zip(&noises);
    let each: Vec<String> =
        each.map(|(name, noise)| format!("{name} {:.1}", decibels(*noise))).collect();
    notes.push(format!(
        "{what} {} chosen by the answers to {} held-out samples (SQNR in dB: {})",
        names[best],
        judge.samples(),
        each.join(", ")
    ));
    Ok(best)
}

#[cfg(test)]
mod tests;
