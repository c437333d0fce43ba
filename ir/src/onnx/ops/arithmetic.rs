//! Arithmetic on constants.

use super::{OpSpec, constants_only};
use crate::onnx::error::NodeError;
use crate::onnx::fold::elementwise::{accumulate, binary, combine, pairs};
use crate::onnx::node::{Imported, NodeCtx};
use crate::tensor::{Data, Tensor};

/// Mod: the result has the sign of the divisor, or that of the dividend where `fmod` is 1.
pub(super) const MOD: OpSpec = OpSpec {
    name: "Mod",
    versions: &[10, 13, 28],
    attributes: &["fmod"],
    constraints: &[constants_only("")],
    fold: Some(modulo),
    import: None,
};

/// Not a number where an operand is none, as in NumPy.
pub(super) fn maximum(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() { f32::NAN } else { a.max(b) }
}

/// Not a number where an operand is none, as in NumPy.
pub(super) fn minimum(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() { f32::NAN } else { a.min(b) }
}

/// The mean of any number of operands.
pub(super) fn mean(node: &mut NodeCtx<'_>) -> Imported {
    if node.n_inputs() == 1 {
        return node.forward(0);
    }
    let mut sums = accumulate(node, |a, b| a + b, |_, _| None)?;
    let count = node.n_inputs() as f32;
    for sum in sums.f32_mut().into_iter().flatten() {
        *sum /= count;
    }
    node.set_constant(sums)
}

fn modulo(node: &mut NodeCtx<'_>) -> Imported {
    if node.attributes().flag("fmod", false)? {
        return binary(node, |a, b| a % b, i64::checked_rem);
    }
    // The remainder of the division that rounds down.
    let float = |a: f32, b: f32| {
        let rest = a % b;
        if rest == 0.0 {
            rest.copysign(b)
        } else if (rest < 0.0) == (b < 0.0) {
            rest
        } else {
            rest + b
        }
    };
    let integer = |a: i64, b: i64| {
        let rest = a.checked_rem(b)?;
        Some(if rest == 0 || (rest < 0) == (b < 0) { rest } else { rest + b })
    };
    binary(node, float, integer)
}

/// The result has the type of the base; powers of integers are cut towards zero.
pub(super) fn pow(node: &mut NodeCtx<'_>) -> Imported {
    let (base, exponent) = (node.required_constant(0)?, node.required_constant(1)?);
    let result = match (&base.data, &exponent.data) {
        (
            Data::I64(bases),
            Data::F32(_) | Data::MappedF32(_) | Data::SplatF32 { .. } | Data::Quantized(_),
        ) => {
            let exponents: Vec<f32> = node.floats(1)?;
            let (shape, pairs) = pairs(node, base, exponent)?;
            let powers: Option<_> = pairs
                .map(|(i, j)| cut(libm::pow(bases[i] as f64, f64::from(exponents[j]))))
                .collect();
            Tensor { shape, data: Data::I64(powers.ok_or(NodeError::Arithmetic)?) }
        }
        (
            Data::F32(_) | Data::MappedF32(_) | Data::SplatF32 { .. } | Data::Quantized(_),
            Data::I64(exponents),
        ) => {
            let data = Data::F32(exponents.iter().map(|&v| v as f32).collect());
            let exponent = Tensor { shape: exponent.shape.clone(), data };
            combine(node, base, &exponent, libm::powf, integer_pow)?
        }
        _ => combine(node, base, exponent, libm::powf, integer_pow)?,
    };
    node.set_constant(result)
}

fn integer_pow(base: i64, exponent: i64) -> Option<i64> {
    match (u32::try_from(exponent), base) {
        (_, 1) => Some(1),
        (_, -1) => Some(if exponent % 2 == 0 { 1 } else { -1 }),
        (_, 0) if exponent > 0 => Some(0),
        (Ok(exponent), _) => base.checked_pow(exponent),
        // A negative power of anything larger is a fraction, which is cut.
        (Err(_), _) => (exponent < 0 && base != 0).then_some(0),
    }
}

/// Cut towards zero; `None` outside the integers.
fn cut(value: f64) -> Option<i64> {
    // 2^63 itself is one too large.
    (value.abs() < i64::MAX as f64).then_some(value as i64)
}
