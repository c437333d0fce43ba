//! Dropout, which does nothing in inference.

use super::{Constraint, OpSpec};
use crate::onnx::node::{Imported, NodeCtx};
use crate::tensor::Data;

/// Dropout.
pub(super) const DROPOUT: OpSpec = OpSpec {
    name: "Dropout",
    versions: &[7, 10, 12, 13, 22],
    attributes: &["ratio", "seed"],
    constraints: &[Constraint {
        text: "the node is in inference mode: `training_mode` is false and the mask is not used",
        suggestion: "export the model in evaluation mode",
        violation: |node| {
            if node.uses_output(1) {
                return Ok(Some(format!("output `{}`", node.proto.output[1])));
            }
            if let Some(computed) = node.computed(2) {
                return Ok(Some(computed));
            }
            let training = matches!(node.constant(2).map(|t| &t.data), Some(Data::Bool(v)) if v.contains(&true));
            Ok(training.then(|| "training_mode true".to_owned()))
        },
    }],
    fold: Some(forward),
    import: Some(forward),
};

fn forward(node: &mut NodeCtx<'_>) -> Imported {
    node.forward(0)
}
