//! A graph that can be run and differentiated with respect to its inputs, one image at a time.

use std::borrow::Cow;

use ir::function::Function;
use ir::graph::{Graph, Node, Op, Window};

use super::linear::Linear;
use super::map::Map;
use super::pool::{Kind, Pool};
use crate::calibrate::Sample;

/// Relative step of a difference quotient; in double precision, about the cube root of its rounding.
const STEP: f64 = 1e-5;

/// The nodes that can be differentiated, as far as they follow from the inputs.
pub(super) struct Tape<'a> {
    inputs: Vec<usize>,
    nodes: Vec<Step<'a>>,
    constants: Vec<Option<Cow<'a, [f32]>>>,
    /// Elements of each computed value; 0 for constants and values that cannot be computed.
    lens: Vec<usize>,
}

struct Step<'a> {
    action: Action<'a>,
    inputs: Vec<usize>,
    output: usize,
}

enum Action<'a> {
    Linear(Linear),
    Pool(Pool),
    /// Elements of the operands, and one value elsewhere.
    Moves {
        operands: Vec<Map>,
        fill: f32,
    },
    Clip {
        lo: f32,
        hi: f32,
    },
    Unary(&'a Function),
    /// An operator of two operands that broadcast.
    Pair {
        op: &'a Op,
        maps: [Map; 2],
    },
    /// The element of the result that each element of the operand belongs to, and how many belong to one.
    Mean {
        map: Map,
        each: f32,
    },
}

/// Values and gradients of one image.
pub(super) struct State {
    values: Vec<Vec<f32>>,
    gradients: Vec<Vec<f32>>,
}

impl State {
    pub(super) fn value(&self, value: usize) -> &[f32] {
        &self.values[value]
    }

    pub(super) fn value_and_gradient(&mut self, value: usize) -> (&[f32], &mut [f32]) {
        (&self.values[value], &mut self.gradients[value])
    }

    pub(super) fn clear_gradients(&mut self) {
        self.gradients.iter_mut().for_each(|g| g.fill(0.0));
    }
}

impl<'a> Tape<'a> {
    /// The nodes of `graph` that can be differentiated and rest on such nodes alone.
    pub(super) fn new(graph: &'a Graph) -> Tape<'a> {
        let constants: Vec<Option<Cow<'a, [f32]>>> =
            graph.values.iter().map(|v| v.constant.as_ref().and_then(|c| c.f32_values())).collect();
        let mut lens = vec![0; graph.values.len()];
        let inputs: Vec<usize> = graph.inputs.iter().map(|id| id.0 as usize).collect();
        let len = |value: usize| graph.values[value].shape.iter().product();
        inputs.iter().for_each(|&i| lens[i] = len(i));
        let mut nodes = Vec::new();
        for node in &graph.nodes {
            let inputs: Vec<usize> = node.inputs.iter().map(|id| id.0 as usize).collect();
            let known = inputs.iter().all(|&i| lens[i] > 0 || constants[i].is_some());
            if let Some(action) = known.then(|| action(graph, node, &constants)).flatten() {
                let output = node.output.0 as usize;
                lens[output] = len(output);
                nodes.push(Step { action, inputs, output });
            }
        }
        Tape { inputs, nodes, constants, lens }
    }

    /// Without the nodes that no wanted value rests on.
    pub(super) fn up_to(mut self, wanted: impl Fn(usize) -> bool) -> Tape<'a> {
        let mut needed: Vec<bool> = (0..self.lens.len()).map(wanted).collect();
        for step in self.nodes.iter().rev() {
            if needed[step.output] {
                step.inputs.iter().for_each(|&i| needed[i] = true);
            }
        }
        self.nodes.retain(|step| needed[step.output]);
        let made = |value: usize| self.nodes.iter().any(|step| step.output == value);
        let kept: Vec<bool> =
            (0..self.lens.len()).map(|v| self.inputs.contains(&v) || made(v)).collect();
        self.lens.iter_mut().zip(kept).filter(|(_, kept)| !kept).for_each(|(len, _)| *len = 0);
        self
    }

    pub(super) fn computes(&self, value: usize) -> bool {
        self.lens[value] > 0
    }

    /// Elements of all computed values of one image.
    pub(super) fn floats(&self) -> usize {
        self.lens.iter().sum()
    }

    pub(super) fn state(&self) -> State {
        let zeros: Vec<Vec<f32>> = self.lens.iter().map(|&len| vec![0.0; len]).collect();
        State { values: zeros.clone(), gradients: zeros }
    }

    /// Computes all values of an image.
    pub(super) fn forward(&self, state: &mut State, image: &Sample) {
        for (&input, data) in self.inputs.iter().zip(image) {
            state.values[input].copy_from_slice(data);
        }
        for step in &self.nodes {
            let mut y = std::mem::take(&mut state.values[step.output]);
            step.action.forward(&self.operands(step, &state.values), &mut y);
            state.values[step.output] = y;
        }
    }

    /// Carries the gradients back to the inputs.
    pub(super) fn backward(&self, state: &mut State) {
        let State { values, gradients } = state;
        for step in self.nodes.iter().rev() {
            let dy = std::mem::take(&mut gradients[step.output]);
            let operands = self.operands(step, values);
            for (which, &input) in
                step.inputs.iter().enumerate().filter(|(_, i)| self.lens[**i] > 0)
            {
                step.action.backward(&operands, which, &dy, &mut gradients[input]);
            }
            gradients[step.output] = dy;
        }
    }

    pub(super) fn input_gradients<'s>(
        &'s self,
        state: &'s State,
    ) -> impl Iterator<Item = &'s [f32]> {
        self.inputs.iter().map(|&i| state.gradients[i].as_slice())
    }

    fn operands<'s>(&'s self, step: &Step<'_>, values: &'s [Vec<f32>]) -> Vec<&'s [f32]> {
        let operand = |&i: &usize| self.constants[i].as_deref().unwrap_or(&values[i]);
        step.inputs.iter().map(operand).collect()
    }
}

impl Action<'_> {
    fn forward(&self, x: &[&[f32]], y: &mut [f32]) {
        match self {
            Action::Linear(linear) => linear.forward(x[0], y),
            Action::Pool(pool) => pool.forward(x[0], y),
            Action::Moves { operands, fill } => {
                y.fill(*fill);
                operands.iter().zip(x).for_each(|(map, x)| map.gather(x, y));
            }
            Action::Clip { lo, hi } => {
                y.iter_mut().zip(x[0]).for_each(|(y, x)| *y = x.max(*lo).min(*hi));
            }
            Action::Unary(f) => {
                y.iter_mut().zip(x[0]).for_each(|(y, &x)| *y = f.evaluate(x.into()) as f32);
            }
            Action::Pair { op, maps: [a, b] } => {
                for ((y, a), b) in y.iter_mut().zip(a.indices()).zip(b.indices()) {
                    *y = pair(op, x[0][a], x[1][b]).0;
                }
            }
            Action::Mean { map, each } => {
                y.fill(0.0);
                map.indices().zip(x[0]).for_each(|(i, x)| y[i] += x / each);
            }
        }
    }

    /// Adds to the gradient of operand `which`.
    fn backward(&self, x: &[&[f32]], which: usize, dy: &[f32], dx: &mut [f32]) {
        match self {
            Action::Linear(linear) => linear.backward(dy, dx),
            Action::Pool(pool) => pool.backward(x[0], dy, dx),
            Action::Moves { operands, .. } => operands[which].scatter(dy, dx),
            Action::Clip { lo, hi } => {
                for ((dx, dy), x) in dx.iter_mut().zip(dy).zip(x[0]) {
                    *dx += if (lo..hi).contains(&x) { *dy } else { 0.0 };
                }
            }
            Action::Unary(f) => {
                for ((dx, dy), &x) in dx.iter_mut().zip(dy).zip(x[0]) {
                    let x = f64::from(x);
                    let h = STEP * (1.0 + x.abs());
                    let slope = (f.evaluate(x + h) - f.evaluate(x - h)) / (2.0 * h);
                    *dx += if slope.is_finite() { dy * slope as f32 } else { 0.0 };
                }
            }
            Action::Pair { op, maps: [a, b] } => {
                for ((dy, a), b) in dy.iter().zip(a.indices()).zip(b.indices()) {
                    let (_, slopes) = pair(op, x[0][a], x[1][b]);
                    dx[[a, b][which]] += dy * slopes[which];
                }
            }
            Action::Mean { map, each } => {
                map.indices().zip(dx).for_each(|(i, dx)| *dx += dy[i] / each);
            }
        }
    }
}

/// An operator of two operands and its derivatives.
fn pair(op: &Op, a: f32, b: f32) -> (f32, [f32; 2]) {
    let pick = |first: bool| if first { (a, [1.0, 0.0]) } else { (b, [0.0, 1.0]) };
    match op {
        Op::Add => (a + b, [1.0, 1.0]),
        Op::Sub => (a - b, [1.0, -1.0]),
        Op::Mul => (a * b, [b, a]),
        Op::Max => pick(a >= b),
        Op::Min => pick(a <= b),
        Op::PRelu if a < 0.0 => (a * b, [b, a]),
        Op::PRelu => (a, [1.0, 0.0]),
        _ => unreachable!("`action` makes pairs of these operators only"),
    }
}

/// How a node is run and differentiated; `None` where that is not known.
fn action<'a>(
    graph: &'a Graph,
    node: &'a Node,
    constants: &[Option<Cow<'a, [f32]>>],
) -> Option<Action<'a>> {
    let shape = |id: &ir::graph::ValueId| graph.values[id.0 as usize].shape.as_slice();
    let shapes: Vec<&[usize]> = node.inputs.iter().map(shape).collect();
    let (from, to) = (shapes[0], shape(&node.output));
    let constant =
        |i: usize| constants[node.inputs.get(i)?.0 as usize].as_deref().map(<[f32]>::to_vec);
    Some(match &node.op {
        Op::Conv { window, groups } => {
            let (&[1, c, h, w], &[1, m, oh, ow]) = (from, to) else { return None };
            let bias = constant(2).unwrap_or_default();
            Action::Linear(Linear::new(
                *window,
                *groups,
                [c, h, w],
                [m, oh, ow],
                constant(1)?,
                bias,
            ))
        }
        Op::Dense => {
            // One row: its elements are channels of a single pixel.
            let (k, m) = (*from.last()?, *to.last()?);
            if from.iter().product::<usize>() != k {
                return None;
            }
            let window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad: [0; 4] };
            let bias = constant(2).unwrap_or_default();
            Action::Linear(Linear::new(window, 1, [k, 1, 1], [m, 1, 1], constant(1)?, bias))
        }
        Op::MaxPool { window } => Action::Pool(Pool::new(*window, Kind::Max, from, to)?),
        &Op::AveragePool { window, count_include_pad } => {
            Action::Pool(Pool::new(window, Kind::Average { count_include_pad }, from, to)?)
        }
        Op::Reshape
        | Op::Transpose { .. }
        | Op::Gather { .. }
        | Op::Concat { .. }
        | Op::Pad { .. } => {
            let map = |which| Map::of(&node.op, &shapes, which, to);
            let operands = (0..shapes.len()).map(map).collect::<Option<_>>()?;
            let fill = if let Op::Pad { value, .. } = node.op { value } else { 0.0 };
            Action::Moves { operands, fill }
        }
        &Op::Clip { lo, hi } => Action::Clip { lo, hi },
        Op::Unary { function } => Action::Unary(function),
        op @ (Op::Add | Op::Sub | Op::Mul | Op::Max | Op::Min | Op::PRelu) => Action::Pair {
            op,
            maps: [Map::broadcast(shapes[0], to)?, Map::broadcast(shapes[1], to)?],
        },
        Op::ReduceMean { .. } => {
            let each = from.iter().product::<usize>() / to.iter().product::<usize>().max(1);
            Action::Mean { map: Map::broadcast(to, from)?, each: each as f32 }
        }
        Op::BatchNorm { .. }
        | Op::FakeQuantize { .. }
        | Op::ConvTranspose { .. }
        | Op::Interpolate { .. }
        | Op::Lrn { .. }
        | Op::MatMul { .. }
        | Op::Softmax { .. } => return None,
    })
}
