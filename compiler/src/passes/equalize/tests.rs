//! Pairs built so that equalizing must help, and the function before and after.

use ir::graph::Window;

use super::*;
use crate::passes::{Check, GRAPH, run};
use crate::testing::{Build, random_graph, random_inputs};

/// A convolution whose output channels differ a thousandfold, a ReLU, a convolution that makes up for it; with norms behind the first or without.
fn uneven(norm: bool) -> (Graph, Context) {
    let mut b = Build::new(3);
    let x = b.input(&[1, 4, 5, 5]);
    let window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad: [0; 4] };
    let size = |c: usize| libm::exp2f(c as f32 - 4.0);
    let element = |i: usize| ((i * 29 % 17) as f32 - 8.0) / 8.0;
    let first = (0..8 * 4).map(|i| element(i) * size(i / 4)).collect();
    let first = b.constant_of(&[8, 4, 1, 1], first);
    let bias = b.constant_of(&[8], (0..8).map(|c| 0.1 * size(c)).collect());
    let y = b.op(Op::Conv { window, groups: 1 }, &[x, first, bias], &[1, 8, 5, 5]);
    let y = if norm { b.batch_norm(y) } else { y };
    let y = b.relu(y);
    let second = (0..6 * 8).map(|i| element(i + 5) / size(i % 8)).collect();
    let second = b.constant_of(&[6, 8, 1, 1], second);
    let z = b.op(Op::Conv { window, groups: 1 }, &[y, second], &[1, 6, 5, 5]);
    let mut graph = b.finish(&[z]);
    let mut context = Context::default();
    run(GRAPH, &mut graph, &mut context, Check::End).unwrap();
    (graph, context)
}

fn outputs(graph: &Graph) -> Vec<Vec<f32>> {
    (0..3).flat_map(|seed| crate::testing::run(graph, &random_inputs(graph, seed))).collect()
}

#[test]
fn the_function_stays_to_the_bit() {
    let mut equalized = 0;
    let networks = (0..40).map(|seed| {
        let mut graph = random_graph(seed);
        run(GRAPH, &mut graph, &mut Context::default(), Check::End).unwrap();
        graph
    });
    for before in networks.chain([uneven(false).0]) {
        let mut after = before.clone();
        // Without statistics nothing is absorbed.
        equalized += equalize(&mut after, &mut Context::default(), Equalize::On);
        assert_eq!(after.verify(), Ok(()));
        assert_eq!(outputs(&after), outputs(&before), "{}", before.name);
    }
    assert!(equalized > 10, "{equalized}");
}

#[test]
fn it_is_done_where_it_pays() {
    let (mut graph, mut context) = uneven(false);
    let noise = |graph: &Graph, context: &Context| {
        noise::predicted(graph, context, &pairs(graph)[0], &[1.0; 8])
    };
    let before = noise(&graph, &context);
    assert_eq!(equalize(&mut graph, &mut context, Equalize::Auto), 1);
    let after = noise(&graph, &context);
    assert!(after.per_tensor < 0.1 * before.per_tensor, "{after:?} {before:?}");
    assert!(after.between < 0.1 * before.between, "{after:?} {before:?}");
    // Nothing is gained where channels are even already.
    let even = graph.clone();
    assert_eq!(equalize(&mut graph, &mut context, Equalize::Auto), 0);
    assert_eq!(graph, even);
    assert_eq!(equalize(&mut graph, &mut context, Equalize::Off), 0);
}

#[test]
fn statistics_follow() {
    let (mut graph, mut context) = uneven(true);
    let pair = &pairs(&graph)[0];
    let value = name(&graph, pair.between[0]).to_owned();
    let before = context.statistics[&value].clone();
    let factors = factors(&graph, pair);
    scale(&mut graph, &mut context, pair, &factors);
    let after = &context.statistics[&value];
    for (c, factor) in factors.iter().enumerate() {
        assert!((after.mean[c] * factor - before.mean[c]).abs() < 1e-12);
        assert!((after.std[c] * factor - before.std[c]).abs() < 1e-12);
    }
}

#[test]
fn high_biases_move_on() {
    let (mut graph, mut context) = uneven(true);
    let pair = &pairs(&graph)[0];
    let value = name(&graph, pair.between[0]).to_owned();
    let statistics = context.statistics.get_mut(&value).unwrap();
    // One channel far above zero, and so far that it decides the range.
    statistics.std.fill(0.1);
    statistics.mean.fill(0.0);
    statistics.mean[2] = 5.0;
    let bias = |graph: &Graph, node: usize| {
        floats(graph, graph.nodes[node].inputs[2]).unwrap().into_owned()
    };
    let before = bias(&graph, pair.first);
    let column: Vec<f32> = floats(&graph, graph.nodes[pair.second].inputs[1])
        .unwrap()
        .iter()
        .skip(2)
        .step_by(8)
        .copied()
        .collect();
    absorb(&mut graph, &mut context, pair);
    assert_eq!(graph.verify(), Ok(()));
    let after = bias(&graph, pair.first);
    assert!((before[2] - after[2] - 4.7).abs() < 1e-5 && before[3] == after[3]);
    for (bias, w) in bias(&graph, pair.second).iter().zip(column) {
        assert!((bias - 4.7 * w).abs() < 1e-4 * w.abs().max(1.0));
    }
    assert!((context.statistics[&value].mean[2] - 0.3).abs() < 1e-12);
    // Nothing is left to move.
    let settled = graph.clone();
    absorb(&mut graph, &mut context, pair);
    assert_eq!(graph, settled);
}

#[test]
fn what_does_not_scale_ends_a_pair() {
    for between in ["relu6", "branch", "output"] {
        let mut b = Build::new(1);
        let x = b.input(&[1, 2, 4, 4]);
        let y = b.conv(x, 3, [1, 1], 1);
        let y = b.clip(y, 0.0, if between == "relu6" { 6.0 } else { f32::INFINITY });
        let z = b.conv(y, 2, [3, 3], 1);
        let more = if between == "branch" { b.conv(y, 2, [1, 1], 1) } else { z };
        let ends = if between == "output" { vec![z, y] } else { vec![z, more] };
        let graph = b.finish(&ends[..if between == "relu6" { 1 } else { 2 }]);
        assert!(pairs(&graph).is_empty(), "{between}");
    }
    let mut b = Build::new(1);
    let x = b.input(&[1, 2, 4, 4]);
    let y = b.conv(x, 4, [1, 1], 1);
    let y = b.relu(y);
    let z = b.conv(y, 4, [3, 3], 4);
    let graph = b.finish(&[z]);
    assert_eq!(pairs(&graph).len(), 1);
}
