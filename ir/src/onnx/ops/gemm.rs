//! Gemm with constant weights: `alpha * A * B + beta * C`. Both factors are folded into the constants.

use super::{Constraint, OpSpec, constant_operand};
use crate::graph::{Op, ValueId};
use crate::infer::ShapeError;
use crate::onnx::error::NodeError;
use crate::onnx::node::{Imported, NodeCtx};
use crate::tensor::Tensor;

/// Gemm.
pub(super) const GEMM: OpSpec = OpSpec {
    name: "Gemm",
    versions: &[7, 9, 11, 13],
    attributes: &["alpha", "beta", "transA", "transB"],
    constraints: &[
        constant_operand::<1>("the weights `B` are constant"),
        Constraint {
            text: "`beta` is 0 or 1 where the bias `C` is computed, or is not one value or one per output",
            suggestion: "replace Gemm by MatMul and Add",
            violation: |node| {
                let beta = node.attributes().float("beta")?.unwrap_or(1.0);
                let separate = node.computed(2).is_some() || !bias_is_per_output(node)?;
                Ok((separate && beta != 0.0 && beta != 1.0).then(|| format!("beta {beta}")))
            },
        },
    ],
    fold: None,
    import: Some(import),
};

/// Whether the bias has one element, or one per output, as far as shapes are known.
fn bias_is_per_output(node: &NodeCtx<'_>) -> Result<bool, NodeError> {
    let axis = usize::from(!node.attributes().flag("transB", false)?);
    let outputs = node.known_shape(1).and_then(|shape| shape.get(axis).copied());
    let (Some(bias), Some(outputs)) = (node.known_shape(2), outputs) else {
        return Ok(true);
    };
    Ok(bias.iter().all(|&extent| extent == 1) || bias == [outputs] || bias == [1, outputs])
}

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let attributes = node.attributes();
    for operand in [0, 1] {
        let shape = node.shape(operand)?;
        if shape.len() != 2 {
            return Err(ShapeError::Rank { operand, shape, expected: 2 }.into());
        }
    }
    let mut input = node.operand(0)?;
    if attributes.flag("transA", false)? {
        input =
            node.intermediate("transA", Op::Transpose { perm: vec![1, 0] }, vec![input], None)?;
    }
    let weights = weights(node)?;
    let outputs = node.value_shape(weights)[0];
    let beta = attributes.float("beta")?.unwrap_or(1.0);
    // ONNX: with beta 0 the bias does not count, whatever it holds.
    if !node.has_input(2) || beta == 0.0 {
        return node.emit(Op::Dense, vec![input, weights]);
    }
    if node.constant(2).is_some() && bias_is_per_output(node)? {
        let bias = bias(node, outputs, beta)?;
        return node.emit(Op::Dense, vec![input, weights, bias]);
    }
    let product = node.intermediate("product", Op::Dense, vec![input, weights], None)?;
    let bias = node.operand(2)?;
    node.emit(Op::Add, vec![product, bias])
}

/// Weights `[m, k]`, scaled by alpha.
fn weights(node: &mut NodeCtx<'_>) -> Result<ValueId, NodeError> {
    let weights = if node.attributes().flag("transB", false)? {
        node.operand(1)?
    } else {
        node.transposed_operand(1)?
    };
    let alpha = node.attributes().float("alpha")?.unwrap_or(1.0);
    if alpha == 1.0 {
        return Ok(weights);
    }
    let shape = node.value_shape(weights).to_vec();
    let scaled = node.constant_floats(weights)?.into_iter().map(|value| value * alpha).collect();
    let name = format!("{}.scaled", node.proto.input[1]);
    Ok(node.new_constant(&name, Tensor::from_f32(&shape, scaled)?))
}

/// Bias `[m]`, scaled by beta; a single value is repeated.
fn bias(node: &mut NodeCtx<'_>, outputs: usize, beta: f32) -> Result<ValueId, NodeError> {
    if beta == 1.0 && node.shape(2)? == [outputs] {
        return node.operand(2);
    }
    let values = node.floats(2)?;
    node.reserve(outputs, 4)?;
    let scaled = match values.as_slice() {
        [one] => vec![one * beta; outputs],
        all => all.iter().map(|value| value * beta).collect(),
    };
    let name = format!("{}.bias", node.proto.input[2]);
    Ok(node.new_constant(&name, Tensor::from_f32(&[outputs], scaled)?))
}
