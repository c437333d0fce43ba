//! Expand and Tile: repetition along axes.

use super::{OpSpec, constant_operand};
use crate::graph::{Op, ValueId};
use crate::indices::{Indices, Run};
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
    constraints: &[constant_operand::<1>("the new shape is constant")],
    fold: Some(expand),
    import: Some(expand_value),
};

/// Tile.
pub(super) const TILE: OpSpec = OpSpec {
    name: "Tile",
    versions: &[6, 13],
    attributes: &[],
    constraints: &[constant_operand::<1>("the counts are constant")],
    fold: Some(tile),
    import: Some(tile_value),
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

fn expand_value(node: &mut NodeCtx<'_>) -> Imported {
    let input = node.shape(0)?;
    let shape = broadcast(&input, &extents(node)?)?;
    let mut operand = node.operand(0)?;
    // Axes that the operand lacks come first, with one element.
    let own = [vec![1; shape.len() - input.len()], input.clone()].concat();
    if own != input {
        operand = node.intermediate("axes", Op::Reshape, vec![operand], Some(own.clone()))?;
    }
    node.emit(Op::Gather { indices: repetition(&own, &shape) }, vec![operand])
}

/// Indices that repeat the axes of `own` with one element as often as `shape`, of as many axes, wants.
fn repetition(own: &[usize], shape: &[usize]) -> Vec<Indices> {
    let repeated = |(&extent, &wanted): (&usize, &usize)| match extent {
        1 => Run::new(0, wanted, 0).into_iter().collect(),
        _ => Indices::all(extent),
    };
    own.iter().zip(shape).map(repeated).collect()
}

/// `x` repeated along its axes with one element to `shape`, of as many axes.
pub(super) fn repeated(
    node: &mut NodeCtx<'_>,
    what: &str,
    x: ValueId,
    shape: &[usize],
) -> Result<ValueId, NodeError> {
    let own = node.value_shape(x).to_vec();
    if own == shape {
        return Ok(x);
    }
    node.intermediate(what, Op::Gather { indices: repetition(&own, shape) }, vec![x], None)
}

/// How often each axis of the operand stands in the result.
fn repeats(node: &NodeCtx<'_>) -> Result<Vec<usize>, NodeError> {
    let repeats = extents(node)?;
    if repeats.len() != node.shape(0)?.len() {
        let found = format!("{} counts", repeats.len());
        return Err(NodeError::OperandValue { operand: 1, found, expected: "one per axis" });
    }
    Ok(repeats)
}

fn tile_value(node: &mut NodeCtx<'_>) -> Imported {
    let repeats = repeats(node)?;
    node.reserve(repeats.iter().fold(0, |sum: usize, &times| sum.saturating_add(times)), 24)?;
    let shape = node.shape(0)?;
    let indices = shape.iter().zip(repeats).map(|(&extent, times)| {
        let whole = Indices::all(extent);
        (0..times).flat_map(|_| whole.runs().iter().copied()).collect()
    });
    let indices = indices.collect();
    let input = node.operand(0)?;
    node.emit(Op::Gather { indices }, vec![input])
}

fn tile(node: &mut NodeCtx<'_>) -> Imported {
    let repeats = repeats(node)?;
    let tensor = node.required_constant(0)?;
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
