//! Finds the nodes that have no integer form, all of them, before any work is done.

use ir::graph::{Graph, Node, Op, ValueId, Window};
use ir::tensor::element_count;

use super::emit::{onnx_name, slope_axis};
use super::error::Refusal;
use super::scales::{LARGEST_PADDING, divisor};
use crate::passes::{MOST_PLACES, MOST_WEIGHTS};

/// Longest row that integer softmax can sum.
const LONGEST_SOFTMAX: usize = 1 << 16;

/// Most channels of a local response normalization: its sums are a convolution between all of them.
const WIDEST_LRN: usize = 1 << 12;

/// Most elements of one value: what the integer runtime holds. A small file can declare any size.
const LARGEST_VALUE: usize = 1 << 28;

/// Most divisors of an average pool over windows that the border cuts: one multiplier each.
const MOST_DIVISORS: usize = 1 << 16;

/// Longest kernel on an axis that the array's instructions have a field for; that the vector engine's have; the largest stride
/// and dilation of both.
const LONGEST_ON_ARRAY: usize = (1 << 8) - 1;
const LONGEST_ON_LANES: usize = (1 << 12) - 1;
const LARGEST_STEP: usize = (1 << 6) - 1;

/// The nodes of `graph`, which must have been through the passes, that cannot be quantized, and why. To be asked before
/// calibration, which works on whatever the graph declares.
#[must_use]
pub fn check(graph: &Graph) -> Vec<Refusal> {
    let input = |id: &ValueId| {
        let reason = too_large(graph, *id)?;
        let node = graph.values[id.0 as usize].name.clone();
        Some(Refusal { node, op: "input".into(), reason })
    };
    let refusal = |node: &Node| {
        let reason = too_large(graph, node.output).or_else(|| reason(graph, node))?;
        Some(Refusal { node: node.name.clone(), op: onnx_name(&node.op), reason })
    };
    graph.inputs.iter().filter_map(input).chain(graph.nodes.iter().filter_map(refusal)).collect()
}

fn too_large(graph: &Graph, id: ValueId) -> Option<String> {
    let shape = &graph.values[id.0 as usize].shape;
    let count = element_count(shape).filter(|count| *count <= LARGEST_VALUE);
    count
        .is_none()
        .then(|| format!("it has shape {shape:?}, expected at most {LARGEST_VALUE} elements"))
}

fn reason(graph: &Graph, node: &Node) -> Option<String> {
    let value = |id: ValueId| &graph.values[id.0 as usize];
    let shape = |id: ValueId| value(id).shape.as_slice();
    let x = shape(node.inputs[0]);
    if let Some(constant) =
        activations(node).iter().map(|&id| value(id)).find(|v| v.constant.is_some())
    {
        let (name, extents) = (&constant.name, &constant.shape);
        return Some(format!(
            "operand `{name}` is a constant of shape {extents:?}; only constants that vary along one axis can be folded into weights"
        ));
    }
    match &node.op {
        Op::Conv { window, .. } | Op::AveragePool { window, .. } | Op::MaxPool { window }
            if x[0] != 1 && !row_by_row(window) =>
        {
            Some(batch(x[0]))
        }
        Op::Conv { window, groups } => {
            let w = shape(node.inputs[1]);
            let on_lanes = *groups > 1 && w[0] == *groups && w[1] == 1;
            too_wide(window, if on_lanes { LONGEST_ON_LANES } else { LONGEST_ON_ARRAY })
        }
        Op::AveragePool { window, .. } | Op::MaxPool { window }
            if too_wide(window, LONGEST_ON_LANES).is_some() =>
        {
            too_wide(window, LONGEST_ON_LANES)
        }
        Op::AveragePool { window, .. } => {
            let taps = window.kernel[0].saturating_mul(window.kernel[1]);
            (taps > MOST_DIVISORS && divisor(graph, node) == 1.0).then(|| {
                format!("its windows are cut by the border and have {taps} taps, expected at most {MOST_DIVISORS}")
            })
        }
        Op::Add | Op::Sub | Op::Mul | Op::Max | Op::Min => {
            let y = shape(node.output);
            let fits = node.inputs.iter().any(|&id| shape(id) == y);
            (!fits).then(|| {
                let (a, b) = (x, shape(node.inputs[1]));
                format!("both operands repeat ({a:?} and {b:?} give {y:?}); one must have the shape of the result")
            })
        }
        Op::PRelu => {
            let slope = shape(node.inputs[1]);
            slope_axis(x, slope).is_none().then(|| {
                format!("its slope has shape {slope:?}; it may vary along one axis of {x:?} only")
            })
        }
        Op::Softmax { axis } => (x[*axis] > LONGEST_SOFTMAX)
            .then(|| format!("it sums {} elements, expected at most {LONGEST_SOFTMAX}", x[*axis])),
        Op::Pad { value, .. } => (value.abs() > LARGEST_PADDING).then(|| {
            format!(
                "padding of value {value} has no integer form except in front of a maximum pool"
            )
        }),
        Op::ConvTranspose { .. } => Some(format!(
            "its phases are convolutions with more than {MOST_PLACES} places on an axis or more than {MOST_WEIGHTS} weights in all"
        )),
        Op::Interpolate { axes } => (axes.len() > 2)
            .then(|| format!("it interpolates along {} axes, expected at most 2", axes.len())),
        Op::BatchNorm { .. } | Op::ReduceMean { .. } => {
            Some("it has no integer form before the passes have rewritten it".to_owned())
        }
        Op::Lrn { .. } => (x[1] > WIDEST_LRN)
            .then(|| format!("it normalizes {} channels, expected at most {WIDEST_LRN}", x[1])),
        Op::MaxPool { .. }
        | Op::Dense
        | Op::MatMul { .. }
        | Op::Unary { .. }
        | Op::Clip { .. }
        | Op::FakeQuantize { .. }
        | Op::Concat { .. }
        | Op::Reshape
        | Op::Transpose { .. }
        | Op::Gather { .. } => None,
    }
}

/// Operands that must be computed.
fn activations(node: &Node) -> &[ValueId] {
    match node.op {
        Op::Conv { .. }
        | Op::ConvTranspose { .. }
        | Op::Dense
        | Op::BatchNorm { .. }
        | Op::PRelu => &node.inputs[..1],
        Op::MatMul { .. }
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Max
        | Op::Min
        | Op::Unary { .. }
        | Op::Clip { .. }
        | Op::FakeQuantize { .. }
        | Op::Interpolate { .. }
        | Op::Lrn { .. }
        | Op::MaxPool { .. }
        | Op::AveragePool { .. }
        | Op::ReduceMean { .. }
        | Op::Concat { .. }
        | Op::Reshape
        | Op::Transpose { .. }
        | Op::Pad { .. }
        | Op::Gather { .. }
        | Op::Softmax { .. } => &node.inputs,
    }
}

/// Whether each row of the result depends on one row of the input, so that a batch can be stored as more rows.
fn row_by_row(window: &Window) -> bool {
    window.kernel[0] == 1 && window.stride[0] == 1 && window.pad[0] == 0 && window.pad[2] == 0
}

/// Why no instruction can name the window.
fn too_wide(window: &Window, longest: usize) -> Option<String> {
    let Window { kernel, stride, dilation, .. } = window;
    let fits = |values: &[usize; 2], most| values.iter().all(|&value| value <= most);
    if !fits(kernel, longest) {
        return Some(format!(
            "its kernel is {kernel:?}, expected at most {longest} on an axis; cut it into shorter ones and combine their results"
        ));
    }
    [("stride", stride), ("dilation", dilation)].into_iter().find_map(|(what, found)| {
        let reason =
            || format!("its {what} is {found:?}, expected at most {LARGEST_STEP} on an axis");
        (!fits(found, LARGEST_STEP)).then(reason)
    })
}

fn batch(n: usize) -> String {
    format!("it works on a batch of {n}; compile with `--shape batch=1`")
}

#[cfg(test)]
mod tests {
    use isa::inst::{Engine, Inst, encode};
    use isa::instructions::{MxuKernel, VpuKernel};

    use super::*;
    use crate::testing::Build;

    #[test]
    fn windows_are_refused_where_fields_end() {
        let array = |k: usize, step: usize| {
            let (k, step) = (k as u32, step as u32);
            let kernel = MxuKernel {
                page: 0,
                kh: k,
                kw: k,
                sy: step,
                sx: step,
                dy: step,
                dx: step,
                cols: 1,
                nibbles: false,
                wide: false,
                pad: 0,
            };
            encode(&Inst::new(Engine::Mxu, kernel)).is_ok()
        };
        let lanes = |k: usize, step: usize| {
            let (k, step) = (k as u32, step as u32);
            let kernel = VpuKernel {
                page: 0,
                kh: k,
                kw: k,
                sy: step,
                sx: step,
                dy: step,
                dx: step,
                pad: 0,
                weights: 0,
                by_count: false,
            };
            encode(&Inst::new(Engine::Vpu, kernel)).is_ok()
        };
        for more in [0, 1] {
            for (longest, holds) in [
                (LONGEST_ON_ARRAY, &array as &dyn Fn(usize, usize) -> bool),
                (LONGEST_ON_LANES, &lanes),
            ] {
                let window = |kernel, step, dilation| Window {
                    kernel: [1, kernel],
                    stride: [step, 1],
                    dilation: [dilation, 1],
                    pad: [0; 4],
                };
                let refused = |w: Window| too_wide(&w, longest).is_some();
                assert_eq!(refused(window(longest + more, 1, 1)), !holds(longest + more, 1));
                assert_eq!(
                    refused(window(1, LARGEST_STEP + more, 1)),
                    !holds(1, LARGEST_STEP + more)
                );
                assert_eq!(
                    refused(window(1, 1, LARGEST_STEP + more)),
                    !holds(1, LARGEST_STEP + more)
                );
                assert_eq!(refused(window(longest + more, 1, 1)), more == 1);
            }
        }
    }

    #[test]
    fn all_reasons_at_once() {
        let mut b = Build::new(1);
        let x = b.input(&[1, 2, 3, 4]);
        let position = b.constant(&[1, 2, 3, 4]);
        let p = b.op(Op::Add, &[x, position], &[1, 2, 3, 4]);
        let row = b.input(&[1, 2, 1, 4]);
        let column = b.input(&[1, 2, 3, 1]);
        let q = b.op(Op::Mul, &[row, column], &[1, 2, 3, 4]);
        let batch = b.input(&[2, 2, 4, 4]);
        let r = b.conv(batch, 3, [3, 3], 1);
        let s = b.conv(batch, 3, [1, 3], 1);
        let t = b.batch_norm(x);
        let op = Op::Pad { before: vec![0; 4], after: vec![0, 0, 1, 0], value: f32::NEG_INFINITY };
        let u = b.op(op, &[x], &[1, 2, 4, 4]);
        let huge = b.input(&[1, 1, 1 << 15, 1 << 14]);
        let k = 1 << 9;
        let window = Window { kernel: [k, k], stride: [k, k], dilation: [1, 1], pad: [1, 0, 0, 0] };
        let average = |window| Op::AveragePool { window, count_include_pad: false };
        let pooled = b.pool(huge, average, window);
        let refusals = check(&b.finish(&[p, q, r, s, t, u, pooled]));
        let nodes: Vec<_> = refusals.iter().map(|r| r.node.as_str()).collect();
        assert_eq!(nodes, ["v19", "n0", "n1", "n2", "n4", "n5", "n6"]);
        assert!(
            refusals[1].reason.contains("[1, 2, 3, 4]") && refusals[3].reason.contains("batch=1")
        );
    }
}
