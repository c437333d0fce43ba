//! Local response normalization: square, sum over neighbouring channels, table, product.
//!
//! Squares have twice the bits of what they are made of, so everything between the operand and the result is int16. Its
//! scales follow from the operand's: nothing in between can saturate.

use ir::graph::{Window, lrn_window};
use ir::qgraph::{QOp, QWeights, ValueId};
use isa::numerics::LUT16_NODES;

use super::function::NODE_STEP;
use super::{Emitter, Group};
use crate::calibrate::Range;
use crate::quantize::QuantizeError;
use crate::quantize::fusion::Clip;
use crate::quantize::layout::Layout;
use crate::quantize::params::{Params, Storage, nearest};

const POINT: Window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad: [0; 4] };

impl Emitter<'_> {
    pub(super) fn lrn(
        &mut self,
        group: Group<'_>,
        size: usize,
        [alpha, beta, bias]: [f32; 3],
    ) -> Result<(), QuantizeError> {
        let node = group.node;
        let x = self.image(node, node.inputs[0]);
        let squares = self.squared(group, x)?;
        let sums = self.summed(group, squares, size)?;

        let share = f64::from(alpha) / size as f64;
        let factor = |sum: f64| libm::pow(f64::from(bias) + share * sum, -f64::from(beta));
        let factors = self.factors(group, sums, factor);

        let (from, by, to) =
            (self.params_of(x), self.params_of(factors), self.params(group.result));
        let requant =
            self.requant(node, from.scale * by.scale / to.scale, from.span() * by.span())?;
        let op = QOp::Mul { requant, bounds: to.bounds(group.clip) };
        self.push(group, op, &[x, factors], Layout::standard(self.shape(group.result)));
        Ok(())
    }

    fn squared(&mut self, group: Group<'_>, x: ValueId) -> Result<ValueId, QuantizeError> {
        let from = self.params_of(x);
        let largest = from.span() as f64 * from.scale;
        let to = self.int16(largest * largest);
        let scale = from.scale * from.scale / to.scale;
        let requant = self.requant(group.node, scale, from.span() * from.span())?;
        let op = QOp::Mul { requant, bounds: to.bounds(Clip::NONE) };
        Ok(self.between(group, "square", "Mul", op, &[x, x], to))
    }

    /// Sums over windows of channels, a 1x1 convolution with a band of ones.
    fn summed(
        &mut self,
        group: Group<'_>,
        squares: ValueId,
        size: usize,
    ) -> Result<ValueId, QuantizeError> {
        let from = self.params_of(squares);
        let channels = self.hwc(squares).c;
        let mut band = vec![0i8; channels * channels];
        for (channel, row) in band.chunks_exact_mut(channels).enumerate() {
            row[lrn_window(channel, size, channels)].fill(1);
        }
        let terms = size.min(channels);
        // Sums are not negative: all 16 bits count up from the smallest integer, which stands for 0.
        let largest = terms as f64 * from.range().hi;
        let to = Params { zero_point: i32::from(i16::MIN), ..self.int16(largest / 2.0) };
        let requant =
            self.requant(group.node, from.scale / to.scale, terms as u64 * from.span())?;
        let weights = QWeights {
            oc: channels,
            kernel: POINT.kernel,
            ic: channels,
            bits: self.options.weight_bits,
            data: band,
        };
        let op = QOp::Conv {
            weights,
            bias: vec![0; channels],
            requant: vec![requant; channels],
            window: POINT,
            groups: 1,
            bounds: to.bounds(Clip::NONE),
        };
        Ok(self.between(group, "sum", "Conv", op, &[squares], to))
    }

    /// A table of the positive `function`.
    fn factors(&mut self, group: Group<'_>, x: ValueId, function: impl Fn(f64) -> f64) -> ValueId {
        let from = self.params_of(x);
        let places = (0..LUT16_NODES as i32).map(|i| NODE_STEP * i - 32768);
        let real = |q: i32| function(from.scale * f64::from(q - from.zero_point));
        let factors: Vec<f64> = places.map(real).collect();
        let to = self.int16(factors.iter().copied().fold(0.0, f64::max));
        let (lo, hi) = to.dtype.range();
        let stored = |f: &f64| nearest(f / to.scale, lo, hi) as i16;
        let op = QOp::Lut16 { nodes: factors.iter().map(stored).collect() };
        self.between(group, "factor", "Pow", op, &[x], to)
    }

    fn int16(&self, largest: f64) -> Params {
        Params::covering(Range { lo: 0.0, hi: largest }, Storage::INT16, self.arithmetic.grid())
    }

    /// A node in the middle of `group`, with a result of the extents of its first operand.
    fn between(
        &mut self,
        group: Group<'_>,
        suffix: &str,
        onnx_op: &str,
        op: QOp,
        inputs: &[ValueId],
        to: Params,
    ) -> ValueId {
        let base = &group.node.name;
        let output = self.added_value(base, suffix, self.hwc(inputs[0]), to);
        self.push_added(base, suffix, onnx_op, op, inputs, output);
        output
    }
}
