//! CumSum, CumProd and Trilu, on constants only.

use super::{OpSpec, constants_only};
use crate::infer::ShapeError;
use crate::onnx::error::NodeError;
use crate::onnx::fold::Strided;
use crate::onnx::fold::reduce::groups;
use crate::onnx::node::{Imported, NodeCtx, resolve_axis};
use crate::tensor::{DType, Data, Tensor};

/// CumSum.
pub(super) const CUM_SUM: OpSpec = OpSpec {
    name: "CumSum",
    versions: &[11, 14],
    attributes: &["exclusive", "reverse"],
    constraints: &[constants_only("")],
    fold: Some(|node| cumulate(node, (0.0, |a, b| a + b), (0, i64::checked_add))),
    import: None,
};

/// CumProd.
pub(super) const CUM_PROD: OpSpec = OpSpec {
    name: "CumProd",
    versions: &[26],
    attributes: &["exclusive", "reverse"],
    constraints: &[constants_only("")],
    fold: Some(|node| cumulate(node, (1.0, |a, b| a * b), (1, i64::checked_mul))),
    import: None,
};

/// Trilu.
pub(super) const TRILU: OpSpec = OpSpec {
    name: "Trilu",
    versions: &[14],
    attributes: &["upper"],
    constraints: &[constants_only("")],
    fold: Some(trilu),
    import: None,
};

/// A first value, and a function that adds an element.
type Step<T, R> = (T, fn(T, T) -> R);

fn cumulate(
    node: &mut NodeCtx<'_>,
    float: Step<f32, f32>,
    integer: Step<i64, Option<i64>>,
) -> Imported {
    let exclusive = node.attributes().flag("exclusive", false)?;
    let reverse = node.attributes().flag("reverse", false)?;
    let tensor = node.required_constant(0)?;
    let axis = node.integer(1)?.ok_or(NodeError::MissingInput(1))?;
    let axis = resolve_axis(axis, tensor.shape.len())?;
    node.reserve(tensor.data.len(), 8)?;
    node.reserve(tensor.shape[axis], 8)?;
    let order = |group: Strided| -> Vec<usize> {
        let mut order: Vec<usize> = group.collect();
        if reverse {
            order.reverse();
        }
        order
    };
    let groups = groups(&tensor.shape, &[axis]).map(order);
    let data = match &tensor.data {
        Data::I64(values) => {
            let mut values = values.clone();
            for group in groups {
                let step = |a, b| integer.1(a, b).ok_or(NodeError::Arithmetic);
                run(&mut values, &group, exclusive, integer.0, step)?;
            }
            Data::I64(values)
        }
        _ => {
            let mut values = node.floats(0)?;
            for group in groups {
                run(&mut values, &group, exclusive, float.0, |a, b| Ok(float.1(a, b)))?;
            }
            Data::F32(values)
        }
    };
    let shape = tensor.shape.clone();
    node.set_constant(Tensor { shape, data })
}

/// Replaces the elements at `positions` by what has been cumulated up to them, without themselves if `exclusive`.
fn run<T: Copy>(
    values: &mut [T],
    positions: &[usize],
    exclusive: bool,
    first: T,
    step: impl Fn(T, T) -> Result<T, NodeError>,
) -> Result<(), NodeError> {
    let mut total = first;
    for &position in positions {
        let before = total;
        total = step(total, values[position])?;
        values[position] = if exclusive { before } else { total };
    }
    Ok(())
}

/// Zero below (or above) diagonal `k` of each matrix.
fn trilu(node: &mut NodeCtx<'_>) -> Imported {
    let upper = node.attributes().flag("upper", true)?;
    let k = node.integer(1)?.unwrap_or(0);
    let tensor = node.required_constant(0)?;
    let &[.., rows, columns] = tensor.shape.as_slice() else {
        let shape = tensor.shape.clone();
        return Err(ShapeError::RankTooSmall { operand: 0, shape, least: 2 }.into());
    };
    node.reserve(tensor.data.len(), 8)?;
    let is_kept = |position: usize| {
        let (row, column) = (position / columns % rows, position % columns);
        let diagonal = column as i64 - row as i64;
        if upper { diagonal >= k } else { diagonal <= k }
    };
    let data = match &tensor.data {
        Data::I64(values) => Data::I64(masked(values.iter().copied(), is_kept)),
        Data::Bool(values) => Data::Bool(masked(values.iter().copied(), is_kept)),
        _ => {
            let wrong =
                NodeError::OperandType { operand: 0, found: tensor.dtype(), expected: DType::F32 };
            Data::F32(masked(tensor.f32_iter().ok_or(wrong)?, is_kept))
        }
    };
    let shape = tensor.shape.clone();
    node.set_constant(Tensor { shape, data })
}

/// The values where `is_kept` holds of their position, and zero elsewhere.
fn masked<T: Default>(values: impl Iterator<Item = T>, is_kept: impl Fn(usize) -> bool) -> Vec<T> {
    let each = |(position, value)| if is_kept(position) { value } else { T::default() };
    values.enumerate().map(each).collect()
}
