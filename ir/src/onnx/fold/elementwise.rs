//! Elementwise functions of constants, with ONNX (NumPy) broadcasting.
//!
//! Integers are exact in 64 bits and refuse to overflow, whatever narrower type the file gave them.

use super::{Strided, broadcast_strides, other_type};
use crate::infer::{ShapeError, broadcast};
use crate::onnx::error::NodeError;
use crate::onnx::node::{Imported, NodeCtx};
use crate::tensor::{Data, Tensor, element_count};

/// A function of two floats.
pub(in crate::onnx) type Float2 = fn(f32, f32) -> f32;

/// A function of two integers; `None` where the result is not defined or leaves 64 bits.
pub(in crate::onnx) type Integer2 = fn(i64, i64) -> Option<i64>;

/// The result is a function of operands 0 and 1.
pub(in crate::onnx) fn binary(
    node: &mut NodeCtx<'_>,
    float: Float2,
    integer: Integer2,
) -> Imported {
    let result =
        combine(node, node.required_constant(0)?, node.required_constant(1)?, float, integer)?;
    node.set_constant(result)
}

/// The result is a function of all operands, combined from the first to the last.
pub(in crate::onnx) fn variadic(
    node: &mut NodeCtx<'_>,
    float: Float2,
    integer: Integer2,
) -> Imported {
    if node.n_inputs() == 1 {
        return node.forward(0);
    }
    let result = accumulate(node, float, integer)?;
    node.set_constant(result)
}

/// All operands, at least two, combined from the first to the last.
pub(in crate::onnx) fn accumulate(
    node: &NodeCtx<'_>,
    float: Float2,
    integer: Integer2,
) -> Result<Tensor, NodeError> {
    let first =
        combine(node, node.required_constant(0)?, node.required_constant(1)?, float, integer)?;
    (2..node.n_inputs()).try_fold(first, |total, index| {
        combine(node, &total, node.required_constant(index)?, float, integer)
    })
}

/// A function of the elements of two constants.
pub(in crate::onnx) fn combine(
    node: &NodeCtx<'_>,
    a: &Tensor,
    b: &Tensor,
    float: Float2,
    integer: Integer2,
) -> Result<Tensor, NodeError> {
    let (shape, pairs) = pairs(node, a, b)?;
    if let Some((x, y)) = a.f32_splat().zip(b.f32_splat()) {
        let count = shape.iter().product();
        return Ok(Tensor { shape, data: Data::SplatF32 { value: float(x, y), count } });
    }
    let data = match (&a.data, &b.data) {
        (Data::I64(x), Data::I64(y)) => {
            let values: Option<_> = pairs.map(|(i, j)| integer(x[i], y[j])).collect();
            Data::I64(values.ok_or(NodeError::Arithmetic)?)
        }
        _ => {
            let (x, y) = a.f32_values().zip(b.f32_values()).ok_or_else(|| other_type(1, b, a))?;
            Data::F32(pairs.map(|(i, j)| float(x[i], y[j])).collect())
        }
    };
    Ok(Tensor { shape, data })
}

/// The result says of each pair of elements whether a relation holds; truth values count as 0 and 1.
pub(in crate::onnx) fn compare(
    node: &mut NodeCtx<'_>,
    float: fn(f32, f32) -> bool,
    integer: fn(i64, i64) -> bool,
) -> Imported {
    let (a, b) = (node.required_constant(0)?, node.required_constant(1)?);
    let (shape, pairs) = pairs(node, a, b)?;
    let data = match (&a.data, &b.data) {
        (Data::I64(x), Data::I64(y)) => pairs.map(|(i, j)| integer(x[i], y[j])).collect(),
        (Data::Bool(x), Data::Bool(y)) => {
            pairs.map(|(i, j)| integer(x[i].into(), y[j].into())).collect()
        }
        _ => {
            let (x, y) = a.f32_values().zip(b.f32_values()).ok_or_else(|| other_type(1, b, a))?;
            pairs.map(|(i, j)| float(x[i], y[j])).collect()
        }
    };
    node.set_constant(Tensor { shape, data: Data::Bool(data) })
}

/// The result is a function of two truth values.
pub(in crate::onnx) fn logic(node: &mut NodeCtx<'_>, f: fn(bool, bool) -> bool) -> Imported {
    let (x, y) = (node.booleans(0)?, node.booleans(1)?);
    let (shape, pairs) = pairs(node, node.required_constant(0)?, node.required_constant(1)?)?;
    let data = Data::Bool(pairs.map(|(i, j)| f(x[i], y[j])).collect());
    node.set_constant(Tensor { shape, data })
}

/// The shape that two tensors broadcast to, and the positions of its elements in each. Room for the result is taken.
pub(in crate::onnx) fn pairs(
    node: &NodeCtx<'_>,
    a: &Tensor,
    b: &Tensor,
) -> Result<(Vec<usize>, impl Iterator<Item = (usize, usize)> + use<>), NodeError> {
    let shape = broadcast(&a.shape, &b.shape)?;
    node.reserve(element_count(&shape).ok_or(ShapeError::TooLarge)?, 8)?;
    let walk =
        |tensor: &Tensor| Strided::new(shape.clone(), broadcast_strides(&tensor.shape, &shape), 0);
    let pairs = walk(a).zip(walk(b));
    Ok((shape, pairs))
}
