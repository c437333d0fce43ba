//! Small edits of the float graph that passes are made of.
//!
//! Searches are linear: networks have at most a few thousand nodes, and plain vectors keep node order and operand order
//! in sight.

use std::borrow::Cow;

use ir::graph::{Graph, Node, Op, Value, ValueId};
use ir::tensor::{DType, Tensor, element_count};

use super::{Changes, Context};

/// Extents of a value.
pub(super) fn shape(graph: &Graph, id: ValueId) -> &[usize] {
    &graph.values[id.0 as usize].shape
}

/// Name of a value.
pub(super) fn name(graph: &Graph, id: ValueId) -> &str {
    &graph.values[id.0 as usize].name
}

/// Floats of a constant; `None` if the value is computed.
pub(super) fn floats(graph: &Graph, id: ValueId) -> Option<Cow<'_, [f32]>> {
    graph.values[id.0 as usize].constant.as_ref()?.f32_values()
}

/// Index of the node that computes `id`; `None` for inputs and constants.
pub(super) fn producer(graph: &Graph, id: ValueId) -> Option<usize> {
    graph.nodes.iter().position(|node| node.output == id)
}

/// Whether exactly one operand, and no graph output, is `id`: changing the value then concerns one node only.
pub(super) fn used_once(graph: &Graph, id: ValueId) -> bool {
    let operands = graph.nodes.iter().flat_map(|node| &node.inputs);
    !graph.outputs.contains(&id) && operands.filter(|&&operand| operand == id).count() == 1
}

/// The node that computes `id`, if `id` has no other use than the one at hand.
pub(super) fn private_producer(graph: &Graph, id: ValueId) -> Option<usize> {
    if used_once(graph, id) { producer(graph, id) } else { None }
}

/// A value name that nobody has: `wanted`, or `wanted` with a number.
pub(super) fn free_value_name(graph: &Graph, wanted: String) -> String {
    free_name(wanted, |name| graph.values.iter().any(|value| value.name == name))
}

/// A node name that nobody has: `wanted`, or `wanted` with a number.
pub(super) fn free_node_name(graph: &Graph, wanted: String) -> String {
    free_name(wanted, |name| graph.nodes.iter().any(|node| node.name == name))
}

fn free_name(wanted: String, taken: impl Fn(&str) -> bool) -> String {
    if !taken(&wanted) {
        return wanted;
    }
    let numbered = (1..).map(|n: u64| format!("{wanted}_{n}"));
    numbered.into_iter().find(|name| !taken(name)).expect("there are more numbers than names")
}

/// A new float value that some node is about to compute.
pub(super) fn add_value(graph: &mut Graph, wanted: String, shape: Vec<usize>) -> ValueId {
    let name = free_value_name(graph, wanted);
    push(graph, Value { name, dtype: DType::F32, shape, constant: None })
}

/// A new constant.
pub(super) fn add_constant(
    graph: &mut Graph,
    wanted: String,
    shape: Vec<usize>,
    floats: Vec<f32>,
) -> ValueId {
    let tensor = Tensor::from_f32(&shape, floats).expect("the pass computed one element a place");
    add_tensor(graph, wanted, tensor)
}

/// A new constant.
pub(super) fn add_tensor(graph: &mut Graph, wanted: String, tensor: Tensor) -> ValueId {
    let (name, shape) = (free_value_name(graph, wanted), tensor.shape.clone());
    push(graph, Value { name, dtype: tensor.dtype(), shape, constant: Some(tensor) })
}

fn push(graph: &mut Graph, value: Value) -> ValueId {
    graph.values.push(value);
    ValueId(u32::try_from(graph.values.len() - 1).expect("fewer than 2^32 values"))
}

/// Puts nodes in a row into the graph, named after the node they stand for.
pub(super) struct Insertion<'a> {
    /// The graph.
    pub(super) graph: &'a mut Graph,
    /// Index of the next node put in.
    pub(super) at: usize,
    /// Prefix of new names.
    pub(super) base: &'a str,
}

impl Insertion<'_> {
    /// A node of one operand called `base/suffix`; returns its new result.
    pub(super) fn unary(&mut self, suffix: &str, op: Op, x: ValueId, shape: &[usize]) -> ValueId {
        self.many(suffix, op, vec![x], shape)
    }

    /// As [`Insertion::unary`], with any operands.
    pub(super) fn many(
        &mut self,
        suffix: &str,
        op: Op,
        inputs: Vec<ValueId>,
        shape: &[usize],
    ) -> ValueId {
        let wanted = format!("{}/{suffix}", self.base);
        let output = add_value(self.graph, wanted.clone(), shape.to_vec());
        let name = free_node_name(self.graph, wanted);
        self.node(Node { name, op, inputs, output });
        output
    }

    /// A finished node.
    pub(super) fn node(&mut self, node: Node) {
        self.graph.nodes.insert(self.at, node);
        self.at += 1;
    }

    /// Lets the last node put in compute `output`.
    pub(super) fn end_with(&mut self, output: ValueId) {
        self.graph.nodes[self.at - 1].output = output;
    }
}

/// Lets every operand and graph output `from` be `to`.
pub(super) fn replace_uses(graph: &mut Graph, from: ValueId, to: ValueId) {
    let operands = graph.nodes.iter_mut().flat_map(|node| &mut node.inputs);
    for id in operands.chain(&mut graph.outputs).filter(|id| **id == from) {
        *id = to;
    }
}

/// Removes node `index`, whose result equals its first operand in value and shape. Graph outputs keep their names, so
/// it stays (and the answer is `false`) where it links an output to an input, a constant or another output.
pub(super) fn bypass(graph: &mut Graph, context: &mut Context, index: usize) -> bool {
    let (x, y) = (graph.nodes[index].inputs[0], graph.nodes[index].output);
    if !graph.outputs.contains(&y) {
        replace_uses(graph, y, x);
        graph.nodes.remove(index);
        return true;
    }
    let Some(maker) = producer(graph, x) else {
        return false;
    };
    if graph.outputs.contains(&x) {
        return false;
    }
    if let Some(statistics) = context.statistics.remove(name(graph, x)) {
        context.statistics.entry(name(graph, y).to_owned()).or_insert(statistics);
    }
    graph.nodes.remove(index);
    replace_uses(graph, x, y);
    graph.nodes[maker].output = y;
    true
}

/// Whether the operator computes sums or products and so ends in a saturation of its own, once it is an integer operator.
pub(super) fn is_arithmetic(op: &Op) -> bool {
    match op {
        Op::Conv { .. }
        | Op::ConvTranspose { .. }
        | Op::Dense
        | Op::MatMul { .. }
        | Op::BatchNorm { .. }
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Interpolate { .. }
        | Op::Max
        | Op::Min
        | Op::PRelu
        | Op::Lrn { .. }
        | Op::AveragePool { .. }
        | Op::ReduceMean { .. } => true,
        Op::Unary { .. }
        | Op::Clip { .. }
        | Op::FakeQuantize { .. }
        | Op::MaxPool { .. }
        | Op::Concat { .. }
        | Op::Reshape
        | Op::Transpose { .. }
        | Op::Gather { .. }
        | Op::Pad { .. }
        | Op::Softmax { .. } => false,
    }
}

/// Elements of a shape that the graph's verifier has accepted.
pub(super) fn count(shape: &[usize]) -> usize {
    element_count(shape).expect("verified shapes are addressable")
}

/// Ends a pass: drops the values whose makers it removed, so that every value has one again.
pub(super) fn finish(graph: &mut Graph, changes: usize) -> Changes {
    if changes > 0 {
        let mut keep: Vec<bool> =
            graph.values.iter().map(|value| value.constant.is_some()).collect();
        for id in graph.nodes.iter().map(|node| &node.output).chain(&graph.inputs) {
            keep[id.0 as usize] = true;
        }
        retain_values(graph, &keep);
    }
    Changes(changes)
}

/// Drops the values that are not flagged; nothing may refer to them.
pub(super) fn retain_values(graph: &mut Graph, keep: &[bool]) {
    let renumbered: Vec<ValueId> = keep
        .iter()
        .scan(0, |next, &kept| {
            let id = ValueId(*next);
            *next += u32::from(kept);
            Some(id)
        })
        .collect();
    let mut flags = keep.iter();
    graph.values.retain(|_| *flags.next().expect("one flag a value"));
    let of_nodes =
        graph.nodes.iter_mut().flat_map(|node| node.inputs.iter_mut().chain([&mut node.output]));
    for id in of_nodes.chain(&mut graph.inputs).chain(&mut graph.outputs) {
        *id = renumbered[id.0 as usize];
    }
}
