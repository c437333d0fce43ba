//! Accuracy of integer graphs over the same samples.

use compiler::compile::Network;
use ir::graph::Graph;
use ir::qgraph::QGraph;
use rayon::prelude::*;

use super::stages::Numbers;
use crate::host::{FloatNetwork, IntegerNetwork};
use crate::score::Scores;
use crate::study::Labelled;

/// Samples that one thread takes at a time.
const CHUNK: usize = 16;

/// Samples, and what the float network makes of them.
pub(super) struct Measured {
    samples: Vec<Labelled>,
    references: Vec<Vec<f32>>,
}

impl Measured {
    pub(super) fn new(
        original: &Graph,
        network: &Network,
        samples: Vec<Labelled>,
    ) -> Result<Measured, String> {
        let graph = &network.graph;
        let first = graph.outputs.first().ok_or("the network has no output")?;
        let name = &graph.values[first.0 as usize].name;
        let float = FloatNetwork::new(original, name).map_err(|e| e.to_string())?;
        let references: Result<Vec<Vec<f32>>, String> = samples
            .par_iter()
            .map(|sample| float.run(&sample.inputs).map_err(|e| e.to_string()))
            .collect();
        Ok(Measured { samples, references: references? })
    }

    /// The report's accuracy of each graph, in order.
    pub(super) fn accuracies(&self, graphs: &[&QGraph]) -> Vec<Result<Numbers, String>> {
        let ready: Vec<Result<IntegerNetwork<'_>, String>> = graphs
            .par_iter()
            .map(|graph| IntegerNetwork::new(graph).map_err(|e| e.to_string()))
            .collect();
        // All chunks of all graphs at once, so that no thread waits at the end of a graph.
        let chunks = self.samples.len().div_ceil(CHUNK);
        let parts: Vec<Result<Vec<Scores>, String>> = (0..graphs.len() * chunks)
            .into_par_iter()
            .map(|index| {
                let network = ready[index / chunks].as_ref().map_err(Clone::clone)?;
                self.chunk(network, index % chunks)
            })
            .collect();
        let mut parts = parts.into_iter();
        let graph = |_| {
            let of_graph: Vec<_> = parts.by_ref().take(chunks).collect();
            let mut total = Scores::default();
            for part in of_graph {
                // One by one, as `qsim` adds them: sums of floats depend on their order.
                part?.iter().for_each(|scores| total.merge(scores));
            }
            Ok(numbers(&total))
        };
        graphs.iter().map(graph).collect()
    }

    /// Scores of some samples, each for itself.
    fn chunk(&self, network: &IntegerNetwork<'_>, chunk: usize) -> Result<Vec<Scores>, String> {
        let samples = self.samples.iter().zip(&self.references);
        let score = |(sample, reference): (&Labelled, &Vec<f32>)| {
            let outputs = network.run(&sample.inputs).map_err(|e| e.to_string())?;
            let mut scores = Scores::default();
            scores.add(&outputs, sample.label, Some(reference));
            Ok(scores)
        };
        samples.skip(chunk * CHUNK).take(CHUNK).map(score).collect()
    }
}

fn numbers(scores: &Scores) -> Numbers {
    let accuracy = serde_json::to_value(scores.accuracy()).expect("it has only string keys");
    let pairs = accuracy.as_object().into_iter().flatten();
    pairs.map(|(key, value)| (format!("accuracy.{key}"), value.clone())).collect()
}
