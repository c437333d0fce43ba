//! Constant, ConstantOfShape, Shape and Size: nodes whose result is known during import.

use super::{Constraint, OpSpec, constant_operand};
use crate::infer::ShapeError;
use crate::onnx::error::NodeError;
use crate::onnx::integers::IntType;
use crate::onnx::node::{Imported, NodeCtx};
use crate::onnx::tensor::MAX_RANK;
use crate::tensor::{Data, Tensor, element_count};

/// Constant.
pub(super) const CONSTANT: OpSpec = OpSpec {
    name: "Constant",
    versions: &[1, 9, 11, 12, 13, 19, 21, 23, 24, 25],
    attributes: &[
        "sparse_value",
        "value",
        "value_float",
        "value_floats",
        "value_int",
        "value_ints",
        "value_string",
        "value_strings",
    ],
    constraints: &[Constraint {
        text: "the constant is a dense tensor of numbers: `value`, `value_float(s)` or `value_int(s)`",
        suggestion: "",
        violation: |node| {
            let others = ["sparse_value", "value_string", "value_strings"];
            Ok(others
                .iter()
                .find(|name| node.attributes().has(name))
                .map(|name| format!("`{name}`")))
        },
    }],
    fold: Some(constant),
    import: None,
};

/// ConstantOfShape.
pub(super) const CONSTANT_OF_SHAPE: OpSpec = OpSpec {
    name: "ConstantOfShape",
    versions: &[9, 20, 21, 23, 24, 25],
    attributes: &["value"],
    constraints: &[constant_operand::<0>("the shape is constant")],
    fold: Some(constant_of_shape),
    import: None,
};

/// Shape.
pub(super) const SHAPE: OpSpec = OpSpec {
    name: "Shape",
    versions: &[1, 13, 15, 19, 21, 23, 24, 25],
    attributes: &["end", "start"],
    constraints: &[],
    fold: Some(shape),
    import: Some(shape),
};

/// Size.
pub(super) const SIZE: OpSpec = OpSpec {
    name: "Size",
    versions: &[1, 13, 19, 21, 23, 24, 25],
    attributes: &[],
    constraints: &[],
    fold: Some(size),
    import: Some(size),
};

fn size(node: &mut NodeCtx<'_>) -> Imported {
    let count = element_count(&node.shape(0)?).ok_or(ShapeError::TooLarge)?;
    let count = i64::try_from(count).map_err(|_| NodeError::Arithmetic)?;
    node.set_constant(Tensor::new(Vec::new(), Data::I64(vec![count]))?)
}

fn constant(node: &mut NodeCtx<'_>) -> Imported {
    let attributes = node.attributes();
    let tensor = if let Some(tensor) = attributes.tensor("value")? {
        let (decoded, int) = (node.decode(tensor)?, IntType::of(tensor.data_type));
        node.set_constant(decoded)?;
        int.into_iter().for_each(|int| node.note_result_type(int));
        return Ok(());
    } else if let Some(value) = attributes.float("value_float")? {
        Tensor::from_f32(&[], vec![value])?
    } else if let Some(values) = attributes.floats("value_floats")? {
        Tensor::from_f32(&[values.len()], values.to_vec())?
    } else if let Some(value) = attributes.int("value_int")? {
        Tensor::new(Vec::new(), Data::I64(vec![value]))?
    } else if let Some(values) = attributes.ints("value_ints")? {
        Tensor::from_i64_vec(values.to_vec())
    } else {
        return Err(NodeError::MissingAttribute("value").into());
    };
    node.set_constant(tensor)
}

fn constant_of_shape(node: &mut NodeCtx<'_>) -> Imported {
    let wanted = node.integers(0)?.ok_or(NodeError::MissingInput(0))?;
    if wanted.len() > MAX_RANK {
        return Err(NodeError::Rank { found: wanted.len(), most: MAX_RANK }.into());
    }
    let shape: Option<Vec<usize>> =
        wanted.iter().map(|&extent| usize::try_from(extent).ok()).collect();
    let shape = shape.ok_or_else(|| NodeError::OperandValue {
        operand: 0,
        found: format!("{wanted:?}"),
        expected: "extents of at least 0",
    })?;
    let count = element_count(&shape).ok_or(ShapeError::TooLarge)?;
    let value = match node.attributes().tensor("value")? {
        Some(value) => node.decode(value)?.data,
        None => Data::F32(vec![0.0]),
    };
    if value.len() != 1 {
        let found = format!("{} elements", value.len());
        return Err(NodeError::AttributeValue {
            attribute: "value",
            found,
            expected: "one element",
        }
        .into());
    }
    node.reserve(count, if matches!(value, Data::I64(_)) { 8 } else { 4 })?;
    let value = Tensor { shape: vec![1], data: value };
    let data = match (&value.data, value.f32_scalar()) {
        // Counted in full above: sooner or later somebody wants the elements.
        (_, Some(value)) => Data::SplatF32 { value, count },
        (Data::I64(values), _) => Data::I64(vec![values[0]; count]),
        (Data::Bool(values), _) => Data::Bool(vec![values[0]; count]),
        (Data::F32(_) | Data::MappedF32(_) | Data::SplatF32 { .. } | Data::Quantized(_), None) => {
            return Err(NodeError::MissingAttribute("value").into());
        }
    };
    node.set_constant(Tensor::new(shape, data)?)
}

fn shape(node: &mut NodeCtx<'_>) -> Imported {
    let shape = node.shape(0)?;
    let rank = i64::try_from(shape.len()).map_err(|_| NodeError::Arithmetic)?;
    // Bounds count from the end when negative, and are cut to the axes there are.
    let bound = |value: i64| {
        let from_front = if value < 0 { value.saturating_add(rank) } else { value };
        usize::try_from(from_front.clamp(0, rank)).unwrap_or(0)
    };
    let start = bound(node.attributes().int("start")?.unwrap_or(0));
    let end = bound(node.attributes().int("end")?.unwrap_or(rank));
    let extents = shape.get(start..end).unwrap_or(&[]).iter();
    let extents = extents.map(|&extent| i64::try_from(extent).map_err(|_| NodeError::Arithmetic));
    node.set_constant(Tensor::from_i64_vec(extents.collect::<Result<_, _>>()?))
}
