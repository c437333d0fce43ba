//! The two ends: real numbers in ONNX order to stored integers in `[h, w, c]`, and back.
//!
//! Computed in `f64`, where `real / S` of a float32 is off by at most half a unit of its 53 bits: the rounding to an
//! integer is then the one that counts.

use ir::qgraph::{QType, QValue, View};

use crate::{QData, QTensor, RuntimeError};

/// `q = clamp(round_half_even(real / S) + Z)` for every element of an ONNX tensor, laid out as `value` asks.
///
/// `real` is in ONNX order (row-major over `value.view.onnx_shape`). The clamp is to the storage type; infinities
/// saturate.
///
/// # Errors
/// If the length is wrong, an element is NaN, or `value`'s scale or view is unusable.
pub fn quantize(real: &[f32], value: &QValue) -> Result<QTensor, RuntimeError> {
    let source = onnx_positions(value, real.len())?;
    if let Some(index) = real.iter().position(|x| x.is_nan()) {
        return Err(RuntimeError::NotANumber { name: value.name.clone(), index });
    }
    let (lo, hi) = value.dtype.range();
    let (lo, hi) = (f64::from(lo), f64::from(hi));
    let stored = source.iter().map(|&at| {
        let steps = (f64::from(real[at]) / value.scale).round_ties_even();
        (steps + f64::from(value.zero_point)).clamp(lo, hi)
    });
    let data = match value.dtype {
        QType::I8 => QData::I8(stored.map(|q| q as i8).collect()),
        QType::I16 => QData::I16(stored.map(|q| q as i16).collect()),
    };
    Ok(QTensor { shape: value.shape, data })
}

/// `real = S * (q - Z)` for every element, in ONNX order.
///
/// # Errors
/// If the tensor's length does not match, or `value`'s scale or view is unusable.
pub fn dequantize(tensor: &QTensor, value: &QValue) -> Result<Vec<f32>, RuntimeError> {
    let target = onnx_positions(value, tensor.len())?;
    let mut real = vec![0.0; target.len()];
    for (i, &at) in target.iter().enumerate() {
        let steps = f64::from(tensor.get(i)) - f64::from(value.zero_point);
        real[at] = (value.scale * steps) as f32;
    }
    Ok(real)
}

/// ONNX position of every element in `[h, w, c]` order, for a tensor of `found` elements.
fn onnx_positions(value: &QValue, found: usize) -> Result<Vec<usize>, RuntimeError> {
    let bad = |reason: String| RuntimeError::Conversion { name: value.name.clone(), reason };
    if !(value.scale.is_finite() && value.scale > 0.0) {
        return Err(bad(format!("scale {} is not positive and finite", value.scale)));
    }
    let View { onnx_shape, perm } = &value.view;
    let product =
        |extents: &[usize]| extents.iter().try_fold(1_usize, |n, &extent| n.checked_mul(extent));
    let elements = product(&value.shape.extents()).filter(|&n| product(onnx_shape) == Some(n));
    let Some(expected) = elements else {
        return Err(bad(format!("ONNX shape {onnx_shape:?} does not fill {}", value.shape)));
    };
    if expected != found {
        return Err(RuntimeError::Length { name: value.name.clone(), expected, found });
    }
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    if sorted.iter().copied().ne(0..onnx_shape.len()) {
        return Err(bad(format!("perm {perm:?} is no permutation of shape {onnx_shape:?}")));
    }
    Ok(permuted_positions(onnx_shape, perm))
}

/// For each position of a tensor of extents `dims` transposed by `perm`, its position before the transposition.
fn permuted_positions(dims: &[usize], perm: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis] * dims[axis];
    }
    // Grows one transposed axis at a time: every position so far, followed by each step along the next axis.
    perm.iter().fold(vec![0], |positions, &axis| {
        let steps = |&base: &usize| (0..dims[axis]).map(move |i| (base, i));
        positions.iter().flat_map(steps).map(|(base, i)| base + i * strides[axis]).collect()
    })
}

#[cfg(test)]
mod tests {
    use ir::qgraph::Hwc;
    use proptest::prelude::*;

    use super::*;

    /// An image `[1, 2, 2, 3]` (n, c, h, w) stored as `[h, w, c]`.
    fn image(scale: f64, zero_point: i32) -> QValue {
        QValue {
            name: "x".into(),
            shape: Hwc { h: 2, w: 3, c: 2 },
            dtype: QType::I8,
            scale,
            zero_point,
            view: View { onnx_shape: vec![1, 2, 2, 3], perm: vec![0, 2, 3, 1] },
        }
    }

    #[test]
    fn channels_go_innermost_and_come_back() {
        // Channel 0 holds 0..6, channel 1 holds 10..16; in [h, w, c] they alternate.
        let real: Vec<f32> = (0..6).chain(10..16).map(|i| i as f32).collect();
        let value = image(1.0, 0);
        let tensor = quantize(&real, &value).unwrap();
        assert_eq!(tensor.data, QData::I8(vec![0, 10, 1, 11, 2, 12, 3, 13, 4, 14, 5, 15]));
        assert_eq!(dequantize(&tensor, &value).unwrap(), real);
    }

    #[test]
    fn rounds_half_to_even_before_the_zero_point_and_saturates() {
        // In steps of 0.5: 0.25 is half a step (0), 0.75 one and a half (2), -0.25 (0), -0.75 (-2), then the ends.
        let real = [0.25, 0.75, -0.25, -0.75, 1e30, f32::NEG_INFINITY];
        let value = QValue {
            shape: Hwc { h: 1, w: 1, c: 6 },
            view: View { onnx_shape: vec![1, 6], perm: vec![0, 1] },
            ..image(0.5, 3)
        };
        let tensor = quantize(&real, &value).unwrap();
        assert_eq!(tensor.data, QData::I8(vec![3, 5, 3, 1, 127, -128]));
    }

    #[test]
    fn refuses_what_has_no_quantized_form() {
        let value = image(1.0, 0);
        let mut real = [0.0; 12];
        real[7] = f32::NAN;
        let error = quantize(&real, &value).unwrap_err();
        assert_eq!(error, RuntimeError::NotANumber { name: "x".into(), index: 7 });
        let error = quantize(&real[1..], &value).unwrap_err();
        assert_eq!(error.to_string(), "`x` holds 11 elements, expected 12");
        let error = quantize(&[0.0; 12], &image(0.0, 0)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`x` cannot be converted: scale 0 is not positive and finite"
        );
        let mut odd = value.clone();
        odd.view.perm = vec![0, 2, 2, 1];
        assert!(matches!(quantize(&[0.0; 12], &odd), Err(RuntimeError::Conversion { .. })));
        odd.view.onnx_shape = vec![usize::MAX, usize::MAX];
        assert!(matches!(quantize(&[0.0; 12], &odd), Err(RuntimeError::Conversion { .. })));
    }

    proptest! {
        #[test]
        fn stored_integers_survive_the_way_out_and_in(
            data in prop::collection::vec(any::<i16>(), 12),
            scale in 1e-6..1e3_f64,
            zero_point in -32768..=32767_i32,
        ) {
            let value = QValue { dtype: QType::I16, ..image(scale, zero_point) };
            let tensor = QTensor { shape: value.shape, data: QData::I16(data) };
            let real = dequantize(&tensor, &value).unwrap();
            prop_assert_eq!(quantize(&real, &value).unwrap(), tensor);
        }
    }
}
