//! Transpose.

use super::OpSpec;
use crate::graph::Op;
use crate::infer::{ShapeError, is_permutation};
use crate::onnx::error::NodeError;
use crate::onnx::fold::{Strided, row_major_strides, select};
use crate::onnx::node::{Imported, NodeCtx};
use crate::tensor::Tensor;

/// Transpose.
pub(super) const TRANSPOSE: OpSpec = OpSpec {
    name: "Transpose",
    versions: &[1, 13, 21, 23, 24, 25],
    attributes: &["perm"],
    constraints: &[],
    fold: Some(fold),
    import: Some(import),
};

/// The permutation; axes are reversed where it is not given.
fn permutation(node: &NodeCtx<'_>) -> Result<Vec<usize>, NodeError> {
    let rank = node.shape(0)?.len();
    let perm = match node.attributes().extents("perm", rank)? {
        Some(perm) => perm,
        None => (0..rank).rev().collect(),
    };
    if is_permutation(&perm, rank) {
        Ok(perm)
    } else {
        Err(ShapeError::Permutation { perm, rank }.into())
    }
}

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let perm = permutation(node)?;
    let operands = node.operands()?;
    node.emit(Op::Transpose { perm }, operands)
}

fn fold(node: &mut NodeCtx<'_>) -> Imported {
    let perm = permutation(node)?;
    let tensor = node.required_constant(0)?;
    node.reserve(tensor.data.len(), 8)?;
    let strides = row_major_strides(&tensor.shape);
    let shape: Vec<usize> = perm.iter().map(|&axis| tensor.shape[axis]).collect();
    let walk = Strided::new(shape.clone(), perm.iter().map(|&axis| strides[axis]).collect(), 0);
    let transposed = Tensor { data: select(&tensor.data, walk), shape };
    if perm == [1, 0] {
        node.set_transposed_constant(transposed)
    } else {
        node.set_constant(transposed)
    }
}
