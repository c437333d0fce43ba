//! What observers keep of a value's elements: sketches of fixed size, whatever the number of samples.

use super::{Histogram, Range};

/// How far a sample moves the average range once there are many: 1 / 100, as in PyTorch's `MovingAverageMinMaxObserver`.
const LEAST_SHARE: f64 = 0.01;

/// What was seen of one value. All of it but the moving average depends on the set of samples alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// All elements.
    pub histogram: Histogram,
    /// Average over the samples of their smallest and largest element: of all alike for the first 100, then with weights that
    /// fall by 1% a sample (Jacob et al., 2018, section 3.1, have exponential averages too).
    pub(super) average: Option<Range>,
    /// The contests between the two largest elements, of values that are one vector of scores.
    pub(super) contests: Contests,
    samples: u64,
}

/// The second largest elements of samples, and how far the largest ones are above them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Contests {
    pub(super) seconds: Histogram,
    pub(super) gaps: Histogram,
}

impl Seen {
    /// What one sample shows, whose elements are one vector of scores if `scores`.
    ///
    /// # Errors
    /// The first element that is not finite.
    pub fn of_sample(elements: &[f32], scores: bool) -> Result<Seen, f32> {
        let mut seen = Seen::default();
        seen.histogram.add(elements)?;
        if let Some((lo, hi)) = seen.histogram.extremes() {
            (seen.average, seen.samples) = (Some(Range { lo, hi }), 1);
        }
        if scores && elements.len() > 1 {
            let mut top = [f32::NEG_INFINITY; 2];
            for &v in elements {
                top = if v > top[0] { [v, top[0]] } else { [top[0], top[1].max(v)] };
            }
            seen.contests.seconds.add(&top[1..])?;
            // Scores at both ends of the floats have no difference.
            seen.contests.gaps.add(&[(top[0] - top[1]).min(f32::MAX)])?;
        }
        Ok(seen)
    }

    /// Adds the next sample, or what samples behind these have shown.
    pub fn append(&mut self, next: &Seen) {
        self.histogram.merge(&next.histogram);
        self.contests.seconds.merge(&next.contests.seconds);
        self.contests.gaps.merge(&next.contests.gaps);
        let Some(new) = next.average else {
            return;
        };
        self.samples += next.samples;
        self.average = Some(match self.average {
            None => new,
            Some(old) => {
                let share = (next.samples as f64 / self.samples as f64).max(LEAST_SHARE);
                let mix = |old: f64, new: f64| old + share * (new - old);
                Range { lo: mix(old.lo, new.lo), hi: mix(old.hi, new.hi) }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(lo: f32, hi: f32) -> Seen {
        Seen::of_sample(&[0.5, lo, hi, -0.25], true).unwrap()
    }

    #[test]
    fn averages_begin_plain_and_then_forget() {
        let mut seen = Seen::default();
        for hi in [1.0, 2.0, 6.0] {
            seen.append(&sample(-1.0, hi));
        }
        assert_eq!(seen.average, Some(Range { lo: -1.0, hi: 3.0 }));
        assert_eq!(seen.histogram.extremes(), Some((-1.0, 6.0)));
        for _ in 0..97 {
            seen.append(&sample(-1.0, 3.0));
        }
        // A hundred samples: from here on each one has a hundredth.
        seen.append(&sample(-1.0, 103.0));
        let hi = seen.average.unwrap().hi;
        assert!((hi - 4.0).abs() < 1e-9, "{hi}");
    }

    #[test]
    fn memory_does_not_grow_with_samples() {
        let after = |samples: u16| {
            let mut seen = Seen::default();
            for i in 0..samples {
                seen.append(&sample(-1.0 - f32::from(i % 7), 5.0 + f32::from(i % 10)));
            }
            let bins = |h: &Histogram| h.bins().count();
            let Seen { histogram, contests: Contests { seconds, gaps }, .. } = &seen;
            [bins(histogram), bins(seconds), bins(gaps)]
        };
        assert_eq!(after(10), after(1000));
    }

    #[test]
    fn contests_hold_the_second_and_the_gap() {
        let seen = Seen::of_sample(&[3.0, -1.0, 7.5, 7.0], true).unwrap();
        assert_eq!(seen.contests.seconds.extremes(), Some((7.0, 7.0)));
        assert_eq!(seen.contests.gaps.extremes(), Some((0.5, 0.5)));
        let tie = Seen::of_sample(&[2.0, 2.0], true).unwrap();
        assert_eq!(tie.contests.gaps.extremes(), Some((0.0, 0.0)));
        let map = Seen::of_sample(&[3.0, -1.0], false).unwrap();
        assert_eq!(map.contests, Contests::default());
        assert_eq!(Seen::of_sample(&[f32::MIN, f32::MAX], true).unwrap().contests.gaps.total(), 1);
    }
}
