//! Normalizations by statistics of the sample.

use super::*;

fn function(text: &str) -> Op {
    let terms = text.split(' ').map(|term| term.parse().unwrap()).collect();
    Op::Unary { function: ir::function::Function::new(terms).unwrap() }
}

/// A layer normalization over the last axis with scale and bias, in the spelling of `square` and `root`.
fn layer_norm(square: &str, root: &str) -> Graph {
    let mut b = Build::new(70);
    let (s, one) = ([1, 9, 40], [1, 9, 1]);
    let x = b.input(&s);
    let x = b.dense(x, 40);
    let mean = || Op::ReduceMean { axes: vec![2] };
    let m = b.op(mean(), &[x], &one);
    let d = b.op(Op::Sub, &[x, m], &s);
    let q = b.op(function(square), &[d], &s);
    let v = b.op(mean(), &[q], &one);
    let r = b.op(function(root), &[v], &one);
    let y = b.op(Op::Mul, &[d, r], &s);
    let (scale, bias) = (b.constant(&[40]), b.constant(&[40]));
    let y = b.op(Op::Mul, &[y, scale], &s);
    let y = b.op(Op::Add, &[y, bias], &s);
    b.finish(&[y])
}

#[test]
fn what_lies_inside_a_normalization_has_sixteen_bits() {
    for (square, root) in [
        ("x x mul", "x 1e-5 add sqrt reciprocal"),
        ("x 2 pow", "1 x 1e-5 add sqrt div"),
        ("x x mul", "x 1e-5 add -0.5 pow"),
    ] {
        let graph = layer_norm(square, root);
        let q = check_sqnr(&graph, &Options::default(), &Hardware::default(), 34.0);
        let wide = q.nodes.iter().filter(|n| q.values[n.output.0 as usize].dtype == QType::I16);
        let wide: Vec<_> = wide.map(|n| n.op.name()).collect();
        // Mean, deviation, square (exact, not a table), variance, table of the root, normalized value, and this brought into the
        // layout of a map.
        assert_eq!(wide, ["conv", "add", "mul", "conv", "lut16", "mul", "reorder"], "{root}");
        assert_eq!(q.values[q.outputs[0].0 as usize].dtype, QType::I8);
    }
}

#[test]
fn widths_that_are_asked_for_come_first() {
    let graph = layer_norm("x x mul", "x 1e-5 add sqrt reciprocal");
    let layer_act_bits = [("n4".to_owned(), 8)].into_iter().collect();
    let options = Options { layer_act_bits, ..Options::default() };
    let q = quantized(&graph, &options, &Hardware::default()).unwrap();
    let of = |name: &str| q.values.iter().find(|v| v.name == name).unwrap().dtype;
    let squares = graph.nodes[3].output;
    let named = |id: ValueId| graph.values[id.0 as usize].name.clone();
    assert_eq!(of(&named(squares)), QType::I16);
    assert_eq!(of(&named(graph.nodes[4].output)), QType::I8);
}
