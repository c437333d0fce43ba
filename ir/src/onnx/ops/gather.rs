//! Gather with constant indices.

use super::{OpSpec, constant_operand};
use crate::graph::Op;
use crate::indices::Indices;
use crate::infer::ShapeError;
use crate::onnx::error::NodeError;
use crate::onnx::fold::select;
use crate::onnx::node::{Imported, NodeCtx, resolve_axis};
use crate::onnx::tensor::MAX_RANK;
use crate::tensor::{Tensor, element_count};

/// Gather.
pub(super) const GATHER: OpSpec = OpSpec {
    name: "Gather",
    versions: &[1, 11, 13],
    attributes: &["axis"],
    constraints: &[constant_operand::<1>("the indices are constant")],
    fold: Some(fold),
    import: Some(import),
};

/// The axis, the indices along it, and the shape of the result.
fn picked(node: &NodeCtx<'_>) -> Result<(usize, Vec<usize>, Vec<usize>), NodeError> {
    let input = node.shape(0)?;
    let axis = resolve_axis(node.attributes().int("axis")?.unwrap_or(0), input.len())?;
    let extent = input[axis];
    let indices = &node.required_constant(1)?.shape;
    let shape = [&input[..axis], indices, &input[axis + 1..]].concat();
    if shape.len() > MAX_RANK {
        return Err(NodeError::Rank { found: shape.len(), most: MAX_RANK });
    }
    let index =
        |&index: &i64| resolve_axis(index, extent).map_err(|_| NodeError::Index { index, extent });
    let picked = node.integers(1)?.unwrap_or(&[]).iter().map(index).collect::<Result<_, _>>()?;
    Ok((axis, picked, shape))
}

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let (axis, picked, shape) = picked(node)?;
    let input = node.operand(0)?;
    let mut indices: Vec<Indices> =
        node.shape(0)?.iter().map(|&extent| Indices::all(extent)).collect();
    indices[axis] = picked.into_iter().collect();
    let gather = Op::Gather { indices };
    // Indices that are no list but a scalar or a matrix shape the axis.
    if shape.len() == node.shape(0)?.len() {
        return node.emit(gather, vec![input]);
    }
    let taken = node.intermediate("taken", gather, vec![input], None)?;
    node.emit_shaped(Op::Reshape, vec![taken], Some(shape))
}

fn fold(node: &mut NodeCtx<'_>) -> Imported {
    let (axis, picked, shape) = picked(node)?;
    let count = element_count(&shape).ok_or(ShapeError::TooLarge)?;
    node.reserve(count, 8)?;
    let tensor = node.required_constant(0)?;
    let extent = tensor.shape[axis];
    // An empty result has nothing to walk over, however large its other extents are.
    let outer: usize = if count == 0 { 0 } else { tensor.shape[..axis].iter().product() };
    let run: usize = tensor.shape[axis + 1..].iter().product();
    let picked = &picked;
    let positions = (0..outer).flat_map(|o| {
        picked.iter().flat_map(move |index| {
            let start = (o * extent + index) * run;
            start..start + run
        })
    });
    let data = select(&tensor.data, positions);
    node.set_constant(Tensor::new(shape, data)?)
}
