//! Operators on stored integers with weights: QLinearConv, QLinearMatMul, and QGemm of `com.microsoft`.

use super::expansion::Expansion;
use super::{OpSpec, constant_operand};
use crate::onnx::error::NodeError;
use crate::onnx::node::{Imported, NodeCtx};

/// Attributes of a convolution.
const WINDOW: &[&str] = &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"];

/// QLinearConv.
pub(super) const QLINEAR_CONV: OpSpec = OpSpec {
    name: "QLinearConv",
    versions: &[10],
    attributes: WINDOW,
    constraints: &[
        constant_operand::<1>("the scale of the input is constant"),
        constant_operand::<3>("the weights are constant"),
        constant_operand::<4>("the scale of the weights is constant"),
        constant_operand::<8>("the bias is constant"),
    ],
    fold: None,
    import: Some(|node| {
        let mut nodes = Expansion::of(node);
        let x = nodes.real(0, 1, 2, 1);
        let w = nodes.real(3, 4, 5, 0);
        let b = nodes.bias(8, [1, 4], 1.0)?;
        let attributes = nodes.attributes(WINDOW);
        let y = nodes.apply("Conv", vec![x, w, b], attributes);
        nodes.end_stored(y, 6, 7);
        Ok(())
    }),
};

/// QLinearMatMul.
pub(super) const QLINEAR_MAT_MUL: OpSpec = OpSpec {
    name: "QLinearMatMul",
    versions: &[10, 21],
    attributes: &[],
    constraints: &[constant_operand::<4>("the scale of the second operand is constant")],
    fold: None,
    import: Some(|node| {
        let rank = |operand: usize| node.known_shape(operand).map_or(2, <[usize]>::len) as i64;
        // Rows of the first operand, columns of the second.
        let (rows, columns) = ((rank(0) - 2).max(0), (rank(3) - 1).max(0));
        let mut nodes = Expansion::of(node);
        let a = nodes.real(0, 1, 2, rows);
        let b = nodes.real(3, 4, 5, columns);
        let y = nodes.apply("MatMul", vec![a, b], Vec::new());
        nodes.end_stored(y, 6, 7);
        Ok(())
    }),
};

/// QGemm.
pub(super) const QGEMM: OpSpec = OpSpec {
    name: "QGemm",
    versions: &[1],
    attributes: &["alpha", "transA", "transB"],
    constraints: &[
        constant_operand::<1>("the scale of the input is constant"),
        constant_operand::<3>("the weights are constant"),
        constant_operand::<4>("the scale of the weights is constant"),
        constant_operand::<6>("the bias is constant"),
    ],
    fold: None,
    import: Some(gemm),
};

fn gemm(node: &mut NodeCtx<'_>) -> Imported {
    let columns = i64::from(!node.attributes().flag("transB", false)?);
    let alpha = node.attributes().float("alpha")?.unwrap_or(1.0);
    let stored = node.has_input(7);
    let flat = node.known_shape(6).is_some_and(|shape| shape.len() < 2);
    if node.has_input(6) && !flat {
        let found = format!("a tensor of shape {:?}", node.shape(6)?);
        return Err(NodeError::OperandValue { operand: 6, found, expected: "a vector" }.into());
    }
    let mut nodes = Expansion::of(node);
    let a = nodes.real(0, 1, 2, 0);
    let b = nodes.real(3, 4, 5, columns);
    let c = nodes.bias(6, [1, 4], alpha)?;
    let attributes = nodes.attributes(QGEMM.attributes);
    if !stored {
        nodes.end_with("", "Gemm", vec![a, b, c], attributes);
        return Ok(());
    }
    let y = nodes.apply("Gemm", vec![a, b, c], attributes);
    nodes.end_stored(y, 7, 8);
    Ok(())
}
