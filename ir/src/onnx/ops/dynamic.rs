//! Dynamic quantization: operators on integers whose scale depends on the input. Here the scale is calibrated once, so that
//! DynamicQuantizeLinear is its operand, of scale 1, and what computes with its result computes with real values.

use super::expansion::Expansion;
use super::{Constraint, OpSpec, constant_operand};
use crate::onnx::error::NodeError;
use crate::onnx::integers::{IntType, Integers};
use crate::onnx::node::{Imported, NodeCtx};
use crate::tensor::{Data, Tensor};

/// DynamicQuantizeLinear.
pub(super) const DYNAMIC_QUANTIZE_LINEAR: OpSpec = OpSpec {
    name: "DynamicQuantizeLinear",
    versions: &[11],
    attributes: &[],
    constraints: &[],
    fold: None,
    import: Some(|node| {
        node.forward_real(0)?;
        node.note_integers(Integers::Dynamic);
        node.set_constant_result(1, Tensor::from_f32(&[], vec![1.0])?);
        node.set_constant_result(2, Tensor::new(Vec::new(), Data::I64(vec![0]))?);
        node.note_nth_result_type(2, IntType::UINT8);
        Ok(())
    }),
};

/// The input's scale is calibrated here; any other is lost in a product of integers.
const DYNAMIC: Constraint = Constraint {
    text: "the input is a result of DynamicQuantizeLinear",
    suggestion: "export in QDQ form",
    violation: |node| {
        let dynamic = matches!(node.integers_of(0), Some(Integers::Dynamic));
        let known = node.known_shape(0).is_some();
        Ok((known && !dynamic).then(|| format!("`{}`", node.proto.input[0])))
    },
};

/// ConvInteger.
pub(super) const CONV_INTEGER: OpSpec = OpSpec {
    name: "ConvInteger",
    versions: &[10],
    attributes: super::conv::CONV.attributes,
    constraints: &[
        DYNAMIC,
        constant_operand::<1>("the weights are constant"),
        constant_operand::<3>("the zero point of the weights is constant"),
    ],
    fold: None,
    import: Some(|node| product(node, "Conv", 0)),
};

/// MatMulInteger.
pub(super) const MAT_MUL_INTEGER: OpSpec = OpSpec {
    name: "MatMulInteger",
    versions: &[10],
    attributes: &[],
    constraints: &[
        DYNAMIC,
        constant_operand::<1>("the second operand is constant"),
        constant_operand::<3>("the zero point of the second operand is constant"),
    ],
    fold: None,
    import: Some(|node| product(node, "MatMul", 1)),
};

/// The float operator on weights of scale 1, which vary along `axis`.
fn product(node: &mut NodeCtx<'_>, op: &str, axis: i64) -> Imported {
    let zeros = if node.has_input(3) { node.shape(3)?.iter().product() } else { 1usize };
    node.reserve(zeros, 4)?;
    let mut nodes = Expansion::of(node);
    let one = nodes.floats("one", &[1.0])?;
    let ones = nodes.floats("ones", &vec![1.0; zeros.max(1)])?;
    let operands = [nodes.operand(0), one, String::new()];
    let x = nodes.dequantized(&operands, 1);
    let operands = [nodes.operand(1), ones, nodes.operand(3)];
    let w = nodes.dequantized(&operands, axis);
    let attributes = nodes.attributes(super::conv::CONV.attributes);
    nodes.end_with("", op, vec![x, w], attributes);
    Ok(())
}

/// DynamicQuantizeMatMul of `com.microsoft`: a float operand and stored weights.
pub(super) const DYNAMIC_QUANTIZE_MAT_MUL: OpSpec = OpSpec {
    name: "DynamicQuantizeMatMul",
    versions: &[1],
    attributes: &[],
    constraints: &[constant_operand::<1>("the weights are constant")],
    fold: None,
    import: Some(|node| {
        let mut nodes = Expansion::of(node);
        let a = nodes.operand(0);
        let b = nodes.real(1, 2, 3, 1);
        with_bias(nodes, a, b, 4)
    }),
};

/// MatMulIntegerToFloat of `com.microsoft`.
pub(super) const MAT_MUL_INTEGER_TO_FLOAT: OpSpec = OpSpec {
    name: "MatMulIntegerToFloat",
    versions: &[1],
    attributes: &[],
    constraints: &[constant_operand::<1>("the weights are constant")],
    fold: None,
    import: Some(|node| {
        let mut nodes = Expansion::of(node);
        let (a, b) = (nodes.real(0, 2, 4, 0), nodes.real(1, 3, 5, 1));
        with_bias(nodes, a, b, 6)
    }),
};

/// The node's result: `a` times `b`, plus operand `bias` where there is one.
fn with_bias(mut nodes: Expansion<'_, '_>, a: String, b: String, bias: usize) -> Imported {
    let bias = nodes.operand(bias);
    if bias.is_empty() {
        nodes.end_with("", "MatMul", vec![a, b], Vec::new());
    } else {
        let product = nodes.apply("MatMul", vec![a, b], Vec::new());
        nodes.end_with("bias", "Add", vec![product, bias], Vec::new());
    }
    Ok(())
}

/// A constant that is dequantized by DynamicQuantizeLinear's own results is the real value again.
pub(super) fn undone(node: &NodeCtx<'_>) -> Result<bool, NodeError> {
    Ok(node.scalar(1)? == Some(1.0) && node.integer(2)?.unwrap_or(0) == 0)
}
