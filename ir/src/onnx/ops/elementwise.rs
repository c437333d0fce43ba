//! Add, Sub, Mul and Sum on values; those and Div on constants.

use super::OpSpec;
use crate::graph::Op;
use crate::onnx::error::NodeError;
use crate::onnx::fold::elementwise::{binary, variadic};
use crate::onnx::node::{Imported, NodeCtx};

/// Add.
pub(super) const ADD: OpSpec = OpSpec {
    name: "Add",
    versions: &[7, 13, 14],
    attributes: &[],
    constraints: &[],
    fold: Some(|node| binary(node, |a, b| a + b, i64::checked_add)),
    import: Some(|node| emit(node, Op::Add)),
};

/// Sub.
pub(super) const SUB: OpSpec = OpSpec {
    name: "Sub",
    versions: &[7, 13, 14],
    attributes: &[],
    constraints: &[],
    fold: Some(|node| binary(node, |a, b| a - b, i64::checked_sub)),
    import: Some(|node| emit(node, Op::Sub)),
};

/// Mul.
pub(super) const MUL: OpSpec = OpSpec {
    name: "Mul",
    versions: &[7, 13, 14],
    attributes: &[],
    constraints: &[],
    fold: Some(|node| binary(node, |a, b| a * b, i64::checked_mul)),
    import: Some(|node| emit(node, Op::Mul)),
};

/// Div, on constants only.
pub(super) const DIV: OpSpec = OpSpec {
    name: "Div",
    versions: &[7, 13, 14],
    attributes: &[],
    constraints: &[],
    fold: Some(|node| binary(node, |a, b| a / b, i64::checked_div)),
    import: None,
};

/// Sum of any number of operands: a chain of additions.
pub(super) const SUM: OpSpec = OpSpec {
    name: "Sum",
    versions: &[6, 8, 13],
    attributes: &[],
    constraints: &[],
    fold: Some(|node| variadic(node, |a, b| a + b, i64::checked_add)),
    import: Some(sum),
};

fn emit(node: &mut NodeCtx<'_>, op: Op) -> Imported {
    let operands = node.operands()?;
    node.emit(op, operands)
}

fn sum(node: &mut NodeCtx<'_>) -> Imported {
    let operands = node.operands()?;
    let (first, rest) = operands.split_first().ok_or(NodeError::MissingInput(0))?;
    let Some((last, middle)) = rest.split_last() else {
        return node.forward(0);
    };
    let mut total = *first;
    for &operand in middle {
        total = node.intermediate("sum", Op::Add, vec![total, operand], None)?;
    }
    node.emit(Op::Add, vec![total, *last])
}
