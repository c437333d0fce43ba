//! Random integer networks: every operator, odd shapes, values that fill their range.

pub mod float;
mod functions;
mod lrn;
mod matmul;

use std::collections::BTreeMap;

use ir::qgraph::{
    Bounds, Hwc, Indices, Point, QGraph, QNode, QOp, QType, QValue, QWeights, ValueId, View, Window,
};
use isa::Hardware;
use isa::numerics::Requant;
use isa::numerics::encode::AddMultipliers;
use rand::{Rng, RngExt};

use crate::machines::pick;

/// What a generated network exercises, by name; the property test demands that each occurs often enough.
pub type Features = BTreeMap<String, usize>;

/// A random network for a machine, and what it exercises.
pub fn network(rng: &mut impl Rng, hw: &Hardware) -> (QGraph, Features) {
    let mut g = Generator {
        graph: QGraph { name: "random".into(), rounding: hw.rounding, ..QGraph::default() },
        features: Features::new(),
        rng,
        hw,
    };
    let shape = Hwc {
        h: g.rng.random_range(1..12),
        w: g.rng.random_range(1..12),
        c: *pick(g.rng, &[1, 2, 3, 4, 5, 7, 8, 9, 16, 17]),
    };
    let dtype = if g.rng.random_bool(0.12) { QType::I16 } else { QType::I8 };
    let input = g.value(shape, dtype);
    g.graph.inputs.push(input);
    let mut current = input;
    for _ in 0..g.rng.random_range(1..6) {
        // Mostly a chain; sometimes an older value is used again.
        if g.rng.random_bool(0.15) {
            current =
                *pick(g.rng, &(0..g.graph.values.len() as u32).map(ValueId).collect::<Vec<_>>());
        }
        current = g.node(current);
    }
    // Whatever nobody reads is an output.
    let read: Vec<ValueId> = g.graph.nodes.iter().flat_map(|n| n.inputs.clone()).collect();
    let produced: Vec<ValueId> = g.graph.nodes.iter().map(|n| n.output).collect();
    g.graph.outputs = produced.into_iter().filter(|v| !read.contains(v)).collect();
    (g.graph, g.features)
}

/// Random stored integers for the inputs of a network.
pub fn inputs(rng: &mut impl Rng, graph: &QGraph) -> Vec<Vec<i32>> {
    let one = |rng: &mut _, v: &ValueId| {
        let value = &graph.values[v.0 as usize];
        let (lo, hi) = range(value.dtype);
        (0..value.shape.h * value.shape.w * value.shape.c)
            .map(|_| RngExt::random_range(rng, lo..=hi))
            .collect()
    };
    graph.inputs.iter().map(|v| one(rng, v)).collect()
}

fn range(dtype: QType) -> (i32, i32) {
    match dtype {
        QType::I8 => (-128, 127),
        QType::I16 => (-32768, 32767),
    }
}

struct Generator<'a, R: Rng> {
    graph: QGraph,
    features: Features,
    rng: &'a mut R,
    hw: &'a Hardware,
}

impl<R: Rng> Generator<'_, R> {
    fn count(&mut self, feature: impl Into<String>) {
        *self.features.entry(feature.into()).or_default() += 1;
    }

    fn value(&mut self, shape: Hwc, dtype: QType) -> ValueId {
        let zero_point = match dtype {
            QType::I8 => self.rng.random_range(-128..128),
            QType::I16 => 0,
        };
        self.value_like(shape, dtype, 0.05, zero_point)
    }

    /// A value of another shape with the scale and zero point of `of`: what index work yields.
    fn same_scale(&mut self, of: ValueId, shape: Hwc) -> ValueId {
        let QValue { dtype, scale, zero_point, .. } = self.graph.values[of.0 as usize];
        self.value_like(shape, dtype, scale, zero_point)
    }

    fn value_like(&mut self, shape: Hwc, dtype: QType, scale: f64, zero_point: i32) -> ValueId {
        let id = ValueId(self.graph.values.len() as u32);
        let view = View { onnx_shape: vec![1, shape.c, shape.h, shape.w], perm: vec![0, 2, 3, 1] };
        self.graph.values.push(QValue {
            name: format!("v{}", id.0),
            shape,
            dtype,
            scale,
            zero_point,
            view,
        });
        id
    }

    fn of(&self, v: ValueId) -> (Hwc, QType, i32) {
        let value = &self.graph.values[v.0 as usize];
        (value.shape, value.dtype, value.zero_point)
    }

    fn push(&mut self, name: &str, op: QOp, inputs: Vec<ValueId>, output: ValueId) -> ValueId {
        self.count(name);
        let node = QNode {
            name: format!("{name}_{}", self.graph.nodes.len()),
            onnx_op: name.into(),
            op,
            inputs,
            output,
        };
        self.graph.nodes.push(node);
        output
    }

    fn bounds(&mut self, dtype: QType, zero: i32) -> Bounds {
        let (lo, hi) = range(dtype);
        // Sometimes a fused ReLU.
        if self.rng.random_bool(0.3) { Bounds { lo: zero, hi } } else { Bounds { lo, hi } }
    }

    fn dtype(&mut self) -> QType {
        if self.rng.random_bool(0.12) { QType::I16 } else { QType::I8 }
    }

    fn node(&mut self, input: ValueId) -> ValueId {
        let (_, dtype, _) = self.of(input);
        match self.rng.random_range(0..34) {
            0..=6 => self.conv(input),
            7 | 8 => self.depthwise(input),
            9 | 10 => self.residual(input),
            11 | 22 => self.mul(input),
            12 => self.rescale(input),
            13 => self.max_pool(input),
            14 => self.average_pool(input),
            15 if dtype == QType::I8 => self.lut(input),
            16 if dtype == QType::I8 => self.softmax(input),
            17 => self.concat(input),
            18 => self.pad(input),
            19 | 20 => self.gather(input),
            21 => self.interpolate(input),
            26 | 27 => self.extremum(input),
            28 | 29 => self.prelu(input),
            30 => self.lut16(input),
            31 => self.lrn(input),
            32 | 33 => self.matmul(input),
            _ => self.reorder(input),
        }
    }

    /// A window that fits the input at least once.
    fn window(&mut self, shape: Hwc, max_kernel: usize) -> Window {
        let mut w = Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 4] };
        for axis in 0..2 {
            let extent = [shape.h, shape.w][axis];
            w.kernel[axis] = self.rng.random_range(1..=max_kernel);
            w.stride[axis] = self.rng.random_range(1..4);
            w.dilation[axis] = if self.rng.random_bool(0.25) { 2 } else { 1 };
            let reach = (w.kernel[axis] - 1) * w.dilation[axis] + 1;
            if self.rng.random_bool(0.5) {
                w.pad[axis] = self.rng.random_range(0..reach.max(2));
                w.pad[axis + 2] = self.rng.random_range(0..reach.max(2));
            }
            while extent + w.pad[axis] + w.pad[axis + 2] < reach {
                w.pad[axis + 2] += 1;
            }
        }
        self.count(format!("stride {}", w.stride[0]));
        self.count(format!("dilation {}", w.dilation[0]));
        if w.pad != [0; 4] {
            self.count("padding");
        }
        if w.pad[0] != w.pad[2] || w.pad[1] != w.pad[3] {
            self.count("asymmetric padding");
        }
        w
    }

    fn output_shape(shape: Hwc, w: &Window, c: usize) -> Hwc {
        let extent = |axis: usize, n: usize| {
            (n + w.pad[axis] + w.pad[axis + 2] - (w.kernel[axis] - 1) * w.dilation[axis] - 1)
                / w.stride[axis]
                + 1
        };
        Hwc { h: extent(0, shape.h), w: extent(1, shape.w), c }
    }

    fn weights(&mut self, oc: usize, kernel: [usize; 2], ic: usize) -> QWeights {
        let bits = self.rng.random_range(2..=8u8);
        self.count(format!("{bits}-bit weights"));
        let max = (1i32 << (bits - 1)) - 1;
        let data = (0..oc * kernel[0] * kernel[1] * ic)
            .map(|_| self.rng.random_range(-max..=max) as i8)
            .collect();
        QWeights { oc, kernel, ic, bits, data }
    }

    /// A multiplier that brings accumulators of `k` products into the result's range.
    fn requant(&mut self, k: usize, weight_max: f64, from: QType, to: QType) -> Requant {
        let spread = (k as f64).sqrt() * weight_max * f64::from(range(from).1) / 3.0;
        let scale =
            f64::from(range(to).1) / 2.0 / spread.max(1.0) * self.rng.random_range(0.5..2.0);
        // Powers of two make ties, which a multiplier of many bits hardly ever meets.
        let scale = if self.rng.random_bool(0.3) { scale.log2().round().exp2() } else { scale };
        // Products of sums and multipliers have 63 bits; biases are far smaller than the largest sum, or below one bit of it.
        let largest = k as f64 * weight_max * f64::from(range(from).1);
        let bits = self.hw.multiplier_bits.min(61 - largest.max(2000.0).log2() as u32);
        // A multiplier of m bits and no shift is below 2^m.
        let scale = scale.min(f64::from(1u32 << (bits - 1)));
        Requant::from_scale(scale, bits as u8).expect("scales of random networks are moderate")
    }

    fn conv_with(&mut self, input: ValueId, oc: usize, groups: usize, window: Window) -> ValueId {
        let (shape, in_type, _) = self.of(input);
        let out_type = self.dtype();
        let weights = self.weights(oc, window.kernel, shape.c / groups);
        let k = window.kernel[0] * window.kernel[1] * weights.ic;
        let max = f64::from((1i32 << (weights.bits - 1)) - 1);
        let requant: Vec<Requant> =
            (0..oc).map(|_| self.requant(k, max, in_type, out_type)).collect();
        let bias = (0..oc).map(|_| self.rng.random_range(-2000..2000)).collect();
        let output = self.value(Self::output_shape(shape, &window, oc), out_type);
        let zero = self.of(output).2;
        let bounds = self.bounds(out_type, zero);
        if k.div_ceil(self.hw.array_rows as usize) > 1 {
            self.count("several folds");
        }
        if in_type == QType::I16 {
            self.count("16-bit input");
        }
        let op = QOp::Conv { weights, bias, requant, window, groups, bounds };
        self.push("Conv", op, vec![input], output)
    }

    fn conv(&mut self, input: ValueId) -> ValueId {
        let (shape, _, _) = self.of(input);
        let window = self.window(shape, 3);
        let divisors: Vec<usize> = (1..=shape.c).filter(|n| shape.c % n == 0 && *n <= 4).collect();
        let groups = *pick(self.rng, &divisors);
        let per_group = self.rng.random_range(1..10);
        if groups > 1 {
            self.count("grouped");
        }
        self.conv_with(input, groups * per_group, groups, window)
    }

    fn depthwise(&mut self, input: ValueId) -> ValueId {
        let (shape, _, _) = self.of(input);
        let window = self.window(shape, 5);
        if self.rng.random_bool(0.25) {
            self.count("channel multiplier");
            let multiplier = self.rng.random_range(2..4);
            return self.conv_with(input, multiplier * shape.c, shape.c, window);
        }
        self.count("depthwise");
        self.conv_with(input, shape.c, shape.c, window)
    }

    fn add_nodes(&mut self, a: ValueId, b: ValueId) -> ValueId {
        let (m, output, bounds) = self.rescaled_pair(a, b);
        let sign = if self.rng.random_bool(0.2) { -1 } else { 1 };
        let op = QOp::Add { ma: m.ma, mb: sign * m.mb, shift: m.shift, bounds };
        self.push("Add", op, vec![a, b], output)
    }

    /// Multipliers, result and bounds of an operator that brings both operands to the scale of its result.
    fn rescaled_pair(&mut self, a: ValueId, b: ValueId) -> (AddMultipliers, ValueId, Bounds) {
        let (shape, _, _) = self.of(a);
        let out_type = self.dtype();
        let scale = |t: QType| if t == QType::I8 { 1.0f64 } else { 1.0 / 256.0 };
        let limit = f64::from(1u32 << (self.hw.add_multiplier_bits - 1));
        let s = [self.of(a).1, self.of(b).1].map(|t| (scale(t) / scale(out_type)).min(limit));
        let m = AddMultipliers::from_scales(
            s[0] * self.rng.random_range(0.3..1.0),
            s[1] * self.rng.random_range(0.3..1.0),
            self.hw.add_multiplier_bits as u8,
        )
        .expect("scales of random networks are moderate");
        let output = self.value(shape, out_type);
        let zero = self.of(output).2;
        (m, output, self.bounds(out_type, zero))
    }

    /// A convolution and the addition of its own input or a broadcast one.
    fn residual(&mut self, input: ValueId) -> ValueId {
        let (shape, _, _) = self.of(input);
        if self.rng.random_bool(0.3) {
            let small = Hwc {
                h: if self.rng.random_bool(0.5) { 1 } else { shape.h },
                w: if self.rng.random_bool(0.5) { 1 } else { shape.w },
                c: if self.rng.random_bool(0.3) { 1 } else { shape.c },
            };
            let b = self.reduce_to(input, small);
            self.count("broadcast");
            return self.add_nodes(input, b);
        }
        let window = Window { kernel: [3; 2], stride: [1; 2], dilation: [1; 2], pad: [1; 4] };
        let other = self.conv_with(input, shape.c, 1, window);
        self.count("residual");
        if self.rng.random_bool(0.5) {
            self.add_nodes(input, other)
        } else {
            self.add_nodes(other, input)
        }
    }

    /// A value of a smaller, broadcastable shape, computed from `input` by pooling and, for one channel, a convolution.
    fn reduce_to(&mut self, input: ValueId, small: Hwc) -> ValueId {
        let (shape, _, _) = self.of(input);
        let kernel =
            [if small.h == 1 { shape.h } else { 1 }, if small.w == 1 { shape.w } else { 1 }];
        let window = Window { kernel, stride: [1; 2], dilation: [1; 2], pad: [0; 4] };
        let pooled = self.same_scale(input, Hwc { c: shape.c, ..small });
        let pooled = self.push("MaxPool", QOp::MaxPool { window }, vec![input], pooled);
        if small.c == shape.c {
            return pooled;
        }
        self.conv_with(
            pooled,
            small.c,
            1,
            Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 4] },
        )
    }

    fn mul(&mut self, input: ValueId) -> ValueId {
        let (shape, in_type, _) = self.of(input);
        let small = Hwc { h: 1, w: 1, c: if self.rng.random_bool(0.7) { shape.c } else { 1 } };
        let b = if self.rng.random_bool(0.6) { self.reduce_to(input, small) } else { input };
        let out_type = self.dtype();
        let unit = |t: QType| f64::from(range(t).1);
        let scale =
            unit(out_type) / unit(in_type) / unit(self.of(b).1) * self.rng.random_range(0.5..2.0);
        let requant = Requant::from_scale(scale, self.hw.multiplier_bits.min(24) as u8)
            .expect("scales of random networks are moderate");
        let output = self.value(shape, out_type);
        let zero = self.of(output).2;
        let bounds = self.bounds(out_type, zero);
        self.push("Mul", QOp::Mul { requant, bounds }, vec![input, b], output)
    }

    fn rescale(&mut self, input: ValueId) -> ValueId {
        let out_type = self.dtype();
        self.rescale_to(input, out_type)
    }

    fn rescale_to(&mut self, input: ValueId, out_type: QType) -> ValueId {
        let (shape, in_type, _) = self.of(input);
        let unit = |t: QType| f64::from(range(t).1);
        let scale = unit(out_type) / unit(in_type) * self.rng.random_range(0.3..1.5);
        let scale = scale.min(f64::from(1u32 << (self.hw.add_multiplier_bits - 1)));
        let m = AddMultipliers::from_scale(scale, self.hw.add_multiplier_bits as u8)
            .expect("scales of random networks are moderate");
        let output = self.value(shape, out_type);
        let zero = self.of(output).2;
        let bounds = self.bounds(out_type, zero);
        self.push("Rescale", QOp::Rescale { m: m.ma, shift: m.shift, bounds }, vec![input], output)
    }

    /// A window all of whose placements hold at least one valid tap.
    fn pool_window(&mut self, shape: Hwc) -> Window {
        let mut w = self.window(shape, 3);
        for axis in 0..2 {
            // Padding below one dilated tap distance never hides a whole window.
            let extent = [shape.h, shape.w][axis];
            let reach = (w.kernel[axis] - 1) * w.dilation[axis] + 1;
            if w.dilation[axis] > 1 || reach > extent {
                w.dilation[axis] = 1;
                w.kernel[axis] = w.kernel[axis].min(extent);
            }
            w.pad[axis] = w.pad[axis].min(w.kernel[axis] - 1);
            w.pad[axis + 2] = w.pad[axis + 2].min(w.kernel[axis] - 1);
        }
        w
    }

    fn max_pool(&mut self, input: ValueId) -> ValueId {
        let (shape, _, _) = self.of(input);
        let window = self.pool_window(shape);
        let output = self.same_scale(input, Self::output_shape(shape, &window, shape.c));
        self.push("MaxPool", QOp::MaxPool { window }, vec![input], output)
    }

    fn average_pool(&mut self, input: ValueId) -> ValueId {
        let (shape, in_type, _) = self.of(input);
        let mut window = self.pool_window(shape);
        let taps = window.kernel[0] * window.kernel[1];
        let out_type = self.dtype();
        let unit = |t: QType| f64::from(range(t).1);
        let scale =
            (unit(out_type) / unit(in_type)).min(f64::from(1u32 << (self.hw.multiplier_bits - 1)));
        let full = window.pad == [0; 4] || taps > self.hw.param_entries as usize;
        if full {
            window.pad = [0; 4];
        }
        let n_entries = if full { 1 } else { taps };
        let bits = self.hw.multiplier_bits as u8;
        let requant = (0..n_entries)
            .map(|i| {
                Requant::from_scale(scale / if full { taps as f64 } else { (i + 1) as f64 }, bits)
                    .expect("scales of random networks are moderate")
            })
            .collect();
        let output = self.value(Self::output_shape(shape, &window, shape.c), out_type);
        let zero = self.of(output).2;
        let bounds = self.bounds(out_type, zero);
        self.push("AveragePool", QOp::AveragePool { window, requant, bounds }, vec![input], output)
    }

    fn softmax(&mut self, input: ValueId) -> ValueId {
        let (shape, _, _) = self.of(input);
        let rate = self.rng.random_range(0.01..0.2f64);
        let exp = (0..256)
            .map(|d| {
                ((-f64::from(d) * rate).exp() * f64::from(1u32 << 20)).round_ties_even() as u32
            })
            .collect();
        let output = self.value_like(shape, QType::I8, 1.0 / 256.0, -128);
        self.push("Softmax", QOp::Softmax { exp }, vec![input], output)
    }

    fn concat(&mut self, input: ValueId) -> ValueId {
        let (shape, _, _) = self.of(input);
        let axis = self.rng.random_range(0..3usize);
        // Parts of the value itself, of any extent along the axis.
        let mut parts = vec![input];
        let mut out = shape.extents();
        for _ in 0..*pick(self.rng, &[1, 1, 1, 2, 5]) {
            let extent = self.rng.random_range(1..=shape.extents()[axis]);
            let mut indices = shape.extents().map(Indices::all);
            indices[axis] = Indices::all(extent);
            let [h, w, c] = [0, 1, 2].map(|axis| indices[axis].len());
            let part = self.same_scale(input, Hwc { h, w, c });
            parts.push(self.push("Gather", QOp::Gather { indices }, vec![input], part));
            out[axis] += extent;
        }
        let [h, w, c] = out;
        let output = self.same_scale(input, Hwc { h, w, c });
        self.count(format!("concat axis {axis}"));
        if parts.len() > 2 {
            self.count("concat of many");
        }
        self.push("Concat", QOp::Concat { axis }, parts, output)
    }

    fn pad(&mut self, input: ValueId) -> ValueId {
        let (shape, _, zero) = self.of(input);
        let mut amount = [0; 6];
        for a in &mut amount {
            *a = if self.rng.random_bool(0.4) { self.rng.random_range(0..3) } else { 0 };
        }
        let (before, after) =
            ([amount[0], amount[1], amount[2]], [amount[3], amount[4], amount[5]]);
        let out = Hwc {
            h: shape.h + before[0] + after[0],
            w: shape.w + before[1] + after[1],
            c: shape.c + before[2] + after[2],
        };
        let output = self.same_scale(input, out);
        self.push("Pad", QOp::Pad { before, after, value: zero }, vec![input], output)
    }

    fn interpolate(&mut self, input: ValueId) -> ValueId {
        let (shape, in_type, _) = self.of(input);
        let axis = self.rng.random_range(0..2usize);
        let extent = [shape.h, shape.w][axis];
        let points: Vec<Point> = if self.rng.random_bool(0.5) {
            self.count("doubled");
            // Half-pixel doubling, the border held.
            let quarters = (0..2 * extent).map(|j| (2 * j).saturating_sub(1).min(4 * extent - 4));
            quarters.map(|q| Point { index: q / 4, weight: (q % 4 * 32) as u8 }).collect()
        } else {
            (0..self.rng.random_range(1..2 * extent + 3))
                .map(|_| {
                    let index = self.rng.random_range(0..extent);
                    let most = if index + 1 < extent { 127 } else { 0 };
                    Point { index, weight: self.rng.random_range(0..=most) }
                })
                .collect()
        };
        let out_type = self.dtype();
        let shift = match (in_type, out_type) {
            (QType::I8, QType::I16) => self.rng.random_range(0..8),
            (QType::I16, QType::I8) => self.rng.random_range(14..16),
            (QType::I8, QType::I8) | (QType::I16, QType::I16) => 7,
        };
        let mut out = shape;
        *[&mut out.h, &mut out.w][axis] = points.len();
        let output = self.value(out, out_type);
        let zero = self.of(output).2;
        let bounds = self.bounds(out_type, zero);
        self.count(format!("interpolate axis {axis}"));
        let op = QOp::Interpolate { axis, points, shift, bounds };
        self.push("Interpolate", op, vec![input], output)
    }

    /// A slice, a nearest resize or a repeating border on each axis, or nothing.
    fn gather(&mut self, input: ValueId) -> ValueId {
        let extents = self.of(input).0.extents();
        let indices = extents.map(|extent| self.indices(extent));
        let [h, w, c] = [0, 1, 2].map(|axis| indices[axis].len());
        let output = self.same_scale(input, Hwc { h, w, c });
        self.push("Gather", QOp::Gather { indices }, vec![input], output)
    }

    fn indices(&mut self, extent: usize) -> Indices {
        let n = extent as i64;
        let (name, list): (&str, Vec<i64>) = match self.rng.random_range(0..9) {
            0 | 1 => {
                let (a, b) = (self.rng.random_range(0..n), self.rng.random_range(0..n));
                let step = self.rng.random_range(1..4);
                ("slice", (a.min(b)..=a.max(b)).step_by(step).collect())
            }
            2 => ("reversed", (0..n).rev().step_by(self.rng.random_range(1..3)).collect()),
            3 | 4 => {
                // Any ratio, any phase.
                let (to, phase) =
                    (self.rng.random_range(1..2 * n + 2), self.rng.random_range(0..n));
                ("resized", (0..to).map(|i| ((i * n + phase) / to).min(n - 1)).collect())
            }
            5 => {
                let (before, after) = (self.rng.random_range(0..4), self.rng.random_range(0..4));
                ("edge", (-before..n + after).map(|i| i.clamp(0, n - 1)).collect())
            }
            6 => {
                let period = (2 * n - 2).max(1);
                let reflect = |i: i64| i.rem_euclid(period).min(2 * n - 2 - i.rem_euclid(period));
                ("reflected", (-2..n + 1).map(reflect).collect())
            }
            _ => return Indices::all(extent),
        };
        self.count(name);
        list.into_iter().map(|i| i as usize).collect()
    }

    /// A permutation of the axes, or of factors of them: shuffled channels, blocks of pixels that become channels and back.
    fn reorder(&mut self, input: ValueId) -> ValueId {
        let Hwc { h, w, c } = self.of(input).0;
        let factor = |n: usize| (2..=n).find(|&f| n.is_multiple_of(f)).unwrap_or(1);
        let (fh, fw, fc) = (factor(h), factor(w), factor(c));
        let deep = factor(c / fc);
        let (name, dims, perm, out) = match self.rng.random_range(0..7) {
            0 => ("shuffled channels", vec![h, w, fc, c / fc], vec![0, 1, 3, 2], Hwc { h, w, c }),
            1 => (
                "depth to space",
                vec![h, w, fc, deep, c / fc / deep],
                vec![0, 2, 1, 3, 4],
                Hwc { h: h * fc, w: w * deep, c: c / fc / deep },
            ),
            2 => (
                "space to depth",
                vec![h / fh, fh, w / fw, fw, c],
                vec![0, 2, 1, 3, 4],
                Hwc { h: h / fh, w: w / fw, c: c * fh * fw },
            ),
            3 => ("transposed pixels", vec![h, w, c], vec![1, 0, 2], Hwc { h: w, w: h, c }),
            _ => {
                let dims = vec![h, w, c];
                let mut perm = vec![0, 1, 2];
                for i in (1..3).rev() {
                    perm.swap(i, self.rng.random_range(0..=i));
                }
                let moved = [dims[perm[0]], dims[perm[1]], dims[perm[2]]];
                match self.rng.random_range(0..3) {
                    0 => ("flattened", dims, perm, Hwc { h: 1, w: 1, c: h * w * c }),
                    // Other borders between h, w and c, which may cross the operand's.
                    1 => {
                        let out =
                            Hwc { h: factor(h * w * c), w: 1, c: h * w * c / factor(h * w * c) };
                        ("crossing axes", dims, perm, out)
                    }
                    _ => {
                        let out = Hwc { h: moved[0], w: moved[1], c: moved[2] };
                        ("transposed", dims, perm, out)
                    }
                }
            }
        };
        self.count(name);
        let output = self.same_scale(input, out);
        self.push("Reorder", QOp::Reorder { dims, perm }, vec![input], output)
    }
}
