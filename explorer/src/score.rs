//! How well outputs match labels and the float network.

/// Index of the largest value; the first of equals.
#[must_use]
pub fn arg_max<T: PartialOrd>(values: &[T]) -> usize {
    let mut best = 0;
    for (i, v) in values.iter().enumerate() {
        if *v > values[best] {
            best = i;
        }
    }
    best
}

/// How well outputs match labels and the float model, summed over samples.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    /// Samples seen.
    samples: u64,
    /// Labelled samples seen.
    labelled: u64,
    top1: u64,
    top5: u64,
    compared: u64,
    reference_top1: u64,
    agree: u64,
    signal: f64,
    noise: f64,
}

impl Scores {
    /// Adds one sample: the first output's real values, its label, and the float model's values.
    pub fn add(&mut self, ours: &[f32], label: Option<i64>, float: Option<&[f32]>) {
        self.samples += 1;
        let best = arg_max(ours);
        if let Some(label) = label.and_then(|l| usize::try_from(l).ok()) {
            self.labelled += 1;
            self.top1 += u64::from(best == label);
            // Rank by value, ties to the lower index, as arg-max does.
            let above = |v: f32| {
                ours.iter().enumerate().filter(|&(i, &o)| o > v || (o == v && i < label)).count()
            };
            self.top5 += u64::from(ours.get(label).is_some_and(|&v| above(v) < 5));
        }
        if let Some(float) = float {
            self.compared += 1;
            let reference = arg_max(float);
            self.agree += u64::from(best == reference);
            if let Some(label) = label.and_then(|l| usize::try_from(l).ok()) {
                self.reference_top1 += u64::from(reference == label);
            }
            for (a, b) in ours.iter().zip(float) {
                self.signal += f64::from(*b).powi(2);
                self.noise += (f64::from(*a) - f64::from(*b)).powi(2);
            }
        }
    }

    /// Adds another part's sums. Parts are merged in sample order, so that sums do not depend on threads.
    pub fn merge(&mut self, other: &Scores) {
        self.samples += other.samples;
        self.labelled += other.labelled;
        self.top1 += other.top1;
        self.top5 += other.top5;
        self.compared += other.compared;
        self.reference_top1 += other.reference_top1;
        self.agree += other.agree;
        self.signal += other.signal;
        self.noise += other.noise;
    }

    /// The report's accuracy section.
    #[must_use]
    pub fn accuracy(&self) -> simulator::report::Accuracy {
        let fraction = |n: u64, of: u64| (of > 0).then(|| n as f64 / of as f64);
        simulator::report::Accuracy {
            samples: Some(self.samples),
            top1: fraction(self.top1, self.labelled),
            top5: fraction(self.top5, self.labelled),
            reference_top1: fraction(self.reference_top1, self.labelled.min(self.compared)),
            agreement: fraction(self.agree, self.compared),
            sqnr_db: (self.compared > 0 && self.noise > 0.0)
                .then(|| 10.0 * (self.signal / self.noise).log10()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_count_what_they_say() {
        let mut s = Scores::default();
        s.add(&[0.0, 2.0, 1.0], Some(1), Some(&[0.0, 2.0, 1.5]));
        s.add(&[3.0, 2.0, 1.0], Some(2), Some(&[0.0, 1.0, 2.0]));
        let a = s.accuracy();
        assert_eq!(
            (a.samples, a.top1, a.top5, a.reference_top1, a.agreement),
            (Some(2), Some(0.5), Some(1.0), Some(1.0), Some(0.5))
        );
        assert_eq!(arg_max(&[1, 3, 3]), 1);
    }

    #[test]
    fn a_label_outside_the_classes_is_a_miss() {
        let mut s = Scores::default();
        s.add(&[0.0, 1.0], Some(7), None);
        s.add(&[0.0, 1.0], Some(-1), None);
        assert_eq!(s.accuracy().top1, Some(0.0));
        assert_eq!(s.accuracy().reference_top1, None);
    }
}
