//! Reductions of constants along axes.

use super::{Strided, row_major_strides};
use crate::onnx::error::NodeError;
use crate::onnx::node::{Imported, NodeCtx, resolve_axes};
use crate::tensor::{DType, Data, Tensor};

/// Elements that are reduced to one.
pub(in crate::onnx) type Elements<'a, T> = &'a mut dyn Iterator<Item = T>;

/// How elements are reduced. Floats are taken in double precision and rounded once; truth values count as 0 and 1.
#[derive(Clone, Copy)]
pub(in crate::onnx) struct Reduction {
    /// Of floats.
    pub(in crate::onnx) float: fn(Elements<'_, f64>) -> f64,
    /// Of integers; `None` where the result is not defined or leaves 64 bits.
    pub(in crate::onnx) integer: fn(Elements<'_, i64>) -> Option<i64>,
}

/// The axes that a node reduces, ascending; `None` where it reduces nothing. They are an attribute in older operator
/// sets, and operand 1 in newer ones.
pub(in crate::onnx) fn reduced_axes(node: &NodeCtx<'_>) -> Result<Option<Vec<usize>>, NodeError> {
    let rank = node.shape(0)?.len();
    let written = match node.integers(1)? {
        Some(axes) => axes,
        None => node.attributes().ints("axes")?.unwrap_or(&[]),
    };
    if !written.is_empty() {
        resolve_axes(written, rank).map(Some)
    } else if node.attributes().flag("noop_with_empty_axes", false)? {
        Ok(None)
    } else {
        Ok(Some((0..rank).collect()))
    }
}

/// The shape without `axes`, or with an extent of 1 there.
pub(in crate::onnx) fn reduced_shape(shape: &[usize], axes: &[usize], keep: bool) -> Vec<usize> {
    let extents = shape.iter().enumerate().map(|(axis, &extent)| (axes.contains(&axis), extent));
    if keep {
        extents.map(|(reduced, extent)| if reduced { 1 } else { extent }).collect()
    } else {
        extents.filter(|(reduced, _)| !reduced).map(|(_, extent)| extent).collect()
    }
}

/// The result is operand 0 reduced along the axes of the node.
pub(in crate::onnx) fn reduce(node: &mut NodeCtx<'_>, reduction: Reduction) -> Imported {
    let axes = reduced_axes(node)?.unwrap_or_default();
    let tensor = node.required_constant(0)?;
    let shape = reduced_shape(&tensor.shape, &axes, node.attributes().flag("keepdims", true)?);
    let groups = groups(&tensor.shape, &axes);
    node.reserve(shape.iter().product(), 8)?;
    let data = match &tensor.data {
        Data::I64(values) => {
            let of_group = |group: Strided| (reduction.integer)(&mut group.map(|p| values[p]));
            let values: Option<_> = groups.map(of_group).collect();
            Data::I64(values.ok_or(NodeError::Arithmetic)?)
        }
        Data::Bool(values) => {
            let of_group =
                |group: Strided| (reduction.integer)(&mut group.map(|p| values[p].into()));
            let values: Option<Vec<i64>> = groups.map(of_group).collect();
            Data::Bool(values.ok_or(NodeError::Arithmetic)?.iter().map(|&v| v != 0).collect())
        }
        Data::F32(_) | Data::MappedF32(_) | Data::SplatF32 { .. } | Data::Quantized(_) => {
            let wrong =
                NodeError::OperandType { operand: 0, found: tensor.dtype(), expected: DType::F32 };
            let values = tensor.f32_values().ok_or(wrong)?;
            let of_group =
                |group: Strided| (reduction.float)(&mut group.map(|p| f64::from(values[p]))) as f32;
            Data::F32(groups.map(of_group).collect())
        }
    };
    node.set_constant(Tensor { shape, data })
}

/// For each element of the reduced result in order, the positions of the elements behind it.
pub(in crate::onnx) fn groups(
    shape: &[usize],
    axes: &[usize],
) -> impl Iterator<Item = Strided> + use<> {
    let strides = row_major_strides(shape);
    let part = |reduced: bool| {
        let chosen = (0..shape.len()).filter(move |axis| axes.contains(axis) == reduced);
        chosen.map(|axis| (shape[axis], strides[axis])).unzip::<_, _, Vec<_>, Vec<_>>()
    };
    let (kept, inner) = (part(false), part(true));
    Strided::new(kept.0, kept.1, 0)
        .map(move |start| Strided::new(inner.0.clone(), inner.1.clone(), start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_walk_the_reduced_axes() {
        let groups = |shape: &[usize], axes: &[usize]| -> Vec<Vec<usize>> {
            groups(shape, axes).map(Iterator::collect).collect()
        };
        assert_eq!(groups(&[2, 3], &[1]), [[0, 1, 2], [3, 4, 5]]);
        assert_eq!(groups(&[2, 3], &[0]), [[0, 3], [1, 4], [2, 5]]);
        assert_eq!(groups(&[2, 2], &[0, 1]), [[0, 1, 2, 3]]);
        assert_eq!(groups(&[2, 0], &[1]), [[0; 0], [0; 0]]);
        assert_eq!(reduced_shape(&[2, 3, 4], &[0, 2], true), [1, 3, 1]);
        assert_eq!(reduced_shape(&[2, 3, 4], &[0, 2], false), [3]);
    }
}
