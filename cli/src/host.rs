//! The two ends of a run: samples become stored integers, stored integers become real values and scores.

use ir::qgraph::{Hwc, QType, QValue, View};
use isa::Program;
use isa::program::TensorInfo;
use runtime::{QData, QTensor};

/// A program's tensor as the integer runtime describes it.
pub(crate) fn qvalue(info: &TensorInfo) -> QValue {
    let [h, w, c] = info.shape.map(|n| n as usize);
    let list = |v: &[u32]| v.iter().map(|&n| n as usize).collect();
    // A hand-written program may name no ONNX extents; then the host sees `[h, w, c]`.
    let view = if info.onnx_shape.is_empty() && h * w * c != 1 {
        View { onnx_shape: vec![h, w, c], perm: vec![0, 1, 2] }
    } else {
        View { onnx_shape: list(&info.onnx_shape), perm: list(&info.perm) }
    };
    QValue {
        name: info.name.clone(),
        shape: Hwc { h, w, c },
        dtype: if info.bits == 16 { QType::I16 } else { QType::I8 },
        scale: info.scale,
        zero_point: info.zero_point,
        view,
    }
}

/// Descriptions of a program's inputs (or outputs).
pub(crate) fn ends(program: &Program, bindings: &[isa::program::IoBinding]) -> Vec<QValue> {
    bindings.iter().map(|b| qvalue(&program.tensors[b.tensor as usize])).collect()
}

/// Stored integers of a tensor in `[h, w, c]` order.
pub(crate) fn integers(tensor: &QTensor) -> Vec<i32> {
    match &tensor.data {
        QData::I8(v) => v.iter().map(|&x| i32::from(x)).collect(),
        QData::I16(v) => v.iter().map(|&x| i32::from(x)).collect(),
    }
}

/// A tensor from stored integers.
pub(crate) fn tensor(value: &QValue, integers: &[i32]) -> QTensor {
    QTensor::from_fn(value.shape, value.dtype, |i| integers[i])
}

/// Index of the largest value; the first of equals.
pub(crate) fn arg_max<T: PartialOrd>(values: &[T]) -> usize {
    let mut best = 0;
    for (i, v) in values.iter().enumerate() {
        if *v > values[best] {
            best = i;
        }
    }
    best
}

/// Indexes of the `n` largest values, largest first; of equals the first.
pub(crate) fn largest(values: &[f32], n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order.truncate(n);
    order
}

/// How well outputs match labels and the float model, summed over samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scores {
    /// Samples seen.
    pub samples: u64,
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
    pub(crate) fn add(&mut self, ours: &[f32], label: Option<i64>, float: Option<&[f32]>) {
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
    pub(crate) fn merge(&mut self, other: &Scores) {
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
    pub(crate) fn accuracy(&self) -> simulator::report::Accuracy {
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
        assert_eq!(largest(&[1.0, 3.0, -2.0, 3.0], 3), [1, 3, 0]);
        assert_eq!(largest(&[1.0], 3), [0]);
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
