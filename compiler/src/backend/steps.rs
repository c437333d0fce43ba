//! Steps: the nodes of the integer graph as the machine runs them, with residual additions fused into the drain of a convolution.
//!
//! Fusion never changes integers: a fused drain computes the convolution's requantization and clamp, then the addition, exactly as the two nodes say.

use ir::qgraph::{QGraph, QOp, QType, ValueId};

/// One unit of work: a node, possibly with the addition that follows it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Index of the node computed first.
    pub node: usize,
    /// Addition fused into its drain.
    pub residual: Option<Residual>,
    /// Value the step produces.
    pub output: ValueId,
}

/// An addition fused into a drain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Residual {
    /// Index of the Add node.
    pub node: usize,
    /// The operand that does not come from the convolution.
    pub side: ValueId,
    /// Multiplier of the convolution's result.
    pub m_conv: i32,
    /// Multiplier of the side operand.
    pub m_side: i32,
}

impl Step {
    /// The node that reports name: the last one computed.
    pub(crate) fn last_node(&self) -> usize {
        self.residual.map_or(self.node, |r| r.node)
    }

    /// Values the step reads, the side operand last.
    pub(crate) fn inputs(&self, graph: &QGraph) -> Vec<ValueId> {
        let mut inputs = graph.nodes[self.node].inputs.clone();
        inputs.extend(self.residual.map(|r| r.side));
        inputs
    }
}

/// Whether a convolution runs on the vector engine lanes: one input channel and one output channel per group.
pub(crate) fn is_depthwise(op: &QOp) -> bool {
    matches!(op, QOp::Conv { weights, groups, .. } if *groups > 1 && weights.ic == 1 && weights.oc == *groups)
}

/// Cuts the graph into steps, in an order in which every operand is ready.
pub(crate) fn steps(graph: &QGraph) -> Vec<Step> {
    let mut uses = vec![0usize; graph.values.len()];
    for value in graph.nodes.iter().flat_map(|n| &n.inputs).chain(&graph.outputs) {
        uses[value.0 as usize] += 1;
    }
    let mut producer = vec![None; graph.values.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        producer[node.output.0 as usize] = Some(i);
    }
    // An array convolution moves down to the addition that consumes it, where the other operand is ready too.
    let mut fused_into: Vec<Option<Residual>> = vec![None; graph.nodes.len()];
    let mut absorbed = vec![false; graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        let QOp::Add { ma, mb, .. } = node.op else { continue };
        let [a, b] = node.inputs[..] else { continue };
        let same_shape = graph.values[a.0 as usize].shape == graph.values[b.0 as usize].shape;
        if a == b || !same_shape {
            continue;
        }
        let candidates = [
            (a, Residual { node: i, side: b, m_conv: ma, m_side: mb }),
            (b, Residual { node: i, side: a, m_conv: mb, m_side: ma }),
        ];
        // The later producer is fused, so that the earlier one's result is the side operand.
        let best = candidates
            .into_iter()
            .filter_map(|(value, residual)| {
                producer[value.0 as usize].map(|p| (p, value, residual))
            })
            .filter(|&(p, value, _)| {
                uses[value.0 as usize] == 1 && is_array_conv(&graph.nodes[p].op) && !absorbed[p]
            })
            .max_by_key(|&(p, _, _)| p);
        if let Some((p, _, residual)) = best {
            fused_into[i] = Some(residual);
            absorbed[p] = true;
        }
    }
    let mut out = Vec::with_capacity(graph.nodes.len());
    for (i, node) in graph.nodes.iter().enumerate() {
        if absorbed[i] {
            continue;
        }
        let step = match fused_into[i] {
            Some(residual) => {
                let conv = node
                    .inputs
                    .iter()
                    .find(|v| **v != residual.side)
                    .and_then(|v| producer[v.0 as usize]);
                Step { node: conv.unwrap_or(i), residual: Some(residual), output: node.output }
            }
            None => Step { node: i, residual: None, output: node.output },
        };
        out.push(step);
    }
    out
}

fn is_array_conv(op: &QOp) -> bool {
    matches!(op, QOp::Conv { .. }) && !is_depthwise(op)
}

/// Step in which each value is first needed in memory and last needed, if at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// First step (the producer, or for a graph input the first reader).
    pub first: usize,
    /// Last step.
    pub last: usize,
}

/// Lifetimes by value; `None` for values that never exist in memory (fused away or unused inputs).
pub(crate) fn lifetimes(graph: &QGraph, steps: &[Step]) -> Vec<Option<Lifetime>> {
    let mut out: Vec<Option<Lifetime>> = vec![None; graph.values.len()];
    for (i, step) in steps.iter().enumerate() {
        for value in step.inputs(graph).into_iter().chain([step.output]) {
            let life = out[value.0 as usize].get_or_insert(Lifetime { first: i, last: i });
            life.last = i;
        }
    }
    out
}

/// Storage type of a value.
pub(crate) fn dtype(graph: &QGraph, value: ValueId) -> QType {
    graph.values[value.0 as usize].dtype
}
