//! AveragePool, one- and two-dimensional.

use super::OpSpec;
use super::window::{MAP, ONE_PADDING, emit_on_map, resolve};
use crate::graph::Op;
use crate::onnx::node::{Imported, NodeCtx};

/// AveragePool.
pub(super) const AVERAGE_POOL: OpSpec = OpSpec {
    name: "AveragePool",
    versions: &[7, 10, 11, 19, 22],
    attributes: &[
        "auto_pad",
        "ceil_mode",
        "count_include_pad",
        "dilations",
        "kernel_shape",
        "pads",
        "strides",
    ],
    constraints: &[MAP, ONE_PADDING],
    fold: None,
    import: Some(import),
};

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let input = node.shape(0)?;
    let resolved = resolve(node, &input, None)?;
    let count_include_pad = node.attributes().flag("count_include_pad", false)?;
    let operands = node.operands()?;
    let op = Op::AveragePool { window: resolved.window, count_include_pad };
    emit_on_map(node, op, operands, Some(resolved.extents))
}
