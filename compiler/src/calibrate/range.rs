//! The range of a histogram that an observer chooses.

use super::{Histogram, Range};
use crate::options::Observer;
use crate::quantize::Clipping;

/// Candidates for each end of a range.
const CANDIDATES: u32 = 64;

/// A clipped range must lower the error by this factor; else nothing is clipped.
const WORTHWHILE: f64 = 0.99;

/// The range of an activation with `act_bits` bits whose values `histogram` has seen. Without values it is 0..0.
#[must_use]
pub fn choose(
    histogram: &Histogram,
    observer: Observer,
    clipping: Clipping,
    act_bits: u8,
) -> Range {
    let (lo, hi) = histogram.extremes().unwrap_or((0.0, 0.0));
    let observed = Range { lo, hi };
    match (observer, clipping) {
        (Observer::Mse, Clipping::Allowed) => least_error(histogram, observed, act_bits),
        (Observer::MinMax, _) | (Observer::Mse, Clipping::Forbidden) => observed,
    }
}

/// Searches all pairs of shrunken ends for the least squared error of rounding inside and clipping outside.
///
/// Inside, rounding errors are taken as uniform over a step, except for exact zeros, which have none. Outside, elements
/// are taken as spread over their bin.
fn least_error(histogram: &Histogram, observed: Range, act_bits: u8) -> Range {
    let full = observed.with_zero();
    let moments = Moments::of(histogram);
    let error = |range: Range| moments.error(range, act_bits);
    let shrunk = |end: f64, i: u32| end * (1.0 - f64::from(i) / f64::from(CANDIDATES));
    let candidates = |end: f64| if end == 0.0 { 1 } else { CANDIDATES };
    let mut best = (error(full), full);
    let untouched = best.0;
    if act_bits == 16 {
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
    fn error(&self, range: Range, act_bits: u8) -> f64 {
        let steps = f64::from((1u32 << act_bits) - 1);
        let width =
            if act_bits == 16 { 2.0 * range.hi.max(-range.lo) } else { range.hi - range.lo };
        let step = width / steps;
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
    use super::*;

    /// Values of a bell curve by its quantiles, with zeros and outliers.
    fn bell(n: u32, zeros: usize, outliers: &[f32]) -> Vec<f32> {
        let logit = |i: u32| {
            let p = (f64::from(i) + 0.5) / f64::from(n);
            libm::log(p / (1.0 - p)) as f32
        };
        (0..n).map(logit).chain(vec![0.0; zeros]).chain(outliers.iter().copied()).collect()
    }

    fn histogram(values: &[f32]) -> Histogram {
        let mut h = Histogram::default();
        h.add(values).unwrap();
        h
    }

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
        let h = histogram(&values);
        let all = choose(&h, Observer::MinMax, Clipping::Allowed, 8);
        let best = choose(&h, Observer::Mse, Clipping::Allowed, 8);
        assert_eq!((all.hi, choose(&h, Observer::Mse, Clipping::Forbidden, 8)), (60.0, all));
        assert!(best.hi < 50.0, "{best:?}");
        assert!(squared_error(&values, best) < 0.9 * squared_error(&values, all));
    }

    #[test]
    fn no_gain_no_clipping() {
        let values: Vec<f32> = (0..1000u16).map(|i| f32::from(i) / 100.0).collect();
        let h = histogram(&values);
        assert_eq!(
            choose(&h, Observer::Mse, Clipping::Allowed, 8),
            Range { lo: 0.0, hi: f64::from(9.99f32) }
        );
        // With steps this small, clipping anything costs more than it gains.
        let h = histogram(&bell(20_000, 0, &[60.0]));
        assert_eq!(choose(&h, Observer::Mse, Clipping::Allowed, 16).hi, 60.0);
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
            let (estimate, real) = (moments.error(range, 8), squared_error(&values, range));
            assert!((estimate / real - 1.0).abs() < 0.1, "{range:?}: {estimate} {real}");
        }
    }

    #[test]
    fn nothing_seen_is_a_range_of_nothing() {
        let empty = choose(&Histogram::default(), Observer::Mse, Clipping::Allowed, 8);
        assert_eq!(empty, Range { lo: 0.0, hi: 0.0 });
        assert_eq!(choose(&histogram(&[0.0; 9]), Observer::Mse, Clipping::Allowed, 8), empty);
    }
}
