//! Where noise enters a network: each layer's weights, each stored value, each interpolated table.

use std::collections::{BTreeMap, BTreeSet};

use ir::graph::{Graph, Node, Op, ValueId};
use ir::qgraph::{Bounds, QGraph, QNode, QOp, QType, QValue};

use crate::rounding::{layers, replace};

/// A place where the integer network differs from the float one.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// Name of the node that computes the value, or of the network's input.
    pub name: String,
    /// ONNX operator of the node; `Input`.
    pub operator: String,
    /// The float value that the noise is added to.
    pub value: ValueId,
    /// Values that what depends on `value` reads beside it.
    pub beside: Vec<ValueId>,
    /// Outputs that depend on `value`.
    pub reached: Vec<ValueId>,
    /// What happens there.
    pub kind: Kind,
}

/// What makes the noise.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// The value is stored as an integer.
    Storage(Storage),
    /// A layer's weights are integers.
    Weights(Weights),
    /// A function is interpolated between the nodes of a table.
    Table {
        /// The function's argument.
        operand: ValueId,
        /// How the argument is stored.
        from: Storage,
        /// How the result is stored.
        to: Storage,
        /// The table, `QOp::Lut16`.
        nodes: Vec<i16>,
    },
}

/// How a value is stored: `real = scale * (q - zero_point)`, `q` in `lo..=hi`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storage {
    pub dtype: QType,
    pub scale: f64,
    pub zero_point: i32,
    pub lo: i32,
    pub hi: i32,
}

/// A layer's weights as the machine multiplies by them.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    /// The layer's operand.
    pub operand: ValueId,
    /// The constant.
    pub constant: ValueId,
    /// Bits per weight.
    pub bits: u8,
    /// Output channels, and elements of the result that follow each other in one channel.
    pub channels: usize,
    pub inner: usize,
    /// Real weights that the integers stand for if multipliers are exact, in the order of the constant.
    pub real: Vec<f32>,
    /// Relative error of the multiplier of each channel.
    pub multiplier_error: Vec<f64>,
    /// Largest magnitude of each channel's real weights.
    pub largest: Vec<f32>,
}

impl Storage {
    fn of(value: &QValue, bounds: Option<Bounds>) -> Storage {
        let (lo, hi) = bounds.map_or_else(|| value.dtype.range(), |b| (b.lo, b.hi));
        Storage { dtype: value.dtype, scale: value.scale, zero_point: value.zero_point, lo, hi }
    }

    /// The stored integer, and whether it had to be clipped.
    pub(super) fn store(&self, real: f32) -> (i32, bool) {
        let steps = (f64::from(real) / self.scale).round_ties_even() + f64::from(self.zero_point);
        let (lo, hi) = (f64::from(self.lo), f64::from(self.hi));
        // NaN stays outside and saturates as a cast does.
        (steps.clamp(lo, hi) as i32, !(lo..=hi).contains(&steps))
    }

    /// The real value of a stored integer.
    pub(super) fn real(&self, q: i32) -> f32 {
        (self.scale * f64::from(q - self.zero_point)) as f32
    }
}

/// All sources of `q`, the integer form of `graph`; `exact` is the same with the finest multipliers there are.
pub(super) fn sources(graph: &Graph, q: &QGraph, exact: &QGraph) -> Vec<Source> {
    let named: BTreeMap<&str, ValueId> = (graph.values.iter().zip(0..))
        .filter(|(value, _)| value.constant.is_none())
        .map(|(value, id)| (value.name.as_str(), ValueId(id)))
        .collect();
    let q_value = |id: ValueId| &q.values[id.0 as usize];
    let mut found = Vec::new();
    for &id in &q.inputs {
        if let Some(&value) = named.get(q_value(id).name.as_str()) {
            let kind = Kind::Storage(Storage::of(q_value(id), None));
            found.push((q_value(id).name.clone(), "Input".to_owned(), value, kind));
        }
    }
    for (node, twin) in q.nodes.iter().zip(&exact.nodes) {
        let mut add = |value, kind| {
            found.push((node.name.clone(), node.onnx_op.clone(), value, kind));
        };
        let float = layers(graph).find(|(float, _)| float.name == node.name);
        if let (Some((float, constant)), true) = (float, node.name == twin.name)
            && let Some(weights) = weights(graph, [q, exact], [node, twin], float, constant)
        {
            add(float.output, Kind::Weights(weights));
        }
        let result = q_value(node.output);
        let Some(&value) = named.get(result.name.as_str()) else { continue };
        if let QOp::Lut16 { nodes } = &node.op
            && let Some(&operand) = named.get(q_value(node.inputs[0]).name.as_str())
        {
            let [from, to] = [q_value(node.inputs[0]), result].map(|v| Storage::of(v, None));
            add(value, Kind::Table { operand, from, to, nodes: nodes.clone() });
        }
        if rounds(&node.op) {
            add(value, Kind::Storage(Storage::of(result, bounds(&node.op))));
        }
    }
    let sources = found.into_iter().map(|(name, operator, value, kind)| {
        let (beside, reached) = around(graph, value);
        Source { name, operator, value, beside, reached, kind }
    });
    sources.collect()
}

/// Whether an operator rounds; the others move stored integers.
fn rounds(op: &QOp) -> bool {
    !matches!(
        op,
        QOp::MaxPool { .. }
            | QOp::Concat { .. }
            | QOp::Pad { .. }
            | QOp::Gather { .. }
            | QOp::Reorder { .. }
    )
}

fn bounds(op: &QOp) -> Option<Bounds> {
    match op {
        QOp::Conv { bounds, .. }
        | QOp::MatMul { bounds, .. }
        | QOp::Add { bounds, .. }
        | QOp::Max { bounds, .. }
        | QOp::Min { bounds, .. }
        | QOp::Mul { bounds, .. }
        | QOp::Rescale { bounds, .. }
        | QOp::Interpolate { bounds, .. }
        | QOp::AveragePool { bounds, .. }
        | QOp::PRelu { bounds, .. } => Some(*bounds),
        _ => None,
    }
}

/// The weights of `node`, if the float layer has as many.
fn weights(
    graph: &Graph,
    [q, exact]: [&QGraph; 2],
    [node, twin]: [&QNode; 2],
    float: &Node,
    constant: ValueId,
) -> Option<Weights> {
    let (QOp::Conv { weights, requant, .. }, QOp::Conv { requant: finest, .. }) =
        (&node.op, &twin.op)
    else {
        return None;
    };
    // Transposed convolutions are cut into phases with other kernels.
    if matches!(float.op, Op::ConvTranspose { .. }) {
        return None;
    }
    // Two layers with the same weights may round them differently.
    if graph.nodes.iter().flat_map(|n| &n.inputs).filter(|&&id| id == constant).count() > 1 {
        return None;
    }
    let tensor = graph.values[constant.0 as usize].constant.as_ref()?;
    let float_weights = tensor.f32_values()?;
    if float_weights.len() != weights.data.len() {
        return None;
    }
    let (taps, row) = (weights.kernel[0] * weights.kernel[1], weights.data.len() / weights.oc);
    // Real value of a step of the accumulator, over that of the input.
    let unit =
        |graph: &QGraph, node: &QNode, channel: usize, requant: &[isa::numerics::Requant]| {
            let value = |id: ValueId| graph.values[id.0 as usize].scale;
            let requant = requant[channel];
            libm::ldexp(f64::from(requant.multiplier), -i32::from(requant.shift))
                * value(node.output)
                / value(node.inputs[0])
        };
    let units: Vec<[f64; 2]> = (0..weights.oc)
        .map(|c| [unit(q, node, c, requant), unit(exact, twin, c, finest)])
        .collect();
    let real = |i: usize| {
        let (o, c, tap) = (i / row, i % row / taps, i % taps);
        let integer = weights.data[o * row + tap * weights.ic + c];
        (f64::from(integer) * units[o][1]) as f32
    };
    let shape = &graph.values[float.output.0 as usize].shape;
    let inner = if float.op == Op::Dense { 1 } else { shape[2..].iter().product() };
    let magnitude = |row: &[f32]| row.iter().fold(0f32, |most, w| most.max(w.abs()));
    Some(Weights {
        operand: float.inputs[0],
        constant,
        bits: weights.bits,
        channels: weights.oc,
        inner,
        real: (0..weights.data.len()).map(real).collect(),
        multiplier_error: units.iter().map(|[used, exact]| used / exact - 1.0).collect(),
        largest: float_weights.chunks_exact(row).map(magnitude).collect(),
    })
}

/// Values that nodes downstream of `value` read and that do not depend on it; and the outputs that do.
fn around(graph: &Graph, value: ValueId) -> (Vec<ValueId>, Vec<ValueId>) {
    let mut downstream = BTreeSet::from([value]);
    let mut beside = BTreeSet::new();
    for node in &graph.nodes {
        if node.inputs.iter().any(|input| downstream.contains(input)) {
            downstream.insert(node.output);
            let others = node.inputs.iter().filter(|input| !downstream.contains(input));
            beside.extend(others.filter(|id| graph.values[id.0 as usize].constant.is_none()));
        }
    }
    let reached = graph.outputs.iter().copied().filter(|id| downstream.contains(id));
    (beside.into_iter().collect(), reached.collect())
}

/// The graph with the weights that the integers stand for.
pub(super) fn rounded(graph: &Graph, sources: &[Source]) -> Graph {
    let mut rounded = graph.clone();
    for source in sources {
        if let Kind::Weights(weights) = &source.kind {
            replace(&mut rounded, weights.constant, weights.real.clone());
        }
    }
    rounded
}
