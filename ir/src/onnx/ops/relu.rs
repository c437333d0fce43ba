//! Relu: a clip from 0 to infinity.

use super::OpSpec;
use crate::graph::Op;
use crate::onnx::node::{Imported, NodeCtx};

/// Relu.
pub(super) const RELU: OpSpec = OpSpec {
    name: "Relu",
    versions: &[6, 13, 14],
    attributes: &[],
    constraints: &[],
    fold: None,
    import: Some(import),
};

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let operands = node.operands()?;
    node.emit(Op::Clip { lo: 0.0, hi: f32::INFINITY }, operands)
}
