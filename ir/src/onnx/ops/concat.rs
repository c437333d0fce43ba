//! Concat along one axis.

use super::OpSpec;
use crate::graph::Op;
use crate::infer::{Rule, ShapeError, infer};
use crate::onnx::error::NodeError;
use crate::onnx::node::{Imported, NodeCtx, resolve_axis};
use crate::tensor::{Data, Tensor, element_count};

/// Concat.
pub(super) const CONCAT: OpSpec = OpSpec {
    name: "Concat",
    versions: &[4, 11, 13],
    attributes: &["axis"],
    constraints: &[],
    fold: Some(fold),
    import: Some(import),
};

fn axis(node: &NodeCtx<'_>) -> Result<usize, NodeError> {
    let axis = node.attributes().int("axis")?.ok_or(NodeError::MissingAttribute("axis"))?;
    resolve_axis(axis, node.shape(0)?.len())
}

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let axis = axis(node)?;
    let operands = node.operands()?;
    node.emit(Op::Concat { axis }, operands)
}

fn fold(node: &mut NodeCtx<'_>) -> Imported {
    let axis = axis(node)?;
    let tensors: Vec<&Tensor> = (0..node.n_inputs())
        .map(|index| node.required_constant(index))
        .collect::<Result<_, _>>()?;
    let shapes: Vec<&[usize]> = tensors.iter().map(|tensor| tensor.shape.as_slice()).collect();
    let Rule::Exact(shape) = infer(&Op::Concat { axis }, &shapes)? else {
        return Err(ShapeError::TooLarge.into());
    };
    node.reserve(element_count(&shape).ok_or(ShapeError::TooLarge)?, 8)?;
    let found = tensors.iter().position(|tensor| tensor.dtype() != tensors[0].dtype());
    if let Some(operand) = found {
        let (found, expected) = (tensors[operand].dtype(), tensors[0].dtype());
        return Err(NodeError::OperandType { operand, found, expected }.into());
    }
    let data = match &tensors[0].data {
        Data::I64(_) => Data::I64(join(
            &tensors,
            axis,
            &tensors.iter().filter_map(|t| t.i64_values()).collect::<Vec<_>>(),
        )),
        Data::Bool(_) => Data::Bool(join(
            &tensors,
            axis,
            &tensors.iter().filter_map(|t| t.bool_values()).collect::<Vec<_>>(),
        )),
        Data::F32(_) | Data::MappedF32(_) | Data::SplatF32 { .. } | Data::Quantized(_) => {
            let values: Vec<_> = tensors.iter().filter_map(|t| t.f32_values()).collect();
            Data::F32(join(&tensors, axis, &values.iter().map(AsRef::as_ref).collect::<Vec<_>>()))
        }
    };
    node.set_constant(Tensor::new(shape, data)?)
}

/// Joins row-major elements: for each index in front of the axis, one run of every tensor.
fn join<T: Copy>(tensors: &[&Tensor], axis: usize, elements: &[&[T]]) -> Vec<T> {
    let count = elements.iter().map(|e| e.len()).sum();
    // An empty result has nothing to walk over, however large its other extents are.
    let outer: usize = if count == 0 { 0 } else { tensors[0].shape[..axis].iter().product() };
    let mut joined = Vec::with_capacity(count);
    for index in 0..outer {
        for values in elements {
            let run = values.len() / outer;
            joined.extend_from_slice(&values[index * run..(index + 1) * run]);
        }
    }
    joined
}
