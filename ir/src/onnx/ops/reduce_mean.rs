//! ReduceMean: axes are an attribute up to operator set 17, and an operand from 18 on.

use super::{OpSpec, constant_operand, reduce};
use crate::graph::Op;
use crate::onnx::fold;
use crate::onnx::fold::reduce::{reduced_axes, reduced_shape};
use crate::onnx::node::{Imported, NodeCtx};

/// ReduceMean.
pub(super) const REDUCE_MEAN: OpSpec = OpSpec {
    name: "ReduceMean",
    versions: &[1, 11, 13, 18],
    attributes: &["axes", "keepdims", "noop_with_empty_axes"],
    constraints: &[constant_operand::<1>("the axes are constant")],
    fold: Some(|node| fold::reduce::reduce(node, reduce::MEAN)),
    import: Some(import),
};

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let shape = node.shape(0)?;
    let Some(axes) = reduced_axes(node)? else {
        return node.forward(0);
    };
    let input = node.operand(0)?;
    if node.attributes().flag("keepdims", true)? {
        return node.emit(Op::ReduceMean { axes }, vec![input]);
    }
    let kept = reduced_shape(&shape, &axes, false);
    let mean = node.intermediate("mean", Op::ReduceMean { axes }, vec![input], None)?;
    node.emit_shaped(Op::Reshape, vec![mean], Some(kept))
}
