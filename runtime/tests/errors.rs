//! What is refused, and in which words.

mod common;

use common::{INT8, bytes, requant, single, value, weights, window, words};
use ir::qgraph::{QGraph, QOp, QType, Window};
use runtime::{Path, Prepared, RuntimeError, run};

fn dense() -> QGraph {
    let op = QOp::Conv {
        weights: weights([1, 1, 1, 2], &[1, 1]),
        bias: vec![0],
        requant: vec![requant(1, 0)],
        window: window(1, 1, 0),
        groups: 1,
        bounds: INT8,
    };
    single(op, [value([1, 1, 2], QType::I8, 0)], value([1, 1, 1], QType::I8, 0))
}

#[test]
fn inputs_that_do_not_fit() {
    let graph = dense();
    let refusal = |inputs: &[_]| {
        let fast = run(&graph, inputs, Path::Fast).unwrap_err();
        assert_eq!(run(&graph, inputs, Path::Plain), Err(fast.clone()));
        fast.to_string()
    };
    assert_eq!(refusal(&[]), "the network has 1 inputs, 0 were given");
    assert_eq!(
        refusal(&[bytes([1, 2, 1], &[1, 2])]),
        "input `v0` has shape [1, 2, 1], expected [h, w, c] = [1, 1, 2]"
    );
    assert_eq!(refusal(&[words([1, 1, 2], &[1, 2])]), "input `v0` is stored as i16, expected i8");
    assert_eq!(refusal(&[bytes([1, 1, 2], &[1])]), "`v0` holds 1 elements, expected 2");
}

#[test]
fn graphs_that_break_the_rules() {
    let mut graph = dense();
    let QOp::Conv { weights, .. } = &mut graph.nodes[0].op else { panic!("a convolution") };
    weights.data.pop();
    let error = Prepared::new(&graph).unwrap_err();
    assert!(matches!(error, RuntimeError::Graph { .. }), "{error}");
    assert!(error.to_string().starts_with("malformed integer graph: node `n0`"), "{error}");
    assert_eq!(run(&graph, &[bytes([1, 1, 2], &[1, 2])], Path::Plain), Err(error));
}

#[test]
fn graphs_that_would_need_absurd_memory_or_time() {
    let border = QOp::Pad { before: [0; 3], after: [1 << 30, 0, 0], value: 0 };
    let form = |h| value([h, 1, 1], QType::I8, 0);
    let error = Prepared::new(&single(border, [form(1)], form((1 << 30) + 1))).unwrap_err();
    assert!(matches!(error, RuntimeError::TooLarge { .. }), "{error}");

    let side = 1 << 22;
    let pool = QOp::MaxPool {
        window: Window { kernel: [side; 2], stride: [1; 2], dilation: [1; 2], pad: [side - 1; 4] },
    };
    let error =
        Prepared::new(&single(pool, [form(1)], value([side, side, 1], QType::I8, 0))).unwrap_err();
    assert!(matches!(error, RuntimeError::TooLarge { .. } | RuntimeError::TooMuchWork { .. }));
}

#[test]
fn padding_too_large_to_write_out_is_computed_plainly() {
    // One pixel between a million padding pixels on each side, stride of a million: three windows. Written out, rows and
    // columns would be 2^42 elements.
    let edge = 1 << 20;
    let op = QOp::Conv {
        weights: weights([1, 1, 1, 1], &[2]),
        bias: vec![0],
        requant: vec![requant(1, 0)],
        window: Window { kernel: [1; 2], stride: [edge; 2], dilation: [1; 2], pad: [edge; 4] },
        groups: 1,
        bounds: INT8,
    };
    let graph = single(op, [value([1, 1, 1], QType::I8, 3)], value([3, 3, 1], QType::I8, 0));
    let y = common::elements(&graph, [bytes([1, 1, 1], &[50])]);
    assert_eq!(y, [6, 6, 6, 6, 100, 6, 6, 6, 6]);
}

#[test]
fn prepared_graphs_are_shared_between_threads() {
    let graph = dense();
    let prepared = Prepared::new(&graph).unwrap();
    std::thread::scope(|scope| {
        for i in 0..4_i8 {
            let prepared = &prepared;
            scope.spawn(move || {
                let y = prepared.run(&[bytes([1, 1, 2], &[i, 10])]).unwrap();
                assert_eq!(y, [bytes([1, 1, 1], &[i + 10])]);
            });
        }
    });
}
