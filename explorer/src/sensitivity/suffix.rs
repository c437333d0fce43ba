//! The part of a changed graph that lies behind the change.

use std::collections::{BTreeMap, BTreeSet};

use ir::qgraph::{QGraph, QNode, QValue, ValueId, View};
use runtime::{Prepared, QTensor, RuntimeError, dequantize};

/// The nodes of a graph from the first one on that differs from another graph's.
pub(super) struct Suffix {
    graph: QGraph,
    /// Where each input of `graph` comes from.
    sources: Vec<Origin>,
    /// For each output of the whole graph the place among `graph`'s outputs, if it is computed there.
    outputs: Vec<Option<usize>>,
}

/// Where a value in front of the suffix comes from.
#[derive(Clone, Copy)]
enum Origin {
    /// The other graph's value of the same number: it is computed alike.
    Shared(ValueId),
    /// Input of that number, stored otherwise than in the other graph.
    Input(usize),
}

impl Suffix {
    /// What `changed` computes otherwise than `base`.
    pub(super) fn behind(base: &QGraph, changed: &QGraph) -> Suffix {
        let same_value = |id: &ValueId| base.value(*id) == changed.value(*id);
        let same_node =
            |(a, b): (&QNode, &QNode)| a == b && b.inputs.iter().chain([&b.output]).all(same_value);
        let first = if base.inputs == changed.inputs {
            let pairs = base.nodes.iter().zip(&changed.nodes);
            pairs.take_while(|&pair| same_node(pair)).count()
        } else {
            0
        };
        let nodes = &changed.nodes[first..];
        let computed: BTreeSet<ValueId> = nodes.iter().map(|node| node.output).collect();
        let read: BTreeSet<ValueId> = nodes
            .iter()
            .flat_map(|n| &n.inputs)
            .filter(|id| !computed.contains(id))
            .copied()
            .collect();
        let kept = || read.iter().chain(&computed);
        let number: BTreeMap<ValueId, ValueId> =
            kept().zip(0u32..).map(|(&id, new)| (id, ValueId(new))).collect();
        let origin = |id: &ValueId| match changed.inputs.iter().position(|input| input == id) {
            Some(input) if first == 0 || !same_value(id) => Origin::Input(input),
            Some(_) | None => Origin::Shared(*id),
        };
        let ends: Vec<ValueId> =
            changed.outputs.iter().filter(|id| computed.contains(id)).copied().collect();
        let graph = QGraph {
            name: changed.name.clone(),
            values: kept().map(|id| with_view(&changed.values[id.0 as usize])).collect(),
            nodes: nodes
                .iter()
                .map(|node| QNode {
                    inputs: node.inputs.iter().map(|id| number[id]).collect(),
                    output: number[&node.output],
                    ..node.clone()
                })
                .collect(),
            inputs: read.iter().map(|id| number[id]).collect(),
            outputs: ends.iter().map(|id| number[id]).collect(),
            rounding: changed.rounding,
        };
        Suffix {
            graph,
            sources: read.iter().map(origin).collect(),
            outputs: changed.outputs.iter().map(|id| ends.iter().position(|e| e == id)).collect(),
        }
    }

    /// The nodes as a graph of their own.
    pub(super) fn graph(&self) -> &QGraph {
        &self.graph
    }

    /// Real values of the outputs of the whole graph that can differ, for a sample of which `base` holds all values of the other
    /// graph. `runner` runs [`graph`](Self::graph).
    pub(super) fn outputs(
        &self,
        runner: &Prepared<'_>,
        base: &[QTensor],
        sample: &[Vec<f32>],
    ) -> Result<Vec<Option<Vec<f32>>>, RuntimeError> {
        let input = |(origin, id): (&Origin, &ValueId)| match *origin {
            Origin::Shared(value) => Ok(base[value.0 as usize].clone()),
            Origin::Input(at) => runtime::quantize(&sample[at], &self.graph.values[id.0 as usize]),
        };
        let inputs: Result<Vec<QTensor>, _> =
            self.sources.iter().zip(&self.graph.inputs).map(input).collect();
        let results = runner.run(&inputs?)?;
        let real = |at: &Option<usize>| {
            let value = |at: usize| &self.graph.values[self.graph.outputs[at].0 as usize];
            at.map(|at| dequantize(&results[at], value(at))).transpose()
        };
        self.outputs.iter().map(real).collect()
    }
}

/// A value with a view, which ends of a graph must have.
fn with_view(value: &QValue) -> QValue {
    if value.view.onnx_shape.is_empty() {
        let view = View { onnx_shape: value.shape.extents().to_vec(), perm: vec![0, 1, 2] };
        return QValue { view, ..value.clone() };
    }
    value.clone()
}
