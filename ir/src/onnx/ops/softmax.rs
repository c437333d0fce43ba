//! Softmax: over one axis from operator set 13 on; before, over all axes from `axis` on, flattened.

use super::OpSpec;
use crate::graph::Op;
use crate::infer::ShapeError;
use crate::onnx::node::{Imported, NodeCtx, resolve_axis};
use crate::tensor::element_count;

/// Softmax.
pub(super) const SOFTMAX: OpSpec = OpSpec {
    name: "Softmax",
    versions: &[1, 11, 13],
    attributes: &["axis"],
    constraints: &[],
    fold: None,
    import: Some(import),
};

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let shape = node.shape(0)?;
    let flattened = node.opset < 13;
    let axis = node.attributes().int("axis")?.unwrap_or(if flattened { 1 } else { -1 });
    let axis = resolve_axis(axis, shape.len())?;
    let input = node.operand(0)?;
    // Flattening changes nothing where only one of the flattened axes has elements to share.
    if !flattened || shape[axis + 1..].iter().all(|&extent| extent == 1) {
        return node.emit(Op::Softmax { axis }, vec![input]);
    }
    let count = |extents: &[usize]| element_count(extents).ok_or(ShapeError::TooLarge);
    let matrix = vec![count(&shape[..axis])?, count(&shape[axis..])?];
    let flat = node.intermediate("flat", Op::Reshape, vec![input], Some(matrix))?;
    let softmax = node.intermediate("softmax", Op::Softmax { axis: 1 }, vec![flat], None)?;
    node.emit_shaped(Op::Reshape, vec![softmax], Some(shape))
}
