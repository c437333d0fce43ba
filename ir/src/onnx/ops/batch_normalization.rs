//! BatchNormalization with stored statistics.

use super::{Constraint, OpSpec, constant_operand};
use crate::graph::Op;
use crate::onnx::node::{Imported, NodeCtx};

/// BatchNormalization.
pub(super) const BATCH_NORMALIZATION: OpSpec = OpSpec {
    name: "BatchNormalization",
    versions: &[7, 9, 14, 15],
    attributes: &["epsilon", "momentum", "spatial", "training_mode"],
    constraints: &[
        constant_operand::<1>("the scale is constant"),
        constant_operand::<2>("the bias is constant"),
        constant_operand::<3>("the mean is constant"),
        constant_operand::<4>("the variance is constant"),
        Constraint {
            text: "the node is in inference mode: `training_mode` is 0 and only the first output is used",
            suggestion: "export the model in evaluation mode",
            violation: |node| {
                if node.attributes().flag("training_mode", false)? {
                    return Ok(Some("training_mode 1".to_owned()));
                }
                let extra = (1..node.proto.output.len()).find(|&i| node.uses_output(i));
                Ok(extra.map(|i| format!("output `{}`", node.proto.output[i])))
            },
        },
        Constraint {
            text: "statistics are per channel (`spatial` is 1)",
            suggestion: "",
            violation: |node| {
                Ok((!node.attributes().flag("spatial", true)?).then(|| "spatial 0".to_owned()))
            },
        },
    ],
    fold: None,
    import: Some(import),
};

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let epsilon = node.attributes().float("epsilon")?.unwrap_or(1e-5);
    let operands = node.operands()?;
    node.emit(Op::BatchNorm { epsilon }, operands)
}
