//! The float runtime as the model to observe.

use std::sync::OnceLock;

use ir::graph::Graph;
use ir::onnx::save_in_common_operators;
use runtime::{FloatModel, FloatTensor};

use super::{FloatRunner, Sample};

/// Runs a graph, as the passes left it, on the float runtime.
///
/// The graph is handed over as ONNX when first needed: calibration without data often needs no run at all.
pub struct GraphRunner<'a> {
    graph: &'a Graph,
    model: OnceLock<Result<FloatModel, String>>,
}

impl<'a> GraphRunner<'a> {
    /// A runner of `graph`.
    #[must_use]
    pub fn new(graph: &'a Graph) -> GraphRunner<'a> {
        GraphRunner { graph, model: OnceLock::new() }
    }
}

impl FloatRunner for GraphRunner<'_> {
    fn run(&self, sample: &Sample, fetch: &[&str]) -> Result<Vec<Vec<f32>>, String> {
        let load = || {
            FloatModel::load(save_in_common_operators(self.graph))
                .map_err(|error| error.to_string())
        };
        let model = self.model.get_or_init(load).as_ref().map_err(Clone::clone)?;
        let inputs: Vec<(&str, FloatTensor)> = (self.graph.inputs.iter().zip(sample))
            .map(|(id, data)| {
                let value = &self.graph.values[id.0 as usize];
                (
                    value.name.as_str(),
                    FloatTensor { shape: value.shape.clone(), data: data.clone() },
                )
            })
            .collect();
        let results = model.run(&inputs, fetch).map_err(|error| error.to_string())?;
        Ok(results.into_iter().map(|tensor| tensor.data).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::{Check, Context, GRAPH, run};
    use crate::testing::{all_values, random_graph, random_inputs};

    #[test]
    fn every_value_of_a_rewritten_graph_can_be_watched() {
        for seed in 0..12 {
            let mut graph = random_graph(seed);
            run(GRAPH, &mut graph, &mut Context::default(), Check::End).unwrap();
            let inputs = random_inputs(&graph, seed);
            let expected = all_values(&graph, &inputs);
            let fetch: Vec<&str> = graph
                .nodes
                .iter()
                .map(|n| graph.values[n.output.0 as usize].name.as_str())
                .collect();
            let found = GraphRunner::new(&graph).run(&inputs, &fetch).unwrap();
            for (node, found) in graph.nodes.iter().zip(&found) {
                let expected = &expected[node.output.0 as usize];
                let size = expected.iter().fold(1f32, |m, v| m.max(v.abs()));
                assert_eq!(expected.len(), found.len());
                for (p, q) in expected.iter().zip(found) {
                    assert!((p - q).abs() < 1e-4 * size, "{} of seed {seed}: {p} {q}", node.name);
                }
            }
        }
    }
}
