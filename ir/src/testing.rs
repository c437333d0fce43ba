//! Random well-formed graphs for property tests.
//!
//! A graph grows from a list of random words: each picks an operator that fits the latest value.

use isa::numerics::{Requant, Rounding};
use proptest::prelude::*;

use crate::function::{Function, Primitive};
use crate::graph::{Graph, Node, Op, Value, ValueId, Window};
use crate::indices::Indices;
use crate::infer::{Rule, infer};
use crate::qgraph::{Bounds, Hwc, Point, QGraph, QNode, QOp, QType, QValue, QWeights, View};
use crate::tensor::{DType, Tensor};

/// Names that need quoting appear now and then.
fn name(kind: &str, index: usize, word: u32) -> String {
    match word % 5 {
        0 => format!("{kind} \"{index}\" \\ é\n"),
        1 => format!("{kind}/{index}:0"),
        _ => format!("{kind}_{index}"),
    }
}

/// Well-formed float graphs of up to twelve operators.
pub(crate) fn graphs() -> impl Strategy<Value = Graph> {
    (prop::collection::vec(any::<u32>(), 1..12), 1usize..5, 3usize..9, 3usize..7).prop_map(
        |(words, c, h, w)| {
            let mut maker =
                FloatMaker { graph: Graph { name: "random".to_owned(), ..Graph::default() } };
            let mut last = maker.value("x", vec![1, c, h, w], None);
            maker.graph.inputs.push(last);
            for &word in &words {
                last = maker.grow(last, word);
            }
            maker.graph.outputs.push(last);
            maker.graph
        },
    )
}

struct FloatMaker {
    graph: Graph,
}

impl FloatMaker {
    fn value(&mut self, name: &str, shape: Vec<usize>, constant: Option<Tensor>) -> ValueId {
        self.graph.values.push(Value { name: name.to_owned(), dtype: DType::F32, shape, constant });
        ValueId(self.graph.values.len() as u32 - 1)
    }

    fn constant(&mut self, shape: &[usize], word: u32) -> ValueId {
        let count: usize = shape.iter().product();
        let numbers = (0..count).map(|i| {
            // Any bits but NaN: subnormals, infinities and signed zeros must survive.
            let value = f32::from_bits(
                word.wrapping_mul(2654435761).wrapping_add((i as u32).wrapping_mul(40503)),
            );
            if value.is_nan() { 0.1 } else { value }
        });
        let tensor = Tensor::from_f32(shape, numbers.collect()).unwrap();
        let name = name("w", self.graph.values.len(), word);
        self.value(&name, shape.to_vec(), Some(tensor))
    }

    fn node(
        &mut self,
        op: Op,
        inputs: Vec<ValueId>,
        word: u32,
        shape: Option<Vec<usize>>,
    ) -> ValueId {
        let shapes: Vec<&[usize]> =
            inputs.iter().map(|&id| self.graph.value(id).unwrap().shape.as_slice()).collect();
        let shape = match (shape, infer(&op, &shapes).unwrap()) {
            (Some(shape), _) | (None, Rule::Exact(shape)) => shape,
            (None, Rule::FloorOrCeil { floor, ceil }) => {
                if word & 64 == 0 {
                    floor
                } else {
                    ceil
                }
            }
            (None, Rule::Elements(count)) => vec![count],
        };
        let index = self.graph.values.len();
        let output = self.value(&name("v", index, word >> 3), shape, None);
        self.graph.nodes.push(Node { name: name("n", index, word >> 7), op, inputs, output });
        output
    }

    fn grow(&mut self, x: ValueId, word: u32) -> ValueId {
        let shape = self.graph.value(x).unwrap().shape.clone();
        let bit = |n: u32| (word >> n & 1) as usize;
        let image = shape.len() == 4 && shape[2] >= 2 && shape[3] >= 2;
        let window = Window {
            kernel: [2, 1 + bit(20)],
            stride: [1 + bit(21), 1],
            dilation: [1, 1],
            pad: [bit(22), 0, 1, bit(20) * bit(23)],
        };
        let op = match word % 19 {
            0 if image => {
                let w = self.constant(&[3, shape[1], window.kernel[0], window.kernel[1]], word);
                let b = self.constant(&[3], word);
                return self.node(Op::Conv { window, groups: 1 }, vec![x, w, b], word, None);
            }
            1 if image => Op::MaxPool { window },
            2 if image => Op::AveragePool { window, count_include_pad: bit(24) == 1 },
            3 if shape.len() == 4 => {
                let parts: Vec<ValueId> =
                    (0..4).map(|_| self.constant(&[shape[1]], word)).collect();
                let inputs = [vec![x], parts].concat();
                return self.node(Op::BatchNorm { epsilon: 1e-5 }, inputs, word, None);
            }
            4 => {
                let last = shape[shape.len() - 1];
                let w = self.constant(&[5, last], word);
                return self.node(Op::Dense, vec![x, w], word, None);
            }
            5 | 6 => {
                let other = self.constant(&[shape[shape.len() - 1]], word);
                let op = [Op::Add, Op::Sub, Op::Mul][word as usize / 13 % 3].clone();
                return self.node(op, vec![x, other], word, None);
            }
            7 => {
                let op = Op::Concat { axis: shape.len() - 1 };
                return self.node(op, vec![x, x], word, None);
            }
            8 => Op::ReduceMean { axes: vec![shape.len() - 1] },
            9 => {
                let all = vec![1, shape.iter().product()];
                return self.node(Op::Reshape, vec![x], word, Some(all));
            }
            10 => Op::Transpose { perm: (0..shape.len()).rev().collect() },
            11 => Op::Pad {
                before: vec![bit(20); shape.len()],
                after: vec![bit(21); shape.len()],
                value: -0.0,
            },
            12 => Op::Softmax { axis: shape.len() - 1 },
            13 => {
                // The last axis backwards, or the first one twice.
                let mut indices: Vec<Indices> = shape.iter().map(|&n| Indices::all(n)).collect();
                let last = shape.len() - 1;
                if bit(20) == 1 && shape[last] > 1 {
                    indices[last] = (0..shape[last]).rev().collect();
                } else {
                    indices[0] = (0..2 * shape[0]).map(|i| i / 2).collect();
                }
                Op::Gather { indices }
            }
            16 => {
                let op = [Op::Max, Op::Min][bit(20)].clone();
                return self.node(op, vec![x, x], word, None);
            }
            18 if shape.len() >= 2 => {
                let mut turned: Vec<usize> = (0..shape.len()).collect();
                turned.swap(shape.len() - 2, shape.len() - 1);
                let b = self.node(Op::Transpose { perm: turned }, vec![x], word, None);
                // Another factor is written as a product of its own.
                return self.node(Op::MatMul { scale: 1.0 }, vec![x, b], word, None);
            }
            17 if shape.len() == 4 => {
                let size = 1 + (word >> 8) as usize % 6;
                Op::Lrn { size, alpha: [1e-4, 0.3][bit(20)], beta: 0.75, bias: 1.5 }
            }
            14 => {
                let primitive = Primitive::ALL[(word >> 8) as usize % Primitive::ALL.len()];
                let alpha = f32::from_bits(word >> 2);
                let attributes = vec![alpha; primitive.attributes().len()];
                // Those of several operands load as nodes of several operands.
                let function = Function::of(primitive, &attributes)
                    .unwrap_or_else(|_| Function::of(Primitive::Tanh, &[]).unwrap());
                Op::Unary { function }
            }
            15 if shape[shape.len() - 1] > 1 => {
                // Equal ones would load as a function.
                let slopes = (0..shape[shape.len() - 1]).map(|i| i as f32 * 0.25 - 0.5);
                let tensor = Tensor::from_f32(&shape[shape.len() - 1..], slopes.collect()).unwrap();
                let slope = name("s", self.graph.values.len(), word);
                let slope = self.value(&slope, tensor.shape.clone(), Some(tensor));
                return self.node(Op::PRelu, vec![x, slope], word, None);
            }
            _ => Op::Clip {
                lo: [0.0, f32::NEG_INFINITY, -1e-7][word as usize / 13 % 3],
                hi: f32::INFINITY,
            },
        };
        self.node(op, vec![x], word, None)
    }
}

/// Well-formed integer graphs of up to ten operators.
pub(crate) fn qgraphs() -> impl Strategy<Value = QGraph> {
    let rounding = prop::sample::select(Rounding::ALL.to_vec());
    let words = prop::collection::vec(any::<u32>(), 1..10);
    (words, 1usize..6, 2usize..6, 2usize..6, rounding).prop_map(|(words, h, w, c, rounding)| {
        let name = "random".to_owned();
        let mut maker = IntegerMaker { graph: QGraph { name, rounding, ..QGraph::default() } };
        let view = View { onnx_shape: vec![1, c, h, w], perm: vec![0, 2, 3, 1] };
        let mut last = maker.value("x".to_owned(), Hwc { h, w, c }, QType::I8, 0.1, 3);
        maker.graph.values[0].view = view;
        maker.graph.inputs.push(last);
        for &word in &words {
            last = maker.grow(last, word);
        }
        let value = &mut maker.graph.values[last.0 as usize];
        value.view = View { onnx_shape: value.shape.extents().to_vec(), perm: vec![0, 1, 2] };
        maker.graph.outputs.push(last);
        maker.graph
    })
}

struct IntegerMaker {
    graph: QGraph,
}

impl IntegerMaker {
    fn value(
        &mut self,
        name: String,
        shape: Hwc,
        dtype: QType,
        scale: f64,
        zero_point: i32,
    ) -> ValueId {
        self.graph.values.push(QValue {
            name,
            shape,
            dtype,
            scale,
            zero_point,
            view: View::default(),
        });
        ValueId(self.graph.values.len() as u32 - 1)
    }

    fn node(&mut self, op: QOp, inputs: Vec<ValueId>, output: ValueId, word: u32) -> ValueId {
        let node = name("n", self.graph.nodes.len(), word >> 7);
        self.graph.nodes.push(QNode { name: node, onnx_op: "Conv".to_owned(), op, inputs, output });
        output
    }

    fn grow(&mut self, x: ValueId, word: u32) -> ValueId {
        let QValue { shape, dtype, scale, zero_point, .. } = self.graph.value(x).unwrap().clone();
        let index = self.graph.values.len();
        let fresh = name("v", index, word >> 3);
        let small = Bounds { lo: -100, hi: 101 };
        let requant =
            |i: usize| Requant { multiplier: 8388608 + word % 1000 + i as u32, shift: 30 };
        let new_scale = 1e-9 * f64::from(word | 1);
        let same = |maker: &mut IntegerMaker, shape| {
            maker.value(fresh.clone(), shape, dtype, scale, zero_point)
        };
        match word % 14 {
            0 | 1 => {
                let (oc, kh) = (1 + (word >> 8) as usize % 3, 1 + (word >> 10) as usize % 2);
                let window = Window {
                    kernel: [kh, 1],
                    stride: [1, 2],
                    dilation: [1, 1],
                    pad: [0, 0, kh - 1, 0],
                };
                let weights = QWeights {
                    oc,
                    kernel: [kh, 1],
                    ic: shape.c,
                    bits: 4,
                    data: (0..oc * kh * shape.c)
                        .map(|i| ((word as usize + i) % 15) as i8 - 7)
                        .collect(),
                };
                let out = Hwc { h: shape.h, w: shape.w.div_ceil(2), c: oc };
                let y = self.value(fresh, out, QType::I8, new_scale, -5);
                let bias = (0..oc).map(|i| i64::from(word % 4096) - 2000 * i as i64).collect();
                let requant = (0..oc).map(requant).collect();
                let op = QOp::Conv { weights, bias, requant, window, groups: 1, bounds: small };
                self.node(op, vec![x], y, word)
            }
            2 => {
                let y = self.value(fresh, shape, QType::I16, new_scale, 0);
                let op = QOp::Add { ma: 77, mb: -(word as i32 >> 1), shift: 20, bounds: small };
                self.node(op, vec![x, x], y, word)
            }
            3 => {
                let y = self.value(fresh, shape, QType::I8, new_scale, 1);
                self.node(QOp::Mul { requant: requant(0), bounds: small }, vec![x, x], y, word)
            }
            4 => {
                let y = self.value(fresh, shape, QType::I8, new_scale, 1);
                self.node(QOp::Rescale { m: 12345, shift: 17, bounds: small }, vec![x], y, word)
            }
            9 if shape.h >= 2 => {
                let points =
                    [(0, 0), (1, 0), (0, 77)].map(|(index, weight)| Point { index, weight });
                let y = self.value(fresh, Hwc { h: 3, ..shape }, dtype, 0.5, 3);
                let points = points.to_vec();
                let op = QOp::Interpolate { axis: 0, points, shift: 7, bounds: small };
                self.node(op, vec![x], y, word)
            }
            5 => {
                let y = same(self, Hwc { c: shape.c * 2, ..shape });
                self.node(QOp::Concat { axis: 2 }, vec![x, x], y, word)
            }
            6 => {
                let y = same(self, Hwc { h: shape.w, w: shape.h, c: shape.c });
                let op = QOp::Reorder { dims: shape.extents().to_vec(), perm: vec![1, 0, 2] };
                self.node(op, vec![x], y, word)
            }
            9 => {
                let y = same(self, Hwc { h: 2 * shape.h, w: shape.w.div_ceil(2), c: 1 });
                let rows = (0..2 * shape.h).map(|i| i / 2).collect();
                let columns = (0..shape.w).step_by(2).collect();
                let op = QOp::Gather { indices: [rows, columns, Indices::all(1)] };
                self.node(op, vec![x], y, word)
            }
            12 => {
                let y = self.value(fresh, shape, QType::I16, new_scale, 0);
                let (ma, mb, shift) = (77, (word >> 1) as i32, 20);
                let op = if word >> 13 & 1 == 0 {
                    QOp::Max { ma, mb, shift, bounds: small }
                } else {
                    QOp::Min { ma, mb, shift, bounds: small }
                };
                self.node(op, vec![x, x], y, word)
            }
            10 => {
                let y = self.value(fresh, shape, QType::I8, new_scale, 1);
                let requant = (0..shape.c).map(requant).collect();
                let negative = (0..shape.c).map(|c| word as i32 >> (c % 31)).collect();
                self.node(QOp::PRelu { requant, negative, bounds: small }, vec![x], y, word)
            }
            13 => {
                let wide = [QType::I8, QType::I16][(word >> 13 & 1) as usize];
                let rescale = |maker: &mut IntegerMaker, what: &str, dtype| {
                    let y = maker.value(format!("{fresh}{what}"), shape, dtype, 0.5, 0);
                    let op = QOp::Rescale { m: 12345, shift: 17, bounds: small };
                    maker.node(op, vec![x], y, word)
                };
                let (a, b) = (rescale(self, "a", wide), rescale(self, "b", QType::I8));
                let y = self.value(fresh, Hwc { c: shape.w, ..shape }, QType::I8, new_scale, 1);
                let op = QOp::MatMul { requant: requant(0), bounds: small };
                self.node(op, vec![a, b], y, word)
            }
            11 if dtype == QType::I16 => {
                let y = self.value(fresh, shape, QType::I16, new_scale, 0);
                let nodes = (0..513).map(|i| ((word >> 8) as i32 + i * 64) as i16).collect();
                self.node(QOp::Lut16 { nodes }, vec![x], y, word)
            }
            7 if dtype == QType::I8 => {
                let y = self.value(fresh, shape, QType::I8, 1.0 / 256.0, -128);
                let op = QOp::Softmax { exp: (0..256).map(|d| (1 << 20) >> (d / 16)).collect() };
                self.node(op, vec![x], y, word)
            }
            8 if dtype == QType::I8 => {
                let y = self.value(fresh, shape, QType::I8, new_scale, 1);
                let op =
                    QOp::Lut8 { table: (0..256).map(|i| ((i * 7) % 200) as u8 as i8).collect() };
                self.node(op, vec![x], y, word)
            }
            _ => {
                let window = Window {
                    kernel: [shape.h, shape.w],
                    stride: [1, 1],
                    dilation: [1, 1],
                    pad: [0; 4],
                };
                let y = self.value(fresh, Hwc { h: 1, w: 1, c: shape.c }, dtype, scale, zero_point);
                if word >> 13 & 1 == 0 {
                    return self.node(QOp::MaxPool { window }, vec![x], y, word);
                }
                let op = QOp::AveragePool { window, requant: vec![requant(0)], bounds: small };
                self.node(op, vec![x], y, word)
            }
        }
    }
}
