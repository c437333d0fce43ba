//! PRelu: a leaky ReLU whose slope may vary.

use super::{OpSpec, constant_operand};
use crate::function::{Function, Primitive};
use crate::graph::Op;
use crate::onnx::node::{Imported, NodeCtx};

/// PRelu.
pub(super) const PRELU: OpSpec = OpSpec {
    name: "PRelu",
    versions: &[7, 9, 16],
    attributes: &[],
    constraints: &[constant_operand::<1>("the slope is constant")],
    fold: None,
    import: Some(import),
};

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let x = node.operand(0)?;
    if let Some(slope) = node.uniform(1) {
        let function = Function::of(Primitive::LeakyRelu, &[slope])?;
        return node.emit(Op::Unary { function }, vec![x]);
    }
    let slope = node.operand(1)?;
    node.emit(Op::PRelu, vec![x, slope])
}
