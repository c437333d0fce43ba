//! Floats that a file stores as integers and scales.

use std::sync::Arc;

use crate::qgraph::QType;

/// How the elements of an activation are stored: `real = scale * (q - zero_point)`, `q` a signed integer.
///
/// Files with unsigned integers are shifted by half their range on import, integers and zero point together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Encoding {
    /// Storage type.
    pub dtype: QType,
    /// Real value of one step, a positive normal number.
    pub scale: f32,
    /// Stored integer of real zero; 0 for int16.
    pub zero_point: i32,
}

impl Encoding {
    /// The real value that storing `x` leaves: `x / scale` rounded to the nearest integer, ties to even, and saturated; in single
    /// precision, as ONNX defines QuantizeLinear followed by DequantizeLinear.
    #[must_use]
    pub fn round(&self, x: f32) -> f32 {
        let (lo, hi) = self.dtype.range();
        let [lo, hi] = [lo, hi].map(|end| (end - self.zero_point) as f32);
        (x / self.scale).round_ties_even().max(lo).min(hi) * self.scale
    }
}

/// Elements of a constant as the file stores them: element `i` is `scale[c] * integers[i]`, in single precision, with
/// `c = i / inner % scale.len()`. Zero points are subtracted already, so an 8-bit file gives up to 9 bits.
///
/// A scale for each slice along an axis has `inner` elements behind that axis; one for the whole tensor has any.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// Shared, because rewrites change scales and leave weights alone.
    integers: Arc<[i32]>,
    scale: Vec<f32>,
    inner: usize,
}

impl Quantized {
    /// `None` unless there is a scale, all are finite, and whole slices of `inner` elements.
    #[must_use]
    pub fn new(integers: Vec<i32>, scale: Vec<f32>, inner: usize) -> Option<Quantized> {
        let slices = scale.len().checked_mul(inner).filter(|&slices| slices > 0)?;
        let whole = scale.len() == 1 || integers.len().is_multiple_of(slices);
        let sound = whole && scale.iter().all(|scale| scale.is_finite());
        sound.then(|| Quantized { integers: integers.into(), scale, inner })
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.integers.len()
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.integers.is_empty()
    }

    /// The integers, less their zero points.
    #[must_use]
    pub fn integers(&self) -> &[i32] {
        &self.integers
    }

    /// One scale, or one for each slice.
    #[must_use]
    pub fn scales(&self) -> &[f32] {
        &self.scale
    }

    /// Elements that follow each other with the same scale.
    #[must_use]
    pub fn inner(&self) -> usize {
        self.inner
    }

    /// Real values one by one.
    pub fn floats(&self) -> impl ExactSizeIterator<Item = f32> + '_ {
        let channels = self.scale.len();
        let float = move |(i, &q): (usize, &i32)| self.scale[i / self.inner % channels] * q as f32;
        self.integers.iter().enumerate().map(float)
    }

    /// The scale of each of `rows` equal parts of the tensor, if no part has two.
    #[must_use]
    pub fn row_scales(&self, rows: usize) -> Option<Vec<f32>> {
        match self.scale.as_slice() {
            [one] => Some(vec![*one; rows]),
            all => (all.len() == rows && self.inner * rows == self.len()).then(|| all.to_vec()),
        }
    }

    /// The same integers with the scale of row `i` multiplied by `factors[i]`, rounded to single precision. `None` where rows
    /// have no scale of their own, or a product is no positive normal number.
    #[must_use]
    pub fn with_rows_scaled(&self, factors: &[f64]) -> Option<Quantized> {
        let scales = self.row_scales(factors.len())?;
        let scaled = scales.iter().zip(factors).map(|(&s, &f)| (f64::from(s) * f) as f32);
        let scale: Vec<f32> = scaled.collect();
        let sound = scale.iter().all(|scale| scale.is_normal() && *scale > 0.0);
        let inner = self.len().checked_div(factors.len()).filter(|&inner| inner > 0)?;
        sound.then(|| Quantized { integers: Arc::clone(&self.integers), scale, inner })
    }

    /// A matrix of `rows` rows transposed; each column, then row, keeps its scale.
    #[must_use]
    pub fn transposed(&self, rows: usize) -> Option<Quantized> {
        let columns = self.len().checked_div(rows).filter(|&columns| columns > 0)?;
        let inner = match self.scale.len() {
            1 => 1,
            // One a column, which becomes a row, or the other way round.
            n if n == columns && self.inner == 1 => rows,
            n if n == rows && self.inner == columns => 1,
            _ => return None,
        };
        let column = |c: usize| (0..rows).map(move |r| self.integers[r * columns + c]);
        let integers = (0..columns).flat_map(column).collect();
        Some(Quantized { integers, scale: self.scale.clone(), inner })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_saturates_and_breaks_ties_to_even() {
        let encoding = Encoding { dtype: QType::I8, scale: 0.5, zero_point: 100 };
        let rounded = [0.25, 0.75, -0.25, 1000.0, -1000.0].map(|x| encoding.round(x));
        assert_eq!(rounded, [0.0, 1.0, 0.0, 13.5, -114.0]);
    }

    #[test]
    fn scales_follow_their_axis() {
        let rows = Quantized::new(vec![1, 2, 3, 4, 5, 6], vec![1.0, 10.0], 3).unwrap();
        assert_eq!(rows.floats().collect::<Vec<_>>(), [1.0, 2.0, 3.0, 40.0, 50.0, 60.0]);
        assert_eq!(rows.row_scales(2), Some(vec![1.0, 10.0]));
        assert_eq!(rows.row_scales(3), None);
        let turned = rows.transposed(2).unwrap();
        assert_eq!(turned.floats().collect::<Vec<_>>(), [1.0, 40.0, 2.0, 50.0, 3.0, 60.0]);
        let back = turned.transposed(3).unwrap();
        assert_eq!(back.floats().collect::<Vec<_>>(), rows.floats().collect::<Vec<_>>());
        assert_eq!(back.row_scales(2), Some(vec![1.0, 10.0]));
    }

    #[test]
    fn factors_change_scales_and_leave_integers() {
        let one = Quantized::new(vec![1, 2, 3, 4], vec![0.5], 1).unwrap();
        let scaled = one.with_rows_scaled(&[2.0, 4.0]).unwrap();
        assert_eq!((scaled.integers(), scaled.scales()), (&[1, 2, 3, 4][..], &[1.0, 2.0][..]));
        for factors in [[0.0, 1.0], [-1.0, 1.0], [1e300, 1.0]] {
            assert!(one.with_rows_scaled(&factors).is_none());
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        assert!(Quantized::new(vec![1, 2, 3], vec![], 1).is_none());
        assert!(Quantized::new(vec![1, 2, 3], vec![1.0, 1.0], 1).is_none());
        assert!(Quantized::new(vec![1, 2, 3], vec![1.0], 0).is_none());
        assert!(Quantized::new(vec![1], vec![f32::NAN], 1).is_none());
        assert!(Quantized::new(vec![1], vec![1.0; 3], usize::MAX / 2).is_none());
    }
}
