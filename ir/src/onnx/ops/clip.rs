//! Clip: bounds are attributes up to operator set 10, and operands from 11 on.

use super::{OpSpec, constant_operand};
use crate::graph::Op;
use crate::onnx::node::{Imported, NodeCtx};

/// Clip.
pub(super) const CLIP: OpSpec = OpSpec {
    name: "Clip",
    versions: &[6, 11, 12, 13],
    attributes: &["max", "min"],
    constraints: &[
        constant_operand::<1>("the lower bound is constant"),
        constant_operand::<2>("the upper bound is constant"),
    ],
    fold: None,
    import: Some(import),
};

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let attributes = node.attributes();
    let (lo, hi) = if node.opset < 11 {
        (attributes.float("min")?, attributes.float("max")?)
    } else {
        (node.scalar(1)?, node.scalar(2)?)
    };
    let input = node.operand(0)?;
    let op = Op::Clip { lo: lo.unwrap_or(f32::NEG_INFINITY), hi: hi.unwrap_or(f32::INFINITY) };
    node.emit(op, vec![input])
}
