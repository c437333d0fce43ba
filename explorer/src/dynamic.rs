//! Dynamic quantization through the float library's integer operators.

use std::collections::BTreeMap;

use ir::graph::{Graph, Node, Op, Value, ValueId};
use ir::onnx::{IntegerWeights, save_dynamic};
use ir::tensor::{DType, Tensor};
use runtime::FloatError;

use crate::host::FloatNetwork;
use crate::rounding::dynamic_weights;

/// Operands of the product that shows whether sums saturate: more than a vector register holds.
const PROBE: usize = 256;

/// `graph` with convolutions and dense layers in integers, their operands quantized at run time.
///
/// # Errors
/// When the library refuses the network, or its integer products are not exact on this processor: without VNNI instructions it adds
/// pairs of products in 16 bits, which saturate.
pub(crate) fn network(graph: &Graph, output: &str) -> Result<FloatNetwork, String> {
    if !is_exact().map_err(|e| e.to_string())? {
        return Err("the float library's int8 products saturate on this processor".into());
    }
    let onnx = save_dynamic(graph, &dynamic_weights(graph));
    FloatNetwork::from_onnx(graph, onnx, output).map_err(|e| e.to_string())
}

/// Whether the largest operands times the largest weights give their exact sum.
fn is_exact() -> Result<bool, FloatError> {
    let value = |name: &str, shape: &[usize], constant| Value {
        name: name.to_owned(),
        dtype: DType::F32,
        shape: shape.to_vec(),
        constant,
    };
    let weights = Tensor::from_f32(&[1, PROBE], vec![1.0; PROBE]).ok();
    let graph = Graph {
        name: "probe".into(),
        values: vec![
            value("x", &[1, PROBE], None),
            value("w", &[1, PROBE], weights),
            value("y", &[1, 1], None),
        ],
        nodes: vec![Node {
            name: "probe".into(),
            op: Op::Dense,
            inputs: vec![ValueId(0), ValueId(1)],
            output: ValueId(2),
        }],
        inputs: vec![ValueId(0)],
        outputs: vec![ValueId(2)],
        ..Graph::default()
    };
    let largest = IntegerWeights { data: vec![i8::MAX; PROBE], scale: vec![1.0 / 127.0] };
    let onnx = save_dynamic(&graph, &BTreeMap::from([("probe".to_owned(), largest)]));
    let found = FloatNetwork::from_onnx(&graph, onnx, "y")?.run(&[vec![1.0; PROBE]])?;
    Ok(found.iter().all(|y| (y - PROBE as f32).abs() < 1e-3 * PROBE as f32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ir::graph::Window;

    /// A value in steps of its own range, zero point taken off, and the real value of a step.
    fn stored(x: &[f32]) -> (Vec<i64>, f32) {
        let (lo, hi) = x.iter().fold((0f32, 0f32), |(lo, hi), &v| (lo.min(v), hi.max(v)));
        let scale = (hi - lo) / 255.0;
        let zero = (-lo / scale).round_ties_even().clamp(0.0, 255.0);
        let step = |v: &f32| ((v / scale).round_ties_even() + zero).clamp(0.0, 255.0) - zero;
        (x.iter().map(|v| step(v) as i64).collect(), scale)
    }

    #[test]
    fn layers_are_computed_as_integers_times_scales() {
        if !is_exact().unwrap() {
            return;
        }
        let (c, m, groups, n) = (4usize, 6usize, 2usize, 5usize);
        let wave = |count: usize, phase: f32| -> Vec<f32> {
            (0..count).map(|i| (i as f32 * 1.7 + phase).sin() + 0.2).collect()
        };
        let (w, b) = (wave(m * c / groups * 9, 0.5), wave(m, 2.0));
        let (dense, k) = (wave(3 * m * n * n, 1.0), m * n * n);
        let constant = |shape: &[usize], data: &[f32]| Tensor::from_f32(shape, data.to_vec()).ok();
        let value = |name: &str, shape: &[usize], constant| Value {
            name: name.to_owned(),
            dtype: DType::F32,
            shape: shape.to_vec(),
            constant,
        };
        let values = vec![
            value("x", &[1, c, n, n], None),
            value("w", &[m, c / groups, 3, 3], constant(&[m, c / groups, 3, 3], &w)),
            value("b", &[m], constant(&[m], &b)),
            value("conv", &[1, m, n, n], None),
            value("flat", &[1, k], None),
            value("d", &[3, k], constant(&[3, k], &dense)),
            value("y", &[1, 3], None),
        ];
        let window = Window { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], pad: [1; 4] };
        let node = |name: &str, op, inputs: &[u32], output| Node {
            name: name.to_owned(),
            op,
            inputs: inputs.iter().map(|&i| ValueId(i)).collect(),
            output: ValueId(output),
        };
        let nodes = vec![
            node("conv", Op::Conv { window, groups }, &[0, 1, 2], 3),
            node("flat", Op::Reshape, &[3], 4),
            node("dense", Op::Dense, &[4, 5], 6),
        ];
        let (inputs, outputs) = (vec![ValueId(0)], vec![ValueId(6)]);
        let graph = Graph { name: "g".into(), values, nodes, inputs, outputs, ..Graph::default() };

        let x = wave(c * n * n, 0.0);
        let weights = dynamic_weights(&graph);
        let (xq, xs) = stored(&x);
        let conv = &weights["conv"];
        let mut expected = Vec::new();
        for (o, bias) in b.iter().enumerate() {
            for at in 0..n * n {
                let mut sum = 0;
                for i in 0..c / groups {
                    for tap in 0..9 {
                        let (y, z) = (at / n + tap / 3, at % n + tap % 3);
                        if (1..=n).contains(&y) && (1..=n).contains(&z) {
                            let channel = o / (m / groups) * (c / groups) + i;
                            let q = conv.data[(o * c / groups + i) * 9 + tap];
                            sum += i64::from(q) * xq[channel * n * n + (y - 1) * n + z - 1];
                        }
                    }
                }
                expected.push(sum as f32 * (xs * conv.scale[o]) + bias);
            }
        }
        let close = |found: &[f32], expected: &[f32]| {
            found.len() == expected.len()
                && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4 * (1.0 + b.abs()))
        };
        let found = network(&graph, "conv").unwrap().run(std::slice::from_ref(&x)).unwrap();
        assert!(close(&found, &expected), "{found:?} {expected:?}");
        let (q, scale) = stored(&found);
        let layer = &weights["dense"];
        let expected: Vec<f32> = (layer.data.chunks_exact(k).zip(&layer.scale))
            .map(|(row, s)| {
                let sum: i64 = row.iter().zip(&q).map(|(&w, x)| i64::from(w) * x).sum();
                sum as f32 * (scale * s)
            })
            .collect();
        let found = network(&graph, "y").unwrap().run(&[x]).unwrap();
        assert!(close(&found, &expected), "{found:?} {expected:?}");
    }
}
