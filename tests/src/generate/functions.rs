//! Functions of one value, leaky ReLUs and extrema.

use ir::qgraph::{Hwc, QOp, QType, ValueId};
use isa::numerics::Requant;
use isa::numerics::encode::AddMultipliers;
use rand::{Rng, RngExt};

use super::{Generator, range};

impl<R: Rng> Generator<'_, R> {
    /// The larger or smaller one of the input and a value computed from it, often broadcast.
    pub(super) fn extremum(&mut self, input: ValueId) -> ValueId {
        let (shape, _, _) = self.of(input);
        let small = Hwc { h: 1, w: 1, c: if self.rng.random_bool(0.7) { shape.c } else { 1 } };
        let b = match self.rng.random_range(0..3) {
            0 => self.reduce_to(input, small),
            1 => self.rescale(input),
            _ => self.reduce_to(input, shape),
        };
        let (AddMultipliers { ma, mb, shift }, output, bounds) = self.rescaled_pair(input, b);
        if self.rng.random() {
            self.push("Max", QOp::Max { ma, mb, shift, bounds }, vec![input, b], output)
        } else {
            self.push("Min", QOp::Min { ma, mb, shift, bounds }, vec![input, b], output)
        }
    }

    pub(super) fn lut(&mut self, input: ValueId) -> ValueId {
        let (shape, _, _) = self.of(input);
        let table = (0..256).map(|_| self.rng.random_range(-128..128i32) as i8).collect();
        let output = self.value(shape, QType::I8);
        self.push("Lut8", QOp::Lut8 { table }, vec![input], output)
    }

    pub(super) fn lut16(&mut self, input: ValueId) -> ValueId {
        let (shape, in_type, _) = self.of(input);
        // The operand must have 16 bits.
        let input = if in_type == QType::I16 { input } else { self.rescale_to(input, QType::I16) };
        let nodes = (0..513).map(|_| self.rng.random_range(-32768..32768i32) as i16).collect();
        let output = self.value(shape, QType::I16);
        self.push("Lut16", QOp::Lut16 { nodes }, vec![input], output)
    }

    pub(super) fn prelu(&mut self, input: ValueId) -> ValueId {
        let (shape, in_type, _) = self.of(input);
        let out_type = self.dtype();
        let unit = |t: QType| f64::from(range(t).1);
        let limit = f64::from(1u32 << (self.hw.multiplier_bits - 1));
        let ratio = (unit(out_type) / unit(in_type)).min(limit) * self.rng.random_range(0.3..1.0);
        let bits = self.hw.multiplier_bits as u8;
        let channels: Vec<AddMultipliers> = (0..shape.c)
            .map(|_| {
                let slope = self.rng.random_range(-0.5..1.0);
                AddMultipliers::from_scales(ratio, ratio * slope, bits)
                    .expect("scales of random networks are moderate")
            })
            .collect();
        let output = self.value(shape, out_type);
        let zero = self.of(output).2;
        let op = QOp::PRelu {
            requant: channels
                .iter()
                .map(|m| Requant { multiplier: m.ma.unsigned_abs(), shift: m.shift })
                .collect(),
            negative: channels.iter().map(|m| m.mb).collect(),
            bounds: self.bounds(out_type, zero),
        };
        self.push("PRelu", op, vec![input], output)
    }
}
