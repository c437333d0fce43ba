//! Slice: bounds are attributes up to operator set 9, and operands from 10 on.

use super::{OpSpec, constant_operand};
use crate::graph::Op;
use crate::indices::{Indices, Run};
use crate::infer::ShapeError;
use crate::onnx::error::NodeError;
use crate::onnx::fold::gather;
use crate::onnx::node::{Imported, NodeCtx, resolve_axis};
use crate::tensor::element_count;

/// Slice.
pub(super) const SLICE: OpSpec = OpSpec {
    name: "Slice",
    versions: &[1, 10, 11, 13],
    attributes: &["axes", "ends", "starts"],
    constraints: &[
        constant_operand::<1>("the starts are constant"),
        constant_operand::<2>("the ends are constant"),
        constant_operand::<3>("the axes are constant"),
        constant_operand::<4>("the steps are constant"),
    ],
    fold: Some(fold),
    import: Some(import),
};

/// The indices taken along each axis.
fn taken(node: &NodeCtx<'_>) -> Result<Vec<Indices>, NodeError> {
    let list = |operand: usize, attribute| {
        if node.opset < 10 { node.attributes().ints(attribute) } else { node.integers(operand) }
    };
    let starts = list(1, "starts")?.ok_or(NodeError::MissingInput(1))?;
    let ends = list(2, "ends")?.ok_or(NodeError::MissingInput(2))?;
    let axes = list(3, "axes")?;
    let steps = if node.opset < 10 { None } else { node.integers(4)? };
    let shape = node.shape(0)?;
    let rank = shape.len();
    let lengths = [Some(ends.len()), axes.map(<[i64]>::len), steps.map(<[i64]>::len)];
    if lengths.into_iter().flatten().any(|length| length != starts.len()) || starts.len() > rank {
        let found = format!("{} starts for {rank} axes", starts.len());
        let expected = "one start, end and step per axis";
        return Err(NodeError::OperandValue { operand: 1, found, expected });
    }
    let mut taken: Vec<Indices> = shape.iter().map(|&extent| Indices::all(extent)).collect();
    for (i, (&start, &end)) in starts.iter().zip(ends).enumerate() {
        let axis = match axes {
            Some(axes) => resolve_axis(axes[i], rank)?,
            None => i,
        };
        taken[axis] = range(start, end, steps.map_or(1, |steps| steps[i]), shape[axis])?;
    }
    Ok(taken)
}

fn fold(node: &mut NodeCtx<'_>) -> Imported {
    let taken = taken(node)?;
    let shape: Vec<usize> = taken.iter().map(Indices::len).collect();
    node.reserve(element_count(&shape).ok_or(ShapeError::TooLarge)?, 8)?;
    let sliced = gather(node.required_constant(0)?, &taken);
    node.set_constant(sliced)
}

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let indices = taken(node)?;
    let input = node.operand(0)?;
    node.emit(Op::Gather { indices }, vec![input])
}

/// ONNX bounds: negative ones count from the end, then both are cut to what the direction allows.
fn range(start: i64, end: i64, step: i64, extent: usize) -> Result<Indices, NodeError> {
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
    let count = distance.max(0).unsigned_abs().div_ceil(width.unsigned_abs());
    let convert = |value: u64| usize::try_from(value).map_err(|_| NodeError::Arithmetic);
    let (first, count) = (convert(first.max(0).unsigned_abs())?, convert(count)?);
    if count == 0 {
        return Ok(Indices::default());
    }
    // A single index never takes the step, which may be too large to multiply with.
    let step = if count > 1 { step } else { 0 };
    let step = isize::try_from(step).map_err(|_| NodeError::Arithmetic)?;
    let run = Run::new(first, count, step).ok_or(NodeError::Arithmetic)?;
    Ok([run].into_iter().collect())
}
