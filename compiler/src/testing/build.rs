//! Builds small float graphs with seeded constants.

use ir::function::Function;
use ir::graph::{Graph, Node, Op, Value, ValueId, Window};
use ir::tensor::{DType, Tensor};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// A graph under construction. Names are `v0`, `v1`, ... and `n0`, `n1`, ...
pub(crate) struct Build {
    graph: Graph,
    rng: Pcg64,
}

impl Build {
    pub(crate) fn new(seed: u64) -> Build {
        let graph = Graph { name: format!("seed {seed}"), ..Graph::default() };
        Build { graph, rng: Pcg64::seed_from_u64(seed) }
    }

    pub(crate) fn finish(mut self, outputs: &[ValueId]) -> Graph {
        self.graph.outputs = outputs.to_vec();
        self.graph
    }

    pub(crate) fn shape(&self, id: ValueId) -> Vec<usize> {
        self.graph.values[id.0 as usize].shape.clone()
    }

    fn value(&mut self, shape: &[usize], constant: Option<Tensor>) -> ValueId {
        let name = format!("v{}", self.graph.values.len());
        self.graph.values.push(Value { name, dtype: DType::F32, shape: shape.to_vec(), constant });
        ValueId(u32::try_from(self.graph.values.len() - 1).unwrap())
    }

    pub(crate) fn input(&mut self, shape: &[usize]) -> ValueId {
        let id = self.value(shape, None);
        self.graph.inputs.push(id);
        id
    }

    /// A constant with elements uniform in -1..1.
    pub(crate) fn constant(&mut self, shape: &[usize]) -> ValueId {
        self.constant_in(shape, -1.0, 1.0)
    }

    pub(crate) fn constant_in(&mut self, shape: &[usize], lo: f32, hi: f32) -> ValueId {
        let count = shape.iter().product();
        let data = (0..count).map(|_| self.rng.random_range(lo..hi)).collect();
        self.constant_of(shape, data)
    }

    pub(crate) fn constant_of(&mut self, shape: &[usize], data: Vec<f32>) -> ValueId {
        self.value(shape, Some(Tensor::from_f32(shape, data).unwrap()))
    }

    pub(crate) fn op(&mut self, op: Op, inputs: &[ValueId], shape: &[usize]) -> ValueId {
        let output = self.value(shape, None);
        let name = format!("n{}", self.graph.nodes.len());
        self.graph.nodes.push(Node { name, op, inputs: inputs.to_vec(), output });
        output
    }

    /// Convolution with bias, without padding, of stride 1.
    pub(crate) fn conv(
        &mut self,
        x: ValueId,
        m: usize,
        kernel: [usize; 2],
        groups: usize,
    ) -> ValueId {
        let window = Window { kernel, stride: [1, 1], dilation: [1, 1], pad: [0; 4] };
        self.conv_window(x, m, window, groups)
    }

    pub(crate) fn conv_window(
        &mut self,
        x: ValueId,
        m: usize,
        window: Window,
        groups: usize,
    ) -> ValueId {
        let s = self.shape(x);
        let [kh, kw] = window.kernel;
        let ic = s[1] / groups;
        let size = 1.0 / ((ic * kh * kw) as f32).sqrt();
        let w = self.constant_in(&[m, ic, kh, kw], -2.0 * size, 2.0 * size);
        let b = self.constant_in(&[m], -0.3, 0.3);
        let extents = ir::infer::window_extents(&window, [s[2], s[3]], false).unwrap();
        self.op(Op::Conv { window, groups }, &[x, w, b], &[s[0], m, extents[0], extents[1]])
    }

    /// Dense layer with bias over the last axis.
    pub(crate) fn dense(&mut self, x: ValueId, m: usize) -> ValueId {
        let mut s = self.shape(x);
        let k = s.pop().unwrap();
        let size = 1.0 / (k as f32).sqrt();
        let w = self.constant_in(&[m, k], -2.0 * size, 2.0 * size);
        let b = self.constant_in(&[m], -0.3, 0.3);
        s.push(m);
        self.op(Op::Dense, &[x, w, b], &s)
    }

    pub(crate) fn batch_norm(&mut self, x: ValueId) -> ValueId {
        let s = self.shape(x);
        let c = &s[1..2];
        let operands = [
            x,
            self.constant_in(c, 0.5, 1.5),
            self.constant_in(c, -0.5, 0.5),
            self.constant_in(c, -0.3, 0.3),
            self.constant_in(c, 0.2, 1.2),
        ];
        self.op(Op::BatchNorm { epsilon: 1e-3 }, &operands, &s)
    }

    pub(crate) fn clip(&mut self, x: ValueId, lo: f32, hi: f32) -> ValueId {
        let s = self.shape(x);
        self.op(Op::Clip { lo, hi }, &[x], &s)
    }

    /// A function in postfix, its terms separated by blanks.
    pub(crate) fn unary(&mut self, x: ValueId, function: &str) -> ValueId {
        let s = self.shape(x);
        let terms = function.split(' ').map(|term| term.parse().unwrap()).collect();
        let function = Function::new(terms).unwrap();
        self.op(Op::Unary { function }, &[x], &s)
    }

    pub(crate) fn relu(&mut self, x: ValueId) -> ValueId {
        self.clip(x, 0.0, f32::INFINITY)
    }

    /// Pool with rounded-down extents.
    pub(crate) fn pool(&mut self, x: ValueId, op: fn(Window) -> Op, window: Window) -> ValueId {
        let s = self.shape(x);
        let extents = ir::infer::window_extents(&window, [s[2], s[3]], false).unwrap();
        self.op(op(window), &[x], &[s[0], s[1], extents[0], extents[1]])
    }
}
