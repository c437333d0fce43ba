//! Scatter, ScatterElements and ScatterND, on constants only.

use super::gather_elements::{offsets, positions_along};
use super::{OpSpec, arithmetic, constants_only};
use crate::infer::ShapeError;
use crate::onnx::error::NodeError;
use crate::onnx::fold::elementwise::{Float2, Integer2};
use crate::onnx::fold::{chain, other_type, select};
use crate::onnx::node::{Imported, NodeCtx, resolve_axis};
use crate::tensor::{Data, Tensor};

/// Scatter: the older name of ScatterElements.
pub(super) const SCATTER: OpSpec = OpSpec {
    name: "Scatter",
    versions: &[9, 11],
    attributes: &["axis"],
    constraints: &[constants_only("")],
    fold: Some(scatter_elements),
    import: None,
};

/// ScatterElements.
pub(super) const SCATTER_ELEMENTS: OpSpec = OpSpec {
    name: "ScatterElements",
    versions: &[11, 13, 16, 18],
    attributes: &["axis", "reduction"],
    constraints: &[constants_only("")],
    fold: Some(scatter_elements),
    import: None,
};

/// ScatterND.
pub(super) const SCATTER_ND: OpSpec = OpSpec {
    name: "ScatterND",
    versions: &[11, 13, 16, 18],
    attributes: &["reduction"],
    constraints: &[constants_only("")],
    fold: Some(scatter_nd),
    import: None,
};

/// How an update meets what stands in its place: `None` replaces it.
fn reduction(node: &NodeCtx<'_>) -> Result<Option<(Float2, Integer2)>, NodeError> {
    let name = node.attributes().string("reduction")?;
    Ok(match name.as_deref() {
        None | Some("none") => None,
        Some("add") => Some((|a, b| a + b, i64::checked_add)),
        Some("mul") => Some((|a, b| a * b, i64::checked_mul)),
        Some("max") => Some((arithmetic::maximum, |a, b| Some(a.max(b)))),
        Some("min") => Some((arithmetic::minimum, |a, b| Some(a.min(b)))),
        Some(other) => {
            let found = format!("`{other}`");
            let expected = "none, add, mul, max or min";
            return Err(NodeError::AttributeValue { attribute: "reduction", found, expected });
        }
    })
}

fn scatter_elements(node: &mut NodeCtx<'_>) -> Imported {
    let tensor = node.required_constant(0)?;
    let axis = resolve_axis(node.attributes().int("axis")?.unwrap_or(0), tensor.shape.len())?;
    node.required_integers(1)?;
    let indices = node.required_constant(1)?;
    node.reserve(indices.data.len(), 8)?;
    let places = positions_along(&tensor.shape, axis, indices, 1)?;
    let shape = indices.shape.clone();
    update(node, &shape, &places)
}

fn scatter_nd(node: &mut NodeCtx<'_>) -> Imported {
    let rows = node.required_integers(1)?;
    let (tensor, indices) = (node.required_constant(0)?, node.required_constant(1)?);
    let Some((&width, outer)) = indices.shape.split_last() else {
        return Err(ShapeError::RankTooSmall { operand: 1, shape: Vec::new(), least: 1 }.into());
    };
    if width > tensor.shape.len() || width == 0 {
        return Err(NodeError::Axis { axis: width as i64, rank: tensor.shape.len() }.into());
    }
    let tail = &tensor.shape[width..];
    let run: usize = tail.iter().product();
    let updates = [outer, tail].concat();
    node.reserve(node.required_constant(2)?.data.len(), 8)?;
    let starts: Vec<usize> = offsets(&tensor.shape, rows, width).collect::<Result<_, _>>()?;
    let same = node.shape(2)? == updates;
    // Only counted where the shapes agree, which bounds it by the updates there are.
    let places = if same { starts.iter().flat_map(|&s| s..s + run).collect() } else { Vec::new() };
    update(node, &updates, &places)
}

/// The result is operand 0 with the elements of operand 2, which must have `shape`, put in their places in order.
fn update(node: &mut NodeCtx<'_>, shape: &[usize], places: &[usize]) -> Imported {
    let (tensor, updates) = (node.required_constant(0)?, node.required_constant(2)?);
    if updates.shape != shape {
        let (shape, expected) = (updates.shape.clone(), shape.to_vec());
        return Err(ShapeError::Operand { operand: 2, shape, expected }.into());
    }
    let count = tensor.data.len();
    node.reserve(count, 24)?;
    node.reserve(updates.data.len(), 8)?;
    let data = match (reduction(node)?, &tensor.data, &updates.data) {
        (None, ..) => {
            let mut sources: Vec<usize> = (0..count).collect();
            for (update, &place) in places.iter().enumerate() {
                sources[place] = count + update;
            }
            select(&chain(tensor, updates)?, sources.into_iter())
        }
        (Some((_, integer)), Data::I64(values), Data::I64(updates)) => {
            let mut values = values.clone();
            for (&place, &update) in places.iter().zip(updates) {
                values[place] = integer(values[place], update).ok_or(NodeError::Arithmetic)?;
            }
            Data::I64(values)
        }
        (Some((float, _)), ..) => {
            let wrong = || other_type(2, updates, tensor);
            let mut values = tensor.f32_values().ok_or_else(wrong)?.into_owned();
            for (&place, update) in places.iter().zip(updates.f32_iter().ok_or_else(wrong)?) {
                values[place] = float(values[place], update);
            }
            Data::F32(values)
        }
    };
    let shape = tensor.shape.clone();
    node.set_constant(Tensor { shape, data })
}
