//! Gather, on constants only: picking extents out of a shape.

use super::OpSpec;
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
    constraints: &[],
    fold: Some(fold),
    import: None,
};

fn fold(node: &mut NodeCtx<'_>) -> Imported {
    let axis = node.attributes().int("axis")?.unwrap_or(0);
    let tensor = node.required_constant(0)?;
    let axis = resolve_axis(axis, tensor.shape.len())?;
    let indices = node.required_constant(1)?;
    let extent = tensor.shape[axis];
    let picked: Vec<usize> = (node.integers(1)?.unwrap_or(&[]).iter())
        .map(|&index| resolve_axis(index, extent).map_err(|_| NodeError::Index { index, extent }))
        .collect::<Result<_, _>>()?;
    let shape = [&tensor.shape[..axis], &indices.shape, &tensor.shape[axis + 1..]].concat();
    if shape.len() > MAX_RANK {
        return Err(NodeError::Rank { found: shape.len(), most: MAX_RANK }.into());
    }
    let count = element_count(&shape).ok_or(ShapeError::TooLarge)?;
    node.reserve(count, 8)?;
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
