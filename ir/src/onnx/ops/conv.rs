//! Conv, one- and two-dimensional.

use super::window::{MAP, ONE_PADDING, emit_on_map, resolve};
use super::{OpSpec, constant_operand};
use crate::graph::Op;
use crate::infer::ShapeError;
use crate::onnx::error::NodeError;
use crate::onnx::node::{Imported, NodeCtx};

/// Conv.
pub(super) const CONV: OpSpec = OpSpec {
    name: "Conv",
    versions: &[1, 11, 22],
    attributes: &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"],
    constraints: &[
        MAP,
        constant_operand::<1>("the weights are constant"),
        constant_operand::<2>("the bias is constant"),
        ONE_PADDING,
    ],
    fold: None,
    import: Some(import),
};

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let (input, weights) = (node.shape(0)?, node.shape(1)?);
    if weights.len() != input.len() {
        return Err(ShapeError::Rank { operand: 1, shape: weights, expected: input.len() }.into());
    }
    let groups = groups(node)?;
    let window = resolve(node, &input, Some(&weights[2..]))?.window;
    let mut operands = vec![node.operand(0)?, node.weights_on_map(1)?];
    if node.has_input(2) {
        operands.push(node.operand(2)?);
    }
    emit_on_map(node, Op::Conv { window, groups }, operands, None)
}

/// The attribute `group`.
pub(super) fn groups(node: &NodeCtx<'_>) -> Result<usize, NodeError> {
    let groups = node.attributes().int("group")?.unwrap_or(1);
    usize::try_from(groups).map_err(|_| NodeError::AttributeValue {
        attribute: "group",
        found: groups.to_string(),
        expected: "at least 1",
    })
}
