//! Sizes of activations, determinism, and what is left alone.

use super::*;
use crate::testing::{Build, all_values, random_inputs};
use ir::tensor::Data;

/// Every constant replaced by one number, as in published structures.
fn without_weights(mut graph: Graph) -> Graph {
    for value in &mut graph.values {
        if let Some(tensor) = &mut value.constant {
            tensor.data = Data::SplatF32 { value: 0.5, count: tensor.data.len() };
        }
    }
    graph
}

const KEEP: Window = Window { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], pad: [1; 4] };

/// `blocks` residual blocks of three convolutions with batch norms, then a classifier.
fn residual(blocks: usize) -> Graph {
    let mut b = Build::new(7);
    let mut x = b.input(&[1, 8, 6, 6]);
    for _ in 0..blocks {
        let mut y = x;
        for _ in 0..3 {
            y = b.conv_window(y, 8, KEEP, 1);
            y = b.batch_norm(y);
            y = b.relu(y);
        }
        let y = b.conv_window(y, 8, KEEP, 1);
        let y = b.batch_norm(y);
        let sum = b.op(Op::Add, &[x, y], &[1, 8, 6, 6]);
        x = b.relu(sum);
    }
    let mean = b.op(Op::ReduceMean { axes: vec![2, 3] }, &[x], &[1, 8, 1, 1]);
    let flat = b.op(Op::Reshape, &[mean], &[1, 8]);
    let y = b.dense(flat, 10);
    b.finish(&[y])
}

/// Convolutions without batch norm, pools of both kinds, and dense layers.
fn plain(depth: usize) -> Graph {
    let mut b = Build::new(8);
    let mut x = b.input(&[1, 8, 16, 16]);
    for layer in 0..depth {
        x = b.conv_window(x, 8, KEEP, 1);
        x = b.relu(x);
        if layer % 8 == 7 {
            let half = Window { kernel: [2, 2], stride: [2, 2], dilation: [1, 1], pad: [0; 4] };
            x = b.pool(x, |window| Op::MaxPool { window }, half);
        }
    }
    let count = b.shape(x).iter().product();
    let flat = b.op(Op::Reshape, &[x], &[1, count]);
    let y = b.dense(flat, 12);
    let y = b.relu(y);
    let y = b.dense(y, 10);
    b.finish(&[y])
}

/// Root mean square of every computed value over a few inputs.
fn sizes(graph: &Graph) -> Vec<(String, f64)> {
    let runs: Vec<_> = (0..4).map(|s| all_values(graph, &random_inputs(graph, s))).collect();
    let of = |node: &Node| {
        let all = runs.iter().flat_map(|values| &values[node.output.0 as usize]);
        let squares: Vec<f64> = all.map(|&v| f64::from(v).powi(2)).collect();
        (node.name.clone(), (squares.iter().sum::<f64>() / squares.len() as f64).sqrt())
    };
    graph.nodes.iter().map(of).collect()
}

#[test]
fn activations_stay_of_order_one_through_deep_networks() {
    // Residual blocks add up, each one deviation and a share of its mean: linear, where anything unstable would double.
    // Of 26 layers in a row, a tenth more in each would be 12 times as much.
    let most = |blocks: usize| 1.5 * blocks as f64;
    for (graph, least, most) in
        [(residual(16), 0.3, most(16)), (residual(64), 0.3, most(64)), (plain(24), 0.2, 10.0)]
    {
        for seed in 0..2 {
            let mut graph = without_weights(graph.clone());
            randomize(&mut graph, seed, Some((-1.0, 1.0)));
            assert_eq!(graph.verify(), Ok(()));
            for (node, size) in sizes(&graph) {
                assert!((least..=most).contains(&size), "{node} of seed {seed}: {size}");
            }
        }
    }
}

#[test]
fn the_seed_decides_every_bit() {
    let made = |seed| {
        let mut graph = without_weights(residual(1));
        randomize(&mut graph, seed, None);
        let constants = graph.values.iter().filter_map(|v| v.constant.as_ref());
        let bits: Vec<u32> = constants
            .flat_map(|t| t.f32_values().unwrap().into_owned())
            .map(f32::to_bits)
            .collect();
        // FNV-1a, so that a change on some machine shows here.
        bits.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, &b| {
            (hash ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    };
    assert_eq!(made(1), made(1));
    assert_ne!(made(1), made(2));
    assert_eq!(made(1), 12708054313937022155);
}

#[test]
fn structure_stays_and_real_weights_are_noticed() {
    let mut b = Build::new(9);
    let x = b.input(&[1, 3, 4, 4]);
    let six = b.constant_of(&[], vec![6.0]);
    let scale = b.constant_of(&[3, 1, 1], vec![2.0; 3]);
    let real = b.constant_of(&[3, 1, 1], vec![1.0, 2.0, 3.0]);
    let y = b.op(Op::Mul, &[x, six], &[1, 3, 4, 4]);
    let y = b.op(Op::Mul, &[y, scale], &[1, 3, 4, 4]);
    let y = b.op(Op::Add, &[real, y], &[1, 3, 4, 4]);
    let y = b.op(Op::Add, &[y, real], &[1, 3, 4, 4]);
    let mut graph = b.finish(&[y]);
    let replaced = randomize(&mut graph, 1, None);
    assert_eq!(replaced, Replaced { tensors: 2, elements: 6, real: 1 });
    assert_eq!(graph.values[six.0 as usize].constant.as_ref().unwrap().f32_scalar(), Some(6.0));
}

#[test]
fn taps_in_the_padding_are_counted() {
    assert_eq!(covered(&KEEP, &[1, 1]), 1.0 / 9.0);
    // Three of four rows are whole, each border row misses a third.
    let tall = Window { kernel: [3, 1], stride: [1, 1], dilation: [1, 1], pad: [1, 0, 1, 0] };
    assert!((covered(&tall, &[4, 9]) - 10.0 / 12.0).abs() < 1e-12);
}
