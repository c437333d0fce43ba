//! Split: one slice per result.

use super::{Constraint, OpSpec, constant_operand};
use crate::graph::Op;
use crate::indices::{Indices, Run};
use crate::infer::ShapeError;
use crate::onnx::error::NodeError;
use crate::onnx::fold::gather;
use crate::onnx::node::{Imported, NodeCtx, resolve_axis};
use crate::tensor::element_count;

/// Split.
pub(super) const SPLIT: OpSpec = OpSpec {
    name: "Split",
    versions: &[2, 11, 13, 18],
    attributes: &["axis", "num_outputs", "split"],
    constraints: &[
        constant_operand::<1>("the sizes are constant"),
        Constraint {
            text: "no part of a value computed at run time is empty",
            suggestion: "remove results without elements from the model",
            violation: |node| {
                if node.constant(0).is_some() {
                    return Ok(None);
                }
                let sizes = if node.opset < 13 {
                    node.attributes().ints("split")?
                } else if node.constant(1).is_some() {
                    node.integers(1)?
                } else {
                    None
                };
                Ok(sizes.filter(|sizes| sizes.contains(&0)).map(|sizes| format!("{sizes:?}")))
            },
        },
    ],
    fold: Some(fold),
    import: Some(import),
};

/// The axis, and the size of each result along it.
fn parts(node: &NodeCtx<'_>) -> Result<(usize, Vec<usize>), NodeError> {
    let shape = node.shape(0)?;
    let axis = resolve_axis(node.attributes().int("axis")?.unwrap_or(0), shape.len())?;
    let (extent, results) = (shape[axis], node.proto.output.len());
    let written =
        if node.opset < 13 { node.attributes().ints("split")? } else { node.integers(1)? };
    if let Some(written) = written {
        let sizes: Option<Vec<usize>> =
            written.iter().map(|&size| usize::try_from(size).ok()).collect();
        let whole = |sizes: &Vec<usize>| {
            let total = sizes.iter().try_fold(0usize, |sum, &size| sum.checked_add(size));
            sizes.len() == results && total == Some(extent)
        };
        let wrong = || NodeError::OperandValue {
            operand: 1,
            found: format!("{written:?} for {results} results of an axis of {extent}"),
            expected: "one size for each result, which add up to the extent of the axis",
        };
        return Ok((axis, sizes.filter(whole).ok_or_else(wrong)?));
    }
    if node.opset >= 18 && node.attributes().int("num_outputs")? != i64::try_from(results).ok() {
        return Err(NodeError::AttributeValue {
            attribute: "num_outputs",
            found: format!("{:?}", node.attributes().int("num_outputs")?),
            expected: "the number of results, where no sizes are given",
        });
    }
    // Since operator set 18 the last part may be smaller.
    let size = extent.div_ceil(results.max(1));
    let sizes: Vec<usize> =
        (0..results).map(|i| size.min(extent.saturating_sub(i * size))).collect();
    let even = sizes.iter().all(|&part| part == size);
    if sizes.contains(&0) || (node.opset < 18 && !even) {
        return Err(NodeError::AttributeValue {
            attribute: "axis",
            found: format!("{axis}, an axis of {extent}"),
            expected: "an axis that can be cut into as many parts as there are results",
        });
    }
    Ok((axis, sizes))
}

/// Per result that is used: its position and the indices it takes.
fn pieces(node: &NodeCtx<'_>) -> Result<Vec<(usize, Vec<Indices>)>, NodeError> {
    let (axis, sizes) = parts(node)?;
    let shape = node.shape(0)?;
    let mut first = 0;
    let mut pieces = Vec::with_capacity(sizes.len());
    for (index, size) in sizes.into_iter().enumerate() {
        if node.uses_output(index) {
            let mut indices: Vec<Indices> =
                shape.iter().map(|&extent| Indices::all(extent)).collect();
            indices[axis] = Run::new(first, size, 1).into_iter().collect();
            pieces.push((index, indices));
        }
        first += size;
    }
    Ok(pieces)
}

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let input = node.operand(0)?;
    for (index, indices) in pieces(node)? {
        node.emit_at(index, Op::Gather { indices }, vec![input], None)?;
    }
    Ok(())
}

fn fold(node: &mut NodeCtx<'_>) -> Imported {
    for (index, indices) in pieces(node)? {
        let shape: Vec<usize> = indices.iter().map(Indices::len).collect();
        node.reserve(element_count(&shape).ok_or(ShapeError::TooLarge)?, 8)?;
        let part = gather(node.required_constant(0)?, &indices);
        node.set_constant_result(index, part);
    }
    Ok(())
}
