//! The range whose steps tell most about the distribution.

use super::{candidates, shrunk};
use crate::calibrate::{Histogram, Range};
use crate::quantize::Storage;

/// Times that one end is sought while the other one stays.
const ROUNDS: usize = 3;

/// Elements that are taken to lie where the steps say there are none: clipped ones in a bin that had none of its own.
const LEAST_COUNT: f64 = 1e-3;

/// The range of least Kullback-Leibler divergence of what the steps tell about the distribution from the distribution with
/// its outside clipped (Migacz, 2017, "8-bit inference with TensorRT"). Exact zeros, which no scale rounds, do not count.
///
/// One end is sought at a time. Ties keep the wider range.
pub(super) fn least_divergence(histogram: &Histogram, observed: Range, storage: Storage) -> Range {
    let full = observed.with_zero();
    let bins = Bins::of(histogram);
    if bins.total() == 0.0 {
        return observed;
    }
    let mut best = (bins.divergence(full, storage), full);
    let mut consider = |range: Range| {
        let divergence = bins.divergence(range, storage);
        if divergence < best.0 {
            best = (divergence, range);
        }
        best.1
    };
    if storage.symmetric {
        let end = full.hi.max(-full.lo);
        for i in 0..candidates(end) {
            let end = shrunk(end, i);
            consider(Range { lo: full.lo.max(-end), hi: full.hi.min(end) });
        }
        return best.1;
    }
    let mut found = full;
    for _ in 0..ROUNDS {
        let before = found;
        for i in 0..candidates(full.hi) {
            found = consider(Range { lo: before.lo, hi: shrunk(full.hi, i) });
        }
        let hi = found.hi;
        for i in 0..candidates(full.lo) {
            found = consider(Range { lo: shrunk(full.lo, i), hi });
        }
        if found == before {
            break;
        }
    }
    if found == full { observed } else { found }
}

/// The bins of a histogram.
struct Bins {
    /// Centers and counts without the exact zeros.
    each: Vec<(f64, f64)>,
    half_width: f64,
}

impl Bins {
    fn of(histogram: &Histogram) -> Bins {
        let width = histogram.bin_width();
        let zeros = |center: f64| (0.0..width).contains(&center).then(|| histogram.zeros());
        let each = histogram
            .bins()
            .map(|(center, count)| (center, (count - zeros(center).unwrap_or(0)) as f64));
        Bins { each: each.collect(), half_width: width / 2.0 }
    }

    fn total(&self) -> f64 {
        self.each.iter().map(|bin| bin.1).sum()
    }

    /// Divergence under the steps of `range`; infinite if it holds nothing.
    fn divergence(&self, range: Range, storage: Storage) -> f64 {
        // A bin counts as inside if a part of it is.
        let first = self.each.partition_point(|bin| bin.0 + self.half_width <= range.lo);
        let end = self.each.partition_point(|bin| bin.0 - self.half_width <= range.hi);
        let inside = &self.each[first..end];
        let kept: f64 = inside.iter().map(|bin| bin.1).sum();
        if kept == 0.0 {
            return f64::INFINITY;
        }
        let total = self.total();
        let sum = |bins: &[(f64, f64)]| bins.iter().map(|bin| bin.1).sum::<f64>();
        let (below, above) = (sum(&self.each[..first]), sum(&self.each[end..]));
        let step = storage.width(range) / storage.steps();
        let level = |center: f64| (center / step).round_ties_even() as i64;
        let last = inside.len() - 1;
        let mut divergence = 0.0;
        for (place, bins) in chunks(inside, level) {
            let filled = bins.iter().filter(|bin| bin.1 > 0.0).count().max(1);
            let share = sum(bins) / filled as f64;
            for (i, &(_, own)) in bins.iter().enumerate() {
                let at_end = |end: usize, more: f64| if place + i == end { more } else { 0.0 };
                let p = own + at_end(0, below) + at_end(last, above);
                if p > 0.0 {
                    let q = if own > 0.0 { share } else { LEAST_COUNT };
                    divergence += p / total * libm::log(p / total * kept / q);
                }
            }
        }
        divergence
    }
}

/// Runs of bins on the same level, and the place of each run's first bin.
fn chunks(
    bins: &[(f64, f64)],
    level: impl Fn(f64) -> i64,
) -> impl Iterator<Item = (usize, &[(f64, f64)])> {
    let same = move |a: &(f64, f64), b: &(f64, f64)| level(a.0) == level(b.0);
    bins.chunk_by(same).scan(0, |place, run| {
        let at = *place;
        *place += run.len();
        Some((at, run))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bell, chosen, histogram};
    use super::*;
    use crate::options::Observer;

    #[test]
    fn a_far_outlier_is_clipped_and_a_filled_range_is_not() {
        let clipped = chosen(&bell(200_000, 90_000, &[60.0]), Observer::Entropy);
        assert!(clipped.hi < 40.0 && clipped.hi > 5.0, "{clipped:?}");
        let even: Vec<f32> = (0..40_000u16).map(|i| f32::from(i) / 1000.0 - 20.0).collect();
        let kept = chosen(&even, Observer::Entropy);
        assert!(kept.hi > 19.0 && kept.lo < -19.0, "{kept:?}");
    }

    #[test]
    fn what_the_steps_tell_exactly_diverges_by_nothing() {
        // A bin on every step.
        let values: Vec<f32> = (-128i16..128).map(f32::from).collect();
        let bins = Bins::of(&histogram(&values));
        let whole = Range { lo: -128.0, hi: 127.0 };
        assert!(bins.divergence(whole, Storage::INT8).abs() < 1e-12);
        assert!(bins.divergence(Range { lo: -64.0, hi: 127.0 }, Storage::INT8) > 0.1);
        assert_eq!(chosen(&[0.0; 40], Observer::Entropy), Range { lo: 0.0, hi: 0.0 });
    }
}
