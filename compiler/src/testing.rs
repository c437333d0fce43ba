//! Tools of this crate's tests: a graph builder with seeded constants, a plain float evaluator, comparison of passes.

mod build;
mod float;
mod random;

use ir::graph::Graph;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

pub(crate) use build::Build;
pub(crate) use float::{all_values, run};
pub(crate) use random::{random_functions, random_graph};

use crate::calibrate::{FloatRunner, Sample};
use crate::passes::{Changes, Context, Pass};

/// The plain evaluator as a float model.
pub(crate) struct PlainRunner<'a>(pub(crate) &'a Graph);

impl FloatRunner for PlainRunner<'_> {
    fn run(&self, sample: &Sample, fetch: &[&str]) -> Result<Vec<Vec<f32>>, String> {
        let values = all_values(self.0, sample);
        let find = |name: &&str| {
            let index = self.0.values.iter().position(|value| value.name == *name);
            index.map(|i| values[i].clone()).ok_or_else(|| format!("no value `{name}`"))
        };
        fetch.iter().map(find).collect()
    }
}

/// Seeded inputs for `graph`, uniform in -1..1.
pub(crate) fn random_inputs(graph: &Graph, seed: u64) -> Vec<Vec<f32>> {
    let mut rng = Pcg64::seed_from_u64(seed);
    let count = |id: &ir::graph::ValueId| graph.values[id.0 as usize].shape.iter().product();
    let mut tensor = |n: usize| (0..n).map(|_| rng.random_range(-1.0..1.0)).collect();
    graph.inputs.iter().map(|id| tensor(count(id))).collect()
}

/// Applies a pass and insists that the result is valid, has the same outputs by name, and computes the same.
pub(crate) fn check_pass(pass: &Pass<Graph>, graph: &Graph) -> (Graph, Changes) {
    let (after, changes, _) = check_pass_with(pass, graph, Context::default());
    (after, changes)
}

/// As [`check_pass`], with something in the context.
pub(crate) fn check_pass_with(
    pass: &Pass<Graph>,
    graph: &Graph,
    mut context: Context,
) -> (Graph, Changes, Context) {
    assert_eq!(graph.verify(), Ok(()), "the test's own graph");
    let mut after = graph.clone();
    let changes = (pass.run)(&mut after, &mut context).unwrap();
    assert_eq!(after.verify(), Ok(()), "after {}", pass.name);
    assert_same_function(graph, &after);
    (after, changes, context)
}

/// Insists that two graphs have outputs of the same names and shapes and compute the same, up to rounding.
pub(crate) fn assert_same_function(before: &Graph, after: &Graph) {
    let interface = |graph: &Graph| {
        let of = |id: &ir::graph::ValueId| {
            let value = &graph.values[id.0 as usize];
            (value.name.clone(), value.shape.clone())
        };
        let inputs: Vec<_> = graph.inputs.iter().map(of).collect();
        (inputs, graph.outputs.iter().map(of).collect::<Vec<_>>())
    };
    assert_eq!(interface(before), interface(after));
    for seed in 0..2 {
        let inputs = random_inputs(before, seed);
        for (a, b) in run(before, &inputs).iter().zip(&run(after, &inputs)) {
            let scale = a.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
            for (i, (p, q)) in a.iter().zip(b).enumerate() {
                assert!((p - q).abs() <= 1e-5 * scale, "element {i}: {p} became {q}");
            }
        }
    }
}
