//! Cast: nothing to do on float32 values, arithmetic on constants.

use super::{Constraint, OpSpec};
use crate::onnx::error::NodeError;
use crate::onnx::node::{Imported, NodeCtx};
use crate::onnx::proto::DataType;
use crate::onnx::tensor::type_name;
use crate::tensor::{Data, Tensor};

/// Cast.
pub(super) const CAST: OpSpec = OpSpec {
    name: "Cast",
    versions: &[6, 9, 13, 19, 21, 23, 24, 25, 28],
    attributes: &["round_mode", "saturate", "to"],
    constraints: &[Constraint {
        text: "a value computed at run time is cast to float32, which it is already; constants may become float32, an integer type or bool",
        suggestion: "export the model in float32",
        violation: |node| {
            let to = target(node)?;
            let float = to == DataType::Float as i32;
            let integer = integer_range(to).is_some() || to == DataType::Bool as i32;
            let allowed = float || (integer && node.computed(0).is_none());
            Ok((!allowed).then(|| format!("a cast to {}", type_name(to))))
        },
    }],
    fold: Some(fold),
    import: Some(|node| node.forward(0)),
};

fn target(node: &NodeCtx<'_>) -> Result<i32, NodeError> {
    let to = node.attributes().int("to")?.ok_or(NodeError::MissingAttribute("to"))?;
    Ok(i32::try_from(to).unwrap_or(0))
}

/// Smallest and largest value of an integer type.
fn integer_range(data_type: i32) -> Option<(i64, i64)> {
    match DataType::try_from(data_type).ok()? {
        DataType::Int8 => Some((i8::MIN.into(), i8::MAX.into())),
        DataType::Uint8 => Some((0, u8::MAX.into())),
        DataType::Int16 => Some((i16::MIN.into(), i16::MAX.into())),
        DataType::Uint16 => Some((0, u16::MAX.into())),
        DataType::Int32 => Some((i32::MIN.into(), i32::MAX.into())),
        DataType::Uint32 => Some((0, u32::MAX.into())),
        DataType::Int64 => Some((i64::MIN, i64::MAX)),
        DataType::Uint64 => Some((0, i64::MAX)),
        DataType::Undefined
        | DataType::Float
        | DataType::String
        | DataType::Bool
        | DataType::Float16
        | DataType::Double
        | DataType::Complex64
        | DataType::Complex128
        | DataType::Bfloat16 => None,
    }
}

fn fold(node: &mut NodeCtx<'_>) -> Imported {
    let to = target(node)?;
    let tensor = node.required_constant(0)?;
    let float = to == DataType::Float as i32;
    if float && matches!(tensor.data, Data::F32(_) | Data::MappedF32(_)) {
        return node.forward(0);
    }
    node.reserve(tensor.data.len(), 8)?;
    let tensor = node.required_constant(0)?;
    let data = match (&tensor.data, integer_range(to)) {
        (Data::I64(values), None) if float => Data::F32(values.iter().map(|&v| v as f32).collect()),
        (Data::Bool(values), None) if float => {
            Data::F32(values.iter().map(|&v| f32::from(u8::from(v))).collect())
        }
        (Data::I64(values), Some((lo, hi))) => {
            if values.iter().any(|v| !(lo..=hi).contains(v)) {
                return Err(NodeError::Arithmetic.into());
            }
            Data::I64(values.clone())
        }
        (Data::Bool(values), Some(_)) => Data::I64(values.iter().map(|&v| i64::from(v)).collect()),
        (Data::I64(values), None) => Data::Bool(values.iter().map(|&v| v != 0).collect()),
        (Data::Bool(values), None) => Data::Bool(values.clone()),
        (Data::F32(_) | Data::MappedF32(_), range) => from_floats(node, range)?,
    };
    let shape = tensor.shape.clone();
    node.set_constant(Tensor { shape, data })
}

/// Floats are cut towards zero; one outside the integer type has no defined result in ONNX and is an error.
fn from_floats(node: &NodeCtx<'_>, range: Option<(i64, i64)>) -> Result<Data, NodeError> {
    let values = node.floats(0)?;
    let Some((lo, hi)) = range else {
        return Ok(Data::Bool(values.iter().map(|&v| v != 0.0).collect()));
    };
    let cut = |v: f32| {
        let cut = f64::from(v).trunc();
        // 2^63 as a float is one above the largest i64, so the comparison is strict there.
        let fits = cut >= lo as f64 && (cut < hi as f64 || (hi < i64::MAX && cut == hi as f64));
        if fits { Ok(cut as i64) } else { Err(NodeError::Arithmetic) }
    };
    Ok(Data::I64(values.into_iter().map(cut).collect::<Result<_, _>>()?))
}
