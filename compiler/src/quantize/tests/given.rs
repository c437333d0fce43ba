//! Networks whose file decides scales and weights.

use super::*;
use crate::quantize::kept;
use isa::numerics::Requant;

const CONV: &str = "kernel=[1, 1] stride=[1, 1] dilation=[1, 1] pad=[0, 0, 0, 0] groups=1";

/// A graph of values `[1, 2, 3, 3]`: `{conv}` stands for a convolution's window.
fn network(body: &str) -> Graph {
    let body = body.replace("{conv}", CONV).replace("{s}", "f32[1, 2, 3, 3]");
    let mut graph: Graph =
        format!("graph \"g\" (%x: f32[1, 2, 3, 3]) -> (%y) {{\n{body}}}\n").parse().unwrap();
    run(GRAPH, &mut graph, &mut Context::default(), Check::EachPass).unwrap();
    graph
}

/// The integer graph of a network that needs no calibration.
fn decided(graph: &Graph) -> QGraph {
    assert_eq!(wanted(graph), []);
    quantize(graph, &Calibration::default(), &Options::default(), &Hardware::default()).unwrap()
}

/// Insists that no output of the integer graph is more than one step from what the float graph, which rounds where the file says,
/// computes.
fn assert_close(graph: &Graph, q: &QGraph) {
    for seed in 0..8 {
        let inputs: Vec<Vec<f32>> = random_inputs(graph, seed)
            .into_iter()
            .map(|tensor| tensor.iter().map(|v| v * 4.0).collect())
            .collect();
        let (float, integer) = (testing::run(graph, &inputs), run_integers(q, &inputs));
        for (id, (a, b)) in q.outputs.iter().zip(float.iter().zip(&integer)) {
            let step = q.values[id.0 as usize].scale as f32;
            let close = |(x, y): (&f32, &f32)| (x - y).abs() < 1.01 * step;
            assert!(a.iter().zip(b).all(close), "seed {seed}: {a:?} {b:?}");
        }
    }
}

fn encoding(q: &QGraph, name: &str) -> (f32, i32) {
    let value = q.values.iter().find(|value| value.name == name).unwrap();
    (value.scale as f32, value.zero_point)
}

const BODY: &str =
    "  %w: f32[2, 2, 1, 1] = const integers=[100, -128, 7, 3] scale=[0.01, 0.02] inner=2
  %b: f32[2] = const integers=[50, -60] scale=[0.0005, 0.001] inner=1
  %q: {s} = fake_quantize \"q\"(%x) dtype=i8 scale=0.05 zero_point=-3
  %c: {s} = conv \"c\"(%q, %w, %b) {conv}
  %r: {s} = clip \"r\"(%c) lo=0.0 hi=inf
";

#[test]
fn scales_weights_and_biases_are_the_files() {
    let end = "  %y: {s} = fake_quantize \"y\"(%r) dtype=i8 scale=0.03 zero_point=-128\n";
    let graph = network(&format!("{BODY}{end}"));
    let q = decided(&graph);
    assert_eq!((encoding(&q, "x"), encoding(&q, "y")), ((0.05, -3), (0.03, -128)));
    let [node] = q.nodes.as_slice() else {
        panic!("{q}");
    };
    let QOp::Conv { weights, bias, requant, bounds, .. } = &node.op else {
        panic!("{node:?}");
    };
    assert_eq!((weights.bits, weights.data.as_slice()), (8, &[100, -128, 7, 3][..]));
    assert_eq!(bias, &[50 + 3 * (100 - 128), -60 + 3 * (7 + 3)]);
    assert_eq!((bounds.lo, bounds.hi), (-128, 127));
    for (found, w) in requant.iter().zip([0.01f32, 0.02]) {
        let chain = f64::from((0.05f32 * w) / 0.03f32);
        assert_eq!(*found, Requant::from_scale(chain, 24).unwrap());
        assert_eq!(f64::from(found.multiplier) / 2f64.powi(found.shift.into()), chain);
    }
    assert_close(&graph, &q);
    let kept = kept(&graph, 32).unwrap();
    assert_eq!((kept.values, kept.values_kept, kept.layers, kept.layers_kept), (2, 2, 1, 1));
    assert_eq!((kept.open, kept.notes), (vec![], vec![]));
}

#[test]
fn nine_bits_read_the_input_twice() {
    for weights in ["[200, -180, 7, 255]", "[-130, 128, 3, -9]"] {
        let body = BODY.replace("[100, -128, 7, 3]", weights);
        let end = "  %y: {s} = fake_quantize \"y\"(%r) dtype=i8 scale=0.1 zero_point=-128\n";
        let graph = network(&format!("{body}{end}"));
        let q = decided(&graph);
        assert_eq!(q.nodes.len(), 2);
        assert_close(&graph, &q);
    }
}

#[test]
fn what_the_file_leaves_open_is_calibrated() {
    let end = "  %v: f32[2, 2, 1, 1] = const data=[1.0, 2.0, 3.0, 4.0]
  %o: f32[2] = const integers=[5, 6] scale=[0.5] inner=1
  %p: {s} = fake_quantize \"p\"(%r) dtype=i8 scale=0.03 zero_point=-128
  %d: {s} = conv \"d\"(%p, %v) {conv}
  %y: {s} = conv \"y\"(%d, %w, %o) {conv}
";
    let graph = network(&format!("{BODY}{end}"));
    let names: Vec<_> = wanted(&graph).into_iter().map(|wanted| wanted.name).collect();
    assert_eq!(names, ["d", "y"]);
    let kept = kept(&graph, 32).unwrap();
    assert_eq!((kept.values, kept.values_kept, kept.layers, kept.layers_kept), (4, 2, 3, 2));
    assert_eq!(kept.open, names);
    assert!(kept.notes[0].starts_with("`d`: its weights are quantized here"), "{:?}", kept.notes);
    let samples = (0..4).map(|seed| Ok(random_inputs(&graph, seed)));
    let options = Options::default();
    let table = with_data(&graph, &PlainRunner(&graph), samples, &options).unwrap();
    assert_eq!(table.ranges.len(), 2);
    let q = quantize(&graph, &table, &options, &Hardware::default()).unwrap();
    assert_eq!(encoding(&q, "p"), (0.03, -128));
    assert!(
        crate::calibrate::without_data(&graph, &Context::default(), &PlainRunner(&graph), &options)
            .is_ok()
    );
    assert_eq!(
        super::super::kept(&network("  %y: {s} = clip \"y\"(%x) lo=0.0 hi=1.0\n"), 32),
        None
    );
}

#[test]
fn a_bias_in_other_steps_is_told() {
    let body = BODY.replace("scale=[0.0005, 0.001]", "scale=[0.3, 0.3]");
    let end = "  %y: {s} = fake_quantize \"y\"(%r) dtype=i8 scale=0.5 zero_point=-128\n";
    let graph = network(&format!("{body}{end}"));
    let notes = kept(&graph, 32).unwrap().notes;
    assert!(notes[0].starts_with("`c`: its bias counts in other steps"), "{notes:?}");
    assert_close(&graph, &decided(&graph));
}

#[test]
fn a_concatenation_gives_its_scale_to_operands_without_one() {
    let graph = network(
        "  %p: {s} = fake_quantize \"p\"(%x) dtype=i8 scale=0.04 zero_point=1
  %m: {s} = mul \"m\"(%p, %p)
  %n: {s} = fake_quantize \"n\"(%m) dtype=i8 scale=0.1 zero_point=-128
  %k: {s} = add \"k\"(%n, %p)
  %s: {s} = softmax \"s\"(%n) axis=1
  %j: f32[1, 6, 3, 3] = concat \"j\"(%k, %n, %s) axis=1
  %y: f32[1, 6, 3, 3] = fake_quantize \"y\"(%j) dtype=i8 scale=0.08 zero_point=-100
",
    );
    let q = decided(&graph);
    assert_eq!((encoding(&q, "k"), encoding(&q, "n")), ((0.08, -100), (0.1, -128)));
    assert_eq!(encoding(&q, "s"), (1.0 / 256.0, -128));
    assert_close(&graph, &q);
}

#[test]
fn two_scales_of_one_value_are_one_step_apart() {
    let graph = network(
        "  %a: {s} = fake_quantize \"a\"(%x) dtype=i8 scale=0.04 zero_point=1
  %b: {s} = fake_quantize \"b\"(%x) dtype=i8 scale=0.06 zero_point=2
  %m: {s} = max \"m\"(%a, %b)
  %y: {s} = fake_quantize \"y\"(%m) dtype=i8 scale=0.06 zero_point=2
",
    );
    let q = decided(&graph);
    assert_eq!((encoding(&q, "x"), encoding(&q, "b")), ((0.04, 1), (0.06, 2)));
    assert_eq!(q.nodes.len(), 2);
}

#[test]
fn weights_wider_than_nine_bits_are_quantized_anew() {
    let with = |weight: i32| {
        let end = "  %y: {s} = fake_quantize \"y\"(%r) dtype=i8 scale=0.03 zero_point=-128\n";
        network(&format!("{BODY}{end}").replace("-128, 7", &format!("{weight}, 7")))
    };
    let layer_notes = |graph: &Graph| kept(graph, 32).unwrap().notes;
    let nine = with(-255);
    assert_eq!(layer_notes(&nine), Vec::<String>::new());
    assert_close(&nine, &decided(&nine));
    let wide = with(i32::MAX);
    assert_eq!(layer_notes(&wide), ["`c`: its weights are quantized here"]);
    let q = decided(&wide);
    let QOp::Conv { weights, .. } = &q.nodes[0].op else { panic!("{q}") };
    assert_eq!(weights.data.len(), 4);
}
