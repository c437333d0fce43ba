//! ReduceMean: axes are an attribute up to operator set 17, and an operand from 18 on.

use super::{OpSpec, constant_operand};
use crate::graph::Op;
use crate::onnx::node::{Imported, NodeCtx, resolve_axes};

/// ReduceMean.
pub(super) const REDUCE_MEAN: OpSpec = OpSpec {
    name: "ReduceMean",
    versions: &[1, 11, 13, 18],
    attributes: &["axes", "keepdims", "noop_with_empty_axes"],
    constraints: &[constant_operand::<1>("the axes are constant")],
    fold: None,
    import: Some(import),
};

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let shape = node.shape(0)?;
    let attributes = node.attributes();
    let written = match node.integers(1)? {
        Some(axes) => axes,
        None => attributes.ints("axes")?.unwrap_or(&[]),
    };
    let axes = if !written.is_empty() {
        resolve_axes(written, shape.len())?
    } else if attributes.flag("noop_with_empty_axes", false)? {
        return node.forward(0);
    } else {
        (0..shape.len()).collect()
    };
    let input = node.operand(0)?;
    if attributes.flag("keepdims", true)? {
        return node.emit(Op::ReduceMean { axes }, vec![input]);
    }
    let kept =
        (0..shape.len()).filter(|axis| !axes.contains(axis)).map(|axis| shape[axis]).collect();
    let mean = node.intermediate("mean", Op::ReduceMean { axes }, vec![input], None)?;
    node.emit_shaped(Op::Reshape, vec![mean], Some(kept))
}
