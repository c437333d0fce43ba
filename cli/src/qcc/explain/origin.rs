//! Where a layer came from: the nodes of the integer graph that it computes, and the ONNX nodes before the passes.

use std::collections::{BTreeMap, BTreeSet};

use ir::graph::{Graph, ValueId};
use ir::qgraph::{Bounds, QGraph, QNode, QOp, QType, QValue, QWeights};
use isa::Program;
use isa::numerics::{Requant, accumulator_bits, accumulator_bound};
use simulator::explain::{Computed, Explanation, Extremes, Tensor, Weights, outputs};

/// Fills in what takes a graph. `graph` is the program's own: its values are numbered as the program's tensors.
pub(super) fn fill(
    explanation: &mut Explanation,
    program: &Program,
    graph: &QGraph,
    float: Option<&Graph>,
) {
    let nodes = layer_nodes(program, graph);
    for (layer, nodes) in explanation.layers.iter_mut().zip(nodes) {
        layer.computes = nodes.iter().map(|&n| computed(graph, &graph.nodes[n])).collect();
        if let Some(float) = float {
            layer.onnx_nodes = onnx_nodes(graph, &nodes, float);
        }
    }
}

/// Indices of the nodes that each layer computes: the producer of its tensor, and of every operand that is nowhere in memory.
fn layer_nodes(program: &Program, graph: &QGraph) -> Vec<Vec<usize>> {
    let mut producer = vec![None; graph.values.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        producer[node.output.0 as usize] = Some(i);
    }
    let outputs = outputs(program);
    let held: BTreeSet<usize> = outputs.iter().flatten().copied().collect();
    let of = |output: &Option<usize>| {
        let mut found = BTreeSet::new();
        let mut open: Vec<usize> = output.iter().copied().collect();
        while let Some(node) = open.pop().and_then(|value| *producer.get(value)?) {
            if found.insert(node) {
                let operands = graph.nodes[node].inputs.iter().map(|value| value.0 as usize);
                open.extend(operands.filter(|value| !held.contains(value)));
            }
        }
        found.into_iter().collect()
    };
    outputs.iter().map(of).collect()
}

/// Names of the ONNX nodes between the operands and the result of a layer, which keep their names through the passes. Empty if the
/// file does not name one of them.
fn onnx_nodes(graph: &QGraph, nodes: &[usize], float: &Graph) -> Vec<String> {
    let values: BTreeMap<&str, usize> =
        float.values.iter().enumerate().map(|(i, value)| (value.name.as_str(), i)).collect();
    let mut producer: Vec<Option<usize>> = vec![None; float.values.len()];
    for (i, node) in float.nodes.iter().enumerate() {
        producer[node.output.0 as usize] = Some(i);
    }
    let known = |value: &ValueId| values.get(graph.values[value.0 as usize].name.as_str()).copied();
    let inside: BTreeSet<_> = nodes.iter().map(|&n| graph.nodes[n].output).collect();
    let operands = nodes.iter().flat_map(|&n| &graph.nodes[n].inputs);
    let ends: Option<BTreeSet<usize>> =
        operands.filter(|value| !inside.contains(value)).map(known).collect();
    let last = nodes.last().and_then(|&n| known(&graph.nodes[n].output));
    let (Some(ends), Some(last)) = (ends, last) else { return Vec::new() };
    let mut found = BTreeSet::new();
    let mut open = vec![last];
    while let Some(value) = open.pop() {
        if let Some(node) = producer[value].filter(|_| !ends.contains(&value))
            && found.insert(node)
        {
            open.extend(float.nodes[node].inputs.iter().map(|operand| operand.0 as usize));
        }
    }
    found.into_iter().map(|node| float.nodes[node].name.clone()).collect()
}

/// The numbers of one node.
fn computed(graph: &QGraph, node: &QNode) -> Computed {
    let tensor = |value: &ValueId| tensor(&graph.values[value.0 as usize]);
    let numbers = numbers(&node.op);
    let saturation = numbers.bounds.map(|bounds| [bounds.lo, bounds.hi].map(i64::from));
    Computed {
        name: node.name.clone(),
        onnx_op: node.onnx_op.clone(),
        op: node.op.name().to_owned(),
        inputs: node.inputs.iter().map(tensor).collect(),
        output: tensor(&node.output),
        weights: weights(&node.op).map(|weights| Weights {
            shape: [weights.oc, weights.kernel[0], weights.kernel[1], weights.ic]
                .map(|n| n as u32)
                .to_vec(),
            bits: weights.bits.into(),
        }),
        multipliers: Extremes::of(numbers.multipliers),
        shifts: Extremes::of(numbers.shifts.into_iter().map(i64::from)),
        saturation: saturation.and_then(Extremes::of),
        accumulator_bits: accumulator(graph, node),
    }
}

fn tensor(value: &QValue) -> Tensor {
    Tensor {
        name: value.name.clone(),
        shape: value.shape.extents().map(|n| n as u32).to_vec(),
        bits: match value.dtype {
            QType::I8 => 8,
            QType::I16 => 16,
        },
        scale: value.scale,
        zero_point: value.zero_point.into(),
    }
}

fn weights(op: &QOp) -> Option<&QWeights> {
    match op {
        QOp::Conv { weights, .. } => Some(weights),
        _ => None,
    }
}

/// Multipliers, shifts and bounds of an operator, over all channels.
#[derive(Default)]
struct Numbers {
    multipliers: Vec<i64>,
    shifts: Vec<u8>,
    bounds: Option<Bounds>,
}

impl Numbers {
    fn requant(requant: &[Requant], bounds: &Bounds) -> Numbers {
        Numbers {
            multipliers: requant.iter().map(|r| r.multiplier.into()).collect(),
            shifts: requant.iter().map(|r| r.shift).collect(),
            bounds: Some(*bounds),
        }
    }

    fn shared(multipliers: &[i32], shift: u8, bounds: &Bounds) -> Numbers {
        let multipliers = multipliers.iter().map(|&m| m.into()).collect();
        Numbers { multipliers, shifts: vec![shift], bounds: Some(*bounds) }
    }
}

fn numbers(op: &QOp) -> Numbers {
    match op {
        QOp::Conv { requant, bounds, .. } | QOp::AveragePool { requant, bounds, .. } => {
            Numbers::requant(requant, bounds)
        }
        QOp::Add { ma, mb, shift, bounds }
        | QOp::Max { ma, mb, shift, bounds }
        | QOp::Min { ma, mb, shift, bounds } => Numbers::shared(&[*ma, *mb], *shift, bounds),
        QOp::MatMul { requant, bounds } | QOp::Mul { requant, bounds } => {
            Numbers::requant(&[*requant], bounds)
        }
        QOp::Rescale { m, shift, bounds } => Numbers::shared(&[*m], *shift, bounds),
        QOp::Interpolate { shift, bounds, .. } => Numbers::shared(&[], *shift, bounds),
        QOp::PRelu { requant, negative, bounds } => {
            let mut numbers = Numbers::requant(requant, bounds);
            numbers.multipliers.extend(negative.iter().map(|&m| i64::from(m)));
            numbers
        }
        QOp::MaxPool { .. }
        | QOp::Lut8 { .. }
        | QOp::Lut16 { .. }
        | QOp::Softmax { .. }
        | QOp::Concat { .. }
        | QOp::Pad { .. }
        | QOp::Gather { .. }
        | QOp::Reorder { .. } => Numbers::default(),
    }
}

/// Bits that hold every partial sum of every channel, as the compiler proves them.
fn accumulator(graph: &QGraph, node: &QNode) -> Option<u32> {
    let QOp::Conv { weights, bias, .. } = &node.op else { return None };
    let (lo, hi) = graph.value(*node.inputs.first()?)?.dtype.range();
    let rows = weights.data.chunks_exact((weights.data.len() / weights.oc.max(1)).max(1));
    let bounds = rows.zip(bias).map(|(row, bias)| accumulator_bound(row, lo, hi, *bias));
    bounds.max().map(accumulator_bits)
}
