//! Time of one image through the fast path, single-threaded, for the layer shapes of well-known networks.
//!
//! `cargo bench -p runtime`. The graphs are built here with arbitrary weights: He et al. 2016, "Deep Residual Learning for
//! Image Recognition", table 1 (ResNet-18 and -50), and Sandler et al. 2018, "MobileNetV2", table 2, at 224 x 224.
//! Throughput is in multiply-accumulates per second.
#![allow(missing_docs, reason = "criterion's macros define undocumented functions")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ir::qgraph::{Bounds, Hwc, QGraph, QNode, QOp, QType, QValue, QWeights, ValueId, View, Window};
use isa::numerics::Requant;
use runtime::{Prepared, QData, QTensor};

const INT8: Bounds = Bounds { lo: -128, hi: 127 };

/// A network under construction.
#[derive(Default)]
struct Network {
    graph: QGraph,
    macs: u64,
}

impl Network {
    fn with_input(shape: [usize; 3]) -> (Self, ValueId) {
        let mut network = Self::default();
        let input = network.value(shape);
        network.graph.inputs.push(input);
        (network, input)
    }

    fn value(&mut self, [h, w, c]: [usize; 3]) -> ValueId {
        let id = self.graph.values.len();
        self.graph.values.push(QValue {
            name: format!("v{id}"),
            shape: Hwc { h, w, c },
            dtype: QType::I8,
            scale: 1.0,
            zero_point: -128,
            view: View { onnx_shape: vec![h, w, c], perm: vec![0, 1, 2] },
        });
        ValueId(id as u32)
    }

    fn shape(&self, id: ValueId) -> [usize; 3] {
        self.graph.values[id.0 as usize].shape.extents()
    }

    fn node(&mut self, op: QOp, inputs: Vec<ValueId>, shape: [usize; 3]) -> ValueId {
        let output = self.value(shape);
        let name = format!("n{}", self.graph.nodes.len());
        self.graph.nodes.push(QNode { name, onnx_op: op.name().into(), op, inputs, output });
        output
    }

    fn window(kernel: usize, stride: usize, pad: usize) -> Window {
        Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], pad: [pad; 4] }
    }

    /// Convolution with padding that keeps the size at stride 1; depthwise if `oc` is 0.
    fn conv(&mut self, x: ValueId, oc: usize, kernel: usize, stride: usize) -> ValueId {
        let [h, w, c] = self.shape(x);
        let (oc, ic, groups) = if oc == 0 { (c, 1, c) } else { (oc, c, 1) };
        let pad = kernel / 2;
        let extent = |n: usize| (n + 2 * pad - kernel) / stride + 1;
        let depth = kernel * kernel * ic;
        let data = (0..oc * depth).map(|i| ((i * 53 + i / 11) % 253) as i16 - 126);
        let weights = QWeights {
            oc,
            kernel: [kernel; 2],
            ic,
            bits: 8,
            data: data.map(|w| w as i8).collect(),
        };
        let shape = [extent(h), extent(w), oc];
        self.macs += (shape[0] * shape[1] * oc * depth) as u64;
        let op = QOp::Conv {
            weights,
            bias: vec![12_345; oc],
            requant: vec![Requant { multiplier: 0x9a_bcde, shift: 34 }; oc],
            window: Self::window(kernel, stride, pad),
            groups,
            bounds: INT8,
        };
        self.node(op, vec![x], shape)
    }

    fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        let op = QOp::Add { ma: 0x9a_bcde, mb: 0x7f_1234, shift: 24, bounds: INT8 };
        self.node(op, vec![a, b], self.shape(a))
    }

    /// Mean over all pixels and a dense layer of 1000 classes.
    fn classify(mut self, x: ValueId) -> Self {
        let [h, w, c] = self.shape(x);
        let pool = QOp::AveragePool {
            window: Window { kernel: [h, w], ..Self::window(1, 1, 0) },
            requant: vec![Requant { multiplier: (1 << 24) / (h * w) as u32, shift: 24 }],
            bounds: INT8,
        };
        let mean = self.node(pool, vec![x], [1, 1, c]);
        let logits = self.conv(mean, 1000, 1, 1);
        self.graph.outputs.push(logits);
        self
    }

    fn resnet(blocks: [usize; 4], bottleneck: bool) -> Self {
        let (mut net, input) = Self::with_input([224, 224, 3]);
        let stem = net.conv(input, 64, 7, 2);
        let pool = QOp::MaxPool { window: Self::window(3, 2, 1) };
        let mut x = net.node(pool, vec![stem], [56, 56, 64]);
        for (stage, count) in blocks.into_iter().enumerate() {
            let width = 64 << stage;
            for block in 0..count {
                let stride = if block == 0 && stage > 0 { 2 } else { 1 };
                let y = if bottleneck {
                    let y = net.conv(x, width, 1, 1);
                    let y = net.conv(y, width, 3, stride);
                    net.conv(y, 4 * width, 1, 1)
                } else {
                    let y = net.conv(x, width, 3, stride);
                    net.conv(y, width, 3, 1)
                };
                let channels = net.shape(y)[2];
                let same = net.shape(x) == net.shape(y);
                let shortcut = if same { x } else { net.conv(x, channels, 1, stride) };
                x = net.add(y, shortcut);
            }
        }
        net.classify(x)
    }

    fn mobilenet_v2() -> Self {
        let (mut net, input) = Self::with_input([224, 224, 3]);
        let mut x = net.conv(input, 32, 3, 2);
        // Expansion, output channels, repetitions, stride of the first.
        let stages = [
            (1, 16, 1, 1),
            (6, 24, 2, 2),
            (6, 32, 3, 2),
            (6, 64, 4, 2),
            (6, 96, 3, 1),
            (6, 160, 3, 2),
            (6, 320, 1, 1),
        ];
        for (expansion, channels, count, first_stride) in stages {
            for block in 0..count {
                let stride = if block == 0 { first_stride } else { 1 };
                let wide = net.shape(x)[2] * expansion;
                let y = if expansion > 1 { net.conv(x, wide, 1, 1) } else { x };
                let y = net.conv(y, 0, 3, stride);
                let y = net.conv(y, channels, 1, 1);
                x = if net.shape(x) == net.shape(y) { net.add(y, x) } else { y };
            }
        }
        let x = net.conv(x, 1280, 1, 1);
        net.classify(x)
    }
}

fn networks(criterion: &mut Criterion) {
    let networks = [
        ("resnet18", Network::resnet([2, 2, 2, 2], false)),
        ("resnet50", Network::resnet([3, 4, 6, 3], true)),
        ("mobilenet_v2", Network::mobilenet_v2()),
    ];
    let mut group = criterion.benchmark_group("prepared_run");
    for (name, network) in &networks {
        let prepared = Prepared::new(&network.graph).expect("the graph is well formed");
        let shape = Hwc { h: 224, w: 224, c: 3 };
        let pixels = (0..224 * 224 * 3).map(|i| (i * 31 + i / 13) as i8).collect();
        let image = [QTensor { shape, data: QData::I8(pixels) }];
        group.throughput(Throughput::Elements(network.macs));
        group.bench_function(*name, |bencher| {
            bencher.iter(|| prepared.run(black_box(&image)).expect("the image fits"));
        });
    }
}

criterion_group!(benches, networks);
criterion_main!(benches);
