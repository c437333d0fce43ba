//! The range of least squared error.

use super::{candidates, shrunk};
use crate::calibrate::{Histogram, Range};
use crate::quantize::{Storage, ceil_significant};

/// A clipped range must lower the error by this factor; else nothing is clipped.
const WORTHWHILE: f64 = 0.99;

/// Searches all pairs of shrunken ends for the least squared error of rounding inside and clipping outside.
///
/// Inside, rounding errors are taken as uniform over a step, except for exact zeros, which have none. Outside, elements
/// are taken as spread over their bin.
pub(super) fn least_error(histogram: &Histogram, observed: Range, storage: Storage) -> Range {
    let full = observed.with_zero();
    let moments = Moments::of(histogram);
    let error = |range: Range| moments.error(range, storage);
    let mut best = (error(full), full);
    let untouched = best.0;
    if storage.symmetric {
        // A symmetric range has one end.
        let end = full.hi.max(-full.lo);
        for i in 0..candidates(end) {
            let end = shrunk(end, i);
            let range = Range { lo: full.lo.max(-end), hi: full.hi.min(end) };
            best = better(best, (error(range), range));
        }
    } else {
        for i in 0..candidates(full.lo) {
            for j in 0..candidates(full.hi) {
                let range = Range { lo: shrunk(full.lo, i), hi: shrunk(full.hi, j) };
                best = better(best, (error(range), range));
            }
        }
    }
    if best.0 < WORTHWHILE * untouched { best.1 } else { observed }
}

/// The range of least squared error on a machine whose steps are powers of two, where that is not the one that `range` gets there anyway: the
/// smallest power of two that covers a range wastes up to half of the steps, and the next smaller one clips.
pub(super) fn power_of_two(histogram: &Histogram, range: Range, storage: Storage) -> Option<Range> {
    let width = storage.width(range);
    if width <= 0.0 {
        return None;
    }
    let covering = ceil_significant(width / storage.steps(), 1);
    let moments = Moments::of(histogram);
    let with_step = |step: f64| {
        // A hair less, so that this step covers it.
        let width = step * storage.steps() * (1.0 - 1e-9);
        let Range { lo, .. } = range.with_zero();
        let candidate = |i: u32| {
            let lo = if storage.symmetric { -width / 2.0 } else { shrunk(lo.max(-width), i) };
            let range = Range { lo, hi: lo + width };
            (moments.error(range, storage), range)
        };
        let count = if storage.symmetric { 1 } else { candidates(lo) };
        (0..count).map(candidate).reduce(better)
    };
    let (covered, clipped) = (with_step(covering)?, with_step(covering / 2.0)?);
    (clipped.0 < WORTHWHILE * covered.0).then_some(clipped.1)
}

/// The pair of smaller error; the first one of two equals.
fn better(a: (f64, Range), b: (f64, Range)) -> (f64, Range) {
    if b.0 < a.0 { b } else { a }
}

/// Running sums over the bins, from which the error of any range follows at once.
struct Moments {
    /// Centers of the bins.
    centers: Vec<f64>,
    /// Sums of `count * center^k` over the bins before each, for k = 0, 1, 2.
    before: Vec<[f64; 3]>,
    zeros: f64,
    bin_width: f64,
}

impl Moments {
    fn of(histogram: &Histogram) -> Moments {
        let mut sum = [0.0; 3];
        let (mut centers, mut before) = (Vec::new(), vec![sum]);
        for (center, count) in histogram.bins() {
            let count = count as f64;
            sum = [sum[0] + count, sum[1] + count * center, sum[2] + count * center * center];
            centers.push(center);
            before.push(sum);
        }
        Moments {
            centers,
            before,
            zeros: histogram.zeros() as f64,
            bin_width: histogram.bin_width(),
        }
    }

    /// Sum of squared errors.
    fn error(&self, range: Range, storage: Storage) -> f64 {
        let step = storage.width(range) / storage.steps();
        let (below, above) = (
            self.centers.partition_point(|c| *c < range.lo),
            self.centers.partition_point(|c| *c <= range.hi),
        );
        let all = self.before[self.centers.len()];
        let clipped = |from: [f64; 3], to: [f64; 3], end: f64| {
            let [n, sum, squares] = [0, 1, 2].map(|k| to[k] - from[k]);
            let distance = squares - 2.0 * end * sum + end * end * n;
            distance.max(0.0) + n * self.bin_width * self.bin_width / 12.0
        };
        let inside = (self.before[above][0] - self.before[below][0] - self.zeros).max(0.0);
        inside * step * step / 12.0
            + clipped(self.before[0], self.before[below], range.lo)
            + clipped(self.before[above], all, range.hi)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bell, histogram};
    use super::*;
    use crate::calibrate::range::tests::chosen;
    use crate::options::Observer;

    fn squared_error(values: &[f32], range: Range) -> f64 {
        let Range { lo, hi } = range.with_zero();
        let step = (hi - lo) / 255.0;
        let zero = (lo / step).round() * step;
        let stored = |v: f64| ((v.clamp(lo, hi) - zero) / step).round() * step + zero;
        values.iter().map(|v| (f64::from(*v) - stored(f64::from(*v))).powi(2)).sum()
    }

    #[test]
    fn an_outlier_is_clipped_and_the_real_error_falls() {
        let values = bell(200_000, 3000, &[60.0]);
        let all = chosen(&values, Observer::MinMax);
        let best = chosen(&values, Observer::Mse);
        assert_eq!(all.hi, 60.0);
        assert!(best.hi < 50.0, "{best:?}");
        assert!(squared_error(&values, best) < 0.9 * squared_error(&values, all));
    }

    #[test]
    fn the_smaller_power_of_two_is_taken_where_it_loses_less() {
        let values = bell(100_000, 500, &[]);
        let moments = histogram(&values);
        let step = |range: Range| Storage::INT8.width(range) / 255.0;
        // Covered by steps of 1/8 up to 31.875, and by steps of 1/16 up to half of that.
        let just_above = Range { lo: -8.0, hi: 8.5 };
        let clipped = power_of_two(&moments, just_above, Storage::INT8).unwrap();
        assert!((step(clipped) - 0.0625).abs() < 1e-6, "{clipped:?}");
        let covered = Range { lo: -8.0, hi: -8.0 + 255.0 / 8.0 };
        assert!(squared_error(&values, clipped) < 0.9 * squared_error(&values, covered));
        // Nothing is wasted here, and clipping would cost half of the values.
        assert_eq!(power_of_two(&moments, Range { lo: -7.9, hi: 7.9 }, Storage::INT8), None);
        assert_eq!(power_of_two(&moments, Range { lo: 0.0, hi: 0.0 }, Storage::INT8), None);
        let symmetric = Storage { symmetric: true, ..Storage::INT8 };
        // Both ends would be clipped.
        assert_eq!(power_of_two(&moments, just_above, symmetric), None);
        let narrow = histogram(&bell(400, 0, &[]));
        let clipped = power_of_two(&narrow, just_above, symmetric).unwrap();
        assert!((clipped.lo + clipped.hi).abs() < 1e-9, "{clipped:?}");
    }

    #[test]
    fn no_gain_no_clipping() {
        let values: Vec<f32> = (0..1000u16).map(|i| f32::from(i) / 100.0).collect();
        assert_eq!(chosen(&values, Observer::Mse), Range { lo: 0.0, hi: f64::from(9.99f32) });
        // With steps this small, clipping anything costs more than it gains.
        let h = histogram(&bell(20_000, 0, &[60.0]));
        let observed = Range { lo: -8.0, hi: 60.0 };
        assert_eq!(least_error(&h, observed, Storage::INT16).hi, 60.0);
    }

    #[test]
    fn the_estimate_is_near_the_real_error() {
        let values = bell(30_000, 500, &[]);
        let moments = Moments::of(&histogram(&values));
        for range in [
            Range { lo: -4.0, hi: 4.0 },
            Range { lo: -11.0, hi: 6.0 },
            Range { lo: -11.0, hi: 11.0 },
        ] {
            let (estimate, real) =
                (moments.error(range, Storage::INT8), squared_error(&values, range));
            assert!((estimate / real - 1.0).abs() < 0.1, "{range:?}: {estimate} {real}");
        }
    }
}
