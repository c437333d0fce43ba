//! Range, EyeLike, OneHot: constants made from a few numbers.

use super::{Constraint, OpSpec, constants_only};
use crate::infer::ShapeError;
use crate::onnx::error::NodeError;
use crate::onnx::fold::select;
use crate::onnx::node::{Imported, NodeCtx, resolve_axis};
use crate::onnx::proto::DataType;
use crate::onnx::tensor::{MAX_RANK, type_name};
use crate::tensor::{DType, Data, Tensor, element_count};

/// Range.
pub(super) const RANGE: OpSpec = OpSpec {
    name: "Range",
    versions: &[11, 27],
    attributes: &["stash_type"],
    constraints: &[constants_only("")],
    fold: Some(range),
    import: None,
};

/// EyeLike.
pub(super) const EYE_LIKE: OpSpec = OpSpec {
    name: "EyeLike",
    versions: &[9, 22],
    attributes: &["dtype", "k"],
    constraints: &[Constraint {
        text: "the type of the matrix is float, an integer type or bool",
        suggestion: "",
        violation: |node| Ok(eye_type(node)?.err()),
    }],
    fold: Some(eye_like),
    import: Some(eye_like),
};

/// OneHot.
pub(super) const ONE_HOT: OpSpec = OpSpec {
    name: "OneHot",
    versions: &[9, 11, 28],
    attributes: &["axis"],
    constraints: &[constants_only("")],
    fold: Some(one_hot),
    import: None,
};

fn range(node: &mut NodeCtx<'_>) -> Imported {
    let data = if node.required_constant(0)?.dtype() == DType::I64 {
        let [start, limit, step] = [0, 1, 2].map(|index| node.integer(index));
        let missing = NodeError::MissingInput;
        let (start, limit, step) = (
            i128::from(start?.ok_or(missing(0))?),
            i128::from(limit?.ok_or(missing(1))?),
            i128::from(step?.ok_or(missing(2))?),
        );
        if step == 0 {
            return Err(NodeError::Arithmetic.into());
        }
        // Rounded up; the signs agree unless the range is empty.
        let count = (limit - start + step - step.signum()) / step;
        let count = usize::try_from(count.max(0)).map_err(|_| NodeError::Arithmetic)?;
        node.reserve(count, 8)?;
        let element = |index: usize| i64::try_from(start + index as i128 * step).ok();
        Data::I64((0..count).map(element).collect::<Option<_>>().ok_or(NodeError::Arithmetic)?)
    } else {
        let [start, limit, step] = [0, 1, 2].map(|index| node.scalar(index));
        let missing = NodeError::MissingInput;
        let (start, limit, step) =
            (start?.ok_or(missing(0))?, limit?.ok_or(missing(1))?, step?.ok_or(missing(2))?);
        let count = ((f64::from(limit) - f64::from(start)) / f64::from(step)).ceil();
        if count.is_nan() || count.abs() >= i64::MAX as f64 {
            return Err(NodeError::Arithmetic.into());
        }
        let count = usize::try_from((count as i64).max(0)).map_err(|_| NodeError::Arithmetic)?;
        node.reserve(count, 4)?;
        Data::F32((0..count).map(|index| start + index as f32 * step).collect())
    };
    node.set_constant(Tensor { shape: vec![data.len()], data })
}

/// The type of the matrix: as asked for, or that of the operand; `Err` names one that is not supported.
fn eye_type(node: &NodeCtx<'_>) -> Result<Result<DType, String>, NodeError> {
    let Some(asked) = node.attributes().int("dtype")? else {
        return Ok(Ok(node.constant(0).map_or(DType::F32, Tensor::dtype)));
    };
    let number = i32::try_from(asked).unwrap_or(0);
    Ok(match DataType::try_from(number) {
        Ok(DataType::Float) => Ok(DType::F32),
        Ok(DataType::Bool) => Ok(DType::Bool),
        Ok(
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Uint8
            | DataType::Uint16
            | DataType::Uint32
            | DataType::Uint64,
        ) => Ok(DType::I64),
        Ok(
            DataType::Undefined
            | DataType::String
            | DataType::Float16
            | DataType::Double
            | DataType::Complex64
            | DataType::Complex128
            | DataType::Bfloat16
            | DataType::Uint4
            | DataType::Int4,
        )
        | Err(_) => Err(type_name(number)),
    })
}

/// Ones on diagonal `k` of a matrix like the operand, of which only the shape matters.
fn eye_like(node: &mut NodeCtx<'_>) -> Imported {
    let shape = node.shape(0)?;
    let &[rows, columns] = shape.as_slice() else {
        return Err(ShapeError::Rank { operand: 0, shape, expected: 2 }.into());
    };
    let k = node.attributes().int("k")?.unwrap_or(0);
    let dtype = eye_type(node)?.map_err(|_| NodeError::Arithmetic)?;
    node.reserve(rows * columns, 8)?;
    let on_diagonal =
        |row: usize, column: usize| (column as i64).checked_sub(row as i64) == Some(k);
    let ones = (0..rows).flat_map(|row| (0..columns).map(move |column| on_diagonal(row, column)));
    let data = match dtype {
        DType::F32 => Data::F32(ones.map(|one| f32::from(u8::from(one))).collect()),
        DType::I64 => Data::I64(ones.map(i64::from).collect()),
        DType::Bool => Data::Bool(ones.collect()),
    };
    node.set_constant(Tensor { shape, data })
}

fn one_hot(node: &mut NodeCtx<'_>) -> Imported {
    let wide = |index| -> Result<Vec<i64>, NodeError> {
        match node.required_constant(index)?.i64_values() {
            Some(values) => Ok(values.to_vec()),
            // Positions may be floats, which are cut.
            None => Ok(node.floats(index)?.into_iter().map(|v| v as i64).collect()),
        }
    };
    let depth = match wide(1)?.as_slice() {
        &[depth] if depth > 0 => depth,
        other => {
            let found = format!("{other:?}");
            let expected = "one number of at least 1";
            return Err(NodeError::OperandValue { operand: 1, found, expected }.into());
        }
    };
    let indices = wide(0)?;
    let values = node.required_constant(2)?;
    if values.shape != [2] {
        let found = values.shape.clone();
        return Err(ShapeError::Operand { operand: 2, shape: found, expected: vec![2] }.into());
    }
    let mut shape = node.shape(0)?;
    let axis = resolve_axis(node.attributes().int("axis")?.unwrap_or(-1), shape.len() + 1)?;
    let inner: usize = shape[axis..].iter().product();
    shape.insert(axis, usize::try_from(depth).map_err(|_| NodeError::Arithmetic)?);
    if shape.len() > MAX_RANK {
        return Err(NodeError::Rank { found: shape.len(), most: MAX_RANK }.into());
    }
    node.reserve(element_count(&shape).ok_or(ShapeError::TooLarge)?, 8)?;
    let indices = &indices;
    // An index outside the depth meets no level: all of its entries are off.
    let hits = (0..indices.len().checked_div(inner).unwrap_or(0)).flat_map(|outer| {
        (0..depth).flat_map(move |level| {
            (0..inner).map(move |i| {
                let index = indices[outer * inner + i];
                let index = if index < 0 { index.saturating_add(depth) } else { index };
                usize::from(index == level)
            })
        })
    });
    let data = select(&values.data, hits);
    node.set_constant(Tensor::new(shape, data)?)
}
