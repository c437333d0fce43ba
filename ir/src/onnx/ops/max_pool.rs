//! MaxPool, one- and two-dimensional, without indices.

use super::window::{MAP, ONE_PADDING, emit_on_map, resolve};
use super::{Constraint, OpSpec};
use crate::graph::Op;
use crate::onnx::node::{Imported, NodeCtx};

/// MaxPool.
pub(super) const MAX_POOL: OpSpec = OpSpec {
    name: "MaxPool",
    versions: &[1, 8, 10, 11, 12, 22],
    attributes: &[
        "auto_pad",
        "ceil_mode",
        "dilations",
        "kernel_shape",
        "pads",
        "storage_order",
        "strides",
    ],
    constraints: &[
        MAP,
        ONE_PADDING,
        Constraint {
            text: "`storage_order` is 0 and the indices are not used",
            suggestion: "",
            violation: |node| {
                let column_major = node.attributes().flag("storage_order", false)?;
                let indices = node.uses_output(1);
                Ok((column_major || indices).then(|| {
                    if indices { "an output of indices" } else { "storage_order 1" }.to_owned()
                }))
            },
        },
    ],
    fold: None,
    import: Some(import),
};

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let input = node.shape(0)?;
    let resolved = resolve(node, &input, None)?;
    let operands = node.operands()?;
    emit_on_map(node, Op::MaxPool { window: resolved.window }, operands, Some(resolved.extents))
}
