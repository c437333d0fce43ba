//! GatherElements and GatherND, on constants only.

use super::{OpSpec, constants_only};
use crate::infer::ShapeError;
use crate::onnx::error::NodeError;
use crate::onnx::fold::{Strided, row_major_strides, select};
use crate::onnx::node::{Imported, NodeCtx, resolve_axis};
use crate::onnx::tensor::MAX_RANK;
use crate::tensor::{Tensor, element_count};

/// GatherElements.
pub(super) const GATHER_ELEMENTS: OpSpec = OpSpec {
    name: "GatherElements",
    versions: &[11, 13],
    attributes: &["axis"],
    constraints: &[constants_only("")],
    fold: Some(gather_elements),
    import: None,
};

/// GatherND.
pub(super) const GATHER_ND: OpSpec = OpSpec {
    name: "GatherND",
    versions: &[11, 12, 13],
    attributes: &["batch_dims"],
    constraints: &[constants_only("")],
    fold: Some(gather_nd),
    import: None,
};

/// An index that may count from the end.
pub(super) fn resolve_index(index: i64, extent: usize) -> Result<usize, NodeError> {
    resolve_axis(index, extent).map_err(|_| NodeError::Index { index, extent })
}

/// For each index in order, the position in `data` that has this index along `axis`, and is where the index itself is
/// along the others. The indices' shape must have the rank of the data, and no larger extent beside the axis.
pub(super) fn positions_along(
    data: &[usize],
    axis: usize,
    indices: &Tensor,
    operand: usize,
) -> Result<Vec<usize>, NodeError> {
    let fits = |i: usize| i == axis || indices.shape[i] <= data[i];
    if indices.shape.len() != data.len() || !(0..data.len()).all(fits) {
        let (shape, expected) = (indices.shape.clone(), data.to_vec());
        return Err(ShapeError::Operand { operand, shape, expected }.into());
    }
    let strides = row_major_strides(data);
    let mut others = strides.clone();
    others[axis] = 0;
    let values = indices.i64_values().ok_or(NodeError::NotConstant(operand))?;
    let places = Strided::new(indices.shape.clone(), others, 0);
    let position = |(place, &index): (usize, &i64)| {
        Ok(place + resolve_index(index, data[axis])? * strides[axis].cast_unsigned())
    };
    places.zip(values).map(position).collect()
}

/// Offset in a tensor of extents `data` of the place that each row of indices names, rows being `width` long.
pub(super) fn offsets<'a>(
    data: &'a [usize],
    rows: &'a [i64],
    width: usize,
) -> impl Iterator<Item = Result<usize, NodeError>> + 'a {
    let strides = row_major_strides(data);
    rows.chunks_exact(width.max(1)).map(move |row| {
        row.iter().zip(data).zip(&strides).try_fold(0, |offset, ((&index, &extent), stride)| {
            Ok(offset + resolve_index(index, extent)? * stride.cast_unsigned())
        })
    })
}

fn gather_elements(node: &mut NodeCtx<'_>) -> Imported {
    let tensor = node.required_constant(0)?;
    let axis = resolve_axis(node.attributes().int("axis")?.unwrap_or(0), tensor.shape.len())?;
    node.required_integers(1)?;
    let indices = node.required_constant(1)?;
    node.reserve(indices.data.len(), 16)?;
    let positions = positions_along(&tensor.shape, axis, indices, 1)?;
    let shape = indices.shape.clone();
    let data = select(&tensor.data, positions.into_iter());
    node.set_constant(Tensor { shape, data })
}

fn gather_nd(node: &mut NodeCtx<'_>) -> Imported {
    let rows = node.required_integers(1)?;
    let (tensor, indices) = (node.required_constant(0)?, node.required_constant(1)?);
    let written = node.attributes().int("batch_dims")?.unwrap_or(0);
    let rank = tensor.shape.len();
    let Some((&width, outer)) = indices.shape.split_last() else {
        return Err(ShapeError::RankTooSmall { operand: 1, shape: Vec::new(), least: 1 }.into());
    };
    let batch = usize::try_from(written).ok().filter(|&b| b <= outer.len() && b + width <= rank);
    let batch = batch.ok_or(NodeError::Axis { axis: written, rank })?;
    if outer[..batch] != tensor.shape[..batch] {
        let (shape, expected) = (indices.shape.clone(), tensor.shape.clone());
        return Err(ShapeError::Operand { operand: 1, shape, expected }.into());
    }
    let (indexed, tail) = tensor.shape[batch..].split_at(width);
    let shape = [outer, tail].concat();
    if shape.len() > MAX_RANK {
        return Err(NodeError::Rank { found: shape.len(), most: MAX_RANK }.into());
    }
    let count = element_count(&shape).ok_or(ShapeError::TooLarge)?;
    node.reserve(count, 8)?;
    node.reserve(rows.len(), 8)?;
    let run: usize = tail.iter().product();
    let block: usize = tensor.shape[batch..].iter().product();
    let blocks: usize = tensor.shape[..batch].iter().product();
    let per_block: usize = outer[batch..].iter().product();
    // Rows of no index name the whole block, once for each place.
    let starts: Vec<usize> = if width == 0 {
        vec![0; blocks.saturating_mul(per_block).min(count)]
    } else {
        let places = [indexed, tail].concat();
        let starts: Result<_, _> = offsets(&places, rows, width).collect();
        starts?
    };
    let positions = starts.iter().enumerate().flat_map(|(row, start)| {
        let first = row.checked_div(per_block).unwrap_or(0) * block + start;
        first..first + run
    });
    let data = select(&tensor.data, positions);
    node.set_constant(Tensor::new(shape, data)?)
}
