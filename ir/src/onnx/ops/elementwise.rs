//! Add, Sub, Mul and Sum on values; those and Div on constants.

use super::OpSpec;
use crate::graph::Op;
use crate::infer::{ShapeError, broadcast};
use crate::onnx::error::NodeError;
use crate::onnx::fold::{Strided, broadcast_strides};
use crate::onnx::node::{Imported, NodeCtx};
use crate::tensor::{Data, Tensor, element_count};

/// Add.
pub(super) const ADD: OpSpec = OpSpec {
    name: "Add",
    versions: &[7, 13, 14],
    attributes: &[],
    constraints: &[],
    fold: Some(|node| fold(node, |a, b| a + b, i64::checked_add)),
    import: Some(|node| emit(node, Op::Add)),
};

/// Sub.
pub(super) const SUB: OpSpec = OpSpec {
    name: "Sub",
    versions: &[7, 13, 14],
    attributes: &[],
    constraints: &[],
    fold: Some(|node| fold(node, |a, b| a - b, i64::checked_sub)),
    import: Some(|node| emit(node, Op::Sub)),
};

/// Mul.
pub(super) const MUL: OpSpec = OpSpec {
    name: "Mul",
    versions: &[7, 13, 14],
    attributes: &[],
    constraints: &[],
    fold: Some(|node| fold(node, |a, b| a * b, i64::checked_mul)),
    import: Some(|node| emit(node, Op::Mul)),
};

/// Div, on constants only.
pub(super) const DIV: OpSpec = OpSpec {
    name: "Div",
    versions: &[7, 13, 14],
    attributes: &[],
    constraints: &[],
    fold: Some(|node| fold(node, |a, b| a / b, i64::checked_div)),
    import: None,
};

/// Sum of any number of operands: a chain of additions.
pub(super) const SUM: OpSpec = OpSpec {
    name: "Sum",
    versions: &[6, 8, 13],
    attributes: &[],
    constraints: &[],
    fold: None,
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

fn fold(
    node: &mut NodeCtx<'_>,
    float: fn(f32, f32) -> f32,
    integer: fn(i64, i64) -> Option<i64>,
) -> Imported {
    let (a, b) = (node.required_constant(0)?, node.required_constant(1)?);
    let shape = broadcast(&a.shape, &b.shape).map_err(NodeError::Shape)?;
    node.reserve(element_count(&shape).ok_or(ShapeError::TooLarge)?, 8)?;
    let walk =
        |tensor: &Tensor| Strided::new(shape.clone(), broadcast_strides(&tensor.shape, &shape), 0);
    let positions = walk(a).zip(walk(b));
    let data = match (&a.data, &b.data) {
        (Data::I64(x), Data::I64(y)) => {
            let values: Option<_> = positions.map(|(i, j)| integer(x[i], y[j])).collect();
            Data::I64(values.ok_or(NodeError::Arithmetic)?)
        }
        _ => {
            let wrong =
                || NodeError::OperandType { operand: 1, found: b.dtype(), expected: a.dtype() };
            let (x, y) = a.f32_values().zip(b.f32_values()).ok_or_else(wrong)?;
            Data::F32(positions.map(|(i, j)| float(x[i], y[j])).collect())
        }
    };
    node.set_constant(Tensor { shape, data })
}
