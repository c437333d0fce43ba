//! Split, on constants only: sizes are an attribute up to operator set 12, and an operand from 13 on.

use super::{OpSpec, constants_only};
use crate::onnx::error::NodeError;
use crate::onnx::fold::{Strided, row_major_strides, select};
use crate::onnx::node::{Imported, NodeCtx, resolve_axis};
use crate::tensor::Tensor;

/// Split.
pub(super) const SPLIT: OpSpec = OpSpec {
    name: "Split",
    versions: &[2, 11, 13, 18],
    attributes: &["axis", "num_outputs", "split"],
    constraints: &[constants_only("")],
    fold: Some(fold),
    import: None,
};

/// Extents of the parts along an axis of `extent` elements. Without sizes the parts are equal, and the last one is
/// smaller where that is not possible.
fn sizes(node: &NodeCtx<'_>, extent: usize) -> Result<Vec<usize>, NodeError> {
    let parts = node.proto.output.len();
    let written =
        if node.opset < 13 { node.attributes().ints("split")? } else { node.integers(1)? };
    let Some(written) = written else {
        let each = extent.div_ceil(parts.max(1));
        let size = |part: usize| extent.saturating_sub(part.saturating_mul(each)).min(each);
        return Ok((0..parts).map(size).collect());
    };
    let sizes: Option<Vec<usize>> =
        written.iter().map(|&size| usize::try_from(size).ok()).collect();
    let total = |sizes: &Vec<usize>| sizes.iter().try_fold(0, |sum: usize, &s| sum.checked_add(s));
    sizes.filter(|sizes| sizes.len() == parts && total(sizes) == Some(extent)).ok_or_else(|| {
        NodeError::OperandValue {
            operand: 1,
            found: format!("{written:?}"),
            expected: "one size for each result, which add up to the extent of the axis",
        }
    })
}

fn fold(node: &mut NodeCtx<'_>) -> Imported {
    let tensor = node.required_constant(0)?;
    let axis = resolve_axis(node.attributes().int("axis")?.unwrap_or(0), tensor.shape.len())?;
    node.reserve(tensor.data.len(), 8)?;
    let strides = row_major_strides(&tensor.shape);
    let mut start = 0;
    let mut parts = Vec::new();
    for size in sizes(node, tensor.shape[axis])? {
        let mut shape = tensor.shape.clone();
        shape[axis] = size;
        let first = start * strides[axis].cast_unsigned();
        let data = select(&tensor.data, Strided::new(shape.clone(), strides.clone(), first));
        parts.push(Tensor { shape, data });
        start += size;
    }
    for (index, part) in parts.into_iter().enumerate() {
        node.set_constant_result(index, part);
    }
    Ok(())
}
