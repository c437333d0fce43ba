//! Which values share stored integers, and which ranges calibration must find.

use std::collections::{BTreeMap, BTreeSet};

use ir::graph::{Graph, Node, Op, ValueId};
use ir::quantized::Encoding;

use super::fusion::Fusion;
use super::params::ends_in_sigmoid;

/// A value whose range must be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The value.
    pub value: ValueId,
    /// Its name.
    pub name: String,
    /// Whether its largest elements may be clipped.
    pub clipping: Clipping,
}

/// Whether a range may be narrower than what was observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clipping {
    /// If that lowers the error.
    Allowed,
    /// No: the value decides the network's answer (an output, or the logits of a softmax).
    Forbidden,
}

/// Disjoint sets of values that share a scale.
pub(super) struct Sets {
    parent: Vec<usize>,
}

impl Sets {
    /// Root of the value's set.
    pub(super) fn find(&self, value: ValueId) -> usize {
        let mut at = value.0 as usize;
        while self.parent[at] != at {
            at = self.parent[at];
        }
        at
    }

    /// Joins two sets; the first one's root stays root.
    pub(super) fn join(&mut self, a: usize, b: usize) {
        self.parent[b] = a;
    }

    /// Scales that the file decides, by set: of values themselves, of what is moved, of operands of a concatenation whose result
    /// has one, and of a concatenation whose operands all have the same.
    pub(super) fn encodings(&self, graph: &Graph, fusion: &Fusion) -> BTreeMap<usize, Encoding> {
        let mut known: BTreeMap<usize, Encoding> = stored(graph, fusion)
            .filter_map(|value| Some((self.find(value), fusion.decided(value)?)))
            .collect();
        let joins: Vec<(&Node, usize)> = (fusion.nodes(graph))
            .filter(|(node, ..)| matches!(node.op, Op::Concat { .. }))
            .map(|(node, result, _)| (node, self.find(result)))
            .collect();
        // From the last one, so that operands of operands follow.
        for (node, result) in joins.iter().rev() {
            if let Some(&encoding) = known.get(result) {
                for &x in &node.inputs {
                    known.entry(self.find(x)).or_insert(encoding);
                }
            }
        }
        for (node, result) in joins {
            let mut parts = node.inputs.iter().map(|&x| known.get(&self.find(x)).copied());
            let first = parts.next().flatten();
            if let Some(encoding) = first.filter(|_| parts.all(|part| part == first)) {
                known.entry(result).or_insert(encoding);
            }
        }
        known
    }

    /// Sets of the values that share stored integers.
    pub(super) fn of(graph: &Graph, fusion: &Fusion) -> Sets {
        let mut sets = Sets { parent: (0..graph.values.len()).collect() };
        for (node, result, _) in fusion.nodes(graph) {
            let moves = match node.op {
                // A mean of neighbours lies between them.
                Op::Interpolate { .. } => true,
                Op::MaxPool { .. } | Op::Reshape | Op::Transpose { .. } | Op::Gather { .. } => true,
                Op::Pad { value, .. } => value == 0.0,
                // An input's own rounding.
                Op::FakeQuantize { .. } => fusion.decided(node.inputs[0]) == fusion.decided(result),
                _ => false,
            };
            if moves {
                let (x, y) = (sets.find(node.inputs[0]), sets.find(result));
                sets.join(x, y);
            }
        }
        sets
    }
}

/// Values that the network must store, in graph order: inputs and results.
pub(super) fn stored<'a>(
    graph: &'a Graph,
    fusion: &'a Fusion,
) -> impl Iterator<Item = ValueId> + 'a {
    graph.inputs.iter().copied().chain(fusion.nodes(graph).map(|(_, result, _)| result))
}

/// The values whose ranges [`quantize`](super::quantize) needs, in graph order: inputs, then results of arithmetic. Those whose
/// scale the file decides are not among them. `graph` must have been through the passes.
#[must_use]
pub fn wanted(graph: &Graph) -> Vec<Wanted> {
    let fusion = Fusion::of(graph);
    let mut sets = Sets::of(graph, &fusion);
    let decided: Vec<ValueId> = {
        let known = sets.encodings(graph, &fusion);
        stored(graph, &fusion).filter(|&value| known.contains_key(&sets.find(value))).collect()
    };
    for (node, result, _) in fusion.nodes(graph) {
        if matches!(node.op, Op::Concat { .. }) {
            for &x in &node.inputs {
                let (y, x) = (sets.find(result), sets.find(x));
                sets.join(y, x);
            }
        }
    }
    let softmax = graph.nodes.iter().filter(|node| matches!(node.op, Op::Softmax { .. }));
    let decisive: BTreeSet<usize> = softmax
        .map(|node| &node.inputs[0])
        .chain(&graph.outputs)
        .map(|&id| sets.find(id))
        .collect();
    let arithmetic =
        fusion.nodes(graph).filter(|(node, ..)| has_own_range(&node.op)).map(|(_, y, _)| y);
    (graph.inputs.iter().copied().chain(arithmetic))
        .filter(|value| !decided.contains(value))
        .map(|value| {
            let name = graph.values[value.0 as usize].name.clone();
            let decisive = decisive.contains(&sets.find(value));
            let clipping = if decisive { Clipping::Forbidden } else { Clipping::Allowed };
            Wanted { value, name, clipping }
        })
        .collect()
}

/// Whether the result has a scale of its own that calibration decides.
fn has_own_range(op: &Op) -> bool {
    match op {
        Op::Conv { .. }
        | Op::Dense
        | Op::MatMul { .. }
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Max
        | Op::Min
        | Op::PRelu
        | Op::Lrn { .. }
        | Op::Clip { .. }
        | Op::AveragePool { .. } => true,
        Op::Unary { function } => !ends_in_sigmoid(function),
        // Its scale is decided.
        Op::FakeQuantize { .. }
        | Op::BatchNorm { .. }
        | Op::ConvTranspose { .. }
        | Op::Interpolate { .. }
        | Op::MaxPool { .. }
        | Op::ReduceMean { .. }
        | Op::Concat { .. }
        | Op::Reshape
        | Op::Transpose { .. }
        | Op::Pad { .. }
        | Op::Gather { .. }
        | Op::Softmax { .. } => false,
    }
}
