//! From a range of real values to a scale and a zero point.
//!
//! Scales are rounded to single precision, so that an export to ONNX, which stores them so, loses nothing.

use ir::function::{Function, Primitive, Term};
use ir::qgraph::{Bounds, QType};
use ir::quantized::Encoding;

use super::fusion::Clip;
use crate::calibrate::Range;

/// How a value is stored: `real = scale * (q - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Params {
    /// Storage type.
    pub(super) dtype: QType,
    /// Real value of one step.
    pub(super) scale: f64,
    /// Stored integer of real zero.
    pub(super) zero_point: i32,
}

/// Scales that a machine's multipliers can relate to each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Grid {
    /// Any.
    Any,
    /// `unit` times a power of two: the machine only shifts.
    PowersOfTwo {
        /// The factor, 1 except behind a division that is no shift.
        unit: f64,
    },
}

impl Grid {
    /// The smallest scale on the grid that is not below a positive `scale`.
    fn cover(self, scale: f64) -> f64 {
        match self {
            Grid::Any => storable(scale),
            Grid::PowersOfTwo { unit } => storable(unit * ceil_significant(scale / unit, 1)),
        }
    }
}

/// The smallest number not below a positive `value` that has `bits` significant bits.
pub(crate) fn ceil_significant(value: f64, bits: u8) -> f64 {
    let (significand, exponent) = libm::frexp(value);
    let unit = f64::from(1u32 << bits);
    libm::ldexp((significand * unit).ceil() / unit, exponent)
}

/// Results of softmax: 0 to 255/256.
pub(super) const SOFTMAX: Params =
    Params { dtype: QType::I8, scale: 1.0 / 256.0, zero_point: -128 };

/// Results of a sigmoid: 0 to almost 1, whatever it is applied to.
pub(super) fn sigmoid(dtype: QType) -> Params {
    match dtype {
        QType::I8 => Params { dtype, scale: 1.0 / 256.0, zero_point: -128 },
        QType::I16 => Params { dtype, scale: 1.0 / 32768.0, zero_point: 0 },
    }
}

/// Whether the results of a function are those of a [`sigmoid`].
pub(super) fn ends_in_sigmoid(function: &Function) -> bool {
    function.terms().last() == Some(&Term::Apply(Primitive::Sigmoid))
}

/// Single-precision form of a positive scale; a scale too small for it becomes the smallest normal one.
pub(super) fn storable(scale: f64) -> f64 {
    f64::from((scale as f32).clamp(f32::MIN_POSITIVE, f32::MAX))
}

/// Which integers store activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Storage {
    /// Storage type.
    pub(crate) dtype: QType,
    /// Bits used of it.
    pub(crate) bits: u8,
    /// Whether zero is in the middle: the zero point is 0 and the smallest integer is not used.
    pub(crate) symmetric: bool,
}

impl Storage {
    /// Asymmetric int8.
    pub(crate) const INT8: Storage = Storage { dtype: QType::I8, bits: 8, symmetric: false };
    /// Symmetric int16.
    pub(crate) const INT16: Storage = Storage { dtype: QType::I16, bits: 16, symmetric: true };

    /// All integers of a type.
    pub(super) fn whole(dtype: QType) -> Storage {
        match dtype {
            QType::I8 => Storage::INT8,
            QType::I16 => Storage::INT16,
        }
    }

    /// Smallest and largest integer used.
    fn ends(self) -> (i32, i32) {
        let half = 1 << (self.bits - 1);
        (i32::from(self.symmetric) - half, half - 1)
    }

    /// What decides the scale of a range: its width, or where zero is in the middle twice its largest magnitude.
    pub(crate) fn width(self, range: Range) -> f64 {
        let Range { lo, hi } = range.with_zero();
        if self.symmetric { 2.0 * hi.max(-lo) } else { hi - lo }
    }

    /// Steps of the scale in a [`width`](Self::width).
    pub(crate) fn steps(self) -> f64 {
        let (lo, hi) = self.ends();
        f64::from(hi) - f64::from(lo)
    }
}

impl From<Encoding> for Params {
    fn from(encoding: Encoding) -> Params {
        let Encoding { dtype, scale, zero_point } = encoding;
        Params { dtype, scale: scale.into(), zero_point }
    }
}

impl Params {
    /// Parameters on `grid` that cover `range` and zero. An empty range gets scale 1.
    pub(super) fn covering(range: Range, storage: Storage, grid: Grid) -> Params {
        let Range { lo, .. } = range.with_zero();
        let width = storage.width(range);
        let (q_lo, q_hi) = storage.ends();
        let scale = grid.cover(if width > 0.0 { width / storage.steps() } else { 1.0 });
        let zero_point =
            if storage.symmetric { 0 } else { nearest(f64::from(q_lo) - lo / scale, q_lo, q_hi) };
        Params { dtype: storage.dtype, scale, zero_point }
    }

    /// Real values of the integers that `storage` uses.
    pub(super) fn span_in(&self, storage: Storage) -> Clip {
        let (lo, hi) = storage.ends();
        let real = |q: i32| self.scale * f64::from(q - self.zero_point);
        Clip { lo: real(lo), hi: real(hi) }
    }

    /// Stored bounds of a real clip.
    pub(super) fn bounds(&self, clip: Clip) -> Bounds {
        let (q_lo, q_hi) = self.dtype.range();
        let stored = |real: f64| {
            nearest((real / self.scale).round_ties_even() + f64::from(self.zero_point), q_lo, q_hi)
        };
        Bounds { lo: stored(clip.lo), hi: stored(clip.hi) }
    }

    /// Real values that can be stored.
    pub(super) fn range(&self) -> Range {
        let (lo, hi) = self.dtype.range();
        let real = |q: i32| self.scale * f64::from(q - self.zero_point);
        Range { lo: real(lo), hi: real(hi) }
    }

    /// Largest magnitude of a stored integer less the zero point.
    pub(super) fn span(&self) -> u64 {
        let (lo, hi) = self.dtype.range();
        u64::from(lo.abs_diff(self.zero_point).max(hi.abs_diff(self.zero_point)))
    }
}

/// How an operand of a product of two computed values enters it: with zero point 0, and in int8 unless it may be `wide`. Int8 with
/// another zero point becomes int16 of the same steps, which loses nothing, where it may; else what holds `range`.
pub(super) fn product_operand(from: Params, range: Range, wide: bool, grid: Grid) -> Params {
    match from.dtype {
        QType::I8 if from.zero_point == 0 => from,
        QType::I16 if from.zero_point == 0 && wide => from,
        QType::I8 if wide => Params { dtype: QType::I16, zero_point: 0, ..from },
        QType::I8 | QType::I16 => {
            Params::covering(range, Storage { symmetric: true, ..Storage::INT8 }, grid)
        }
    }
}

/// Nearest integer, ties to even, within `lo..=hi`.
pub(super) fn nearest(value: f64, lo: i32, hi: i32) -> i32 {
    // The cast is exact: an integer between two i32 values.
    value.round_ties_even().clamp(f64::from(lo), f64::from(hi)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(lo: f64, hi: f64) -> Range {
        Range { lo, hi }
    }

    #[test]
    fn zero_is_exact_and_the_ends_are_reached() {
        for (lo, hi, zero) in [
            (0.0, 5.1, -128),
            (-0.5, 2.05, -78),
            (-5.1, 0.0, 127),
            (2.0, 5.1, -128),
            (-3.0, -1.0, 127),
        ] {
            let p = Params::covering(range(lo, hi), Storage::INT8, Grid::Any);
            assert_eq!(p.zero_point, zero, "{lo} {hi}");
            let real = |q: i32| p.scale * f64::from(q - p.zero_point);
            assert!(
                (real(-128) - lo.min(0.0)).abs() <= p.scale
                    && (real(127) - hi.max(0.0)).abs() <= p.scale
            );
        }
        let p = Params::covering(range(-1.0, 4.0), Storage::INT16, Grid::Any);
        assert_eq!((p.zero_point, p.scale as f32), (0, 4.0 / 32767.0));
    }

    #[test]
    fn storage_may_use_a_part_of_int8() {
        let symmetric = Storage { symmetric: true, ..Storage::INT8 };
        let p = Params::covering(range(-1.0, 4.0), symmetric, Grid::Any);
        assert_eq!((p.zero_point, p.scale as f32), (0, 4.0 / 127.0));
        let seven = Storage { bits: 7, ..Storage::INT8 };
        let p = Params::covering(range(-1.0, 4.08), seven, Grid::Any);
        assert_eq!((p.zero_point, p.scale as f32), (-39, 0.04));
        assert_eq!(p.bounds(p.span_in(seven)), Bounds { lo: -64, hi: 63 });
        assert_eq!(p.bounds(p.span_in(Storage::INT8)), Bounds { lo: -128, hi: 127 });
    }

    #[test]
    fn extreme_ranges_have_usable_scales() {
        assert_eq!(Params::covering(range(0.0, 0.0), Storage::INT8, Grid::Any).scale, 1.0);
        assert!(Params::covering(range(0.0, 1e-300), Storage::INT16, Grid::Any).scale > 0.0);
        assert!(Params::covering(range(-1e300, 1e300), Storage::INT8, Grid::Any).scale.is_finite());
    }

    #[test]
    fn clips_become_bounds() {
        let p = Params::covering(range(-1.0, 4.1), Storage::INT8, Grid::Any);
        let bounds = |lo, hi| p.bounds(Clip { lo, hi });
        assert_eq!(bounds(0.0, f64::INFINITY), Bounds { lo: p.zero_point, hi: 127 });
        assert_eq!(p.bounds(Clip::NONE), Bounds { lo: -128, hi: 127 });
        assert_eq!(bounds(0.0, 2.0).hi, p.zero_point + 100);
    }

    #[test]
    fn shift_only_machines_get_powers_of_two() {
        let scale = |hi: f64, unit: f64| {
            Params::covering(range(0.0, hi), Storage::INT8, Grid::PowersOfTwo { unit }).scale
        };
        assert_eq!([scale(255.0, 1.0), scale(256.0, 1.0), scale(0.0, 1.0)], [1.0, 2.0, 1.0]);
        assert_eq!(scale(255.0, 0.75), 1.5);
        assert_eq!(
            [ceil_significant(5.0, 2), ceil_significant(4.5, 3), ceil_significant(0.3, 1)],
            [6.0, 5.0, 0.5]
        );
    }
}
