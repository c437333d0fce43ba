//! Where, NonZero and Compress, on constants only.

use super::{OpSpec, constants_only};
use crate::infer::{ShapeError, broadcast};
use crate::onnx::error::NodeError;
use crate::onnx::fold::{Strided, broadcast_strides, chain, row_major_strides, select};
use crate::onnx::node::{Imported, NodeCtx, resolve_axis};
use crate::tensor::{Data, Tensor, element_count};

/// What a user can do where the condition is computed at run time.
const SUGGESTION: &str = "cut it off the end of the model and run it on the host";

/// Where.
pub(super) const WHERE: OpSpec = OpSpec {
    name: "Where",
    versions: &[9, 16],
    attributes: &[],
    constraints: &[constants_only(SUGGESTION)],
    fold: Some(choose),
    import: None,
};

/// NonZero.
pub(super) const NON_ZERO: OpSpec = OpSpec {
    name: "NonZero",
    versions: &[9, 13],
    attributes: &[],
    constraints: &[constants_only(SUGGESTION)],
    fold: Some(non_zero),
    import: None,
};

/// Compress.
pub(super) const COMPRESS: OpSpec = OpSpec {
    name: "Compress",
    versions: &[9, 11, 28],
    attributes: &["axis"],
    constraints: &[constants_only(SUGGESTION)],
    fold: Some(compress),
    import: None,
};

fn choose(node: &mut NodeCtx<'_>) -> Imported {
    let condition = node.booleans(0)?;
    let tensors = [0, 1, 2].map(|index| node.required_constant(index));
    let [c, x, y] = tensors;
    let (c, x, y) = (c?, x?, y?);
    let shape = broadcast(&broadcast(&c.shape, &x.shape)?, &y.shape)?;
    node.reserve(element_count(&shape).ok_or(ShapeError::TooLarge)?, 8)?;
    node.reserve(x.data.len(), 8)?;
    node.reserve(y.data.len(), 8)?;
    let walk =
        |tensor: &Tensor| Strided::new(shape.clone(), broadcast_strides(&tensor.shape, &shape), 0);
    let behind = x.data.len();
    let both = chain(x, y)?;
    let positions = walk(c).zip(walk(x)).zip(walk(y));
    let positions = positions.map(|((c, x), y)| if condition[c] { x } else { behind + y });
    let data = select(&both, positions);
    node.set_constant(Tensor { shape, data })
}

/// Positions of the elements other than zero, ascending: one row per axis.
fn non_zero(node: &mut NodeCtx<'_>) -> Imported {
    let tensor = node.required_constant(0)?;
    // A scalar counts as a vector of one element.
    let shape = if tensor.shape.is_empty() { &[1][..] } else { &tensor.shape };
    node.reserve(tensor.data.len(), 8)?;
    let found: Vec<usize> = match &tensor.data {
        Data::I64(values) => positions(values.iter().map(|&v| v != 0)),
        Data::Bool(values) => positions(values.iter().copied()),
        Data::F32(_) | Data::MappedF32(_) | Data::SplatF32 { .. } | Data::Quantized(_) => {
            positions(tensor.f32_iter().into_iter().flatten().map(|v| v != 0.0))
        }
    };
    node.reserve(found.len().saturating_mul(shape.len()), 8)?;
    let strides = row_major_strides(shape);
    let coordinates = strides.iter().zip(shape).flat_map(|(stride, extent)| {
        found.iter().map(move |position| (position / stride.cast_unsigned() % extent) as i64)
    });
    let data = Data::I64(coordinates.collect());
    node.set_constant(Tensor { shape: vec![shape.len(), found.len()], data })
}

fn positions(chosen: impl Iterator<Item = bool>) -> Vec<usize> {
    chosen.enumerate().filter(|(_, chosen)| *chosen).map(|(position, _)| position).collect()
}

/// Slices along an axis, or elements of the flattened tensor, whose condition holds.
fn compress(node: &mut NodeCtx<'_>) -> Imported {
    let tensor = node.required_constant(0)?;
    let axis = node.attributes().int("axis")?;
    let axis = axis.map(|axis| resolve_axis(axis, tensor.shape.len())).transpose()?;
    let (outer, extent, inner) = match axis {
        Some(axis) => (
            tensor.shape[..axis].iter().product(),
            tensor.shape[axis],
            tensor.shape[axis + 1..].iter().product(),
        ),
        None => (1usize, tensor.data.len(), 1usize),
    };
    let condition = node.booleans(1)?;
    if condition.len() > extent {
        let found = format!("{} conditions", condition.len());
        let expected = "at most one for each element";
        return Err(NodeError::OperandValue { operand: 1, found, expected }.into());
    }
    node.reserve(tensor.data.len(), 8)?;
    let kept = &positions(condition.iter().copied());
    // An empty result has nothing to walk over, however large its other extents are.
    let outer = if tensor.data.is_empty() { 0 } else { outer };
    let positions = (0..outer).flat_map(|o| {
        kept.iter().flat_map(move |index| {
            let start = (o * extent + index) * inner;
            start..start + inner
        })
    });
    let data = select(&tensor.data, positions);
    let mut shape = tensor.shape.clone();
    match axis {
        Some(axis) => shape[axis] = kept.len(),
        None => shape = vec![kept.len()],
    }
    node.set_constant(Tensor { shape, data })
}
