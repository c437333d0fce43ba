//! ArgMax, ArgMin and TopK: positions of the largest and smallest elements, on constants only.

use std::cmp::Ordering;

use super::{OpSpec, constants_only};
use crate::onnx::error::NodeError;
use crate::onnx::fold::reduce::{groups, reduced_shape};
use crate::onnx::fold::select;
use crate::onnx::node::{Imported, NodeCtx, resolve_axis};
use crate::tensor::{DType, Data, Tensor};

/// What a user can do where the values are computed at run time.
const SUGGESTION: &str = "cut it off the end of the model and run it on the host";

/// ArgMax.
pub(super) const ARG_MAX: OpSpec = OpSpec {
    name: "ArgMax",
    versions: &[1, 11, 12, 13],
    attributes: &["axis", "keepdims", "select_last_index"],
    constraints: &[constants_only(SUGGESTION)],
    fold: Some(|node| arg(node, Ordering::Greater)),
    import: None,
};

/// ArgMin.
pub(super) const ARG_MIN: OpSpec = OpSpec {
    name: "ArgMin",
    versions: &[1, 11, 12, 13],
    attributes: &["axis", "keepdims", "select_last_index"],
    constraints: &[constants_only(SUGGESTION)],
    fold: Some(|node| arg(node, Ordering::Less)),
    import: None,
};

/// TopK: equal elements keep their order, and results are sorted whether asked for or not.
pub(super) const TOP_K: OpSpec = OpSpec {
    name: "TopK",
    versions: &[1, 10, 11, 24],
    attributes: &["axis", "k", "largest", "sorted"],
    constraints: &[constants_only(SUGGESTION)],
    fold: Some(top_k),
    import: None,
};

/// How the elements at two positions of a tensor of numbers compare. What is no number is above everything.
fn ordering(tensor: &Tensor) -> Result<Box<dyn Fn(usize, usize) -> Ordering + '_>, NodeError> {
    match &tensor.data {
        Data::I64(values) => Ok(Box::new(move |a, b| values[a].cmp(&values[b]))),
        _ => {
            let found = tensor.dtype();
            let wrong = NodeError::OperandType { operand: 0, found, expected: DType::F32 };
            let values = tensor.f32_values().ok_or(wrong)?;
            Ok(Box::new(move |a, b| {
                let (a, b) = (values[a], values[b]);
                a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
            }))
        }
    }
}

/// Positions along the axis of the elements that are `better` than the others.
fn arg(node: &mut NodeCtx<'_>, better: Ordering) -> Imported {
    let attributes = node.attributes();
    let last = attributes.flag("select_last_index", false)?;
    let tensor = node.required_constant(0)?;
    let axis = resolve_axis(attributes.int("axis")?.unwrap_or(0), tensor.shape.len())?;
    let shape = reduced_shape(&tensor.shape, &[axis], attributes.flag("keepdims", true)?);
    node.reserve(shape.iter().product(), 8)?;
    let order = ordering(tensor)?;
    let best = |group: &mut dyn Iterator<Item = usize>| {
        let best = group.enumerate().reduce(|best, next| {
            let order = order(next.1, best.1);
            if order == better || (last && order == Ordering::Equal) { next } else { best }
        });
        best.map(|(index, _)| index as i64)
    };
    let indices: Option<_> =
        groups(&tensor.shape, &[axis]).map(|mut group| best(&mut group)).collect();
    drop(order);
    let data = Data::I64(indices.ok_or(NodeError::Arithmetic)?);
    node.set_constant(Tensor { shape, data })
}

fn top_k(node: &mut NodeCtx<'_>) -> Imported {
    let attributes = node.attributes();
    let tensor = node.required_constant(0)?;
    let axis = resolve_axis(attributes.int("axis")?.unwrap_or(-1), tensor.shape.len())?;
    let extent = tensor.shape[axis];
    let wanted = if node.opset < 10 { attributes.int("k")? } else { node.integer(1)? };
    let wanted = wanted.ok_or(NodeError::MissingInput(1))?;
    let k = usize::try_from(wanted).ok().filter(|&k| k <= extent);
    let k = k.ok_or(NodeError::Index { index: wanted, extent })?;
    let largest = attributes.flag("largest", true)?;
    let mut shape = tensor.shape.clone();
    shape[axis] = k;
    let count = shape.iter().product();
    node.reserve(count, 16)?;
    node.reserve(extent, 8)?;
    let order = ordering(tensor)?;
    // Groups come in the order of the outer axes, so results of one group stand `inner` apart.
    let inner: usize = tensor.shape[axis + 1..].iter().product();
    let (mut positions, mut indices) = (vec![0; count], vec![0; count]);
    for (number, group) in groups(&tensor.shape, &[axis]).enumerate() {
        let group: Vec<usize> = group.collect();
        let mut ranked: Vec<usize> = (0..group.len()).collect();
        ranked.sort_by(|&a, &b| {
            let order = order(group[a], group[b]);
            if largest { order.reverse() } else { order }
        });
        let start = number / inner * inner * k + number % inner;
        for (rank, &index) in ranked.iter().take(k).enumerate() {
            positions[start + rank * inner] = group[index];
            indices[start + rank * inner] = index as i64;
        }
    }
    drop(order);
    let values = Tensor { shape: shape.clone(), data: select(&tensor.data, positions.into_iter()) };
    node.set_constant_result(0, values);
    node.set_constant_result(1, Tensor { shape, data: Data::I64(indices) });
    Ok(())
}
