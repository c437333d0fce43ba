//! Arithmetic that turns stored integers into weights: `(Cast(q) - zero point) * scale`, which some tools write instead of
//! DequantizeLinear. The integers stay.

use crate::quantized::Quantized;
use crate::tensor::{Data, Tensor};

/// What is done to stored integers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::onnx) enum Step {
    /// Another zero point.
    Sub,
    /// A finer or coarser scale.
    Mul,
    /// Likewise.
    Div,
}

/// `a` changed by `b`, if `a` is stored as integers and the result can be: `b` is one number, or varies along the axis along which
/// the scales of `a` vary.
pub(in crate::onnx) fn arithmetic(a: &Tensor, b: &Tensor, step: Step) -> Option<Tensor> {
    let stored = a.quantized()?;
    let by: Vec<f32> = b.f32_iter()?.collect();
    let (scales, inner) = (stored.scales(), stored.inner());
    let (count, inner) = match (scales.len(), axis(&a.shape, &b.shape)?) {
        (n, None) => (n, inner),
        (1, Some((extent, inner))) => (extent, inner),
        (n, Some(other)) if other == (n, inner) => other,
        _ => return None,
    };
    let at = |values: &[f32], i: usize| if values.len() == 1 { values[0] } else { values[i] };
    let pairs = (0..count).map(|i| (at(scales, i), at(&by, i)));
    if step == Step::Sub {
        let whole =
            pairs.clone().all(|(s, zero)| s == 1.0 && zero.fract() == 0.0 && zero.abs() < 512.0);
        let less = |(i, q): (usize, &i32)| q.checked_sub(at(&by, i / inner % count) as i32);
        if !whole {
            return None;
        }
        let integers: Option<Vec<i32>> = stored.integers().iter().enumerate().map(less).collect();
        let integers = integers?;
        return made(&a.shape, integers, vec![1.0; count], inner);
    }
    let scales = pairs.map(|(s, by)| if step == Step::Mul { s * by } else { s / by });
    let scales: Vec<f32> = scales.collect();
    let sound = scales.iter().all(|scale| scale.is_normal() && *scale > 0.0);
    if sound { made(&a.shape, stored.integers().to_vec(), scales, inner) } else { None }
}

fn made(shape: &[usize], integers: Vec<i32>, scale: Vec<f32>, inner: usize) -> Option<Tensor> {
    let data = Data::Quantized(Quantized::new(integers, scale, inner)?);
    Tensor::new(shape.to_vec(), data).ok()
}

/// Extent of the only axis of `a` along which `b` varies, and the elements behind it; `Some(None)` if `b` is one number, and `None`
/// if `b` does anything else.
fn axis(a: &[usize], b: &[usize]) -> Option<Option<(usize, usize)>> {
    let missing = a.len().checked_sub(b.len())?;
    let mut varies = (0..b.len()).filter(|&i| b[i] != 1);
    let Some(first) = varies.next() else {
        return Some(None);
    };
    let extent = a[first + missing];
    let alone = varies.next().is_none() && b[first] == extent;
    alone.then(|| Some((extent, a[first + missing + 1..].iter().product())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Tensor {
        made(&[2, 3], vec![1, 2, 3, 4, 5, 6], vec![1.0], 1).unwrap()
    }

    fn floats(shape: &[usize], values: &[f32]) -> Tensor {
        Tensor::from_f32(shape, values.to_vec()).unwrap()
    }

    #[test]
    fn zero_points_and_scales_follow_any_axis() {
        let rows = floats(&[2, 1], &[1.0, 4.0]);
        let less = arithmetic(&stored(), &rows, Step::Sub).unwrap();
        assert_eq!(less.quantized().unwrap().integers(), [0, 1, 2, 0, 1, 2]);
        let scaled = arithmetic(&less, &floats(&[2, 1], &[0.5, 2.0]), Step::Mul).unwrap();
        assert_eq!(scaled.f32_values().unwrap(), [0.0, 0.5, 1.0, 0.0, 2.0, 4.0].as_slice());
        let columns = arithmetic(&stored(), &floats(&[3], &[2.0, 4.0, 8.0]), Step::Div).unwrap();
        assert_eq!(columns.f32_values().unwrap(), [0.5, 0.5, 0.375, 2.0, 1.25, 0.75].as_slice());
        let both = arithmetic(&columns, &floats(&[], &[2.0]), Step::Mul).unwrap();
        assert_eq!(both.quantized().unwrap().scales(), [1.0, 0.5, 0.25]);
    }

    #[test]
    fn anything_else_is_plain_arithmetic() {
        for (b, step) in [
            (floats(&[2, 3], &[1.0; 6]), Step::Mul),
            (floats(&[2, 1, 1], &[1.0; 2]), Step::Mul),
            (floats(&[], &[-1.0]), Step::Mul),
            (floats(&[], &[0.0]), Step::Div),
            (floats(&[], &[0.5]), Step::Sub),
        ] {
            assert!(arithmetic(&stored(), &b, step).is_none());
        }
        let columns = arithmetic(&stored(), &floats(&[3], &[2.0, 4.0, 8.0]), Step::Mul).unwrap();
        assert!(arithmetic(&columns, &floats(&[2, 1], &[1.0; 2]), Step::Mul).is_none());
        assert!(arithmetic(&floats(&[1], &[1.0]), &floats(&[1], &[1.0]), Step::Mul).is_none());
    }
}
