//! Local response normalization, which is several integer operators.

use ir::qgraph::{Bounds, QOp, QType, QWeights, ValueId, Window};
use isa::numerics::Requant;
use rand::{Rng, RngExt};

use super::{Generator, range};

impl<R: Rng> Generator<'_, R> {
    /// The input times a table of its squares, summed over neighbouring channels.
    pub(super) fn lrn(&mut self, input: ValueId) -> ValueId {
        let (shape, in_type, zero) = self.of(input);
        let bits = self.hw.multiplier_bits as u8;
        let requant = |scale: f64| {
            Requant::from_scale(scale, bits).expect("scales of random networks are moderate")
        };
        let (lo, hi) = range(QType::I16);
        let bounds = Bounds { lo, hi };
        let ends = range(in_type);
        let span = f64::from((ends.0 - zero).abs().max(ends.1 - zero));

        let op = QOp::Mul { requant: requant(f64::from(hi) / span / span), bounds };
        let squares = self.value(shape, QType::I16);
        let squares = self.push("Mul", op, vec![input, input], squares);

        let n = shape.c;
        let size = self.rng.random_range(1..n + 3);
        let near = |o: usize, i: usize| o <= i + (size - 1) / 2 && i <= o + size / 2;
        let op = QOp::Conv {
            weights: QWeights {
                oc: n,
                kernel: [1; 2],
                ic: n,
                bits: self.rng.random_range(2..=8u8),
                data: (0..n * n).map(|at| i8::from(near(at / n, at % n))).collect(),
            },
            bias: vec![0; n],
            requant: vec![requant(2.0 / size.min(n).max(2) as f64); n],
            window: Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 4] },
            groups: 1,
            bounds,
        };
        let sums = self.value_like(shape, QType::I16, 0.05, lo);
        let sums = self.push("Conv", op, vec![squares], sums);

        let steepness = self.rng.random_range(0.1..10.0);
        let factor = |node: i32| f64::from(hi) / (1.0 + steepness * f64::from(node) / 512.0);
        let op = QOp::Lut16 { nodes: (0..513).map(|node| factor(node) as i16).collect() };
        let factors = self.value(shape, QType::I16);
        let factors = self.push("Lut16", op, vec![sums], factors);

        let output = self.value(shape, in_type);
        let zero = self.of(output).2;
        let op = QOp::Mul {
            requant: requant(f64::from(ends.1) / span / f64::from(hi)),
            bounds: self.bounds(in_type, zero),
        };
        self.count("local response normalization");
        self.push("Mul", op, vec![input, factors], output)
    }
}
