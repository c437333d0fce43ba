//! QuantizeLinear and DequantizeLinear: where a file that is quantized already says how its tensors are stored.

use super::dynamic::undone;
use super::{Constraint, OpSpec, constant_operand};
use crate::graph::{Op, ValueId};
use crate::onnx::error::NodeError;
use crate::onnx::integers::{Contradiction, FileEncoding, IntType, Integers, explain};
use crate::onnx::node::{Imported, NodeCtx, Refusal, resolve_axis};
use crate::quantized::{Encoding, Quantized};
use crate::tensor::{DType, Data, Tensor};

/// Changes of both definitions.
const VERSIONS: &[i64] = &[10, 13, 19, 21, 23, 24, 25];

/// QuantizeLinear.
pub(super) const QUANTIZE_LINEAR: OpSpec = OpSpec {
    name: "QuantizeLinear",
    versions: VERSIONS,
    attributes: &["axis", "block_size", "output_dtype", "precision", "saturate"],
    constraints: &[
        constant_operand::<1>("the scale is constant"),
        constant_operand::<2>("the zero point is constant"),
        ONE_SCALE,
        INTEGER_TYPE,
        TYPED,
        SYMMETRIC,
    ],
    fold: Some(quantize_constant),
    import: Some(quantize),
};

/// DequantizeLinear.
pub(super) const DEQUANTIZE_LINEAR: OpSpec = OpSpec {
    name: "DequantizeLinear",
    versions: VERSIONS,
    attributes: &["axis", "block_size", "output_dtype"],
    constraints: &[
        constant_operand::<1>("the scale is constant"),
        constant_operand::<2>("the zero point is constant"),
        ONE_SCALE,
        BLOCKS,
        SYMMETRIC,
        Constraint {
            text: "what it reads has been stored with the same scale and zero point",
            suggestion: "",
            violation: |node| {
                let Some(Integers::Encoded(stored)) = node.integers_of(0) else {
                    return Ok(None);
                };
                if node.constant(1).is_none() || node.computed(2).is_some() {
                    return Ok(None);
                }
                let found = encoding(node, stored.int)?;
                Ok((found != stored).then(|| {
                    let FileEncoding { scale, zero_point, .. } = stored;
                    format!(
                        "scale {scale} and zero point {zero_point} where `{}` was stored",
                        node.proto.input[0]
                    )
                }))
            },
        },
    ],
    fold: Some(dequantize_constant),
    import: Some(dequantize),
};

/// Activations have one scale.
const ONE_SCALE: Constraint = Constraint {
    text: "a value computed at run time has one scale",
    suggestion: "quantize activations per tensor",
    violation: |node| {
        let shape = node.known_shape(1).filter(|shape| shape.iter().any(|&extent| extent != 1));
        let computed = node.constant(0).is_none();
        Ok(shape.filter(|_| computed).map(|shape| format!("scales of shape {shape:?}")))
    },
};

/// Blocks of elements with a scale of their own have no integer form.
const BLOCKS: Constraint = Constraint {
    text: "scales vary along one axis at most",
    suggestion: "quantize weights per tensor or per channel, not in blocks",
    violation: |node| {
        let (Some(x), Some(scale)) = (node.known_shape(0), node.known_shape(1)) else {
            return Ok(None);
        };
        let varies = scale.iter().filter(|&&extent| extent != 1).count();
        let block = node.attributes().int("block_size")?.unwrap_or(0);
        let cut = block != 0 && scale.iter().zip(x).any(|(&s, &x)| s != 1 && s != x);
        Ok((varies > 1 || cut).then(|| format!("scales of shape {scale:?} for shape {x:?}")))
    },
};

/// Numbers that integers of the machine can stand for.
const INTEGER_TYPE: Constraint = Constraint {
    text: "the result is int4, uint4, int8, uint8, int16 or uint16",
    suggestion: "",
    violation: |node| {
        let written = node.attributes().int("output_dtype")?.unwrap_or(0);
        let number = i32::try_from(written).unwrap_or(-1);
        let taken = number == 0 || IntType::of(number).is_some_and(|int| int != IntType::INT32);
        Ok((!taken).then(|| crate::onnx::tensor::type_name(number)))
    },
};

/// Folding loses the width of integers.
const TYPED: Constraint = Constraint {
    text: "the zero point is an initializer or a Constant",
    suggestion: "simplify the model before export, for example with onnxsim",
    violation: |node| {
        let integers = node.constant(2).is_some_and(|zero| zero.dtype() == DType::I64);
        let unknown = integers && node.int_type(2).is_none();
        Ok(unknown.then(|| format!("`{}`, which is computed", node.proto.input[2])))
    },
};

/// The machine's 16-bit values are symmetric.
const SYMMETRIC: Constraint = Constraint {
    text: "16-bit activations are symmetric: zero point 0 (int16) or 32768 (uint16)",
    suggestion: "quantize activations of 16 bits with symmetric ranges",
    violation: |node| {
        if node.constant(0).is_some() || node.constant(1).is_none() || node.computed(2).is_some() {
            return Ok(None);
        }
        let int = match node.integers_of(0) {
            Some(Integers::Encoded(stored)) => stored.int,
            Some(Integers::Open(int)) => int,
            Some(Integers::Dynamic) => return Ok(None),
            None => match result_type(node) {
                Ok(int) => int,
                Err(_) => return Ok(None),
            },
        };
        if node.known_shape(1).is_some_and(|shape| shape.iter().any(|&extent| extent != 1)) {
            return Ok(None);
        }
        let found = encoding(node, int)?;
        Ok(found
            .stored()
            .is_none()
            .then(|| format!("{} with zero point {}", int.name(), found.zero_point)))
    },
};

/// Integer type that QuantizeLinear makes.
fn result_type(node: &NodeCtx<'_>) -> Result<IntType, NodeError> {
    let written = node.attributes().int("output_dtype")?.unwrap_or(0);
    let written = IntType::of(i32::try_from(written).unwrap_or(0));
    let of_zero_point = node.int_type(2);
    match (of_zero_point, written) {
        (Some(zero), Some(written)) if zero != written => Err(NodeError::Quantization {
            tensor: node.proto.input[2].clone(),
            found: zero.name(),
            expected: written.name(),
        }),
        (Some(int), _) | (None, Some(int)) => Ok(int),
        (None, None) => Ok(IntType::UINT8),
    }
}

/// Scales and zero points, as many of each. The zero points must be of type `int`, where that is known.
fn parameters(node: &NodeCtx<'_>, int: Option<IntType>) -> Result<(Vec<f32>, Vec<i64>), NodeError> {
    let tensor = |operand: usize| node.proto.input[operand].clone();
    let scales = node.floats(1)?;
    if let Some(bad) = scales.iter().find(|scale| !scale.is_normal() || **scale < 0.0) {
        let (found, expected) = (bad.to_string(), "a positive normal number".to_owned());
        return Err(NodeError::Quantization { tensor: tensor(1), found, expected });
    }
    let Some(zeros) = node.integers(2)? else {
        let zeros = vec![0; scales.len()];
        return Ok((scales, zeros));
    };
    // Weights with a scale a channel may share a zero point.
    let zeros = if zeros.len() == 1 { vec![zeros[0]; scales.len()] } else { zeros.to_vec() };
    let bad = |found: String, expected: String| NodeError::Quantization {
        tensor: tensor(2),
        found,
        expected,
    };
    if zeros.len() != scales.len() {
        let found = format!("{} zero points", zeros.len());
        return Err(bad(found, format!("as many as scales, {}", scales.len())));
    }
    if let (Some(own), Some(int)) = (node.int_type(2), int)
        && own != int
    {
        return Err(bad(own.name(), format!("{}, like what it belongs to", int.name())));
    }
    if let Some(int) = int.or(node.int_type(2)) {
        let (lo, hi) = if int == IntType::INT32 { (0, 0) } else { int.range() };
        if let Some(zero) = zeros.iter().find(|zero| !(lo..=hi).contains(zero)) {
            return Err(bad(zero.to_string(), format!("{lo} to {hi} for {}", int.name())));
        }
    }
    Ok((scales, zeros))
}

/// The single scale and zero point of an activation of type `int`.
fn encoding(node: &NodeCtx<'_>, int: IntType) -> Result<FileEncoding, NodeError> {
    let (scales, zeros) = parameters(node, Some(int))?;
    match (scales.as_slice(), zeros.as_slice()) {
        (&[scale], &[zero_point]) => Ok(FileEncoding { int, scale, zero_point }),
        _ => Err(NodeError::Quantization {
            tensor: node.proto.input[1].clone(),
            found: format!("{} scales", scales.len()),
            expected: "one".to_owned(),
        }),
    }
}

/// Elements with the same scale that follow each other, for a constant of `shape` with `count` scales.
fn slices(node: &NodeCtx<'_>, shape: &[usize], count: usize) -> Result<usize, NodeError> {
    if count == 1 {
        return Ok(1);
    }
    let block = node.attributes().int("block_size")?.unwrap_or(0);
    let axis = if block == 0 {
        resolve_axis(node.attributes().int("axis")?.unwrap_or(1), shape.len())?
    } else {
        // The only axis along which the scales vary: see `BLOCKS`.
        let scale = node.shape(1)?;
        scale.iter().position(|&extent| extent != 1).unwrap_or(0)
    };
    if shape.get(axis) != Some(&count) {
        return Err(NodeError::Quantization {
            tensor: node.proto.input[1].clone(),
            found: format!("{count} scales"),
            expected: format!(
                "one for each of {:?} along axis {axis}",
                shape.get(axis).unwrap_or(&0)
            ),
        });
    }
    Ok(shape[axis + 1..].iter().product())
}

fn quantize_constant(node: &mut NodeCtx<'_>) -> Imported {
    let int = result_type(node)?;
    let (scales, zeros) = parameters(node, Some(int))?;
    let shape = node.shape(0)?;
    let inner = slices(node, &shape, scales.len())?.max(1);
    let (lo, hi) = int.range();
    let stored = |(i, x): (usize, f32)| {
        let channel = i / inner % scales.len();
        // The cast saturates, and NaN becomes 0.
        let steps = (x / scales[channel]).round_ties_even() as i64;
        steps.saturating_add(zeros[channel]).clamp(lo, hi)
    };
    let integers = node.floats(0)?.into_iter().enumerate().map(stored).collect();
    node.reserve(node.required_constant(0)?.data.len(), 8)?;
    node.set_constant(Tensor::new(shape, Data::I64(integers))?)?;
    node.note_result_type(int);
    Ok(())
}

fn quantize(node: &mut NodeCtx<'_>) -> Imported {
    let int = result_type(node)?;
    let encoding = encoding(node, int)?;
    let x = node.operand(0)?;
    emit(node, x, encoding)?;
    node.note_integers(Integers::Encoded(encoding));
    Ok(())
}

fn no_form(int: IntType) -> Refusal {
    let reason = format!("activations of type {} are not supported", int.name());
    Refusal::Unsupported { reason, suggestion: String::new() }
}

/// The node's result is what storing `x` leaves of it.
fn emit(node: &mut NodeCtx<'_>, mut x: ValueId, encoding: FileEncoding) -> Imported {
    let to = encoding.stored().ok_or_else(|| no_form(encoding.int))?;
    if let Some((lo, hi)) = encoding.narrower_ends() {
        x = node.intermediate("saturated", Op::Clip { lo, hi }, vec![x], None)?;
    }
    node.emit(Op::FakeQuantize { to }, vec![x])
}

fn dequantize_constant(node: &mut NodeCtx<'_>) -> Imported {
    let int = node.int_type(0);
    let (scales, zeros) = parameters(node, int)?;
    let shape = node.shape(0)?;
    let inner = slices(node, &shape, scales.len())?.max(1);
    let stored = node.required_integers(0)?;
    node.reserve(stored.len(), 4)?;
    let less_zero = |(i, &q): (usize, &i64)| {
        i32::try_from(q - zeros[i / inner % zeros.len()]).map_err(|_| NodeError::Arithmetic)
    };
    let integers = stored.iter().enumerate().map(less_zero).collect::<Result<_, _>>()?;
    let quantized = Quantized::new(integers, scales, inner).ok_or(NodeError::Arithmetic)?;
    node.set_constant(Tensor::new(shape, Data::Quantized(quantized))?)
}

fn dequantize(node: &mut NodeCtx<'_>) -> Imported {
    match node.integers_of(0) {
        Some(Integers::Encoded(_)) => node.forward_real(0),
        Some(Integers::Dynamic) if undone(node)? => node.forward_real(0),
        Some(Integers::Dynamic) => Err(Refusal::Unsupported {
            reason: "it reads dynamically quantized integers with another scale than theirs".into(),
            suggestion: String::new(),
        }),
        Some(Integers::Open(int)) => {
            let encoding = encoding(node, int)?;
            let stored = encoding.stored().ok_or_else(|| no_form(int))?;
            let x = node.operand(0)?;
            explain(node.builder, x, stored).map_err(|Contradiction { tensor, known }| {
                let Encoding { scale, zero_point, .. } = known;
                let found = format!("integers of scale {scale}, zero point {zero_point}");
                let Encoding { scale, zero_point, .. } = stored;
                let expected = format!("scale {scale}, zero point {zero_point} (signed)");
                NodeError::Quantization { tensor, found, expected }
            })?;
            node.forward_real(0)
        }
        None => Err(NodeError::Quantization {
            tensor: node.proto.input[0].clone(),
            found: "float32".to_owned(),
            expected: "integers".to_owned(),
        }
        .into()),
    }
}
