//! Pad with a constant: amounts are an attribute up to operator set 10, and operands from 11 on.

use super::{Constraint, OpSpec, constant_operand};
use crate::graph::Op;
use crate::onnx::error::NodeError;
use crate::onnx::node::{Imported, NodeCtx, Refusal, resolve_axis};

/// Pad.
pub(super) const PAD: OpSpec = OpSpec {
    name: "Pad",
    versions: &[2, 11, 13, 18, 19, 21, 23, 24, 25],
    attributes: &["mode", "pads", "value"],
    constraints: &[
        Constraint {
            text: "the mode is `constant`",
            suggestion: "pad the input on the host, or use constant padding",
            violation: |node| {
                Ok(node
                    .attributes()
                    .string("mode")?
                    .filter(|m| m != "constant")
                    .map(|m| format!("`{m}`")))
            },
        },
        constant_operand::<1>("the amounts are constant"),
        constant_operand::<2>("the padding value is constant"),
        constant_operand::<3>("the axes are constant"),
        Constraint {
            text: "no amount is negative",
            suggestion: "cropping is not padding: remove it from the model",
            violation: |node| {
                let amounts = amounts(node)?;
                Ok(amounts.iter().any(|&amount| amount < 0).then(|| format!("{amounts:?}")))
            },
        },
    ],
    fold: None,
    import: Some(import),
};

/// Amounts as written; empty while they are not known.
fn amounts(node: &NodeCtx<'_>) -> Result<Vec<i64>, Refusal> {
    if node.opset < 11 {
        return Ok(node
            .attributes()
            .ints("pads")?
            .ok_or(NodeError::MissingAttribute("pads"))?
            .to_vec());
    }
    Ok(if node.constant(1).is_some() {
        node.integers(1)?.unwrap_or(&[]).to_vec()
    } else {
        Vec::new()
    })
}

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let rank = node.shape(0)?.len();
    let amounts = amounts(node)?;
    let value = if node.opset < 11 { node.attributes().float("value")? } else { node.scalar(2)? };
    let axes: Vec<usize> = match node.integers(3)? {
        None => (0..rank).collect(),
        Some(axes) => {
            axes.iter().map(|&axis| resolve_axis(axis, rank)).collect::<Result<_, _>>()?
        }
    };
    if amounts.len() != 2 * axes.len() {
        return Err(Refusal::Invalid(NodeError::OperandValue {
            operand: 1,
            found: format!("{amounts:?}"),
            expected: "two amounts per axis",
        }));
    }
    let (mut before, mut after) = (vec![0; rank], vec![0; rank]);
    for (position, &axis) in axes.iter().enumerate() {
        let amount =
            |index: usize| usize::try_from(amounts[index]).map_err(|_| NodeError::Arithmetic);
        before[axis] = amount(position)?;
        after[axis] = amount(position + axes.len())?;
    }
    let input = node.operand(0)?;
    node.emit(Op::Pad { before, after, value: value.unwrap_or(0.0) }, vec![input])
}
