//! Products of two computed tensors.

use ir::graph::ValueId;
use ir::qgraph::{QOp, QType};
use isa::numerics::accumulator_bits;

use super::{Emitter, Group};
use crate::quantize::QuantizeError;
use crate::quantize::layout::Layout;
use crate::quantize::params::{Params, product_operand};
use crate::quantize::scales::Assigned;

impl Emitter<'_> {
    /// Leading axes are stored as h; the last but one of the first operand, and the last of the second, as w; what is summed as
    /// channels.
    pub(super) fn matmul(&mut self, group: Group<'_>, scale: f32) -> Result<(), QuantizeError> {
        let node = group.node;
        let (a, b) = (node.inputs[0], node.inputs[1]);
        let (rows, y) = (self.shape(a), self.shape(group.result));
        let (last, second) = (rows.len() - 1, rows.len() - 2);
        let lead: Vec<usize> = (0..second).collect();
        let arranged = |w, c| [lead.clone(), vec![w], vec![c]];
        let left = self.arrange(&node.name, a, &Layout::of_groups(rows, &arranged(second, last)));
        let turned = Layout::of_groups(self.shape(b), &arranged(last, second));
        let right = self.arrange(&node.name, b, &turned);
        let right = self.rescaled(node, right, self.entering(right, b, false))?;

        let span = self.params_of(right).span();
        let bound = |p: Params| self.largest(left, p).saturating_mul(span * rows[last] as u64);
        let fits = |p: &Params| {
            let bits = self.arithmetic.acc_bits.min(p.dtype.accumulator_bits());
            accumulator_bits(bound(*p)) <= u32::from(bits)
        };
        let Some(enters) =
            [true, false].map(|wide| self.entering(left, a, wide)).into_iter().find(fits)
        else {
            let (node, acc_bits) = (node.name.clone(), self.arithmetic.acc_bits);
            return Err(QuantizeError::Accumulator { node, channel: 0, acc_bits });
        };
        let bound = bound(enters);
        let left = self.rescaled(node, left, enters)?;
        let (q, to) = (self.params_of(right), self.params(group.result));
        let ratio = enters.scale * q.scale * f64::from(scale) / to.scale;
        let requant = self.requant(node, ratio, bound)?;
        let op = QOp::MatMul { requant, bounds: to.bounds(group.clip) };
        self.push(group, op, &[left, right], Layout::of_groups(y, &arranged(second, last)));
        Ok(())
    }

    /// How `id`, which stores the float value `x`, enters a product.
    fn entering(&self, id: ValueId, x: ValueId, wide: bool) -> Params {
        let Assigned { range, .. } = self.assigned(x);
        product_operand(self.params_of(id), range, wide, self.arithmetic.grid())
    }

    /// Largest magnitude that the array sees where `id` enters a product as `enters`: of 16-bit integers, both bytes.
    fn largest(&self, id: ValueId, enters: Params) -> u64 {
        let from = self.params_of(id);
        match (from.dtype, enters.dtype) {
            (QType::I8, QType::I16) => from.span().next_multiple_of(256),
            _ => enters.span(),
        }
    }
}
