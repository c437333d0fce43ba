//! LRN: local response normalization across channels.

use super::window::{MAP, emit_on_map};
use super::{Constraint, OpSpec};
use crate::graph::Op;
use crate::onnx::error::NodeError;
use crate::onnx::node::{Imported, NodeCtx};

/// LRN.
pub(super) const LRN: OpSpec = OpSpec {
    name: "LRN",
    versions: &[1, 13],
    attributes: &["alpha", "beta", "bias", "size"],
    constraints: &[
        MAP,
        Constraint {
            text: "`bias` is above 0 and `alpha` at least 0, so that what is divided by never vanishes",
            suggestion: "",
            violation: |node| {
                let Constants { alpha, bias, .. } = constants(node)?;
                let sound = bias > 0.0 && alpha >= 0.0;
                Ok((!sound).then(|| format!("bias {bias} and alpha {alpha}")))
            },
        },
    ],
    fold: None,
    import: Some(import),
};

struct Constants {
    alpha: f32,
    beta: f32,
    bias: f32,
}

fn constants(node: &NodeCtx<'_>) -> Result<Constants, NodeError> {
    let attributes = node.attributes();
    Ok(Constants {
        alpha: attributes.float("alpha")?.unwrap_or(1e-4),
        beta: attributes.float("beta")?.unwrap_or(0.75),
        bias: attributes.float("bias")?.unwrap_or(1.0),
    })
}

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let size = node.attributes().int("size")?.ok_or(NodeError::MissingAttribute("size"))?;
    let size = usize::try_from(size).ok().filter(|&size| size > 0).ok_or_else(|| {
        let (found, expected) = (size.to_string(), "at least 1");
        NodeError::AttributeValue { attribute: "size", found, expected }
    })?;
    let Constants { alpha, beta, bias } = constants(node)?;
    let operands = vec![node.operand(0)?];
    emit_on_map(node, Op::Lrn { size, alpha, beta, bias }, operands, None)
}
