//! Walks the graph: nodes in order, each value freed after its last use.
#![deny(clippy::float_arithmetic)]

use std::borrow::Cow;

use ir::qgraph::{QGraph, QNode, ValueId};

use crate::QTensor;
use crate::check::index;

/// Which values survive a run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The graph's outputs, in their order.
    Outputs,
    /// Every value, by its id.
    All,
}

/// Values during a run, by their ids; inputs are borrowed from the caller.
type Values<'a> = Vec<Option<Cow<'a, QTensor>>>;

/// A way to compute nodes.
pub(crate) trait Engine {
    /// Computes `node`, the graph's `i`-th.
    fn compute(&mut self, i: usize, node: &QNode, operands: &[&QTensor]) -> QTensor;

    /// Takes a value that nobody needs any more.
    fn discard(&mut self, value: QTensor);
}

/// Runs a checked graph on checked inputs.
pub(crate) fn execute(
    graph: &QGraph,
    inputs: &[QTensor],
    keep: Keep,
    engine: &mut impl Engine,
) -> Vec<QTensor> {
    let last_use = last_uses(graph);
    let mut values: Values<'_> = vec![None; graph.values.len()];
    for (&id, tensor) in graph.inputs.iter().zip(inputs) {
        values[index(id)] = Some(Cow::Borrowed(tensor));
    }
    for (i, node) in graph.nodes.iter().enumerate() {
        let operands: Vec<&QTensor> = node.inputs.iter().map(|&id| get(&values, id)).collect();
        let result = engine.compute(i, node, &operands);
        values[index(node.output)] = Some(Cow::Owned(result));
        if keep == Keep::Outputs {
            for &id in node.inputs.iter().filter(|&&id| last_use[index(id)] == Some(i)) {
                if let Some(Cow::Owned(value)) = values[index(id)].take() {
                    engine.discard(value);
                }
            }
        }
    }
    if keep == Keep::All {
        return values.into_iter().map(|value| value.expect(COMPUTED).into_owned()).collect();
    }
    let outputs = graph.outputs.iter().map(|&id| get(&values, id).clone()).collect();
    for value in values.into_iter().flatten() {
        if let Cow::Owned(value) = value {
            engine.discard(value);
        }
    }
    outputs
}

const COMPUTED: &str = "the check proved that every value is computed, and before it is used";

fn get<'v>(values: &'v Values<'_>, id: ValueId) -> &'v QTensor {
    values[index(id)].as_ref().expect(COMPUTED)
}

/// Node after which each value is no longer needed; `None` for outputs and for values nobody reads.
fn last_uses(graph: &QGraph) -> Vec<Option<usize>> {
    let mut last = vec![None; graph.values.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        for &id in &node.inputs {
            last[index(id)] = Some(i);
        }
    }
    for &id in &graph.outputs {
        last[index(id)] = None;
    }
    last
}
