//! Reshape, Flatten, Squeeze and Unsqueeze: the same elements under another shape.

use super::{OpSpec, constant_operand};
use crate::graph::Op;
use crate::infer::ShapeError;
use crate::onnx::error::NodeError;
use crate::onnx::node::{Imported, NodeCtx, resolve_axes};
use crate::onnx::tensor::MAX_RANK;
use crate::tensor::{Tensor, element_count};

/// Reshape.
pub(super) const RESHAPE: OpSpec = OpSpec {
    name: "Reshape",
    versions: &[5, 13, 14, 19, 21, 23, 24, 25],
    attributes: &["allowzero"],
    constraints: &[constant_operand::<1>("the new shape is constant")],
    fold: Some(reshape),
    import: Some(reshape),
};

/// Flatten.
pub(super) const FLATTEN: OpSpec = OpSpec {
    name: "Flatten",
    versions: &[1, 9, 11, 13, 21, 23, 24, 25],
    attributes: &["axis"],
    constraints: &[],
    fold: Some(flatten),
    import: Some(flatten),
};

/// Squeeze.
pub(super) const SQUEEZE: OpSpec = OpSpec {
    name: "Squeeze",
    versions: &[1, 11, 13, 21, 23, 24, 25],
    attributes: &["axes"],
    constraints: &[constant_operand::<1>("the axes are constant")],
    fold: Some(squeeze),
    import: Some(squeeze),
};

/// Unsqueeze.
pub(super) const UNSQUEEZE: OpSpec = OpSpec {
    name: "Unsqueeze",
    versions: &[1, 11, 13, 21, 23, 24, 25],
    attributes: &["axes"],
    constraints: &[constant_operand::<1>("the axes are constant")],
    fold: Some(unsqueeze),
    import: Some(unsqueeze),
};

/// Gives operand 0 the new shape, as a constant or by a node.
fn finish(node: &mut NodeCtx<'_>, shape: Vec<usize>) -> Imported {
    if shape.len() > MAX_RANK {
        return Err(NodeError::Rank { found: shape.len(), most: MAX_RANK }.into());
    }
    if let Some(tensor) = node.constant(0) {
        let data = node.builder.copy_constant(tensor)?.data;
        return node.set_constant(Tensor::new(shape, data)?);
    }
    let input = node.operand(0)?;
    node.emit_shaped(Op::Reshape, vec![input], Some(shape))
}

fn reshape(node: &mut NodeCtx<'_>) -> Imported {
    let input = node.shape(0)?;
    let wanted = node.integers(1)?.ok_or(NodeError::MissingInput(1))?;
    let keep_zero = node.attributes().flag("allowzero", false)?;
    let shape = resolve(&input, wanted, keep_zero)?;
    finish(node, shape)
}

/// ONNX's rules: 0 copies the extent (unless `keep_zero`), and one -1 takes what is left.
fn resolve(input: &[usize], wanted: &[i64], keep_zero: bool) -> Result<Vec<usize>, NodeError> {
    let mismatch = || NodeError::Reshape { from: input.to_vec(), to: wanted.to_vec() };
    if wanted.len() > MAX_RANK {
        return Err(NodeError::Rank { found: wanted.len(), most: MAX_RANK });
    }
    let mut open = None;
    let mut shape = Vec::with_capacity(wanted.len());
    for (axis, &extent) in wanted.iter().enumerate() {
        shape.push(match extent {
            0 if !keep_zero => *input.get(axis).ok_or_else(mismatch)?,
            -1 if open.is_none() => {
                open = Some(axis);
                1
            }
            _ => usize::try_from(extent).map_err(|_| mismatch())?,
        });
    }
    let count = element_count(input).ok_or(ShapeError::TooLarge)?;
    let known = element_count(&shape).ok_or_else(mismatch)?;
    match open {
        Some(axis) if known > 0 && count % known == 0 => shape[axis] = count / known,
        None if known == count => {}
        Some(_) | None => return Err(mismatch()),
    }
    Ok(shape)
}

fn flatten(node: &mut NodeCtx<'_>) -> Imported {
    let input = node.shape(0)?;
    let rank = input.len();
    let written = node.attributes().int("axis")?.unwrap_or(1);
    let signed_rank = i64::try_from(rank).map_err(|_| NodeError::Arithmetic)?;
    let axis = if written < 0 { written.saturating_add(signed_rank) } else { written };
    // Unlike elsewhere, the axis may stand behind the last one.
    let axis = usize::try_from(axis).ok().filter(|&axis| axis <= rank);
    let axis = axis.ok_or(NodeError::Axis { axis: written, rank })?;
    let count = |extents: &[usize]| element_count(extents).ok_or(ShapeError::TooLarge);
    let shape = vec![count(&input[..axis])?, count(&input[axis..])?];
    finish(node, shape)
}

/// Axes: an attribute up to operator set 12, an operand from 13 on.
fn written_axes<'n>(node: &'n NodeCtx<'_>) -> Result<Option<&'n [i64]>, NodeError> {
    if node.opset < 13 { node.attributes().ints("axes") } else { node.integers(1) }
}

fn squeeze(node: &mut NodeCtx<'_>) -> Imported {
    let input = node.shape(0)?;
    let axes = match written_axes(node)? {
        Some(axes) => resolve_axes(axes, input.len())?,
        None => (0..input.len()).filter(|&axis| input[axis] == 1).collect(),
    };
    if let Some(&axis) = axes.iter().find(|&&axis| input[axis] != 1) {
        let found = format!("{axis}, which has extent {}", input[axis]);
        let expected = "axes of extent 1";
        return Err(NodeError::AttributeValue { attribute: "axes", found, expected }.into());
    }
    let shape =
        (0..input.len()).filter(|axis| !axes.contains(axis)).map(|axis| input[axis]).collect();
    finish(node, shape)
}

fn unsqueeze(node: &mut NodeCtx<'_>) -> Imported {
    let mut shape = node.shape(0)?;
    let axes = written_axes(node)?.ok_or(NodeError::MissingAttribute("axes"))?;
    if axes.len() > MAX_RANK {
        return Err(NodeError::Rank { found: axes.len(), most: MAX_RANK }.into());
    }
    // Axes are those of the result; ascending, each is in place when it is inserted.
    for axis in resolve_axes(axes, shape.len() + axes.len())? {
        shape.insert(axis, 1);
    }
    finish(node, shape)
}
