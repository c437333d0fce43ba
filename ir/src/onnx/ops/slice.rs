//! Slice, on constants only: bounds are attributes up to operator set 9, and operands from 10 on.

use super::OpSpec;
use crate::onnx::error::NodeError;
use crate::onnx::fold::{Strided, row_major_strides, select};
use crate::onnx::node::{Imported, NodeCtx, resolve_axis};
use crate::tensor::Tensor;

/// Slice.
pub(super) const SLICE: OpSpec = OpSpec {
    name: "Slice",
    versions: &[1, 10, 11, 13],
    attributes: &["axes", "ends", "starts"],
    constraints: &[],
    fold: Some(fold),
    import: None,
};

/// One axis of a slice: first index, number of indices, distance.
struct Range {
    first: usize,
    count: usize,
    step: isize,
}

fn fold(node: &mut NodeCtx<'_>) -> Imported {
    let list = |operand: usize, attribute| {
        if node.opset < 10 { node.attributes().ints(attribute) } else { node.integers(operand) }
    };
    let starts = list(1, "starts")?.ok_or(NodeError::MissingInput(1))?;
    let ends = list(2, "ends")?.ok_or(NodeError::MissingInput(2))?;
    let axes = list(3, "axes")?;
    let steps = if node.opset < 10 { None } else { node.integers(4)? };
    let tensor = node.required_constant(0)?;
    let rank = tensor.shape.len();
    let lengths = [Some(ends.len()), axes.map(<[i64]>::len), steps.map(<[i64]>::len)];
    if lengths.into_iter().flatten().any(|length| length != starts.len()) || starts.len() > rank {
        let found = format!("{} starts for {rank} axes", starts.len());
        return Err(NodeError::OperandValue {
            operand: 1,
            found,
            expected: "one start, end and step per axis",
        }
        .into());
    }
    let mut ranges: Vec<Range> =
        tensor.shape.iter().map(|&extent| Range { first: 0, count: extent, step: 1 }).collect();
    for (i, (&start, &end)) in starts.iter().zip(ends).enumerate() {
        let axis = match axes {
            Some(axes) => resolve_axis(axes[i], rank)?,
            None => i,
        };
        ranges[axis] = range(start, end, steps.map_or(1, |steps| steps[i]), tensor.shape[axis])?;
    }
    let strides = row_major_strides(&tensor.shape);
    let shape: Vec<usize> = ranges.iter().map(|range| range.count).collect();
    node.reserve(shape.iter().product(), 8)?;
    let first = ranges
        .iter()
        .zip(&strides)
        .map(|(range, stride)| range.first * stride.cast_unsigned())
        .sum();
    let walk = ranges
        .iter()
        .zip(&strides)
        .map(|(range, stride)| range.step.wrapping_mul(*stride))
        .collect();
    let data = select(&tensor.data, Strided::new(shape.clone(), walk, first));
    node.set_constant(Tensor { shape, data })
}

/// ONNX bounds: negative ones count from the end, then both are cut to what the direction allows.
fn range(start: i64, end: i64, step: i64, extent: usize) -> Result<Range, NodeError> {
    let length = i64::try_from(extent).map_err(|_| NodeError::Arithmetic)?;
    let (lowest, highest) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let cut = |bound: i64| {
        let from_front = if bound < 0 { bound.saturating_add(length) } else { bound };
        from_front.clamp(lowest, highest)
    };
    let (first, behind) = (cut(start), cut(end));
    let distance = if step > 0 { behind - first } else { first - behind };
    let width = i64::try_from(step.unsigned_abs()).unwrap_or(i64::MAX);
    if width == 0 {
        return Err(NodeError::OperandValue {
            operand: 4,
            found: "0".to_owned(),
            expected: "a step other than 0",
        });
    }
    // With at most one index the step is never taken, and may be too large to multiply with.
    let count = distance.max(0).unsigned_abs().div_ceil(width.unsigned_abs());
    let step = if count > 1 { step } else { 1 };
    let convert = |value: u64| usize::try_from(value).map_err(|_| NodeError::Arithmetic);
    Ok(Range {
        first: convert(first.max(0).unsigned_abs())?,
        count: convert(count)?,
        step: isize::try_from(step).map_err(|_| NodeError::Arithmetic)?,
    })
}
