//! Whole networks: quantized, run by the integer runtime, compared with float.

mod attention;
mod functions;
mod given;
mod lrn;
mod mixed;
mod movement;
mod normalization;
mod pools;

use ir::graph::{Graph, Op, ValueId, Window};
use ir::qgraph::{QOp, QType};
use isa::hardware::Hardware;
use runtime::{Path, QTensor, dequantize};

use super::*;
use crate::calibrate::with_data;
use crate::options::{Granularity, Observer};
use crate::passes::{Check, Context, GRAPH, run};
use crate::testing::{self, Build, PlainRunner, random_graph, random_inputs};

const CALIBRATION_SAMPLES: u64 = 8;

fn prepare(graph: &Graph, options: &Options) -> (Graph, Calibration) {
    let mut graph = graph.clone();
    run(GRAPH, &mut graph, &mut Context::default(), Check::EachPass).unwrap();
    let samples = (0..CALIBRATION_SAMPLES).map(|seed| Ok(random_inputs(&graph, seed)));
    let calibration = with_data(&graph, &PlainRunner(&graph), samples, options).unwrap();
    (graph, calibration)
}

fn quantized(
    graph: &Graph,
    options: &Options,
    hardware: &Hardware,
) -> Result<QGraph, QuantizeError> {
    let (graph, calibration) = prepare(graph, options);
    quantize(&graph, &calibration, options, hardware)
}

/// Outputs of the integer graph as real numbers in ONNX order.
fn run_integers(q: &QGraph, inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let value = |id: &ValueId| &q.values[id.0 as usize];
    let inputs: Vec<QTensor> = (q.inputs.iter().zip(inputs))
        .map(|(id, real)| runtime::quantize(real, value(id)).unwrap())
        .collect();
    let outputs = runtime::run(q, &inputs, Path::Plain).unwrap();
    q.outputs
        .iter()
        .zip(&outputs)
        .map(|(id, tensor)| dequantize(tensor, value(id)).unwrap())
        .collect()
}

/// Signal to quantization noise of each output in decibels, over inputs that were calibrated on: what others
/// clip says nothing about the arithmetic.
fn sqnr(graph: &Graph, q: &QGraph) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); graph.outputs.len()];
    for seed in 0..4 {
        let inputs = random_inputs(graph, seed);
        let (float, integer) = (testing::run(graph, &inputs), run_integers(q, &inputs));
        for ((sum, a), b) in sums.iter_mut().zip(&float).zip(&integer) {
            for (x, y) in a.iter().zip(b) {
                sum.0 += f64::from(*x).powi(2);
                sum.1 += f64::from(x - y).powi(2);
            }
        }
    }
    // An output that is always zero has no signal to lose.
    sums.iter()
        .map(
            |(signal, noise)| {
                if *noise == 0.0 { f64::INFINITY } else { 10.0 * (signal / noise).log10() }
            },
        )
        .collect()
}

fn check_sqnr(graph: &Graph, options: &Options, hardware: &Hardware, least: f64) -> QGraph {
    let q = quantized(graph, options, hardware).unwrap();
    for (output, decibels) in sqnr(graph, &q).iter().enumerate() {
        assert!(
            *decibels > least,
            "{} output {output}: {decibels:.1} dB, expected {least}",
            graph.name
        );
    }
    q
}

#[test]
fn random_networks_keep_their_function() {
    let hardware = Hardware::default();
    let wide = Options { act_bits: 16, ..Options::default() };
    let wide_hardware = Hardware { acc_bits: 48, ..Hardware::default() };
    for seed in 0..40 {
        let graph = random_graph(seed);
        let q = check_sqnr(&graph, &Options::default(), &hardware, 22.0);
        assert_eq!(q.outputs.len(), graph.outputs.len());
        for (&a, &b) in graph.outputs.iter().zip(&q.outputs) {
            let (a, b) = (&graph.values[a.0 as usize], &q.values[b.0 as usize]);
            assert_eq!((&a.name, &a.shape), (&b.name, &b.view.onnx_shape));
        }
        // Softmax stays int8, which limits the network; weights of 8 bits limit the rest.
        check_sqnr(&graph, &wide, &wide_hardware, 30.0);
    }
}

#[test]
fn every_option_and_machine_gives_a_valid_graph() {
    for seed in 0..12 {
        let graph = random_graph(seed);
        for (options, hardware) in [
            (Options { weight_bits: 4, ..Options::default() }, Hardware::default()),
            (
                Options {
                    weight_bits: 2,
                    granularity: Granularity::PerTensor,
                    ..Options::default()
                },
                Hardware::default(),
            ),
            (
                Options { observer: Observer::MinMax, ..Options::default() },
                Hardware { acc_bits: 24, ..Hardware::default() },
            ),
            (
                Options { act_bits: 5, symmetric_activations: true, ..Options::default() },
                Hardware::default(),
            ),
            (
                Options::default(),
                Hardware { multiplier_bits: 1, add_multiplier_bits: 1, ..Hardware::default() },
            ),
            (
                Options::default(),
                Hardware { multiplier_bits: 31, add_multiplier_bits: 31, ..Hardware::default() },
            ),
            (
                Options { act_bits: 16, ..Options::default() },
                Hardware { acc_bits: 48, multiplier_bits: 31, ..Hardware::default() },
            ),
        ] {
            let q = quantized(&graph, &options, &hardware).unwrap();
            run_integers(&q, &random_inputs(&graph, 1));
        }
    }
}

#[test]
fn symmetric_activations_have_no_zero_points_and_fewer_bits_fewer_integers() {
    let mut b = Build::new(70);
    let x = b.input(&[1, 3, 6, 6]);
    let y = b.conv(x, 4, [3, 3], 1);
    let y = b.conv(y, 4, [3, 3], 1);
    let graph = b.finish(&[y]);
    let symmetric = Options { symmetric_activations: true, ..Options::default() };
    let q = check_sqnr(&graph, &symmetric, &Hardware::default(), 30.0);
    assert!(q.values.iter().all(|value| value.zero_point == 0));
    let seven = Options { act_bits: 7, ..Options::default() };
    let q = check_sqnr(&graph, &seven, &Hardware::default(), 24.0);
    for node in &q.nodes {
        let QOp::Conv { bounds, .. } = &node.op else { panic!("{:?}", node.op) };
        assert_eq!((bounds.lo, bounds.hi), (-64, 63));
    }
}

#[test]
fn coarse_multipliers_cost_a_bit_not_the_network() {
    let mut checked = 0;
    for seed in 0..30 {
        let graph = random_graph(seed);
        // Averages over windows that the border cuts have divisors of all kinds, which no shift can express.
        let cut = |node: &ir::qgraph::QNode| matches!(&node.op, QOp::AveragePool { requant, .. } if requant.len() > 1);
        let fine = quantized(&graph, &Options::default(), &Hardware::default()).unwrap();
        if fine.nodes.iter().any(cut) {
            continue;
        }
        for (bits, least) in [(1, 22.0), (4, 22.0), (8, 22.0)] {
            let hardware = Hardware {
                multiplier_bits: bits,
                add_multiplier_bits: bits,
                ..Hardware::default()
            };
            check_sqnr(&graph, &Options::default(), &hardware, least);
        }
        checked += 1;
    }
    assert!(checked > 10);
}

#[test]
fn data_free_calibration_gives_a_working_network() {
    let mut b = Build::new(5);
    let x = b.input(&[1, 3, 9, 8]);
    let mut y = x;
    for m in [8, 8, 6] {
        y = b.conv(y, m, [3, 3], 1);
        y = b.batch_norm(y);
        y = b.relu(y);
    }
    let s = b.shape(y);
    let y = b.op(Op::ReduceMean { axes: vec![2, 3] }, &[y], &[1, s[1], 1, 1]);
    let y = b.op(Op::Reshape, &[y], &[1, s[1]]);
    let y = b.dense(y, 5);
    let graph = b.finish(&[y]);
    let mut after = graph.clone();
    let mut context = Context::default();
    run(GRAPH, &mut after, &mut context, Check::End).unwrap();
    let options = Options { input_range: Some((-1.0, 1.0)), ..Options::default() };
    let calibration =
        crate::calibrate::without_data(&after, &context, &PlainRunner(&after), &options).unwrap();
    let q = quantize(&after, &calibration, &options, &Hardware::default()).unwrap();
    // These batch norms were never trained on this data, so their ranges are only roughly right.
    assert!(sqnr(&graph, &q)[0] > 15.0, "{:?}", sqnr(&graph, &q));
}

fn ops(q: &QGraph) -> Vec<&'static str> {
    q.nodes.iter().map(|node| node.op.name()).collect()
}

#[test]
fn layout_changes_of_exporters_cost_nothing() {
    // A channels-last model: transposed on the way in and out, flattened through a transpose.
    let mut b = Build::new(6);
    let x = b.input(&[1, 6, 5, 3]);
    let y = b.op(Op::Transpose { perm: vec![0, 3, 1, 2] }, &[x], &[1, 3, 6, 5]);
    let y = b.conv(y, 4, [3, 3], 1);
    let y = b.op(Op::Transpose { perm: vec![0, 2, 3, 1] }, &[y], &[1, 4, 3, 4]);
    let y = b.relu(y);
    let k = b.constant(&[4]);
    let y = b.op(Op::Mul, &[y, k], &[1, 4, 3, 4]);
    let flat = b.op(Op::Reshape, &[y], &[1, 48]);
    let z = b.dense(flat, 5);
    let graph = b.finish(&[y, z]);
    let q = check_sqnr(&graph, &Options::default(), &Hardware::default(), 25.0);
    assert_eq!(ops(&q), ["conv", "conv", "conv"]);
    assert_eq!(q.values[q.inputs[0].0 as usize].shape.extents(), [6, 5, 3]);
}

#[test]
fn inputs_are_stored_as_their_first_user_wants() {
    let mut b = Build::new(7);
    let x = b.input(&[1, 12, 10]);
    let y = b.op(Op::Reshape, &[x], &[1, 1, 12, 10]);
    let y = b.conv(y, 4, [3, 3], 1);
    let y = b.op(Op::Reshape, &[y], &[1, 4, 80]);
    let y = b.op(Op::Softmax { axis: 1 }, &[y], &[1, 4, 80]);
    let graph = b.finish(&[y]);
    let q = check_sqnr(&graph, &Options::default(), &Hardware::default(), 25.0);
    // The result [1, 4, 80] is wanted as 80 pixels, not as 10 rows of 8.
    assert_eq!(ops(&q), ["conv", "reorder", "softmax"]);
    assert_eq!(q.values[q.inputs[0].0 as usize].shape.extents(), [12, 10, 1]);
}

#[test]
fn a_channel_shuffle_is_one_reorder_and_a_row_softmax_two() {
    let mut b = Build::new(8);
    let x = b.input(&[1, 6, 4, 3]);
    let y = b.conv(x, 6, [1, 1], 1);
    let y = b.op(Op::Reshape, &[y], &[1, 2, 3, 4, 3]);
    let y = b.op(Op::Transpose { perm: vec![0, 2, 1, 3, 4] }, &[y], &[1, 3, 2, 4, 3]);
    let y = b.op(Op::Reshape, &[y], &[1, 6, 4, 3]);
    let y = b.conv(y, 6, [1, 1], 3);
    let graph = b.finish(&[y]);
    let q = check_sqnr(&graph, &Options::default(), &Hardware::default(), 25.0);
    assert_eq!(ops(&q), ["conv", "reorder", "conv"]);

    let mut b = Build::new(9);
    let x = b.input(&[1, 2, 4, 3]);
    let y = b.conv(x, 3, [1, 1], 1);
    let y = b.op(Op::Softmax { axis: 2 }, &[y], &[1, 3, 4, 3]);
    let y = b.conv(y, 3, [1, 1], 1);
    let q = check_sqnr(&b.finish(&[y]), &Options::default(), &Hardware::default(), 25.0);
    assert_eq!(ops(&q), ["conv", "reorder", "softmax", "reorder", "conv"]);
}

#[test]
fn interface_values_that_share_elements_stay_apart() {
    let mut b = Build::new(10);
    let x = b.input(&[1, 2, 3, 4]);
    let flat = b.op(Op::Reshape, &[x], &[1, 24]);
    let relu = b.relu(x);
    let turned = b.op(Op::Transpose { perm: vec![0, 1, 3, 2] }, &[relu], &[1, 2, 4, 3]);
    let graph = b.finish(&[x, flat, relu, turned]);
    let q = check_sqnr(&graph, &Options::default(), &Hardware::default(), 25.0);
    assert_eq!(q.outputs.len(), 4);
}

#[test]
fn awkward_shapes_of_every_operator() {
    let pool: fn(Window) -> Op = |window| Op::AveragePool { window, count_include_pad: false };
    let mut b = Build::new(11);
    let x = b.input(&[1, 5, 7]);
    let y = b.dense(x, 4);
    let gate = b.input(&[1, 1, 4]);
    let y = b.op(Op::Sub, &[gate, y], &[1, 5, 4]);
    let z = b.op(Op::Transpose { perm: vec![0, 2, 1] }, &[y], &[1, 4, 5]);
    let z = b.dense(z, 3);
    let padded = b.op(
        Op::Pad { before: vec![0, 1, 0], after: vec![0, 0, 2], value: 0.25 },
        &[z],
        &[1, 5, 5],
    );
    let turned = b.op(Op::Transpose { perm: vec![0, 2, 1] }, &[padded], &[1, 5, 5]);
    let joined = b.op(Op::Concat { axis: 2 }, &[turned, y], &[1, 5, 9]);
    let rows = b.op(Op::ReduceMean { axes: vec![1] }, &[joined], &[1, 1, 9]);
    let p = b.input(&[1, 1, 5, 6]);
    let q = b.input(&[1, 2, 5, 6]);
    let maps = b.op(Op::Concat { axis: 1 }, &[p, q], &[1, 3, 5, 6]);
    let window = Window { kernel: [3, 2], stride: [2, 3], dilation: [1, 2], pad: [1, 1, 0, 0] };
    let pooled = b.pool(maps, pool, window);
    let column = b.input(&[5, 1]);
    let scaled = b.op(Op::Mul, &[maps, column], &[1, 3, 5, 6]);
    let graph = b.finish(&[rows, pooled, scaled]);
    check_sqnr(&graph, &Options::default(), &Hardware::default(), 25.0);
    let wide = Options { act_bits: 16, ..Options::default() };
    check_sqnr(&graph, &wide, &Hardware { acc_bits: 48, ..Hardware::default() }, 35.0);
}

#[test]
fn batches_are_more_rows_where_rows_are_independent() {
    let mut b = Build::new(12);
    let x = b.input(&[3, 2, 4, 5]);
    let y = b.conv(x, 3, [1, 3], 1);
    let y = b.relu(y);
    let y = b.op(Op::Reshape, &[y], &[3, 36]);
    let y = b.dense(y, 4);
    let graph = b.finish(&[y]);
    let q = check_sqnr(&graph, &Options::default(), &Hardware::default(), 25.0);
    assert_eq!(q.values[q.outputs[0].0 as usize].shape.extents(), [3, 1, 4]);
    let one = Options { weight_bits: 9, ..Options::default() };
    assert!(matches!(
        quantized(&graph, &one, &Hardware::default()),
        Err(QuantizeError::Option { name: "weight_bits", .. })
    ));
}

#[test]
fn wide_activations_meet_softmax_in_int8() {
    let mut b = Build::new(13);
    let x = b.input(&[1, 7]);
    let y = b.dense(x, 9);
    let y = b.op(Op::Softmax { axis: 1 }, &[y], &[1, 9]);
    let y = b.dense(y, 3);
    let graph = b.finish(&[y]);
    let options = Options { act_bits: 16, ..Options::default() };
    let q = check_sqnr(&graph, &options, &Hardware { acc_bits: 48, ..Hardware::default() }, 25.0);
    assert_eq!(ops(&q), ["conv", "rescale", "softmax", "conv"]);
    let dtype = |node: usize| q.values[q.nodes[node].output.0 as usize].dtype;
    assert_eq!([0, 1, 2, 3].map(dtype), [QType::I16, QType::I8, QType::I8, QType::I16]);
    let names: Vec<_> = q.nodes.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["n0", "n1/rescale", "n1", "n2"]);
}

#[test]
fn weights_of_few_bits_stay_in_their_range() {
    let graph = random_graph(3);
    for weight_bits in 2..=8 {
        let options = Options { weight_bits, weight_bits_everywhere: true, ..Options::default() };
        let q = quantized(&graph, &options, &Hardware::default()).unwrap();
        let limit = i8::MAX >> (8 - weight_bits);
        let mut largest = 0;
        for node in &q.nodes {
            if let QOp::Conv { weights, .. } = &node.op {
                assert_eq!(weights.bits, weight_bits);
                largest = largest.max(weights.data.iter().map(|w| w.abs()).max().unwrap());
            }
        }
        assert_eq!(largest, limit);
    }
}
