//! Functions of one value, leaky ReLUs, extrema.

use super::*;
use crate::calibrate::Range;
use crate::testing::random_functions;

/// A function, the range of its operand, and what it computes, spelled another way than the compiler does.
pub(super) type Case = (&'static str, f64, f64, fn(f64) -> f64);

pub(super) const CASES: &[Case] = &[
    ("x abs", -3.0, 5.0, |x| if x < 0.0 { -x } else { x }),
    ("x acos", -0.9, 0.9, |x| std::f64::consts::FRAC_PI_2 - libm::asin(x)),
    ("x asinh", -9.0, 9.0, |x| x.signum() * libm::log(x.abs() + libm::sqrt(x * x + 1.0))),
    ("x atan", -4.0, 9.0, |x| libm::atan2(x, 1.0)),
    ("x ceil", -3.0, 3.0, |x| -libm::floor(-x)),
    ("x cos", -7.0, 7.0, |x| libm::sin(x + std::f64::consts::FRAC_PI_2)),
    ("x cosh", -3.0, 3.0, |x| (libm::exp(x) + libm::exp(-x)) / 2.0),
    ("x 1 elu", -6.0, 3.0, |x| if x > 0.0 { x } else { libm::exp(x) - 1.0 }),
    ("x erf", -3.0, 3.0, |x| 1.0 - libm::erfc(x)),
    ("x exp", -5.0, 3.0, |x| libm::pow(std::f64::consts::E, x)),
    ("x hard_swish", -5.0, 6.0, |x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
    ("x 0.125 leaky_relu", -8.0, 4.0, |x| x.max(0.125 * x)),
    ("x log", 0.0, 9.0, |x| libm::log2(x.max(0.0)) * std::f64::consts::LN_2),
    ("x reciprocal", 0.0, 4.0, |x| libm::pow(x, -1.0)),
    ("x round", -6.0, 6.0, libm::rint),
    ("x 1.6732632 elu 1.050701 mul", -5.0, 3.0, |x| {
        let (alpha, gamma) = (f64::from(1.6732632_f32), f64::from(1.050701_f32));
        gamma * if x > 0.0 { x } else { alpha * libm::exp(x) - alpha }
    }),
    ("x sigmoid", -7.0, 9.0, |x| libm::exp(x) / (1.0 + libm::exp(x))),
    ("x x sigmoid mul", -7.0, 9.0, |x| x - x / (1.0 + libm::exp(x))),
    ("x sin", -4.0, 4.0, |x| libm::cos(x - std::f64::consts::FRAC_PI_2)),
    ("x softplus", -8.0, 8.0, |x| libm::log(1.0 + libm::exp(x))),
    ("x softplus tanh x mul", -6.0, 4.0, |x| {
        let e = libm::exp(x);
        x * (e * e + 2.0 * e) / (e * e + 2.0 * e + 2.0)
    }),
    ("x softsign", -4.0, 4.0, |x| x.signum() * (1.0 - 1.0 / (1.0 + x.abs()))),
    ("x sqrt", 0.0, 9.0, |x| libm::pow(x.max(0.0), 0.5)),
    ("x tanh", -3.0, 3.0, |x| 1.0 - 2.0 / (libm::exp(2.0 * x) + 1.0)),
    ("x 2 pow", -3.0, 2.0, |x| x * x),
    ("x 2 sqrt div erf 1 add x mul 0.5 mul", -4.0, 3.0, |x| {
        x * libm::erfc(-x / std::f64::consts::SQRT_2) / 2.0
    }),
];

pub(super) fn span(lo: f64, hi: f64) -> Range {
    Range { lo, hi }
}

/// `y = function(x)` alone, quantized for an operand in `lo..hi`.
fn alone(&(text, lo, hi, f): &Case, act_bits: u8) -> QGraph {
    let mut b = Build::new(1);
    let x = b.input(&[1, 4]);
    let y = b.unary(x, text);
    let graph = b.finish(&[y]);
    let values = (0..=1000).map(|i| f(lo + (hi - lo) * f64::from(i) / 1000.0));
    let range = values.filter(|v| v.is_finite()).map(|v| span(v, v)).reduce(Range::union).unwrap();
    let ranges = [("v0".to_owned(), span(lo, hi)), ("v1".to_owned(), range)].into();
    let calibration = Calibration { ranges, ..Calibration::default() };
    let options = Options { act_bits, ..Options::default() };
    quantize(&graph, &calibration, &options, &Hardware::default()).unwrap()
}

/// The stored result as (N2) defines it.
fn rounded(y: f64, q: &QGraph) -> f64 {
    let to = &q.values[q.nodes[0].output.0 as usize];
    let (lo, hi) = to.dtype.range();
    (libm::rint(y / to.scale) + f64::from(to.zero_point)).clamp(lo.into(), hi.into())
}

fn real(q: &QGraph, stored: i32) -> f64 {
    let from = &q.values[q.nodes[0].inputs[0].0 as usize];
    from.scale * f64::from(stored - from.zero_point)
}

#[test]
fn every_entry_of_every_table_is_correctly_rounded() {
    for case in CASES {
        let q = alone(case, 8);
        let QOp::Lut8 { table } = &q.nodes[0].op else { panic!("{}", case.0) };
        for (stored, &entry) in (-128..128).zip(table) {
            let expected = rounded((case.3)(real(&q, stored)), &q);
            assert_eq!(f64::from(entry), expected, "{} at {stored}", case.0);
        }
        let distinct: std::collections::BTreeSet<_> = table.iter().collect();
        assert!(distinct.len() > 5, "{}: the ranges leave something to see", case.0);
    }
}

#[test]
fn interpolated_tables_are_as_exact_as_documented() {
    let limits = |text: &str| match text {
        // Steps, and functions infinitely steep at an end of the range.
        "x ceil" | "x round" | "x log" | "x reciprocal" | "x sqrt" | "x acos" => None,
        _ => Some(4.0),
    };
    for case in CASES {
        let q = alone(case, 16);
        let QOp::Lut16 { nodes } = &q.nodes[0].op else {
            // A square is a product, rounded once.
            assert_eq!((case.0, q.nodes[0].op.name()), ("x 2 pow", "mul"));
            continue;
        };
        let nodes = nodes.as_slice().try_into().unwrap();
        let (lo, hi) = (case.1 / real(&q, 1), case.2 / real(&q, 1));
        let worst = (lo.ceil() as i32..=hi as i32).map(|stored| {
            let found = isa::numerics::lut16(nodes, stored as i16);
            (f64::from(found) - rounded((case.3)(real(&q, stored)), &q)).abs()
        });
        let worst = worst.fold(0.0, f64::max);
        if let Some(limit) = limits(case.0) {
            assert!(worst <= limit, "{}: {worst} units, documented {limit}", case.0);
        }
    }
}

#[test]
fn logits_that_only_a_sigmoid_reads_have_steps_where_it_varies() {
    let range = |also_output: bool, between: Op, shape: &[usize]| {
        let mut b = Build::new(1);
        let x = b.input(&[1, 4, 2, 2]);
        let logits = b.conv(x, 4, [1, 1], 1);
        let moved = b.op(between, &[logits], shape);
        let y = b.unary(moved, "x sigmoid");
        let outputs = if also_output { vec![y, logits] } else { vec![y] };
        let graph = b.finish(&outputs);
        let name = |id: ValueId| graph.values[id.0 as usize].name.clone();
        let ranges = [(name(x), span(-1.0, 1.0)), (name(logits), span(-700.0, 300.0))].into();
        let calibration = Calibration { ranges, ..Calibration::default() };
        let q = quantize(&graph, &calibration, &Options::default(), &Hardware::default()).unwrap();
        let conv = q.nodes[0].output.0 as usize;
        let v = &q.values[conv];
        [-128, 127].map(|stored| v.scale * f64::from(stored - v.zero_point))
    };
    let turn = || Op::Transpose { perm: vec![0, 1, 3, 2] };
    let [lo, hi] = range(false, turn(), &[1, 4, 2, 2]);
    // The sigmoid is below half a step of 1/256 under -ln 511, and above the largest step over ln(254.5 / 1.5).
    assert!((-6.6..-6.2).contains(&lo) && (5.1..5.5).contains(&hi), "{lo} {hi}");
    let [lo, hi] = range(true, turn(), &[1, 4, 2, 2]);
    assert!(lo < -690.0 && hi > 290.0, "an output keeps its range: {lo} {hi}");
    // Between two elements there may be any value: they must not saturate before.
    let places = vec![0.0, 0.25, 0.75, 1.0];
    let wider = Op::Interpolate { axes: vec![ir::graph::Interpolation { axis: 3, places }] };
    let [lo, hi] = range(false, wider, &[1, 4, 2, 4]);
    assert!(lo < -690.0 && hi > 290.0, "{lo} {hi}");
}

#[test]
fn outside_its_domain_a_function_is_as_at_its_edge() {
    let q = alone(&("x log", -1.0, 4.0, |x| libm::log(x.max(0.1))), 8);
    let QOp::Lut8 { table } = &q.nodes[0].op else { panic!() };
    let zero = q.values[0].zero_point;
    assert!(zero > -128 && table[..(zero + 129) as usize].iter().all(|&y| y == table[0]));
    assert_eq!(table[0], -128, "minus infinity saturates");
    let mut b = Build::new(1);
    let x = b.input(&[1, 4]);
    let y = b.unary(x, "-1 x abs sub log");
    let ranges = [("v0".to_owned(), span(-1.0, 1.0)), ("v1".to_owned(), span(0.0, 1.0))].into();
    let calibration = Calibration { ranges, ..Calibration::default() };
    let options = Options::default();
    let error = quantize(&b.finish(&[y]), &calibration, &options, &Hardware::default());
    let text = error.unwrap_err().to_string();
    assert!(text.contains("its function is defined for no stored integer"), "{text}");
}

/// Checks a network of one image at 8 and at 16 bits.
fn check(graph: &Graph, least: [f64; 2]) -> [QGraph; 2] {
    let wide = Options { act_bits: 16, ..Options::default() };
    let wide_hardware = Hardware { acc_bits: 48, ..Hardware::default() };
    [
        check_sqnr(graph, &Options::default(), &Hardware::default(), least[0]),
        check_sqnr(graph, &wide, &wide_hardware, least[1]),
    ]
}

#[test]
fn squeeze_and_excitation_in_any_operand_order() {
    for gate_first in [false, true] {
        for gate in ["sigmoid", "hard"] {
            let mut b = Build::new(60);
            let x = b.input(&[1, 3, 6, 5]);
            let x = b.conv(x, 8, [3, 3], 1);
            let x = b.unary(x, "x hard_swish");
            let s = b.shape(x);
            let mean = b.op(Op::ReduceMean { axes: vec![2, 3] }, &[x], &[1, 8, 1, 1]);
            let squeezed = b.conv(mean, 2, [1, 1], 1);
            let squeezed = b.relu(squeezed);
            let excited = b.conv(squeezed, 8, [1, 1], 1);
            let excited = if gate == "sigmoid" {
                b.unary(excited, "x sigmoid")
            } else {
                let (scale, shift) = (b.constant_of(&[], vec![0.2]), b.constant_of(&[], vec![0.5]));
                let scaled = b.op(Op::Mul, &[excited, scale], &[1, 8, 1, 1]);
                let shifted = b.op(Op::Add, &[shift, scaled], &[1, 8, 1, 1]);
                b.clip(shifted, 0.0, 1.0)
            };
            let (p, q) = if gate_first { (excited, x) } else { (x, excited) };
            let y = b.op(Op::Mul, &[p, q], &s);
            let [narrow, wide] = check(&b.finish(&[y]), [35.0, 45.0]);
            let tables = |q: &QGraph| {
                let is_table =
                    |n: &&ir::qgraph::QNode| matches!(n.op, QOp::Lut8 { .. } | QOp::Lut16 { .. });
                q.nodes.iter().filter(is_table).count()
            };
            let expected = if gate == "sigmoid" { 2 } else { 1 };
            assert_eq!((tables(&narrow), tables(&wide)), (expected, expected));
        }
    }
}

#[test]
fn slopes_vary_along_any_one_axis() {
    for (shape, slope) in [
        (&[1, 6, 4, 5][..], &[6, 1, 1][..]),
        (&[1, 6, 4, 5], &[1, 6, 1, 1]),
        (&[1, 6, 4, 5], &[5]),
        (&[1, 6, 4, 5], &[4, 1]),
        (&[1, 7], &[7]),
        (&[2, 3, 5], &[3, 1]),
    ] {
        let mut b = Build::new(61);
        let x = b.input(shape);
        let slope = b.constant(slope);
        let y = b.op(Op::PRelu, &[x, slope], shape);
        let y = b.relu(y);
        let [narrow, _] = check(&b.finish(&[y]), [42.0, 80.0]);
        let fused = narrow.nodes.iter().filter(|n| matches!(n.op, QOp::PRelu { .. })).count();
        assert_eq!(fused, 1, "the clip is its saturation");
    }
    let mut b = Build::new(62);
    let x = b.input(&[1, 2, 3]);
    let slope = b.constant(&[2, 3]);
    let y = b.op(Op::PRelu, &[x, slope], &[1, 2, 3]);
    let error = quantized(&b.finish(&[y]), &Options::default(), &Hardware::default()).unwrap_err();
    assert!(error.to_string().contains("it may vary along one axis of [1, 2, 3] only"), "{error}");
}

#[test]
fn slopes_of_zero_and_of_many_signs_need_no_luck() {
    let mut b = Build::new(63);
    let x = b.input(&[1, 4, 2, 2]);
    let slope = b.constant_of(&[4, 1, 1], vec![0.0, -2.0, 1e-30, 0.25]);
    let y = b.op(Op::PRelu, &[x, slope], &[1, 4, 2, 2]);
    let graph = b.finish(&[y]);
    check(&graph, [38.0, 75.0]);
    let shifts = Hardware { multiplier_bits: 1, add_multiplier_bits: 1, ..Hardware::default() };
    quantized(&graph, &Options::default(), &shifts).unwrap();
}

#[test]
fn extrema_of_operands_with_other_scales_and_fewer_extents() {
    for (op, small) in [(Op::Max, &[1, 4, 1, 1][..]), (Op::Min, &[3, 1]), (Op::Max, &[1, 4, 3, 5])]
    {
        for swapped in [false, true] {
            let mut b = Build::new(64);
            let x = b.input(&[1, 4, 3, 5]);
            let other = b.input(small);
            let tripled = b.unary(other, "x 3 mul abs");
            let (p, q) = if swapped { (tripled, x) } else { (x, tripled) };
            let y = b.op(op.clone(), &[p, q], &[1, 4, 3, 5]);
            check(&b.finish(&[y]), [38.0, 75.0]);
        }
    }
}

#[test]
fn softmax_stays_int8_and_a_function_of_it_is_exact_at_16_bits() {
    let mut b = Build::new(65);
    let x = b.input(&[1, 5]);
    let soft = b.op(Op::Softmax { axis: 1 }, &[x], &[1, 5]);
    let y = b.unary(soft, "x sqrt");
    let graph = b.finish(&[y]);
    let [_, q] = check(&graph, [30.0, 30.0]);
    let QOp::Lut16 { nodes } = &q.nodes.last().unwrap().op else { panic!() };
    let to = q.values[q.outputs[0].0 as usize].scale;
    for stored in 0..256 {
        let expected = libm::rint(libm::sqrt(f64::from(stored) / 256.0) / to);
        assert_eq!(f64::from(nodes[256 + stored as usize]), expected.min(32767.0));
    }
}

#[test]
fn a_scalar_map_of_an_activation_is_a_table() {
    let mut b = Build::new(66);
    let x = b.input(&[1, 3, 2, 2]);
    let two = b.constant_of(&[3, 1, 1], vec![2.0; 3]);
    let half = b.constant_of(&[], vec![0.5]);
    let y = b.op(Op::Mul, &[x, two], &[1, 3, 2, 2]);
    let y = b.op(Op::Sub, &[half, y], &[1, 3, 2, 2]);
    let y = b.unary(y, "x tanh");
    let [narrow, _] = check(&b.finish(&[y]), [38.0, 70.0]);
    assert_eq!(narrow.nodes.len(), 1);
}

#[test]
fn random_networks_with_functions_keep_their_function() {
    for seed in 0..40 {
        check(&random_functions(seed), [20.0, 28.0]);
    }
}

#[test]
fn an_output_whose_elements_are_arranged_anew_keeps_its_name() {
    let mut b = Build::new(61);
    let x = b.input(&[1, 2, 2, 3]);
    let weights = b.constant(&[3, 2, 1, 3]);
    let window = Window { kernel: [1, 3], stride: [1, 3], dilation: [1, 1], pad: [0; 4] };
    let op = Op::ConvTranspose { window, output_padding: [0, 0], groups: 1 };
    let wide = b.op(op, &[x, weights], &[1, 3, 2, 9]);
    let y = b.unary(wide, "x sigmoid");
    let graph = b.finish(&[y]);
    let name = graph.values[y.0 as usize].name.clone();
    for q in check(&graph, [30.0, 60.0]) {
        assert_eq!(q.values[q.outputs[0].0 as usize].name, name);
    }
}
