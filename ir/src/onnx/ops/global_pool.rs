//! GlobalAveragePool and GlobalMaxPool: one result per channel.

use super::window::IMAGE;
use super::{Constraint, OpSpec};
use crate::graph::{Op, Window};
use crate::infer::ShapeError;
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
    constraints: &[IMAGE],
    fold: None,
    import: Some(maximum),
};

fn average(node: &mut NodeCtx<'_>) -> Imported {
    let axes = (2..node.shape(0)?.len()).collect();
    let operands = node.operands()?;
    node.emit(Op::ReduceMean { axes }, operands)
}

fn maximum(node: &mut NodeCtx<'_>) -> Imported {
    let input = node.shape(0)?;
    let &[_, _, h, w] = input.as_slice() else {
        return Err(ShapeError::Rank { operand: 0, shape: input, expected: 4 }.into());
    };
    let window = Window { kernel: [h, w], stride: [1, 1], dilation: [1, 1], pad: [0; 4] };
    let operands = node.operands()?;
    node.emit(Op::MaxPool { window }, operands)
}
