//! The samples on their way through the integer graph: for each, the values that are still needed, and no others.

use ir::graph::{Graph, ValueId};
use ir::qgraph::{QGraph, QNode, QValue, View};
use rayon::prelude::*;
use runtime::{Prepared, QTensor, RuntimeError, quantize};

use super::Probes;
use super::taps::Taps;
use crate::calibrate::Sample;
use crate::quantize::QuantizeError;

/// Integer values of all samples up to some node.
pub(super) struct Frontier {
    /// Indexed like the graph's values: one tensor per sample, while they are needed.
    values: Vec<Vec<QTensor>>,
    /// Samples, the first ones, that constants are fitted to; the others are held out.
    fitted: usize,
    /// Node after which each value is no longer needed.
    last_use: Vec<Option<usize>>,
}

impl Frontier {
    /// In front of the first node of `q`, whose inputs are `graph`'s; with the held-out samples too if they are asked for.
    pub(super) fn new(
        graph: &Graph,
        q: &QGraph,
        probes: &Probes,
        with_held_out: bool,
    ) -> Result<Frontier, QuantizeError> {
        let mut samples = probes.fitted();
        let fitted = samples.len();
        if with_held_out {
            samples.extend(probes.held_out());
        }
        let mut values = vec![Vec::new(); q.values.len()];
        for (position, (&id, float)) in q.inputs.iter().zip(&graph.inputs).enumerate() {
            let stored = |sample: &&Sample| {
                let real = sample.get(position).map_or(&[][..], Vec::as_slice);
                quantize(real, &q.values[id.0 as usize])
            };
            let tensors: Result<_, _> = samples.par_iter().map(stored).collect();
            let name = &graph.values[float.0 as usize].name;
            values[id.0 as usize] = tensors.map_err(|e| failed(name, &e))?;
        }
        let mut last_use = vec![None; q.values.len()];
        for (index, node) in q.nodes.iter().enumerate() {
            node.inputs.iter().for_each(|id| last_use[id.0 as usize] = Some(index));
        }
        Ok(Frontier { values, fitted, last_use })
    }

    /// What convolution `node` reads: of the samples that constants are fitted to, and of those held out.
    pub(super) fn operands(&self, q: &QGraph, node: usize) -> (&[QTensor], &[QTensor]) {
        self.values[q.nodes[node].inputs[0].0 as usize].split_at(self.fitted)
    }

    /// Mean of the stored integers that each tap of convolution `node` sees, over samples and positions. The sums are
    /// integers, so they do not depend on threads.
    pub(super) fn tap_means(&self, q: &QGraph, node: usize) -> Vec<f64> {
        let taps = Taps::of(q, node);
        let (samples, _) = self.operands(q, node);
        let add = |mut a: Vec<i64>, b: Vec<i64>| {
            if a.is_empty() {
                return b;
            }
            a.iter_mut().zip(&b).for_each(|(a, b)| *a += b);
            a
        };
        let sums = samples.par_iter().map(|x| taps.sums(x)).reduce(Vec::new, add);
        let count = (samples.len() * taps.positions()) as f64;
        sums.into_iter().map(|sum| sum as f64 / count).collect()
    }

    /// Computes node `node` for all samples and drops what no later node needs.
    pub(super) fn advance(&mut self, q: &QGraph, node: usize) -> Result<(), QuantizeError> {
        let alone = alone(q, node);
        let name = &q.nodes[node].name;
        let prepared = Prepared::new(&alone).map_err(|e| failed(name, &e))?;
        let operands = distinct(&q.nodes[node]);
        let samples = self.values[operands[0].0 as usize].len();
        let compute = |sample: usize| {
            let tensor = |id: &ValueId| self.values[id.0 as usize][sample].clone();
            let operands: Vec<QTensor> = operands.iter().map(tensor).collect();
            prepared.run(&operands).map(|mut results| results.remove(0))
        };
        let results: Result<Vec<_>, _> = (0..samples).into_par_iter().map(compute).collect();
        self.values[q.nodes[node].output.0 as usize] = results.map_err(|e| failed(name, &e))?;
        for id in operands.iter().filter(|id| self.last_use[id.0 as usize] == Some(node)) {
            self.values[id.0 as usize] = Vec::new();
        }
        Ok(())
    }
}

/// Operands of a node, each once.
fn distinct(node: &QNode) -> Vec<ValueId> {
    let mut operands = node.inputs.clone();
    operands.sort_unstable();
    operands.dedup();
    operands
}

/// The graph of one node.
fn alone(q: &QGraph, node: usize) -> QGraph {
    let node = &q.nodes[node];
    let operands = distinct(node);
    let values: Vec<ValueId> = operands.iter().copied().chain([node.output]).collect();
    let renumbered = |id: &ValueId| {
        let index = values.iter().position(|v| v == id).expect("operands and result are values");
        ValueId(u32::try_from(index).expect("fewer than 2^32 operands"))
    };
    // The ends of a graph must say how ONNX sees them; here they are what they are.
    let value = |id: &ValueId| {
        let value = &q.values[id.0 as usize];
        let view = View { onnx_shape: value.shape.extents().to_vec(), perm: vec![0, 1, 2] };
        QValue { view, ..value.clone() }
    };
    QGraph {
        name: q.name.clone(),
        values: values.iter().map(value).collect(),
        nodes: vec![QNode {
            inputs: node.inputs.iter().map(renumbered).collect(),
            output: renumbered(&node.output),
            ..node.clone()
        }],
        inputs: operands.iter().map(renumbered).collect(),
        outputs: vec![renumbered(&node.output)],
        rounding: q.rounding,
    }
}

pub(super) fn failed(name: &str, error: &RuntimeError) -> QuantizeError {
    QuantizeError::Run { name: name.to_owned(), message: error.to_string() }
}
