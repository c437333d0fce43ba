//! GlobalAveragePool and GlobalMaxPool: one result per channel.

use super::window::{Axes, MAP, emit_on_map};
use super::{Constraint, OpSpec};
use crate::graph::{Op, Window};
use crate::onnx::node::{Imported, NodeCtx};

/// GlobalAveragePool.
pub(super) const GLOBAL_AVERAGE_POOL: OpSpec = OpSpec {
    name: "GlobalAveragePool",
    versions: &[1, 22],
    attributes: &[],
    constraints: &[Constraint {
        text: "the input has at least one axis behind `[n, c]`",
        suggestion: "",
        violation: |node| {
            Ok(node
                .known_shape(0)
                .filter(|shape| shape.len() < 3)
                .map(|shape| format!("shape {shape:?}")))
        },
    }],
    fold: None,
    import: Some(average),
};

/// GlobalMaxPool.
pub(super) const GLOBAL_MAX_POOL: OpSpec = OpSpec {
    name: "GlobalMaxPool",
    versions: &[1, 22],
    attributes: &[],
    constraints: &[MAP],
    fold: None,
    import: Some(maximum),
};

fn average(node: &mut NodeCtx<'_>) -> Imported {
    let rank = node.shape(0)?.len();
    let operands = node.operands()?;
    if rank == 3 {
        return emit_on_map(node, Op::ReduceMean { axes: vec![2, 3] }, operands, None);
    }
    node.emit(Op::ReduceMean { axes: (2..rank).collect() }, operands)
}

fn maximum(node: &mut NodeCtx<'_>) -> Imported {
    let kernel = Axes::of(&node.shape(0)?)?.extents;
    let window = Window { kernel, stride: [1, 1], dilation: [1, 1], pad: [0; 4] };
    let operands = node.operands()?;
    emit_on_map(node, Op::MaxPool { window }, operands, None)
}
