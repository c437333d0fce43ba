//! MatMul with a constant matrix on either side.

use super::{Constraint, OpSpec};
use crate::graph::Op;
use crate::infer::ShapeError;
use crate::onnx::node::{Imported, NodeCtx};

/// MatMul.
pub(super) const MAT_MUL: OpSpec = OpSpec {
    name: "MatMul",
    versions: &[1, 9, 13],
    attributes: &[],
    constraints: &[
        Constraint {
            text: "one operand is constant",
            suggestion: "products of two activations (attention) are not supported yet",
            violation: |node| {
                Ok(node.computed(0).zip(node.computed(1)).map(|(a, b)| format!("{a}, and {b}")))
            },
        },
        Constraint {
            text: "the constant is a matrix (on the right, leading extents of 1 do not count)",
            suggestion: "write one MatMul per matrix, or reshape a vector to a matrix",
            violation: |node| {
                if node.constant(1).is_some() {
                    let shape = node.known_shape(1).unwrap_or(&[]);
                    let leading = shape.len().saturating_sub(2);
                    let enough =
                        node.known_shape(0).is_none_or(|x| leading == 0 || shape.len() <= x.len());
                    let fits =
                        shape.len() >= 2 && enough && shape[..leading].iter().all(|&e| e == 1);
                    return Ok((!fits).then(|| format!("shape {shape:?}")));
                }
                Ok(if node.constant(0).is_some() { node.other_rank(0, 2) } else { None })
            },
        },
    ],
    fold: None,
    import: Some(import),
};

fn import(node: &mut NodeCtx<'_>) -> Imported {
    if node.constant(1).is_some() {
        let input = node.operand(0)?;
        let weights = node.transposed_operand(1)?;
        return node.emit(Op::Dense, vec![input, weights]);
    }
    // W x = (x^T W^T)^T, and `Dense` multiplies by the transpose of its weights.
    let shape = node.shape(1)?;
    let rank = shape.len();
    if rank < 2 {
        return Err(ShapeError::RankTooSmall { operand: 1, shape, least: 2 }.into());
    }
    let swap: Vec<usize> = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
    let (weights, input) = (node.operand(0)?, node.operand(1)?);
    let columns =
        node.intermediate("columns", Op::Transpose { perm: swap.clone() }, vec![input], None)?;
    let product = node.intermediate("product", Op::Dense, vec![columns, weights], None)?;
    node.emit(Op::Transpose { perm: swap }, vec![product])
}
