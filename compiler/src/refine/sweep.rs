//! One sweep over the integer graph that puts layer after layer right.

use std::collections::BTreeSet;

use ir::graph::Graph;
use ir::qgraph::QGraph;

use super::frontier::Frontier;
use super::layer::Layer;
use super::weights::{Rounding, Solver};
use super::{Knowledge, Probes, analytic, open_layers};
use crate::calibrate::moments::Moments;
use crate::options::BiasCorrection;
use crate::quantize::QuantizeError;

/// What every sweep over a network starts from.
pub(super) struct Sweep<'a> {
    pub(super) graph: &'a Graph,
    /// Its integer form, every constant rounded by itself.
    pub(super) plain: &'a QGraph,
    pub(super) knowledge: Knowledge<'a>,
    /// What batch norms tell of every value.
    pub(super) moments: &'a [Option<Moments>],
    pub(super) acc_bits: u32,
}

/// An integer form of the network and how it was made.
pub(super) struct Form {
    pub(super) graph: QGraph,
    pub(super) done: Done,
}

/// How many layers were put right by what.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    layers: usize,
    biases_by_norms: usize,
    biases_by_samples: usize,
    rounded: usize,
}

impl Sweep<'_> {
    /// The form whose biases are corrected that way and whose weights are rounded by `solver`, or each by itself.
    pub(super) fn run(
        &self,
        way: BiasCorrection,
        solver: Option<Solver>,
    ) -> Result<Form, QuantizeError> {
        let (graph, knowledge) = (self.graph, self.knowledge);
        let mut q = self.plain.clone();
        let open: BTreeSet<&str> = match knowledge.means {
            Some(_) => open_layers(graph, knowledge.context, way).into_iter(),
            None => Vec::new().into_iter(),
        }
        .map(|node| node.name.as_str())
        .collect();
        let reads = |node: usize| {
            let layer = Layer::of(graph, &q, node);
            layer.is_some_and(|layer| solver.is_some() || open.contains(layer.name()))
        };
        // The samples go as far as they are needed.
        let last = (0..q.nodes.len()).rev().find(|&node| reads(node));
        let mut frontier = match last {
            Some(_) => Some(Frontier::new(graph, &q, knowledge.probes, solver.is_some())?),
            None => None,
        };
        let mut done = Done::default();
        for node in 0..q.nodes.len() {
            if let Some(layer) = Layer::of(graph, &q, node) {
                done.layers += 1;
                let by_samples = open.contains(layer.name());
                let mean =
                    self.mean(&q, node, &layer, way, frontier.as_ref().filter(|_| by_samples))?;
                if let (Some(solver), Some(frontier)) = (solver, &frontier) {
                    let mean = mean.as_ref().map(|mean| mean.taps.as_slice());
                    let rounding = Rounding { node, layer: &layer, frontier, mean, solver };
                    done.rounded += usize::from(rounding.apply(&mut q, self.acc_bits));
                }
                if let Some(Mean { taps, target }) = mean {
                    let biases = layer.biases(&q, &taps, &target);
                    let set = usize::from(layer.set_biases(&mut q, &biases, self.acc_bits));
                    *(if by_samples {
                        &mut done.biases_by_samples
                    } else {
                        &mut done.biases_by_norms
                    }) += set;
                }
            }
            match (&mut frontier, last) {
                (Some(frontier), Some(last)) if node < last => frontier.advance(&q, node)?,
                _ => {}
            }
        }
        Ok(Form { graph: q, done })
    }

    /// What a layer reads in the mean and what the float layer makes of it: by the samples of `frontier` if given, else by batch norms
    /// if the way to correct biases is to use them and they tell.
    fn mean(
        &self,
        q: &QGraph,
        node: usize,
        layer: &Layer<'_>,
        way: BiasCorrection,
        frontier: Option<&Frontier>,
    ) -> Result<Option<Mean>, QuantizeError> {
        if let (Some(frontier), Some(means)) = (frontier, self.knowledge.means) {
            let target = means.of(self.graph, layer.result(), layer.channels())?.to_vec();
            return Ok(Some(Mean { taps: frontier.tap_means(q, node), target }));
        }
        let by_norms = matches!(way, BiasCorrection::Analytic | BiasCorrection::Mixed);
        let input = self.moments[layer.operand().0 as usize].as_ref().filter(|_| by_norms);
        Ok(input.map(|input| {
            let taps = analytic::tap_means(self.graph, layer, input);
            Mean { target: layer.real_means(&taps), taps }
        }))
    }
}

/// Means of a layer.
struct Mean {
    /// Of the stored integers that each tap sees.
    taps: Vec<f64>,
    /// Of the float results, per output channel.
    target: Vec<f64>,
}

impl Done {
    /// What was done, for people.
    pub(super) fn notes(&self, probes: &Probes) -> Vec<String> {
        let samples = probes.fitted().len();
        let of = format!("of {} layers", self.layers);
        let notes = [
            (self.rounded, format!("weights {of} rounded by {samples} samples")),
            (self.biases_by_norms, format!("biases {of} corrected by batch-norm statistics")),
            (self.biases_by_samples, format!("biases {of} corrected by {samples} samples")),
        ];
        let told = |(count, text): (usize, String)| {
            (count > 0).then(|| text.replacen(" of", &format!(" of {count} of"), 1))
        };
        notes.into_iter().filter_map(told).collect()
    }
}
