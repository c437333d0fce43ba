//! A plain float evaluator of whole graphs: obvious loops, double-precision sums.

use ir::graph::{Graph, Node, Op, Window, lrn_window};

use crate::evaluate::{Operand, evaluate, indices, strides};

/// Outputs of `graph` for inputs in order.
pub(crate) fn run(graph: &Graph, inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let values = all_values(graph, inputs);
    graph.outputs.iter().map(|id| values[id.0 as usize].clone()).collect()
}

/// Every value of `graph`, indexed like `graph.values`.
pub(crate) fn all_values(graph: &Graph, inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let constants = graph.values.iter().map(|v| v.constant.as_ref());
    let mut values: Vec<Vec<f32>> =
        constants.map(|c| c.map_or(Vec::new(), |c| c.f32_values().unwrap().into_owned())).collect();
    for (id, data) in graph.inputs.iter().zip(inputs) {
        values[id.0 as usize] = data.clone();
    }
    for node in &graph.nodes {
        values[node.output.0 as usize] = node_result(graph, node, &values);
    }
    values
}

fn node_result(graph: &Graph, node: &Node, values: &[Vec<f32>]) -> Vec<f32> {
    let operands: Vec<_> = (node.inputs.iter())
        .map(|id| Operand {
            shape: &graph.values[id.0 as usize].shape,
            data: &values[id.0 as usize],
        })
        .collect();
    let shape = &graph.values[node.output.0 as usize].shape;
    let x = operands[0];
    match &node.op {
        Op::Conv { window, groups } => conv(&operands, window, *groups, shape),
        Op::ConvTranspose { window, groups, .. } => {
            conv_transpose(&operands, window, *groups, shape)
        }
        Op::Dense => {
            let (k, m) = (operands[1].shape[1], operands[1].shape[0]);
            let dot = |i: usize| {
                let (row, o) = (i / m, i % m);
                let products = (0..k).map(|j| {
                    f64::from(x.data[row * k + j]) * f64::from(operands[1].data[o * k + j])
                });
                (products.sum::<f64>() + operands.get(2).map_or(0.0, |b| f64::from(b.data[o])))
                    as f32
            };
            (0..x.data.len() / k * m).map(dot).collect()
        }
        &Op::Lrn { size, alpha, beta, bias } => {
            let [alpha, beta, bias] = [alpha, beta, bias].map(f64::from);
            let (channels, inner) = (x.shape[1], x.shape[2] * x.shape[3]);
            let normalized = |(i, &v): (usize, &f32)| {
                let c = i / inner % channels;
                let square =
                    |other: usize| f64::from(x.data[i - c * inner + other * inner]).powi(2);
                let sum: f64 = lrn_window(c, size, channels).map(square).sum();
                (f64::from(v) / (bias + alpha / size as f64 * sum).powf(beta)) as f32
            };
            x.data.iter().enumerate().map(normalized).collect()
        }
        Op::MaxPool { window } => {
            pool(x, window, shape, |taps| taps.iter().map(|t| t.1).fold(f64::MIN, f64::max))
        }
        Op::AveragePool { window, count_include_pad } => {
            let (h, w) = (x.shape[2], x.shape[3]);
            let limit = [h + window.pad[2], w + window.pad[3]];
            let counts = |at: [isize; 2]| {
                let inside =
                    |axis: usize, extent: usize| (0..extent.cast_signed()).contains(&at[axis]);
                let declared = |axis: usize| at[axis] < limit[axis].cast_signed();
                if *count_include_pad {
                    declared(0) && declared(1)
                } else {
                    inside(0, h) && inside(1, w)
                }
            };
            pool(x, window, shape, |taps| {
                let n = taps.iter().filter(|(at, _)| counts(*at)).count() as f64;
                taps.iter().map(|t| if t.1 == f64::NEG_INFINITY { 0.0 } else { t.1 }).sum::<f64>()
                    / n
            })
        }
        Op::MatMul { scale } => matmul(operands[0], operands[1], *scale, shape),
        op => evaluate(op, &operands, shape).unwrap(),
    }
}

/// Input position of a tap; negative or beyond the input in the padding.
fn tap(window: &Window, axis: usize, out: usize, k: usize) -> isize {
    (out * window.stride[axis] + k * window.dilation[axis]).cast_signed()
        - window.pad[axis].cast_signed()
}

/// Element at a position, `None` in the padding.
fn at(x: Operand<'_>, n: usize, c: usize, y: isize, x_pos: isize) -> Option<f64> {
    let (y, p) = (usize::try_from(y).ok()?, usize::try_from(x_pos).ok()?);
    let s = strides(x.shape);
    (y < x.shape[2] && p < x.shape[3])
        .then(|| f64::from(x.data[n * s[0] + c * s[1] + y * s[2] + p]))
}

fn conv(operands: &[Operand<'_>], window: &Window, groups: usize, shape: &[usize]) -> Vec<f32> {
    let (x, w) = (operands[0], operands[1]);
    let per_group = shape[1] / groups;
    let element = |i: Vec<usize>| {
        let (o, first) = (i[1], i[1] / per_group * w.shape[1]);
        let mut sum = operands.get(2).map_or(0.0, |b| f64::from(b.data[o]));
        for k in indices(&w.shape[1..]) {
            let (y, p) = (tap(window, 0, i[2], k[1]), tap(window, 1, i[3], k[2]));
            let weight = w.data[((o * w.shape[1] + k[0]) * w.shape[2] + k[1]) * w.shape[3] + k[2]];
            sum += at(x, i[0], first + k[0], y, p).unwrap_or(0.0) * f64::from(weight);
        }
        sum as f32
    };
    indices(shape).map(element).collect()
}

fn matmul(a: Operand<'_>, b: Operand<'_>, scale: f32, shape: &[usize]) -> Vec<f32> {
    let (p, q) = (strides(a.shape), strides(b.shape));
    let last = shape.len() - 1;
    let element = |i: Vec<usize>| {
        let from = |own: &[usize]| -> usize { (0..last - 1).map(|axis| i[axis] * own[axis]).sum() };
        let (x, y) = (from(&p) + i[last - 1] * p[last - 1], from(&q) + i[last]);
        let product = |k: usize| f64::from(a.data[x + k]) * f64::from(b.data[y + k * q[last - 1]]);
        (f64::from(scale) * (0..a.shape[last]).map(product).sum::<f64>()) as f32
    };
    indices(shape).map(element).collect()
}

/// Scatters every input element, as ONNX defines the operator.
fn conv_transpose(
    operands: &[Operand<'_>],
    window: &Window,
    groups: usize,
    shape: &[usize],
) -> Vec<f32> {
    let (x, w) = (operands[0], operands[1]);
    let bias = |o: usize| operands.get(2).map_or(0.0, |b| f64::from(b.data[o]));
    let mut sums: Vec<f64> = indices(shape).map(|i| bias(i[1])).collect();
    let to = strides(shape);
    let per_group = shape[1] / groups;
    for (i, v) in indices(x.shape).zip(x.data) {
        let (group, first) = (i[1] / w.shape[1], i[1] % w.shape[1]);
        for (k, weight) in indices(w.shape).zip(w.data) {
            let place = |axis: usize| {
                let at = i[axis + 2] * window.stride[axis] + k[axis + 2] * window.dilation[axis];
                at.checked_sub(window.pad[axis]).filter(|at| *at < shape[axis + 2])
            };
            if let (Some(y), Some(p)) = (place(0), place(1))
                && k[0] / per_group == group
                && k[1] == first
            {
                let at = i[0] * to[0] + k[0] * to[1] + y * to[2] + p;
                sums[at] += f64::from(*v) * f64::from(*weight);
            }
        }
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}

/// Reduces each window's taps: position and element, minus infinity in the padding.
fn pool(
    x: Operand<'_>,
    window: &Window,
    shape: &[usize],
    reduce: impl Fn(&[([isize; 2], f64)]) -> f64,
) -> Vec<f32> {
    let element = |i: Vec<usize>| {
        let taps: Vec<_> = indices(&window.kernel)
            .map(|k| {
                let at_tap = [tap(window, 0, i[2], k[0]), tap(window, 1, i[3], k[1])];
                (at_tap, at(x, i[0], i[1], at_tap[0], at_tap[1]).unwrap_or(f64::NEG_INFINITY))
            })
            .collect();
        reduce(&taps) as f32
    };
    indices(shape).map(element).collect()
}
