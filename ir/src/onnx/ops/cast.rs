//! Cast and CastLike: nothing to do on float32 values, arithmetic on constants.

use super::{Constraint, OpSpec};
use crate::onnx::error::NodeError;
use crate::onnx::integers::IntType;
use crate::onnx::node::{Imported, NodeCtx};
use crate::onnx::proto::DataType;
use crate::onnx::tensor::type_name;
use crate::quantized::Quantized;
use crate::tensor::{DType, Data, Tensor};

/// Cast.
pub(super) const CAST: OpSpec = OpSpec {
    name: "Cast",
    versions: &[6, 9, 13, 19, 21, 23, 24, 25, 28],
    attributes: &["round_mode", "saturate", "to"],
    constraints: &[Constraint {
        text: "a value computed at run time is cast to float32, which it is already; constants may become float32, an integer type or bool",
        suggestion: "export the model in float32",
        violation: |node| {
            let number = written_target(node)?;
            let target = target(number);
            let allowed = match target {
                Some(Target::Float) => true,
                Some(Target::Integer { .. } | Target::Bool) => node.computed(0).is_none(),
                None => false,
            };
            Ok((!allowed).then(|| format!("a cast to {}", type_name(number))))
        },
    }],
    fold: Some(cast),
    import: Some(|node| node.forward(0)),
};

/// CastLike.
pub(super) const CAST_LIKE: OpSpec = OpSpec {
    name: "CastLike",
    versions: &[15, 19, 21, 23, 24, 25],
    attributes: &["round_mode", "saturate"],
    constraints: &[Constraint {
        text: "a value computed at run time is cast to float32, which it is already",
        suggestion: "export the model in float32",
        violation: |node| {
            let like = node.constant(1).map(Tensor::dtype).filter(|&like| like != DType::F32);
            let found = like.map(|like| format!("a cast to {}", like.name()));
            Ok(found.filter(|_| node.computed(0).is_some()))
        },
    }],
    fold: Some(cast_like),
    import: Some(cast_like),
};

/// What a constant becomes.
#[derive(Clone, Copy)]
enum Target {
    Float,
    /// An integer type by its smallest and largest value.
    Integer {
        lo: i64,
        hi: i64,
    },
    Bool,
}

fn written_target(node: &NodeCtx<'_>) -> Result<i32, NodeError> {
    let to = node.attributes().int("to")?.ok_or(NodeError::MissingAttribute("to"))?;
    Ok(i32::try_from(to).unwrap_or(0))
}

/// The type with that number in ONNX, where it is supported.
fn target(data_type: i32) -> Option<Target> {
    let integer = |lo, hi| Some(Target::Integer { lo, hi });
    match DataType::try_from(data_type).ok()? {
        DataType::Float => Some(Target::Float),
        DataType::Bool => Some(Target::Bool),
        DataType::Int8 => integer(i8::MIN.into(), i8::MAX.into()),
        DataType::Uint8 => integer(0, u8::MAX.into()),
        DataType::Int16 => integer(i16::MIN.into(), i16::MAX.into()),
        DataType::Uint16 => integer(0, u16::MAX.into()),
        DataType::Int32 => integer(i32::MIN.into(), i32::MAX.into()),
        DataType::Uint32 => integer(0, u32::MAX.into()),
        DataType::Int64 => integer(i64::MIN, i64::MAX),
        DataType::Uint64 => integer(0, i64::MAX),
        DataType::Undefined
        | DataType::String
        | DataType::Float16
        | DataType::Double
        | DataType::Complex64
        | DataType::Complex128
        | DataType::Bfloat16
        | DataType::Uint4
        | DataType::Int4 => None,
    }
}

fn cast(node: &mut NodeCtx<'_>) -> Imported {
    let number = written_target(node)?;
    let wrong = || NodeError::AttributeValue {
        attribute: "to",
        found: type_name(number),
        expected: "float32, an integer type or bool",
    };
    convert(node, target(number).ok_or_else(wrong)?)?;
    IntType::of(number).into_iter().for_each(|int| node.note_result_type(int));
    Ok(())
}

/// The width of the other operand's integers is not known, so they count as 64 bits wide.
fn cast_like(node: &mut NodeCtx<'_>) -> Imported {
    let like = node.dtype(1)?;
    if node.constant(0).is_none() {
        return node.forward(0);
    }
    let target = match like {
        DType::F32 => Target::Float,
        DType::I64 => Target::Integer { lo: i64::MIN, hi: i64::MAX },
        DType::Bool => Target::Bool,
    };
    convert(node, target)
}

/// The result is constant operand 0 converted.
fn convert(node: &mut NodeCtx<'_>, target: Target) -> Imported {
    let tensor = node.required_constant(0)?;
    if matches!((target, tensor.dtype()), (Target::Float, DType::F32)) {
        return node.forward(0);
    }
    node.reserve(tensor.data.len(), 8)?;
    let data = match (&tensor.data, target) {
        (Data::I64(values), Target::Float) => match weights(node, values, tensor.shape.len()) {
            Some(stored) => Data::Quantized(stored),
            None => Data::F32(values.iter().map(|&v| v as f32).collect()),
        },
        (Data::I64(values), Target::Integer { lo, hi }) => {
            if values.iter().any(|v| !(lo..=hi).contains(v)) {
                return Err(NodeError::Arithmetic.into());
            }
            Data::I64(values.clone())
        }
        (Data::I64(values), Target::Bool) => Data::Bool(values.iter().map(|&v| v != 0).collect()),
        (Data::Bool(values), Target::Float) => {
            Data::F32(values.iter().map(|&v| f32::from(u8::from(v))).collect())
        }
        (Data::Bool(values), Target::Integer { .. }) => {
            Data::I64(values.iter().map(|&v| i64::from(v)).collect())
        }
        (Data::Bool(values), Target::Bool) => Data::Bool(values.clone()),
        (
            Data::F32(_) | Data::MappedF32(_) | Data::SplatF32 { .. } | Data::Quantized(_),
            target,
        ) => from_floats(node, target)?,
    };
    let shape = tensor.shape.clone();
    node.set_constant(Tensor { shape, data })
}

/// Matrices and kernels of at most 8 bits, which are somebody's weights: they stay integers.
fn weights(node: &NodeCtx<'_>, values: &[i64], rank: usize) -> Option<Quantized> {
    node.int_type(0).filter(|int| rank >= 2 && int.is_byte())?;
    let integers = values.iter().map(|&v| i32::try_from(v).ok()).collect::<Option<Vec<i32>>>()?;
    Quantized::new(integers, vec![1.0], 1)
}

/// Floats are cut towards zero; one outside the integer type has no defined result in ONNX and is an error.
fn from_floats(node: &NodeCtx<'_>, target: Target) -> Result<Data, NodeError> {
    let values = node.floats(0)?;
    let (lo, hi) = match target {
        Target::Float => return Ok(Data::F32(values)),
        Target::Bool => return Ok(Data::Bool(values.iter().map(|&v| v != 0.0).collect())),
        Target::Integer { lo, hi } => (lo, hi),
    };
    let cut = |v: f32| {
        let cut = f64::from(v).trunc();
        // 2^63 as a float is one above the largest i64, so the comparison is strict there.
        let fits = cut >= lo as f64 && (cut < hi as f64 || (hi < i64::MAX && cut == hi as f64));
        if fits { Ok(cut as i64) } else { Err(NodeError::Arithmetic) }
    };
    Ok(Data::I64(values.into_iter().map(cut).collect::<Result<_, _>>()?))
}
