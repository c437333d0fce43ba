//! Local response normalization.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::*;
use crate::calibrate::Range;

const CHANNELS: usize = 12;
const PIXELS: usize = 200;

/// `size`, `alpha`, `beta`, `bias`, and the largest operand.
struct Setting {
    size: usize,
    numbers: [f32; 3],
    largest: f64,
}

const fn setting(size: usize, numbers: [f32; 3], largest: f64) -> Setting {
    Setting { size, numbers, largest }
}

impl Setting {
    /// As the definition says, in double precision; `x` is pixel by pixel.
    fn real(&self, x: &[f64]) -> Vec<f64> {
        let [alpha, beta, bias] = self.numbers.map(f64::from);
        let (below, above) = ((self.size - 1) / 2, self.size / 2);
        let one = |(at, v): (usize, &f64)| {
            let (pixel, c) = (at / CHANNELS * CHANNELS, at % CHANNELS);
            let window = c.saturating_sub(below)..=(c + above).min(CHANNELS - 1);
            let squares: f64 = window.map(|i| x[pixel + i] * x[pixel + i]).sum();
            v / (bias + alpha / self.size as f64 * squares).powf(beta)
        };
        x.iter().enumerate().map(one).collect()
    }

    /// The integer graph, calibrated on `x`, and its results for it, beside those of the stored operands.
    fn results(&self, x: &[f64], act_bits: u8) -> (Vec<f64>, Vec<f64>, f64) {
        let (mut b, [alpha, beta, bias]) = (Build::new(1), self.numbers);
        let shape = [1, CHANNELS, 1, PIXELS];
        let input = b.input(&shape);
        let op = Op::Lrn { size: self.size, alpha, beta, bias };
        let output = b.op(op, &[input], &shape);
        let graph = b.finish(&[output]);
        let range = |values: &[f64]| Range {
            lo: values.iter().copied().fold(0.0, f64::min),
            hi: values.iter().copied().fold(0.0, f64::max),
        };
        let ranges = [("v0".to_owned(), range(x)), ("v1".to_owned(), range(&self.real(x)))];
        let calibration = Calibration { ranges: ranges.into(), ..Calibration::default() };
        let options = Options { act_bits, ..Options::default() };
        let q = quantize(&graph, &calibration, &options, &Hardware::default()).unwrap();
        let (from, to) = (&q.values[q.inputs[0].0 as usize], &q.values[q.outputs[0].0 as usize]);
        let (lo, hi) = from.dtype.range();
        let stored = |v: &f64| ((v / from.scale).round() as i32 + from.zero_point).clamp(lo, hi);
        let tensor = QTensor::from_fn(from.shape, from.dtype, |i| stored(&x[i]));
        let result = &runtime::run(&q, std::slice::from_ref(&tensor), Path::Plain).unwrap()[0];
        let real = |t: &QTensor, v: &ir::qgraph::QValue| -> Vec<f64> {
            (0..t.len()).map(|i| v.scale * f64::from(t.get(i) - v.zero_point)).collect()
        };
        (real(result, to), self.real(&real(&tensor, from)), to.scale)
    }
}

/// Normally distributed values, all of them or the positive ones, up to `largest`.
fn activations(largest: f64, positive: bool) -> Vec<f64> {
    let mut rng = Pcg64::seed_from_u64(7);
    let mut one = || {
        let normal: f64 = (0..12).map(|_| rng.random_range(-0.5..0.5)).sum();
        let v = (normal / 4.0).clamp(-1.0, 1.0) * largest;
        if positive { v.max(0.0) } else { v }
    };
    (0..CHANNELS * PIXELS).map(|_| one()).collect()
}

/// Largest distance from the exact result of the stored operands, in steps.
fn worst(setting: &Setting, bits: u8) -> f64 {
    let both = [false, true].map(|positive| {
        let (found, exact, step) = setting.results(&activations(setting.largest, positive), bits);
        assert!(exact.iter().any(|y| y.abs() > 50.0 * step), "there is something to see");
        found.iter().zip(&exact).map(|(a, b)| (a - b).abs() / step).fold(0.0, f64::max)
    });
    both[0].max(both[1])
}

#[test]
fn integers_are_as_exact_as_documented() {
    // Settings by the ratio of the two terms of the sum at the largest operands.
    let gentle = [
        setting(5, [1e-4, 0.75, 1.0], 1.0),
        setting(5, [1e-4, 0.75, 2.0], 200.0),
        setting(1, [1.0, 0.5, 1.0], 4.0),
        setting(4, [1.0, 0.75, 1.0], 4.0),
        setting(30, [0.5, 0.75, 1.0], 9.0),
        setting(3, [1.0, -1.0, 1.0], 2.0),
        setting(5, [0.0, 0.75, 1.0], 1.0),
    ];
    let steep = [setting(5, [1e-4, 0.75, 1.0], 1000.0), setting(6, [0.9, 1.0, 1.0], 10.0)];
    let steepest = [setting(5, [1e-4, 0.75, 1.0], 2000.0), setting(3, [2.0, 1.0, 0.5], 10.0)];
    for (settings, int8, int16) in
        [(&gentle[..], 1.05, 6.0), (&steep, 1.05, 100.0), (&steepest, 8.0, 1500.0)]
    {
        for s in settings {
            let found = [worst(s, 8), worst(s, 16)];
            let what = format!("{} {:?} up to {}: {found:?}", s.size, s.numbers, s.largest);
            assert!(found[0] <= int8 && found[1] <= int16, "{what}");
        }
    }
}

#[test]
fn too_many_channels_are_refused() {
    let mut b = Build::new(1);
    let shape = [1, 4097, 1, 1];
    let x = b.input(&shape);
    let y = b.op(Op::Lrn { size: 5, alpha: 1e-4, beta: 0.75, bias: 1.0 }, &[x], &shape);
    let refusals = check(&b.finish(&[y]));
    assert!(refusals[0].reason.contains("4097 channels, expected at most 4096"));
}
