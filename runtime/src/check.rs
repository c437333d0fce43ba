//! What must hold before a graph is run, so that no operator can index out of range, overflow, or allocate or work
//! without bound, whatever file the graph came from.
#![deny(clippy::float_arithmetic)]

use ir::qgraph::{QGraph, QNode, QOp, ValueId, Window};

use crate::{QTensor, RuntimeError};

/// Largest number of elements of one tensor. Far above any network for this machine (a 1024 x 1024 image with 64
/// channels is a quarter of it), and small enough to allocate.
const MAX_ELEMENTS: usize = 1 << 28;

/// Largest extent of a kernel, stride, dilation or padding; positions computed from smaller ones cannot overflow.
const MAX_GEOMETRY: usize = 1 << 20;

/// Largest number of taps one node may look at, over all its windows: hours of work, so that only a damaged or hostile
/// graph has more.
const MAX_TAPS: usize = 1 << 40;

/// Checks the rules of the integer graph (structure, shapes, types, accumulators) and the limits of this runtime.
pub(crate) fn check(graph: &QGraph) -> Result<(), RuntimeError> {
    graph.verify().map_err(|problems| RuntimeError::Graph { problems })?;
    for value in &graph.values {
        let [h, w, c] = value.shape.extents();
        if h * w * c > MAX_ELEMENTS {
            let (name, found) = (value.name.clone(), value.shape);
            return Err(RuntimeError::TooLarge { name, found, limit: MAX_ELEMENTS });
        }
    }
    graph.nodes.iter().try_for_each(|node| check_work(graph, node))
}

fn check_work(graph: &QGraph, node: &QNode) -> Result<(), RuntimeError> {
    let (window, channels) = match &node.op {
        QOp::Conv { window, weights, .. } => (window, weights.ic),
        QOp::MaxPool { window } | QOp::AveragePool { window, .. } => (window, 1),
        _ => return Ok(()),
    };
    let Window { kernel, stride, dilation, pad } = *window;
    let largest = [kernel, stride, dilation].concat().into_iter().chain(pad).max();
    let [h, w, c] = graph.values[index(node.output)].shape.extents();
    let factors = [kernel[0], kernel[1], channels, h, w, c];
    let taps = factors.into_iter().try_fold(1_usize, |n, extent| n.checked_mul(extent));
    if largest > Some(MAX_GEOMETRY) || taps.is_none_or(|taps| taps > MAX_TAPS) {
        return Err(RuntimeError::TooMuchWork {
            node: node.name.clone(),
            window: *window,
            max_taps: MAX_TAPS,
            max_geometry: MAX_GEOMETRY,
        });
    }
    Ok(())
}

/// Checks number, shape, storage type and length of the input tensors.
pub(crate) fn check_inputs(graph: &QGraph, inputs: &[QTensor]) -> Result<(), RuntimeError> {
    if inputs.len() != graph.inputs.len() {
        let (expected, found) = (graph.inputs.len(), inputs.len());
        return Err(RuntimeError::InputCount { expected, found });
    }
    for (&id, tensor) in graph.inputs.iter().zip(inputs) {
        let value = &graph.values[index(id)];
        let name = || value.name.clone();
        if tensor.shape != value.shape {
            let (expected, found) = (value.shape, tensor.shape);
            return Err(RuntimeError::InputShape { name: name(), expected, found });
        }
        if tensor.dtype() != value.dtype {
            let (expected, found) = (value.dtype, tensor.dtype());
            return Err(RuntimeError::InputType { name: name(), expected, found });
        }
        let expected = value.shape.extents().into_iter().product();
        if tensor.len() != expected {
            let found = tensor.len();
            return Err(RuntimeError::Length { name: name(), expected, found });
        }
    }
    Ok(())
}

/// Position of a value in the graph's arena.
pub(crate) fn index(id: ValueId) -> usize {
    id.0 as usize
}
