//! Expand and Tile: repetition, on constants only.

use super::{OpSpec, constants_only};
use crate::infer::{ShapeError, broadcast};
use crate::onnx::error::NodeError;
use crate::onnx::fold::{Strided, broadcast_strides, row_major_strides, select};
use crate::onnx::node::{Imported, NodeCtx};
use crate::onnx::tensor::MAX_RANK;
use crate::tensor::{Tensor, element_count};

/// Expand.
pub(super) const EXPAND: OpSpec = OpSpec {
    name: "Expand",
    versions: &[8, 13],
    attributes: &[],
    constraints: &[constants_only("")],
    fold: Some(expand),
    import: None,
};

/// Tile.
pub(super) const TILE: OpSpec = OpSpec {
    name: "Tile",
    versions: &[6, 13],
    attributes: &[],
    constraints: &[constants_only("")],
    fold: Some(tile),
    import: None,
};

/// Extents or counts in operand 1.
fn extents(node: &NodeCtx<'_>) -> Result<Vec<usize>, NodeError> {
    let written = node.required_integers(1)?;
    if written.len() > MAX_RANK {
        return Err(NodeError::Rank { found: written.len(), most: MAX_RANK });
    }
    let extents: Option<_> = written.iter().map(|&extent| usize::try_from(extent).ok()).collect();
    extents.ok_or_else(|| NodeError::OperandValue {
        operand: 1,
        found: format!("{written:?}"),
        expected: "numbers of at least 0",
    })
}

fn expand(node: &mut NodeCtx<'_>) -> Imported {
    let tensor = node.required_constant(0)?;
    // Both ways: the operand may also have the larger extents.
    let shape = broadcast(&tensor.shape, &extents(node)?)?;
    node.reserve(element_count(&shape).ok_or(ShapeError::TooLarge)?, 8)?;
    let walk = Strided::new(shape.clone(), broadcast_strides(&tensor.shape, &shape), 0);
    let data = select(&tensor.data, walk);
    node.set_constant(Tensor { shape, data })
}

fn tile(node: &mut NodeCtx<'_>) -> Imported {
    let tensor = node.required_constant(0)?;
    let repeats = extents(node)?;
    if repeats.len() != tensor.shape.len() {
        let found = format!("{} counts", repeats.len());
        return Err(NodeError::OperandValue { operand: 1, found, expected: "one per axis" }.into());
    }
    let shape = tensor.shape.iter().zip(&repeats).map(|(extent, times)| extent.checked_mul(*times));
    let shape: Vec<usize> = shape.collect::<Option<_>>().ok_or(ShapeError::TooLarge)?;
    node.reserve(element_count(&shape).ok_or(ShapeError::TooLarge)?, 8)?;
    // Each axis becomes two: the repetitions, which do not advance, and the extent itself.
    let strides = row_major_strides(&tensor.shape);
    let axes = repeats.iter().zip(&tensor.shape);
    let split: Vec<usize> = axes.flat_map(|(&times, &extent)| [times, extent]).collect();
    let steps = strides.iter().flat_map(|&stride| [0, stride]).collect();
    let data = select(&tensor.data, Strided::new(split, steps, 0));
    node.set_constant(Tensor { shape, data })
}
