//! Whole networks refined, and single layers built so that refining must help.

use ir::graph::Op;
use ir::qgraph::{QOp, QType};
use proptest::prelude::*;
use runtime::{Path, QData, QTensor, run_all};

use super::*;
use crate::calibrate::{Calibration, with_data};
use crate::passes::{Check, GRAPH, run};
use crate::quantize::quantize;
use crate::testing::{Build, PlainRunner, random_graph, random_inputs};
use isa::Hardware;

/// A graph after the passes with what is known of it.
struct Case {
    graph: Graph,
    context: Context,
    calibration: Calibration,
    probes: Probes,
    means: Means,
    answers: Option<Answers>,
}

impl Case {
    fn of(mut graph: Graph, samples: u64) -> Case {
        let mut context = Context::default();
        run(GRAPH, &mut graph, &mut context, Check::End).unwrap();
        let mut probes = Probes::of(&graph);
        let samples: Vec<_> = (0..samples).map(|seed| random_inputs(&graph, seed)).collect();
        samples.iter().for_each(|sample| probes.offer(sample));
        let runner = PlainRunner(&graph);
        let samples = samples.into_iter().map(Ok);
        let calibration = with_data(&graph, &runner, samples, &Options::default()).unwrap();
        let layers = open_layers(&graph, &context, BiasCorrection::Empirical);
        let means = means(&graph, &runner, &probes, &layers).unwrap();
        let answers = answers(&graph, &runner, &probes).unwrap();
        Case { graph, context, calibration, probes, means, answers }
    }

    fn plain(&self, options: &Options, hw: &Hardware) -> QGraph {
        quantize(&self.graph, &self.calibration, options, hw).unwrap()
    }

    fn refined(&self, options: &Options, hw: &Hardware) -> QGraph {
        let mut q = self.plain(options, hw);
        refine(&self.graph, &mut q, self.knowledge(), options, hw.acc_bits).unwrap();
        assert_eq!(q.verify(), Ok(()));
        q
    }

    fn knowledge(&self) -> Knowledge<'_> {
        Knowledge {
            context: &self.context,
            probes: &self.probes,
            means: Some(&self.means),
            answers: self.answers.as_ref(),
        }
    }

    /// Noise over signal on samples that nobody has seen.
    fn noise(&self, q: &QGraph) -> f64 {
        let mut fresh = Probes::of(&self.graph);
        (1000..1040).for_each(|seed| fresh.offer(&random_inputs(&self.graph, seed)));
        let answers = answers(&self.graph, &PlainRunner(&self.graph), &fresh).unwrap().unwrap();
        Judge::new(q, &fresh, &answers).unwrap().unwrap().noise(q).unwrap()
    }

    /// Mean over samples of each channel of the first output, of integers less float.
    fn error(&self, q: &QGraph) -> Vec<f64> {
        let value = |id: &ir::graph::ValueId| &q.values[id.0 as usize];
        let mut errors = vec![0.0; value(&q.outputs[0]).shape.c];
        let channels = errors.len();
        let samples: Vec<_> =
            self.probes.fitted().into_iter().chain(self.probes.held_out()).collect();
        for sample in samples {
            let inputs: Vec<QTensor> = (q.inputs.iter().zip(sample))
                .map(|(id, real)| runtime::quantize(real, value(id)).unwrap())
                .collect();
            let y = value(&q.outputs[0]);
            let stored = &runtime::run(q, &inputs, Path::Plain).unwrap()[0];
            let float = crate::testing::run(&self.graph, sample).remove(0);
            let inner = float.len() / channels;
            for (i, exact) in float.iter().enumerate() {
                let (c, place) = (i / inner, i % inner);
                let real = y.scale * f64::from(stored.get(place * channels + c) - y.zero_point);
                let count = (inner * self.probes.len()) as f64;
                errors[c] += (real - f64::from(*exact)) / count;
            }
        }
        errors
    }
}

fn with(bias_correction: BiasCorrection) -> Options {
    Options { bias_correction, ..Options::default() }
}

/// Two layers; all weights of the first one but one a channel are rounded the same way, and its inputs are positive.
fn leaning(norm: bool) -> Graph {
    let mut b = Build::new(5);
    let x = b.input(&[1, 8, 6, 6]);
    let x = b.conv(x, 8, [1, 1], 1);
    let x = if norm { b.batch_norm(x) } else { x };
    let x = b.relu(x);
    // Steps of 1 of 127: 0.4 of a step is lost every time.
    let row = |o: usize| (0..8).map(move |i| if i == o { 127.0 } else { 20.4 });
    let weights = b.constant_of(&[8, 8, 1, 1], (0..8).flat_map(row).collect());
    let window =
        ir::graph::Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad: [0; 4] };
    let y = b.op(Op::Conv { window, groups: 1 }, &[x, weights], &[1, 8, 6, 6]);
    b.finish(&[y])
}

#[test]
fn means_come_back_where_rounding_moved_them() {
    let hw = Hardware::default();
    for (norm, ways) in [
        (false, &[BiasCorrection::Empirical, BiasCorrection::Auto][..]),
        (true, &[BiasCorrection::Analytic, BiasCorrection::Empirical]),
    ] {
        let case = Case::of(leaning(norm), 40);
        let worst = |way| {
            let errors = case.error(&case.refined(&with(way), &hw));
            errors.iter().fold(0f64, |m, e| m.max(e.abs()))
        };
        let off = worst(BiasCorrection::Off);
        for &way in ways {
            let on = worst(way);
            // The norms of the test were not trained on its data.
            let share = if way == BiasCorrection::Analytic { 0.5 } else { 0.35 };
            assert!(on < share * off, "{way:?}: {on} instead of {off}");
        }
    }
}

#[test]
fn off_is_rounding_alone() {
    let case = Case::of(leaning(true), 4);
    let (off, hw) = (with(BiasCorrection::Off), Hardware::default());
    assert_eq!(case.refined(&off, &hw), case.plain(&off, &hw));
    assert_ne!(case.refined(&Options::default(), &hw), case.plain(&off, &hw));
}

#[test]
fn threads_do_not_matter() {
    for seed in 0..4 {
        let case = Case::of(random_graph(seed), 9);
        let four = Options { weight_bits: 4, ..Options::default() };
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let layers = open_layers(&case.graph, &case.context, BiasCorrection::Empirical);
                let runner = PlainRunner(&case.graph);
                let again = means(&case.graph, &runner, &case.probes, &layers).unwrap();
                let answers = answers(&case.graph, &runner, &case.probes).unwrap();
                (again, answers, case.refined(&four, &Hardware::default()))
            })
        };
        assert_eq!(on(1), on(3));
    }
}

#[test]
fn random_networks_stay_sound_on_any_machine() {
    let narrow = Hardware { acc_bits: 22, multiplier_bits: 6, ..Hardware::default() };
    let shifts = Hardware { multiplier_bits: 1, add_multiplier_bits: 1, ..Hardware::default() };
    let wide = Hardware { acc_bits: 48, ..Hardware::default() };
    for seed in 0..12 {
        let case = Case::of(random_graph(seed), 9);
        for (hw, act_bits, weight_bits) in [(&narrow, 8, 8), (&shifts, 8, 4), (&wide, 16, 5)] {
            let options = Options { act_bits, weight_bits, ..Options::default() };
            let q = case.refined(&options, hw);
            let inputs: Vec<QTensor> = (q.inputs.iter().zip(case.probes.fitted()[0]))
                .map(|(id, real)| runtime::quantize(real, &q.values[id.0 as usize]).unwrap())
                .collect();
            run_all(&q, &inputs, Path::Plain).unwrap();
        }
    }
}

#[test]
fn means_of_another_network_are_refused() {
    let case = Case::of(leaning(false), 2);
    let (options, hw) = (Options::default(), Hardware::default());
    let refused = |means: &Means| {
        let mut q = case.plain(&options, &hw);
        let knowledge = Knowledge { means: Some(means), ..case.knowledge() };
        refine(&case.graph, &mut q, knowledge, &options, hw.acc_bits).unwrap_err().to_string()
    };
    let mut short = case.means.clone();
    short.channels.values_mut().for_each(|means| means.truncate(3));
    assert!(refused(&short).contains("no 8 means for `v"), "{}", refused(&short));
    assert!(refused(&Means::default()).contains("another network"));
    let nothing = Knowledge { means: None, answers: None, ..case.knowledge() };
    let mut q = case.plain(&options, &hw);
    let empirical = with(BiasCorrection::Empirical);
    let error = refine(&case.graph, &mut q, nothing, &empirical, hw.acc_bits).unwrap_err();
    assert!(error.to_string().contains("expected samples"), "{error}");
}

#[test]
fn hostile_means_change_nothing_that_would_not_fit() {
    let mut case = Case::of(leaning(false), 2);
    for means in case.means.channels.values_mut() {
        means.iter_mut().enumerate().for_each(|(c, mean)| *mean = [1e300, -1e300, 1e6][c % 3]);
    }
    let (options, hw) = (Options::default(), Hardware::default());
    let q = case.refined(&options, &hw);
    let off = case.plain(&options, &hw);
    for (q, off) in q.nodes.iter().zip(&off.nodes) {
        if let (QOp::Conv { bias: new, .. }, QOp::Conv { bias: old, .. }) = (&q.op, &off.op) {
            assert_eq!((new[0], new[1]), (old[0], old[1]));
        }
    }
}

/// A dense layer over pairs of inputs that are equal, whose weights all lie almost halfway between two integers.
fn pairs(rounding_bits: u8) -> (Graph, Options) {
    let mut b = Build::new(7);
    let x = b.input(&[1, 4, 5, 5]);
    // Every input twice.
    let double = |o: usize| (0..4).map(move |i| if o / 2 == i { 1.0 } else { 0.0 });
    let doubles = b.constant_of(&[8, 4, 1, 1], (0..8).flat_map(double).collect());
    let window =
        ir::graph::Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad: [0; 4] };
    let x = b.op(Op::Conv { window, groups: 1 }, &[x, doubles], &[1, 8, 5, 5]);
    let row = |o: usize| (0..8).map(move |i| if i == o { 7.0 } else { 0.45 + (o % 3) as f32 });
    let weights = b.constant_of(&[8, 8, 1, 1], (0..8).flat_map(row).collect());
    let y = b.op(Op::Conv { window, groups: 1 }, &[x, weights], &[1, 8, 5, 5]);
    let bits = [("n1".to_owned(), rounding_bits)].into_iter().collect();
    (b.finish(&[y]), Options { layer_bits: bits, ..Options::default() })
}

#[test]
fn rounding_on_samples_lets_equal_inputs_make_up_for_each_other() {
    let (graph, options) = pairs(4);
    let case = Case::of(graph, 40);
    let hw = Hardware::default();
    let noise = |weight_rounding| {
        case.noise(&case.refined(&Options { weight_rounding, ..options.clone() }, &hw))
    };
    let nearest = noise(WeightRounding::Nearest);
    for way in [WeightRounding::Gptq, WeightRounding::Descent, WeightRounding::Auto] {
        let found = noise(way);
        assert!(found < 0.25 * nearest, "{way:?}: {found} of {nearest}");
    }
}

#[test]
fn rounding_and_correction_are_kept_only_where_held_out_answers_agree() {
    let (graph, options) = pairs(4);
    let mut case = Case::of(graph, 40);
    let hw = Hardware::default();
    let notes = |case: &Case| {
        let mut q = case.plain(&options, &hw);
        let notes = refine(&case.graph, &mut q, case.knowledge(), &options, hw.acc_bits).unwrap();
        (q, notes.join("\n"))
    };
    let (good, said) = notes(&case);
    assert!(said.contains("rounding gptq and descent chosen"), "{said}");
    // Answers of the integers whose constants are rounded alone: whatever is done to these is worse.
    let off = Options {
        bias_correction: BiasCorrection::Off,
        weight_rounding: WeightRounding::Nearest,
        ..options.clone()
    };
    let plain = case.plain(&off, &hw);
    let answers = case.answers.as_mut().unwrap().outputs.values_mut().next().unwrap();
    for (sample, answer) in case.probes.held_out().iter().zip(answers) {
        let value = |id: ir::graph::ValueId| &plain.values[id.0 as usize];
        let x = runtime::quantize(&sample[0], value(plain.inputs[0])).unwrap();
        let y = runtime::run(&plain, &[x], Path::Plain).unwrap().remove(0);
        *answer = runtime::dequantize(&y, value(plain.outputs[0])).unwrap();
    }
    let (kept, said) = notes(&case);
    assert!(said.contains("bias correction off chosen"), "{said}");
    assert!(said.contains("rounding each by itself chosen"), "{said}");
    assert_eq!(kept, plain);
    assert_ne!(kept, good);
}

#[test]
fn rounding_on_samples_needs_enough_of_them() {
    let case = Case::of(pairs(4).0, 7);
    for weight_rounding in [WeightRounding::Gptq, WeightRounding::Descent] {
        let (options, hw) =
            (Options { weight_rounding, ..Options::default() }, Hardware::default());
        let mut q = case.plain(&options, &hw);
        let error = refine(&case.graph, &mut q, case.knowledge(), &options, 32).unwrap_err();
        assert!(error.to_string().contains("expected 8 samples"), "{error}");
    }
}

#[test]
fn answers_of_another_network_are_refused() {
    let case = Case::of(leaning(false), 9);
    let (options, hw) = (Options::default(), Hardware::default());
    let refused = |answers: &Answers| {
        let knowledge = Knowledge { answers: Some(answers), ..case.knowledge() };
        let mut q = case.plain(&options, &hw);
        refine(&case.graph, &mut q, knowledge, &options, hw.acc_bits).unwrap_err().to_string()
    };
    assert!(refused(&Answers::default()).contains("another network"));
    let mut short = case.answers.clone().unwrap();
    short.outputs.values_mut().for_each(|samples| samples[1].truncate(3));
    assert!(refused(&short).contains("calibrate again"));
}

proptest! {
    #[test]
    fn taps_see_what_the_windows_read(
        (h, w, c) in (1usize..6, 1usize..6, 1usize..4),
        kernel in prop::array::uniform2(1usize..4),
        stride in prop::array::uniform2(1usize..3),
        dilation in prop::array::uniform2(1usize..3),
        pad in prop::array::uniform4(0usize..3),
        seed in any::<u64>(),
        wide in any::<bool>(),
    ) {
        let out = |axis: usize, extent: usize| {
            let covered = dilation[axis] * (kernel[axis] - 1) + 1;
            (extent + pad[axis] + pad[axis + 2]).checked_sub(covered).map(|rest| rest / stride[axis] + 1)
        };
        let (Some(oh), Some(ow)) = (out(0, h), out(1, w)) else {
            return Ok(());
        };
        let window = ir::graph::Window { kernel, stride, dilation, pad };
        let hwc = |h, w, c| ir::qgraph::Hwc { h, w, c };
        let (input, output) = (hwc(h, w, c), hwc(oh, ow, 1));
        let taps = taps::Taps::new(window, input, output, -7);
        let element = |i: usize| (seed.rotate_left(i as u32 * 7) as i32) % 128;
        let dtype = if wide { QType::I16 } else { QType::I8 };
        let x = QTensor::from_fn(input, dtype, element);
        prop_assert!(matches!(x.data, QData::I16(_)) == wide);
        let mut expected = vec![0i64; kernel[0] * kernel[1] * c];
        for position in 0..oh * ow {
            for (tap, sum) in expected.iter_mut().enumerate() {
                let (ky, kx) = (tap / c / kernel[1], tap / c % kernel[1]);
                let y = (position / ow * stride[0] + ky * dilation[0]).checked_sub(pad[0]).filter(|y| *y < h);
                let x_ = (position % ow * stride[1] + kx * dilation[1]).checked_sub(pad[1]).filter(|x| *x < w);
                *sum += i64::from(match (y, x_) {
                    (Some(y), Some(x_)) => x.at(y, x_, tap % c),
                    _ => -7,
                });
            }
        }
        prop_assert_eq!(taps.sums(&x), &expected[..]);
        if !wide {
            let places: Vec<_> = (0..oh * ow).map(|position| (0, position)).collect();
            let columns = taps.columns(&[x], &places, (0, 1));
            let sum = |column: &[i16]| column.iter().map(|&steps| i64::from(steps) - 7).sum::<i64>();
            let sums: Vec<i64> = columns.chunks_exact(oh * ow).map(sum).collect();
            prop_assert_eq!(sums, expected);
        }
    }
}
