//! Products of two computed tensors, alone and as attention has them: one of rows with rows, and of its result with the same rows
//! turned.

use ir::qgraph::{Hwc, QOp, QType, ValueId, Window};
use isa::numerics::encode::AddMultipliers;
use rand::{Rng, RngExt};

use super::{Generator, range};

const POINT: Window = Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 4] };

impl<R: Rng> Generator<'_, R> {
    pub(super) fn matmul(&mut self, input: ValueId) -> ValueId {
        let (shape, _, _) = self.of(input);
        let other = match self.rng.random_range(0..4) {
            0 => input,
            1 => self.reduce_to(input, Hwc { h: 1, ..shape }),
            _ => self.conv_with(input, shape.c, 1, POINT),
        };
        let scores = self.product(input, other);
        if self.rng.random_bool(0.5) || other == input {
            return scores;
        }
        let h = self.of(other).0.h;
        let turned = self.same_scale(other, Hwc { h, w: shape.c, c: shape.w });
        let op = QOp::Reorder { dims: vec![h, shape.w, shape.c], perm: vec![0, 2, 1] };
        let turned = self.push("Reorder", op, vec![other], turned);
        self.count("product of a product");
        self.product(scores, turned)
    }

    fn product(&mut self, a: ValueId, b: ValueId) -> ValueId {
        let wide = if self.rng.random_bool(0.3) { QType::I16 } else { QType::I8 };
        let (a, b) = (self.centred(a, wide), self.centred(b, QType::I8));
        let (from, columns) = (self.of(a).0, self.of(b).0);
        let out_type = self.dtype();
        let requant = self.requant(from.c, 127.0, wide, out_type);
        let output = self.value(Hwc { c: columns.w, ..from }, out_type);
        let zero = self.of(output).2;
        let bounds = self.bounds(out_type, zero);
        if wide == QType::I16 {
            self.count("16-bit product");
        }
        if columns.h < from.h {
            self.count("shared columns");
        }
        self.push("MatMul", QOp::MatMul { requant, bounds }, vec![a, b], output)
    }

    /// `input` in a type with zero point 0.
    fn centred(&mut self, input: ValueId, dtype: QType) -> ValueId {
        let (shape, from, zero) = self.of(input);
        if (from, zero) == (dtype, 0) {
            return input;
        }
        let unit = |t: QType| f64::from(range(t).1);
        let limit = f64::from(1u32 << (self.hw.add_multiplier_bits - 1));
        let scale = (unit(dtype) / unit(from) * self.rng.random_range(0.3..1.5)).min(limit);
        let m = AddMultipliers::from_scale(scale, self.hw.add_multiplier_bits as u8)
            .expect("scales of random networks are moderate");
        let output = self.value_like(shape, dtype, 0.05, 0);
        let bounds = self.bounds(dtype, 0);
        self.push("Rescale", QOp::Rescale { m: m.ma, shift: m.shift, bounds }, vec![input], output)
    }
}
