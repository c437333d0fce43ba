//! Arithmetic of several operands.

use super::OpSpec;
use crate::function::{Function, Primitive};
use crate::graph::{Op, ValueId};
use crate::onnx::error::NodeError;
use crate::onnx::fold::elementwise::{binary, variadic};
use crate::onnx::fold::stored::{Step, arithmetic};
use crate::onnx::node::{Imported, NodeCtx};
use crate::tensor::Tensor;

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
    fold: Some(|node| match stored(node, Step::Sub, false) {
        Some(result) => node.set_constant(result),
        None => binary(node, |a, b| a - b, i64::checked_sub),
    }),
    import: Some(|node| emit(node, Op::Sub)),
};

/// Mul.
pub(super) const MUL: OpSpec = OpSpec {
    name: "Mul",
    versions: &[7, 13, 14],
    attributes: &[],
    constraints: &[],
    fold: Some(|node| match stored(node, Step::Mul, true) {
        Some(result) => node.set_constant(result),
        None => binary(node, |a, b| a * b, i64::checked_mul),
    }),
    import: Some(|node| emit(node, Op::Mul)),
};

/// Div: the product with the reciprocal, which is taken during import where the divisor is constant.
pub(super) const DIV: OpSpec = OpSpec {
    name: "Div",
    versions: &[7, 13, 14],
    attributes: &[],
    constraints: &[],
    fold: Some(|node| match stored(node, Step::Div, false) {
        Some(result) => node.set_constant(result),
        None => binary(node, |a, b| a / b, i64::checked_div),
    }),
    import: Some(div),
};

/// Sum of any number of operands: a chain of additions.
pub(super) const SUM: OpSpec = OpSpec {
    name: "Sum",
    versions: &[6, 8, 13],
    attributes: &[],
    constraints: &[],
    fold: Some(|node| variadic(node, |a, b| a + b, i64::checked_add)),
    import: Some(|node| {
        let operands = node.operands()?;
        match operands.split_last().ok_or(NodeError::MissingInput(0))? {
            (_, []) => node.forward(0),
            (&last, rest) => {
                let total = sum(node, rest)?;
                node.emit(Op::Add, vec![total, last])
            }
        }
    }),
};

/// Mean of any number of operands: their sum, scaled.
pub(super) const MEAN: OpSpec = OpSpec {
    name: "Mean",
    versions: &[6, 8, 13],
    attributes: &[],
    constraints: &[],
    fold: Some(super::arithmetic::mean),
    import: Some(|node| {
        let operands = node.operands()?;
        if operands.len() == 1 {
            return node.forward(0);
        }
        let total = sum(node, &operands)?;
        let share = node.scalar_constant("share", 1.0 / operands.len() as f32);
        node.emit(Op::Mul, vec![total, share])
    }),
};

/// The result as stored integers, if an operand is so and the other one is its zero point or scale.
fn stored(node: &NodeCtx<'_>, step: Step, either: bool) -> Option<Tensor> {
    let (a, b) = (node.constant(0)?, node.constant(1)?);
    let swapped = || if either { arithmetic(b, a, step) } else { None };
    arithmetic(a, b, step).or_else(swapped)
}

fn emit(node: &mut NodeCtx<'_>, op: Op) -> Imported {
    let operands = node.operands()?;
    node.emit(op, operands)
}

/// The sum of `operands` as an intermediate value.
fn sum(node: &mut NodeCtx<'_>, operands: &[ValueId]) -> Result<ValueId, NodeError> {
    let (&first, rest) = operands.split_first().ok_or(NodeError::MissingInput(0))?;
    rest.iter().try_fold(first, |total, &operand| {
        node.intermediate("sum", Op::Add, vec![total, operand], None)
    })
}

fn div(node: &mut NodeCtx<'_>) -> Imported {
    let dividend = node.operand(0)?;
    let inverse = if node.constant(1).is_some() {
        let inverses = node.floats(1)?.iter().map(|v| v.recip()).collect();
        let inverses = Tensor::from_f32(&node.shape(1)?, inverses)?;
        node.own_constant("reciprocal", inverses)
    } else {
        let divisor = node.operand(1)?;
        let function = Function::of(Primitive::Reciprocal, &[])?;
        node.intermediate("reciprocal", Op::Unary { function }, vec![divisor], None)?
    };
    node.emit(Op::Mul, vec![dividend, inverse])
}
