//! The range under which most samples keep their largest element.
//!
//! Finer steps tell closer scores apart; a clipped range makes large ones equal. Both ends shrink alike, so that what is
//! read besides the largest score suffers no more than it must.

use super::{candidates, shrunk};
use crate::calibrate::seen::Contests;
use crate::calibrate::{Histogram, Range};
use crate::quantize::Storage;

/// Smallest gain in samples for which anything is clipped.
const LEAST_GAIN: f64 = 0.5;

/// `observed`, or a part of it that loses fewer samples; `observed` if no contests were seen.
pub(super) fn keeping_order(contests: &Contests, observed: Range, storage: Storage) -> Range {
    let full = observed.with_zero();
    let lost = |range: Range| lost(contests, range, storage);
    let mut best = (lost(full) - LEAST_GAIN, observed);
    for i in 0..candidates(1.0) {
        let range = Range { lo: shrunk(full.lo, i), hi: shrunk(full.hi, i) };
        let lost = lost(range);
        if lost < best.0 {
            best = (lost, range);
        }
    }
    best.1
}

/// Samples expected to lose their order: those whose second score saturates, and of the others those whose first two scores
/// round to the same integer, which happens to a gap of `t` steps with probability `1 - t`.
///
/// The two are counted apart, so a sample may count twice.
fn lost(contests: &Contests, range: Range, storage: Storage) -> f64 {
    let step = storage.width(range) / storage.steps();
    let sum = |histogram: &Histogram, share: &dyn Fn(f64) -> f64| -> f64 {
        histogram.bins().map(|(center, count)| share(center) * count as f64).sum()
    };
    let saturates = |second: f64| if second > range.hi - step / 2.0 { 1.0 } else { 0.0 };
    let ties = |gap: f64| (1.0 - gap / step).max(0.0);
    sum(&contests.seconds, &saturates) + sum(&contests.gaps, &ties)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::Seen;

    fn seen(samples: &[[f32; 3]]) -> Contests {
        let mut all = Seen::default();
        samples.iter().for_each(|s| all.append(&Seen::of_sample(s, true).unwrap()));
        all.contests
    }

    fn kept(samples: &[[f32; 3]], range: Range) -> usize {
        let step = Storage::INT8.width(range) / 255.0;
        let stored = |v: f32| (f64::from(v).max(range.lo).min(range.hi) / step).round_ties_even();
        samples.iter().filter(|[a, b, _]| stored(*a) > stored(*b)).count()
    }

    #[test]
    fn close_contests_below_an_outlier_get_finer_steps() {
        let close = (0..200u16).map(|i| {
            let second = 2.0 + f32::from(i) / 100.0;
            [second + 0.03 + f32::from(i % 9) / 100.0, second, -9.0]
        });
        let samples: Vec<[f32; 3]> = close.chain([[40.0, 3.0, -10.0]]).collect();
        let observed = Range { lo: -10.0, hi: 40.0 };
        let range = keeping_order(&seen(&samples), observed, Storage::INT8);
        assert!(range.hi < 12.0 && range.hi > 4.0, "{range:?}");
        assert!(kept(&samples, range) > kept(&samples, observed) + 40);
    }

    #[test]
    fn nothing_to_gain_nothing_clipped() {
        let observed = Range { lo: -1.0, hi: 9.0 };
        let wide = seen(&[[9.0, 1.0, 0.0], [5.0, 2.0, -1.0]]);
        assert_eq!(keeping_order(&wide, observed, Storage::INT8), observed);
        assert_eq!(keeping_order(&Contests::default(), observed, Storage::INT8), observed);
        let never = Range { lo: -3.0, hi: -1.0 };
        let negative = seen(&[[-1.0, -2.0, -3.0]]);
        assert_eq!(keeping_order(&negative, never, Storage::INT8), never);
    }
}
