//! The range that an observer chooses from what was seen.

mod entropy;
mod isotone;
mod least_error;

use super::{Histogram, Range, Seen};
use crate::options::{Logits, Observer, Options};
use crate::quantize::{Clipping, Storage};

/// Candidates for each end of a range.
const CANDIDATES: u32 = 64;

/// The range of an activation of which `seen` was seen and that is stored as `storage`. Without values it is 0..0.
#[must_use]
pub(super) fn choose(
    seen: &Seen,
    clipping: Clipping,
    storage: Storage,
    options: &Options,
) -> Range {
    let Seen { histogram, average, contests, .. } = seen;
    let (lo, hi) = histogram.extremes().unwrap_or((0.0, 0.0));
    let observed = Range { lo, hi };
    match (clipping, options.logits, options.observer) {
        (Clipping::Allowed, _, Observer::MinMax) | (Clipping::Forbidden, Logits::MinMax, _) => {
            observed
        }
        (Clipping::Allowed, _, Observer::MovingAverage) => average.unwrap_or(observed),
        (Clipping::Allowed, _, Observer::Percentile) => {
            percentile(histogram, observed, options.percentile)
        }
        (Clipping::Allowed, _, Observer::Entropy) => {
            entropy::least_divergence(histogram, observed, storage)
        }
        (Clipping::Allowed, _, Observer::Mse) | (Clipping::Forbidden, Logits::Mse, _) => {
            least_error::least_error(histogram, observed, storage)
        }
        (Clipping::Forbidden, Logits::Isotone, _) => {
            isotone::keeping_order(contests, observed, storage)
        }
    }
}

/// The range instead of `range`, the chosen one, on a machine whose steps are powers of two, where clipping pays there; only of values that least
/// error chooses for.
#[must_use]
pub(super) fn choose_power_of_two(
    seen: &Seen,
    range: Range,
    clipping: Clipping,
    storage: Storage,
    options: &Options,
) -> Option<Range> {
    let free = match clipping {
        Clipping::Allowed => options.observer == Observer::Mse,
        Clipping::Forbidden => options.logits == Logits::Mse,
    };
    let histogram = Some(&seen.histogram).filter(|_| free)?;
    least_error::power_of_two(histogram, range, storage)
}

/// How many candidates there are for an end.
fn candidates(end: f64) -> u32 {
    if end == 0.0 { 1 } else { CANDIDATES }
}

/// Candidate `i` for an end, from the end itself towards zero.
fn shrunk(end: f64, i: u32) -> f64 {
    end * (1.0 - f64::from(i) / f64::from(CANDIDATES))
}

/// The range without half of the values that are too many at either end, to the borders of bins.
fn percentile(histogram: &Histogram, observed: Range, percent: f64) -> Range {
    let cut = histogram.total() as f64 * (100.0 - percent) / 200.0;
    let half = histogram.bin_width() / 2.0;
    let bins: Vec<(f64, u64)> = histogram.bins().collect();
    let lo = first_kept(bins.iter(), cut).map_or(observed.lo, |center| center - half);
    let hi = first_kept(bins.iter().rev(), cut).map_or(observed.hi, |center| center + half);
    Range { lo: lo.max(observed.lo), hi: hi.min(observed.hi) }
}

/// Center of the bin at which more than `cut` values are passed.
fn first_kept<'a>(mut bins: impl Iterator<Item = &'a (f64, u64)>, cut: f64) -> Option<f64> {
    let mut passed = 0.0;
    let kept = bins.find(|(_, count)| {
        passed += *count as f64;
        passed > cut
    });
    kept.map(|bin| bin.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of a bell curve by its quantiles, with zeros and outliers.
    pub(super) fn bell(n: u32, zeros: usize, outliers: &[f32]) -> Vec<f32> {
        let logit = |i: u32| {
            let p = (f64::from(i) + 0.5) / f64::from(n);
            libm::log(p / (1.0 - p)) as f32
        };
        (0..n).map(logit).chain(vec![0.0; zeros]).chain(outliers.iter().copied()).collect()
    }

    pub(super) fn histogram(values: &[f32]) -> Histogram {
        Seen::of_sample(values, false).unwrap().histogram
    }

    pub(super) fn chosen(values: &[f32], observer: Observer) -> Range {
        let seen = Seen::of_sample(values, false).unwrap();
        choose(&seen, Clipping::Allowed, Storage::INT8, &Options { observer, ..Options::default() })
    }

    #[test]
    fn percentiles_count_values_from_both_ends() {
        let values: Vec<f32> = (0..1000u16).map(f32::from).chain([1e4]).collect();
        let seen = Seen::of_sample(&values, false).unwrap();
        let of = |percentile: f64| {
            let options =
                Options { observer: Observer::Percentile, percentile, ..Options::default() };
            choose(&seen, Clipping::Allowed, Storage::INT8, &options)
        };
        assert_eq!(of(100.0), Range { lo: 0.0, hi: 1e4 });
        let most = of(99.8);
        assert!((998.0..1010.0).contains(&most.hi) && most.lo <= 1.0, "{most:?}");
        let half = of(60.0);
        assert!((half.lo - 200.0).abs() < 16.0 && (half.hi - 800.0).abs() < 16.0, "{half:?}");
    }

    #[test]
    fn each_observer_has_its_own_answer() {
        let mut seen = Seen::default();
        for outlier in [9.0, 60.0] {
            seen.append(&Seen::of_sample(&bell(50_000, 900, &[outlier]), true).unwrap());
        }
        let of = |clipping, observer, logits| {
            let options = Options { observer, logits, ..Options::default() };
            choose(&seen, clipping, Storage::INT8, &options).hi
        };
        let allowed = Observer::ALL.map(|o| of(Clipping::Allowed, o, Logits::MinMax));
        assert_eq!(
            (allowed[0], of(Clipping::Forbidden, Observer::Mse, Logits::MinMax)),
            (60.0, 60.0)
        );
        for (i, a) in allowed.iter().enumerate() {
            assert!(allowed[..i].iter().all(|b| (a - b).abs() > 1e-3), "{allowed:?}");
        }
        assert_eq!(of(Clipping::Forbidden, Observer::MinMax, Logits::Mse), allowed[4]);
    }

    #[test]
    fn nothing_seen_is_a_range_of_nothing() {
        let none = Range { lo: 0.0, hi: 0.0 };
        for (observer, logits) in Observer::ALL.into_iter().zip(Logits::ALL.into_iter().cycle()) {
            let options = Options { observer, logits, ..Options::default() };
            for clipping in [Clipping::Allowed, Clipping::Forbidden] {
                assert_eq!(choose(&Seen::default(), clipping, Storage::INT8, &options), none);
                let zeros = Seen::of_sample(&[0.0; 9], true).unwrap();
                assert_eq!(choose(&zeros, clipping, Storage::INT8, &options), none);
            }
        }
    }
}
