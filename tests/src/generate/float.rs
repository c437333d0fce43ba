//! Random float networks: image-like shapes, every float operator, weights of all sizes.

use ir::function::{Function, Term};
use ir::graph::{Graph, Interpolation, Node, Op, Value, ValueId, Window};
use ir::infer::{Rule, infer};
use ir::tensor::{DType, Tensor};
use rand::{Rng, RngExt};

use super::Features;
use crate::machines::pick;

/// Functions of one value, in postfix.
const FUNCTIONS: &[&str] = &[
    "x sigmoid",
    "x tanh",
    "x hard_swish",
    "x sigmoid x mul",
    "x 0.1 leaky_relu",
    "x exp",
    "x abs",
];

/// A random network, and how often each operator occurs.
pub fn network(rng: &mut impl Rng) -> (Graph, Features) {
    let graph = Graph { name: "random".into(), ..Graph::default() };
    let mut g = Generator { graph, features: Features::new(), rng };
    let shape = [1, 1, 1, 1].map(|one: usize| one.max(g.rng.random_range(1..10)));
    let mut current = g.value(&[1, shape[1], shape[2], shape[3]], None);
    g.graph.inputs.push(current);
    for _ in 0..g.rng.random_range(1..7) {
        current = g.layer(current);
    }
    if g.rng.random_bool(0.3) {
        let count = g.shape(current).iter().product();
        let flat = g.reshape(current, &[1, count]);
        let outputs = g.rng.random_range(1..12);
        let weights = g.weights(&[outputs, count]);
        current = g.apply(Op::Dense, &[flat, weights]).unwrap_or(flat);
    }
    let read: Vec<ValueId> = g.graph.nodes.iter().flat_map(|n| n.inputs.clone()).collect();
    let produced: Vec<ValueId> = g.graph.nodes.iter().map(|n| n.output).collect();
    g.graph.outputs = produced.into_iter().filter(|v| !read.contains(v)).collect();
    if g.graph.outputs.is_empty() {
        g.graph.outputs.push(current);
    }
    (g.graph, g.features)
}

struct Generator<'a, R: Rng> {
    graph: Graph,
    features: Features,
    rng: &'a mut R,
}

impl<R: Rng> Generator<'_, R> {
    fn value(&mut self, shape: &[usize], constant: Option<Tensor>) -> ValueId {
        let name = format!("v{}", self.graph.values.len());
        self.graph.values.push(Value { name, dtype: DType::F32, shape: shape.to_vec(), constant });
        ValueId(self.graph.values.len() as u32 - 1)
    }

    fn shape(&self, id: ValueId) -> Vec<usize> {
        self.graph.values[id.0 as usize].shape.clone()
    }

    fn constant(&mut self, shape: &[usize], lo: f32, hi: f32) -> ValueId {
        let count: usize = shape.iter().product();
        let elements = (0..count).map(|_| self.rng.random_range(lo..hi)).collect();
        let tensor = Tensor::from_f32(shape, elements).expect("as many elements as the shape has");
        self.value(shape, Some(tensor))
    }

    /// Weights `[outputs, ..]` that keep the size of what they multiply; now and then far smaller or larger ones, and filters
    /// of zeros.
    fn weights(&mut self, shape: &[usize]) -> ValueId {
        let taps: usize = shape[1..].iter().product();
        let width = *pick(self.rng, &[1.0, 1.0, 1.0, 1e-3, 30.0]) / (taps as f32).sqrt();
        let id = self.constant(shape, -width, width);
        if self.rng.random_bool(0.1)
            && let Some(elements) =
                self.graph.values[id.0 as usize].constant.as_mut().and_then(Tensor::f32_mut)
        {
            elements[..taps].fill(0.0);
        }
        id
    }

    /// The result of an operator, if it takes these operands.
    fn apply(&mut self, op: Op, inputs: &[ValueId]) -> Option<ValueId> {
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|&id| self.shape(id)).collect();
        let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
        let shape = match infer(&op, &shapes).ok()? {
            Rule::Exact(shape) => shape,
            Rule::FloorOrCeil { floor, ceil } => {
                if self.rng.random_bool(0.5) {
                    floor
                } else {
                    ceil
                }
            }
            _ => return None,
        };
        Some(self.push(op, inputs, &shape))
    }

    fn push(&mut self, op: Op, inputs: &[ValueId], shape: &[usize]) -> ValueId {
        *self.features.entry(op.name().to_owned()).or_default() += 1;
        let name = format!("n{}", self.graph.nodes.len());
        let output = self.value(shape, None);
        self.graph.nodes.push(Node { name, op, inputs: inputs.to_vec(), output });
        output
    }

    fn reshape(&mut self, x: ValueId, shape: &[usize]) -> ValueId {
        self.push(Op::Reshape, &[x], shape)
    }

    fn window(&mut self, largest: usize) -> Window {
        let kernel = [0; 2].map(|_: usize| self.rng.random_range(1..=largest));
        let pads = [kernel[0], kernel[1], kernel[0], kernel[1]];
        Window {
            kernel,
            stride: [0; 2].map(|_: usize| self.rng.random_range(1..4)),
            dilation: [0; 2].map(|_: usize| *pick(self.rng, &[1, 1, 1, 2])),
            pad: pads.map(|k| self.rng.random_range(0..k)),
        }
    }

    /// One more operator on `x`, which is `[1, c, h, w]`; `x` itself if the operator that was drawn does not fit.
    fn layer(&mut self, x: ValueId) -> ValueId {
        let shape = self.shape(x);
        let c = shape[1];
        let y = match self.rng.random_range(0..20) {
            0..=3 => self.conv(x, c),
            4 => {
                let inputs = [x, self.constant(&[c], -1.5, 1.5), self.constant(&[c], -0.5, 0.5)];
                let statistics = [self.constant(&[c], -0.5, 0.5), self.constant(&[c], 0.1, 2.0)];
                self.apply(Op::BatchNorm { epsilon: 1e-5 }, &[&inputs[..], &statistics].concat())
            }
            5 => {
                let (lo, hi) = *pick(self.rng, &[(0.0, f32::INFINITY), (0.0, 6.0), (-1.0, 1.0)]);
                self.apply(Op::Clip { lo, hi }, &[x])
            }
            6 => {
                let words = pick(self.rng, FUNCTIONS).split(' ');
                let terms = words.map(|word| word.parse::<Term>().expect("a term of the list"));
                let function = Function::new(terms.collect()).expect("a function of the list");
                self.apply(Op::Unary { function }, &[x])
            }
            7 => {
                let shapes = [vec![1, c, 1, 1], vec![1], vec![1, 1, 1, shape[3]], shape];
                let shape = pick(self.rng, &shapes).clone();
                let k = self.constant(&shape, -1.0, 1.0);
                let op = pick(self.rng, &[Op::Add, Op::Sub, Op::Mul, Op::Max, Op::Min]).clone();
                let operands = if self.rng.random_bool(0.3) { [k, x] } else { [x, k] };
                self.apply(op, &operands)
            }
            8 | 9 => {
                let like: Vec<ValueId> = self.others(x, |other| other == shape);
                let other = *pick(self.rng, &like);
                let op = pick(self.rng, &[Op::Add, Op::Sub, Op::Mul, Op::Max, Op::Min]).clone();
                self.apply(op, &[x, other])
            }
            10 => {
                let window = self.window(3);
                self.apply(Op::MaxPool { window }, &[x])
            }
            11 => {
                let window = Window { dilation: [1, 1], ..self.window(3) };
                let count_include_pad = self.rng.random_bool(0.5);
                self.apply(Op::AveragePool { window, count_include_pad }, &[x])
            }
            12 => {
                let axis = self.rng.random_range(1..4);
                let same = |other: &[usize]| {
                    other.len() == 4 && (0..4).all(|i| i == axis || other[i] == shape[i])
                };
                let like = self.others(x, same);
                let other = *pick(self.rng, &like);
                self.apply(Op::Concat { axis }, &[x, other])
            }
            13 => {
                let perm = pick(self.rng, &[[0, 1, 3, 2], [0, 2, 3, 1], [0, 3, 1, 2]]).to_vec();
                self.apply(Op::Transpose { perm }, &[x])
            }
            14 => {
                let list = |rng: &mut R, n: usize| {
                    let count = rng.random_range(1..n + 2);
                    (0..count).map(|_| rng.random_range(0..n)).collect()
                };
                let indices = shape.iter().map(|&n| list(self.rng, n)).collect();
                self.apply(Op::Gather { indices }, &[x]).filter(|&y| self.shape(y)[0] == 1)
            }
            15 => {
                let mut amounts = || vec![0; 2].into_iter().chain([self.rng.random_range(0..3); 2]);
                let (before, after) = (amounts().collect(), amounts().collect());
                let value = *pick(self.rng, &[0.0, 0.5]);
                self.apply(Op::Pad { before, after, value }, &[x])
            }
            16 => {
                let slope = self.constant(&[c, 1, 1], -0.3, 0.6);
                self.apply(Op::PRelu, &[x, slope])
            }
            17 if self.rng.random_bool(0.5) => self.matmul(x),
            17 => {
                let size = self.rng.random_range(1..6);
                self.apply(Op::Lrn { size, alpha: 0.1, beta: 0.75, bias: 1.0 }, &[x])
            }
            18 => {
                let op = match self.rng.random_range(0..3) {
                    0 => Op::ReduceMean { axes: vec![2, 3] },
                    1 => Op::Softmax { axis: 1 },
                    _ => {
                        let axis = self.rng.random_range(2..4);
                        let last = (shape[axis] - 1) as f32;
                        let count = self.rng.random_range(1..12);
                        let places =
                            (0..count).map(|_| self.rng.random_range(0.0..=last)).collect();
                        Op::Interpolate { axes: vec![Interpolation { axis, places }] }
                    }
                };
                self.apply(op, &[x])
            }
            _ => {
                let m = self.rng.random_range(1..6);
                let window = self.window(3);
                let weights = self.weights(&[m, c, window.kernel[0], window.kernel[1]]);
                let op = Op::ConvTranspose { window, output_padding: [0, 0], groups: 1 };
                self.apply(op, &[x, weights])
            }
        };
        y.unwrap_or(x)
    }

    /// Rows by rows, or rows by what another value of the same shape has for columns.
    fn matmul(&mut self, x: ValueId) -> Option<ValueId> {
        let shape = self.shape(x);
        let others = self.others(x, |other| other == shape);
        let other = *pick(self.rng, &others);
        let turned = self.apply(Op::Transpose { perm: vec![0, 1, 3, 2] }, &[other])?;
        let scale = *pick(self.rng, &[1.0, 0.125, 3.0]);
        let pair = if self.rng.random_bool(0.5) { [x, turned] } else { [turned, x] };
        self.apply(Op::MatMul { scale }, &pair)
    }

    fn conv(&mut self, x: ValueId, c: usize) -> Option<ValueId> {
        let window = self.window(4);
        let half = if c.is_multiple_of(2) { 2 } else { 1 };
        let groups = *pick(self.rng, &[1, 1, 1, half, c]);
        let m = groups * self.rng.random_range(1..=9_usize.div_ceil(groups));
        let weights = self.weights(&[m, c / groups, window.kernel[0], window.kernel[1]]);
        let mut inputs = vec![x, weights];
        if self.rng.random_bool(0.6) {
            inputs.push(self.constant(&[m], -0.5, 0.5));
        }
        self.apply(Op::Conv { window, groups }, &inputs)
    }

    /// Values computed so far of a fitting shape, `x` among them.
    fn others(&self, x: ValueId, fits: impl Fn(&[usize]) -> bool) -> Vec<ValueId> {
        let computed = self.graph.nodes.iter().map(|node| node.output);
        let known = self.graph.inputs.iter().copied().chain(computed);
        known.filter(|&id| id == x || fits(&self.graph.values[id.0 as usize].shape)).collect()
    }
}
