//! Products of two computed tensors.

use super::*;

/// Multi-head attention over `n` rows of `heads * depth` channels.
fn attention(heads: usize, n: usize, depth: usize) -> Graph {
    let mut b = Build::new(60);
    let x = b.input(&[1, n, heads * depth]);
    let y = attend(&mut b, x, [heads, n, depth]);
    b.finish(&[y])
}

/// Attention as PyTorch exports it, scores scaled behind the product.
fn attend(b: &mut Build, x: ValueId, [heads, n, depth]: [usize; 3]) -> ValueId {
    let width = heads * depth;
    let all = b.dense(x, 3 * width);
    let split = b.op(Op::Reshape, &[all], &[1, n, 3, heads, depth]);
    let perm = vec![2, 0, 3, 1, 4];
    let turned = b.op(Op::Transpose { perm }, &[split], &[3, 1, heads, n, depth]);
    let part = |b: &mut Build, i: usize| {
        let mut indices: Vec<_> =
            [3, 1, heads, n, depth].into_iter().map(ir::indices::Indices::all).collect();
        indices[0] = [i].into_iter().collect();
        let one = b.op(Op::Gather { indices }, &[turned], &[1, 1, heads, n, depth]);
        b.op(Op::Reshape, &[one], &[1, heads, n, depth])
    };
    let [q, k, v] = [0, 1, 2].map(|i| part(b, i));
    let k = b.op(Op::Transpose { perm: vec![0, 1, 3, 2] }, &[k], &[1, heads, depth, n]);
    let scores = b.op(Op::MatMul { scale: 1.0 }, &[q, k], &[1, heads, n, n]);
    let scale = b.constant_of(&[], vec![1.0 / (depth as f32).sqrt()]);
    let scores = b.op(Op::Mul, &[scores, scale], &[1, heads, n, n]);
    let shares = b.op(Op::Softmax { axis: 3 }, &[scores], &[1, heads, n, n]);
    let y = b.op(Op::MatMul { scale: 1.0 }, &[shares, v], &[1, heads, n, depth]);
    let y = b.op(Op::Transpose { perm: vec![0, 2, 1, 3] }, &[y], &[1, n, heads, depth]);
    let y = b.op(Op::Reshape, &[y], &[1, n, width]);
    b.dense(y, width)
}

/// A layer normalization with scale and bias.
fn normalize(b: &mut Build, x: ValueId) -> ValueId {
    let s = b.shape(x);
    let one = [s[0], s[1], 1];
    let mean = || Op::ReduceMean { axes: vec![2] };
    let m = b.op(mean(), &[x], &one);
    let d = b.op(Op::Sub, &[x, m], &s);
    let q = b.op(Op::Mul, &[d, d], &s);
    let v = b.op(mean(), &[q], &one);
    let r = b.unary(v, "x 1e-5 add sqrt reciprocal");
    let y = b.op(Op::Mul, &[d, r], &s);
    let (scale, bias) = (b.constant_in(&s[2..], 0.5, 1.5), b.constant_in(&s[2..], -0.5, 0.5));
    let y = b.op(Op::Mul, &[y, scale], &s);
    b.op(Op::Add, &[y, bias], &s)
}

/// Layers of a transformer's encoder: attention and two dense layers, each behind a normalization and beside a sum.
fn encoder(layers: usize, heads: usize, n: usize, depth: usize) -> Graph {
    let mut b = Build::new(62);
    let s = [1, n, heads * depth];
    let mut x = b.input(&s);
    for _ in 0..layers {
        let y = normalize(&mut b, x);
        let y = attend(&mut b, y, [heads, n, depth]);
        x = b.op(Op::Add, &[x, y], &s);
        let y = normalize(&mut b, x);
        let y = b.dense(y, 4 * s[2]);
        let y = b.unary(y, "x 1.4142135 div erf 1 add 0.5 mul x mul");
        let y = b.dense(y, s[2]);
        x = b.op(Op::Add, &[x, y], &s);
    }
    let y = normalize(&mut b, x);
    b.finish(&[y])
}

#[test]
fn an_encoder_of_two_layers_keeps_its_function() {
    let graph = encoder(2, 3, 10, 8);
    let wide = Hardware { acc_bits: 48, ..Hardware::default() };
    check_sqnr(&graph, &Options::default(), &Hardware::default(), 18.0);
    check_sqnr(&graph, &Options { act_bits: 16, ..Options::default() }, &wide, 24.0);
}

#[test]
fn attention_keeps_its_function() {
    let wide = Hardware { acc_bits: 48, ..Hardware::default() };
    for (options, hardware, least) in [
        (Options::default(), &Hardware::default(), 22.0),
        (Options { act_bits: 16, ..Options::default() }, &wide, 28.0),
        (Options { symmetric_activations: true, ..Options::default() }, &Hardware::default(), 22.0),
    ] {
        let q = check_sqnr(&attention(2, 7, 5), &options, hardware, least);
        let products: Vec<_> =
            q.nodes.iter().filter(|n| matches!(n.op, QOp::MatMul { .. })).collect();
        // Heads lie along h, and the factor is part of the multiplier.
        let shapes = products.iter().map(|n| q.values[n.output.0 as usize].shape.extents());
        assert_eq!(shapes.collect::<Vec<_>>(), [[2, 7, 7], [2, 7, 5]]);
        assert!(!ops(&q).iter().any(|op| op.starts_with("lut")), "{:?}", ops(&q));
    }
}

#[test]
fn operands_are_centred_and_only_the_first_may_be_wide() {
    let q = check_sqnr(&attention(1, 6, 4), &Options::default(), &Hardware::default(), 22.0);
    for node in q.nodes.iter().filter(|n| matches!(n.op, QOp::MatMul { .. })) {
        let [a, b] = [0, 1].map(|i| &q.values[node.inputs[i].0 as usize]);
        assert_eq!((a.zero_point, b.zero_point, b.dtype), (0, 0, QType::I8));
    }
    // What a product reads is symmetric from the start; softmax alone is brought to zero point 0, at the same steps.
    let rescaled: Vec<_> = q.nodes.iter().filter(|n| matches!(n.op, QOp::Rescale { .. })).collect();
    assert_eq!(rescaled.len(), 1, "{:?}", ops(&q));
    let [from, to] = [rescaled[0].inputs[0], rescaled[0].output].map(|id| &q.values[id.0 as usize]);
    assert_eq!((from.zero_point, to.zero_point, to.dtype), (-128, 0, QType::I16));
    assert_eq!(from.scale.to_bits(), to.scale.to_bits());
}

#[test]
fn a_wide_operand_becomes_narrow_where_its_sums_would_not_fit() {
    let mut b = Build::new(61);
    let (x, z) = (b.input(&[1, 3, 600]), b.input(&[1, 600, 2]));
    let y = b.op(Op::MatMul { scale: 1.0 }, &[x, z], &[1, 3, 2]);
    let graph = b.finish(&[y]);
    let options = Options { act_bits: 16, ..Options::default() };
    let first = |acc_bits| {
        let q = quantized(&graph, &options, &Hardware { acc_bits, ..Hardware::default() }).unwrap();
        let product = q.nodes.iter().find(|n| matches!(n.op, QOp::MatMul { .. })).unwrap();
        q.values[product.inputs[0].0 as usize].dtype
    };
    // 600 * 2^15 * 2^7 needs 33 bits.
    assert_eq!([32, 33].map(first), [QType::I8, QType::I16]);
    let narrow = Hardware { acc_bits: 20, ..Hardware::default() };
    let error = quantized(&graph, &options, &narrow).unwrap_err();
    assert!(matches!(error, QuantizeError::Accumulator { acc_bits: 20, .. }), "{error}");
}
