//! Conv, two-dimensional.

use super::window::{IMAGE, ONE_PADDING, resolve};
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
        IMAGE,
        constant_operand::<1>("the weights are constant"),
        constant_operand::<2>("the bias is constant"),
        ONE_PADDING,
    ],
    fold: None,
    import: Some(import),
};

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let (input, weights) = (node.shape(0)?, node.shape(1)?);
    let &[_, _, kh, kw] = weights.as_slice() else {
        return Err(ShapeError::Rank { operand: 1, shape: weights, expected: 4 }.into());
    };
    let groups = node.attributes().int("group")?.unwrap_or(1);
    let groups = usize::try_from(groups).map_err(|_| NodeError::AttributeValue {
        attribute: "group",
        found: groups.to_string(),
        expected: "at least 1",
    })?;
    let window = resolve(node, &input, Some([kh, kw]))?.window;
    let operands = node.operands()?;
    node.emit(Op::Conv { window, groups }, operands)
}
