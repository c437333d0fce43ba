//! A histogram of fixed size that grows its range without losing counts.
//!
//! Bin widths are powers of two and bin borders multiples of the width, so doubling the width merges whole bins. The
//! width is the smallest at which zero and everything seen fit the bins. Both make the result depend on the set of
//! values alone: not on their order, nor on how they were spread over threads.

/// Most bins.
const BINS: i64 = 2048;

/// Logarithm of the smallest bin width: far below the smallest float's.
const FINEST: i32 = -160;

/// Counts of float values by size.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Bin `i` holds values in `[i, i + 1) * 2^exponent`.
    exponent: i32,
    /// Bin of `counts[0]`; at most 0.
    first: i64,
    counts: Vec<u64>,
    min: f64,
    max: f64,
    zeros: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            exponent: FINEST,
            first: 0,
            counts: vec![0],
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            zeros: 0,
        }
    }
}

impl Histogram {
    /// Counts finite values.
    ///
    /// # Errors
    /// The first value that is not finite; nothing is counted then.
    pub fn add(&mut self, values: &[f32]) -> Result<(), f32> {
        if let Some(&bad) = values.iter().find(|v| !v.is_finite()) {
            return Err(bad);
        }
        let (mut lo, mut hi) = (self.min, self.max);
        for &v in values {
            lo = lo.min(f64::from(v));
            hi = hi.max(f64::from(v));
        }
        if lo > hi {
            return Ok(());
        }
        self.cover(lo, hi);
        let scale = power_of_two(-self.exponent);
        for &v in values {
            // Exact: a power of two times a float stays a double, and the floor is below 2^11.
            let bin = (f64::from(v) * scale).floor() as i64;
            self.counts[(bin - self.first) as usize] += 1;
            self.zeros += u64::from(v == 0.0);
        }
        Ok(())
    }

    /// Adds the counts of another histogram.
    pub fn merge(&mut self, other: &Histogram) {
        if other.total() == 0 {
            return;
        }
        self.cover(other.min.min(self.min), other.max.max(self.max));
        let coarser = self.exponent - other.exponent;
        for (i, &count) in other.counts.iter().enumerate() {
            let bin = (other.first + i as i64) >> coarser.min(62);
            self.counts[(bin - self.first) as usize] += count;
        }
        self.zeros += other.zeros;
    }

    /// Smallest and largest value; `None` before the first.
    #[must_use]
    pub fn extremes(&self) -> Option<(f64, f64)> {
        (self.min <= self.max).then_some((self.min, self.max))
    }

    /// Values counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Values that are exactly zero, which no scale rounds.
    #[must_use]
    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// Width of a bin.
    #[must_use]
    pub fn bin_width(&self) -> f64 {
        power_of_two(self.exponent)
    }

    /// Center and count of each bin, from the lowest.
    pub fn bins(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let width = self.bin_width();
        self.counts
            .iter()
            .enumerate()
            .map(move |(i, &count)| (((self.first + i as i64) as f64 + 0.5) * width, count))
    }

    /// Makes room for `lo..=hi` and zero.
    fn cover(&mut self, lo: f64, hi: f64) {
        (self.min, self.max) = (lo, hi);
        let (lo, hi) = (lo.min(0.0), hi.max(0.0));
        let bins = |exponent: i32| {
            let scale = power_of_two(-exponent);
            ((lo * scale).floor(), (hi * scale).floor())
        };
        let fits = |&exponent: &i32| {
            let (first, last) = bins(exponent);
            last - first < BINS as f64
        };
        // The widest float needs a width of 2^118 at most.
        let exponent = (self.exponent..128).find(fits).expect("floats are below 2^128");
        let (first, last) = bins(exponent);
        // The casts are exact: both are within 2^11 of zero.
        let (first, last) = (first as i64, last as i64);
        let coarser = exponent - self.exponent;
        if coarser > 0 || first < self.first || last >= self.first + self.counts.len() as i64 {
            let mut counts = vec![0; (last - first + 1) as usize];
            for (i, &count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                let bin = (self.first + i as i64) >> coarser.min(62);
                counts[(bin - first) as usize] += count;
            }
            (self.exponent, self.first, self.counts) = (exponent, first, counts);
        }
    }
}

/// `2^exponent`, exactly; the exponent is that of a normal double.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(u64::from((exponent + 1023).unsigned_abs()) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[f32]) -> Histogram {
        let mut histogram = Histogram::default();
        histogram.add(values).unwrap();
        histogram
    }

    #[test]
    fn bins_cover_the_extremes_and_zero() {
        let h = of(&[3.0, -0.5, 3.0, 0.0]);
        assert_eq!((h.extremes(), h.total(), h.zeros()), (Some((-0.5, 3.0)), 4, 1));
        assert_eq!(h.bin_width(), 1.0 / 512.0, "3.5 * 512 = 1792 bins");
        let full: Vec<_> =
            h.bins().filter(|b| b.1 > 0).map(|(center, count)| (center.floor(), count)).collect();
        assert_eq!(full, [(-1.0, 1), (0.0, 1), (3.0, 2)]);
    }

    #[test]
    fn extreme_values_are_counted() {
        let h = of(&[f32::MAX, f32::MIN, f32::MIN_POSITIVE, 1e-45, -1e-45]);
        assert_eq!(
            (h.total(), h.extremes()),
            (5, Some((f64::from(f32::MIN), f64::from(f32::MAX))))
        );
        assert_eq!(of(&[0.0; 3]).extremes(), Some((0.0, 0.0)));
        assert_eq!(of(&[1e-45; 3]).total(), 3);
        assert_eq!(Histogram::default().extremes(), None);
    }

    #[test]
    fn what_is_not_finite_is_returned() {
        let mut h = of(&[1.0]);
        assert_eq!(h.add(&[2.0, f32::INFINITY]), Err(f32::INFINITY));
        assert!(h.add(&[f32::NAN]).unwrap_err().is_nan());
        assert_eq!(h, of(&[1.0]));
    }

    proptest! {
        #[test]
        fn the_result_depends_on_the_set_alone(
            mut values in prop::collection::vec(prop_oneof![-1f32..1.0, -1e6f32..1e6, Just(0.0), -1e-9f32..1e-9], 1..60),
            cut in 0usize..60,
        ) {
            let whole = of(&values);
            let cut = cut.min(values.len());
            let mut parts = of(&values[cut..]);
            parts.merge(&of(&values[..cut]));
            prop_assert_eq!(&parts, &whole);
            values.sort_by(f32::total_cmp);
            let mut one_by_one = Histogram::default();
            for v in &values {
                one_by_one.add(&[*v]).unwrap();
            }
            prop_assert_eq!(&one_by_one, &whole);
            prop_assert_eq!(whole.total(), values.len() as u64);
            prop_assert!(whole.counts.len() <= BINS as usize);
        }
    }
}
