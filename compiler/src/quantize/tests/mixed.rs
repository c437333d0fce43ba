//! Int8 and int16 in one network.

use std::collections::BTreeMap;

use super::functions::{CASES, span};
use super::*;

fn widths(asked: &[(&str, u8)]) -> Options {
    let layer_act_bits = asked.iter().map(|&(name, bits)| (name.to_owned(), bits)).collect();
    Options { layer_act_bits, ..Options::default() }
}

/// Free widths in turn wide, as they are, and narrower.
fn alternating(graph: &Graph) -> Options {
    let names = free_widths(graph).into_iter();
    let layer_act_bits: BTreeMap<String, u8> = names.zip([16, 8, 7].into_iter().cycle()).collect();
    Options { layer_act_bits, ..Options::default() }
}

#[test]
fn random_networks_of_all_widths_keep_their_function() {
    let hardware = Hardware { acc_bits: 48, ..Hardware::default() };
    let mut both = 0;
    for seed in 0..40 {
        let graph = random_graph(seed);
        let (passed, _) = prepare(&graph, &Options::default());
        let options = alternating(&passed);
        let q = check_sqnr(&graph, &options, &hardware, 15.0);
        let types: Vec<QType> = q.values.iter().map(|v| v.dtype).collect();
        both += usize::from(types.contains(&QType::I8) && types.contains(&QType::I16));
    }
    assert!(both > 30, "{both} networks have values of both types");
}

#[test]
fn one_value_of_16_bits_takes_away_its_noise() {
    let mut b = Build::new(5);
    let x = b.input(&[1, 3, 6, 6]);
    let y = b.conv(x, 4, [3, 3], 1);
    let y = b.relu(y);
    let y = b.conv(y, 4, [1, 1], 1);
    let graph = b.finish(&[y]);
    let hardware = Hardware { acc_bits: 48, ..Hardware::default() };
    let noise = |asked: &[(&str, u8)]| {
        let q = quantized(&graph, &widths(asked), &hardware).unwrap();
        sqnr(&graph, &q)[0]
    };
    let steps =
        [&[][..], &[("v0", 16)], &[("v0", 16), ("n0", 16)], &[("v0", 16), ("n0", 16), ("n2", 16)]];
    let found = steps.map(noise);
    assert!(found.is_sorted() && found[3] > found[0] + 3.0, "{found:?}");
    assert!(noise(&[("n0", 4)]) < found[0] - 6.0);
}

#[test]
fn tables_between_the_widths_are_within_a_step() {
    let steep = ["x ceil", "x round", "x log", "x reciprocal", "x sqrt", "x acos"];
    for &(text, lo, hi, f) in CASES.iter().filter(|case| !steep.contains(&case.0)) {
        for [from, to] in [[16, 8], [8, 16]] {
            let mut b = Build::new(1);
            let x = b.input(&[1, 500]);
            let y = b.unary(x, text);
            let graph = b.finish(&[y]);
            let places: Vec<f32> =
                (0..500u16).map(|i| (lo + (hi - lo) * f64::from(i) / 499.0) as f32).collect();
            let results = places.iter().map(|&v| f(v.into()));
            let range = results.map(|v| span(v, v)).reduce(crate::calibrate::Range::union).unwrap();
            let ranges = [("v0".to_owned(), span(lo, hi)), ("v1".to_owned(), range)].into();
            let calibration = Calibration { ranges, ..Calibration::default() };
            let options = widths(&[("v0", from), ("n0", to)]);
            let q = quantize(&graph, &calibration, &options, &Hardware::default()).unwrap();
            let [x, y] = [q.inputs[0], q.outputs[0]].map(|id| &q.values[id.0 as usize]);
            let bits = |dtype: QType| if dtype == QType::I8 { 8 } else { 16 };
            assert_eq!([bits(x.dtype), bits(y.dtype)], [from, to], "{text}");
            let stored = runtime::quantize(&places, x).unwrap();
            let found = &runtime::run(&q, std::slice::from_ref(&stored), Path::Plain).unwrap()[0];
            for i in 0..500 {
                let operand = x.scale * f64::from(stored.get(i) - x.zero_point);
                let (least, most) = y.dtype.range();
                let exact = libm::rint(f(operand) / y.scale) + f64::from(y.zero_point);
                let exact = exact.clamp(least.into(), most.into());
                let off = (f64::from(found.get(i)) - exact).abs();
                assert!(off <= 1.0, "{text} from {from} to {to} bits at {operand}: {off} steps");
            }
        }
    }
}
