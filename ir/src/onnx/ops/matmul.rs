//! MatMul: with a constant matrix on either side a dense layer, else the product of two activations.

use super::{Constraint, OpSpec};
use crate::graph::{Op, ValueId};
use crate::infer::{ShapeError, broadcast};
use crate::onnx::error::NodeError;
use crate::onnx::node::{Imported, NodeCtx};
use crate::onnx::ops::expand::repeated;
use crate::tensor::element_count;

/// MatMul.
pub(super) const MAT_MUL: OpSpec = OpSpec {
    name: "MatMul",
    versions: &[1, 9, 13],
    attributes: &[],
    constraints: &[Constraint {
        text: "a constant operand is a matrix (on the right, leading extents of 1 do not count)",
        suggestion: "write one MatMul per matrix, or reshape a vector to a matrix",
        violation: |node| {
            if node.constant(1).is_some() {
                let shape = node.known_shape(1).unwrap_or(&[]);
                let leading = shape.len().saturating_sub(2);
                let enough =
                    node.known_shape(0).is_none_or(|x| leading == 0 || shape.len() <= x.len());
                let fits = shape.len() >= 2 && enough && shape[..leading].iter().all(|&e| e == 1);
                return Ok((!fits).then(|| format!("shape {shape:?}")));
            }
            Ok(if node.constant(0).is_some() { node.other_rank(0, 2) } else { None })
        },
    }],
    fold: None,
    import: Some(import),
};

fn import(node: &mut NodeCtx<'_>) -> Imported {
    if node.constant(1).is_some() {
        let input = node.operand(0)?;
        let weights = node.transposed_operand(1)?;
        return node.emit(Op::Dense, vec![input, weights]);
    }
    if node.constant(0).is_none() {
        return product(node);
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

/// Of two computed operands. Vectors are matrices of one row or column; leading extents of 1 repeat.
fn product(node: &mut NodeCtx<'_>) -> Imported {
    let (a, b) = (node.shape(0)?, node.shape(1)?);
    for (operand, shape) in [(0, &a), (1, &b)] {
        if shape.is_empty() {
            return Err(ShapeError::RankTooSmall { operand, shape: shape.clone(), least: 1 }.into());
        }
    }
    let rows = if a.len() == 1 { [&[1], &a[..]].concat() } else { a.clone() };
    let columns = if b.len() == 1 { [&b[..], &[1]].concat() } else { b.clone() };
    let (batch_a, [m, k]) = split(&rows);
    let (batch_b, [inner, n]) = split(&columns);
    if inner != k {
        let expected = [batch_b, &[k, n]].concat();
        return Err(ShapeError::Operand { operand: 1, shape: columns, expected }.into());
    }
    let batch = broadcast(batch_a, batch_b)?;
    let kept = |vector: bool, extent| if vector { vec![] } else { vec![extent] };
    let result = [&batch[..], &kept(a.len() == 1, m), &kept(b.len() == 1, n)].concat();
    let (x, w) = (node.operand(0)?, node.operand(1)?);
    if batch_a != batch_b && batch_b.iter().all(|&extent| extent == 1) {
        // One matrix for all: the others' rows are rows of one matrix too.
        let all = element_count(&[batch_a, &[m]].concat()).ok_or(ShapeError::TooLarge)?;
        let x = shaped(node, "rows", x, &[all, k])?;
        let w = shaped(node, "columns", w, &[k, n])?;
        return finished(node, x, w, &[all, n], &result);
    }
    let x = shaped(node, "rows", x, &[&vec![1; batch.len() - batch_a.len()], &rows[..]].concat())?;
    let w = shaped(
        node,
        "columns",
        w,
        &[&vec![1; batch.len() - batch_b.len()], &columns[..]].concat(),
    )?;
    let x = repeated(node, "rows_repeated", x, &[&batch[..], &[m, k]].concat())?;
    let w = repeated(node, "columns_repeated", w, &[&batch[..], &[k, n]].concat())?;
    finished(node, x, w, &[&batch[..], &[m, n]].concat(), &result)
}

/// Leading extents and those of the matrices.
fn split(shape: &[usize]) -> (&[usize], [usize; 2]) {
    let (batch, matrix) = shape.split_at(shape.len() - 2);
    (batch, [matrix[0], matrix[1]])
}

/// `x` in another shape, where it has another one.
pub(super) fn shaped(
    node: &mut NodeCtx<'_>,
    what: &str,
    x: ValueId,
    shape: &[usize],
) -> Result<ValueId, NodeError> {
    if node.value_shape(x) == shape {
        return Ok(x);
    }
    node.intermediate(what, Op::Reshape, vec![x], Some(shape.to_vec()))
}

/// The product of shape `product`, in the shape that the node's result has.
fn finished(
    node: &mut NodeCtx<'_>,
    x: ValueId,
    w: ValueId,
    product: &[usize],
    result: &[usize],
) -> Imported {
    let op = Op::MatMul { scale: 1.0 };
    if product == result {
        return node.emit(op, vec![x, w]);
    }
    let y = node.intermediate("product", op, vec![x, w], None)?;
    node.emit_shaped(Op::Reshape, vec![y], Some(result.to_vec()))
}
