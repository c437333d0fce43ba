//! Concatenation, padding and softmax.

use ir::graph::ValueId;
use ir::qgraph::{QOp, QType};

use super::{Emitter, Group, Stored};
use crate::quantize::QuantizeError;
use crate::quantize::layout::{Groups, Layout};
use crate::quantize::params::{Params, Storage, nearest};
use crate::quantize::scales::Assigned;

impl Emitter<'_> {
    pub(super) fn concat(&mut self, group: Group<'_>, axis: usize) -> Result<(), QuantizeError> {
        let y = self.shape(group.result);
        let operands = &group.node.inputs;
        // A layout is as good as the number of operands that already have it.
        let mut best: Option<(usize, Groups)> = None;
        let at_hand: Vec<Layout> = operands.iter().map(|&x| self.stored(x).layout).collect();
        let with_axis = operands.iter().zip(&at_hand).filter(|(x, _)| self.shape(**x)[axis] != 1);
        let candidates = with_axis.map(|(&x, layout)| layout.groups(self.shape(x)));
        let standard = Layout::standard(y).groups(y);
        for groups in candidates.chain([standard]).flatten() {
            let leads = groups.iter().any(|axes| axes.first() == Some(&axis));
            let agreeing = operands.iter().zip(&at_hand);
            let agreeing = agreeing
                .filter(|(x, layout)| Layout::of_groups(self.shape(**x), &groups) == **layout)
                .count();
            if leads && best.as_ref().is_none_or(|(most, _)| agreeing > *most) {
                best = Some((agreeing, groups));
            }
        }
        let Some((_, groups)) = best else {
            return Err(self.refuse(group.node, "the axis joined is stored inside another one"));
        };
        let part = groups
            .iter()
            .position(|axes| axes.first() == Some(&axis))
            .expect("some group is led by the axis");
        let to = self.params(group.result);
        let mut parts = Vec::new();
        for &x in operands {
            let id = self.arrange(&group.node.name, x, &Layout::of_groups(self.shape(x), &groups));
            parts.push(self.rescaled(group.node, id, to)?);
        }
        self.push(group, QOp::Concat { axis: part }, &parts, Layout::of_groups(y, &groups));
        Ok(())
    }

    pub(super) fn pad(
        &mut self,
        group: Group<'_>,
        before: &[usize],
        after: &[usize],
        value: f32,
    ) -> Result<(), QuantizeError> {
        let x = group.node.inputs[0];
        let (from, y) = (self.shape(x), self.shape(group.result));
        let padded = |axis: usize| before[axis] + after[axis] > 0;
        // A padded axis must be the outermost of the extent it belongs to.
        let suits = |groups: &Groups| {
            groups.iter().all(|axes| axes.iter().skip(1).all(|&axis| !padded(axis)))
        };
        let at_hand = self.stored(x).layout.groups(from).map(|groups| with_grown(groups, from, y));
        let candidates = at_hand.into_iter().chain(Layout::standard(y).groups(y));
        let Some(groups) = candidates.into_iter().find(suits) else {
            return Err(self.refuse(group.node, "the padded axis is stored inside another one"));
        };
        let to = self.params(group.result);
        let id = self.arrange(&group.node.name, x, &Layout::of_groups(from, &groups));
        let id = self.rescaled(group.node, id, to)?;
        let amount = |amounts: &[usize], axes: &Vec<usize>| match axes.split_first() {
            Some((&first, rest)) => {
                amounts[first] * rest.iter().map(|&axis| y[axis]).product::<usize>()
            }
            None => 0,
        };
        let (lo, hi) = to.dtype.range();
        let op = QOp::Pad {
            before: std::array::from_fn(|i| amount(before, &groups[i])),
            after: std::array::from_fn(|i| amount(after, &groups[i])),
            value: nearest(f64::from(value) / to.scale + f64::from(to.zero_point), lo, hi),
        };
        self.push(group, op, &[id], Layout::of_groups(y, &groups));
        Ok(())
    }

    /// The layout of `x`, or another one, in which `axis` alone makes up the channels.
    pub(super) fn with_channels(&self, x: ValueId, axis: usize) -> Layout {
        let shape = self.shape(x);
        let Stored { layout, .. } = self.stored(x);
        let whole = layout.groups(shape).is_some_and(|[_, _, c]| c.iter().all(|&a| a == axis));
        if whole && layout.hwc.c == shape[axis] {
            return layout;
        }
        let others = (0..shape.len()).filter(|&a| a != axis).collect();
        Layout::of_groups(shape, &[vec![], others, vec![axis]])
    }

    pub(super) fn softmax(&mut self, group: Group<'_>, axis: usize) -> Result<(), QuantizeError> {
        let x = group.node.inputs[0];
        let shape = self.shape(x);
        let layout = self.with_channels(x, axis);
        let id = self.arrange(&group.node.name, x, &layout);
        // Softmax reads int8.
        let Assigned { params, range, .. } = self.assigned(x);
        let narrow = match params.dtype {
            QType::I8 => params,
            QType::I16 => Params::covering(range, Storage::INT8, self.arithmetic.grid()),
        };
        let id = self.rescaled(group.node, id, narrow)?;
        let exp = exp_table(narrow.scale, shape[axis]);
        self.push(group, QOp::Softmax { exp }, &[id], layout);
        Ok(())
    }
}

/// The operand's groups with the axes that become longer than 1: they lead the first empty extent.
pub(super) fn with_grown(mut groups: Groups, from: &[usize], y: &[usize]) -> Groups {
    for axis in (0..y.len()).filter(|&axis| from[axis] == 1 && y[axis] != 1) {
        // An axis of extent 1 can be put anywhere; an extent of its own is best.
        let place = groups.iter().position(Vec::is_empty).unwrap_or(0);
        groups[place].insert(0, axis);
    }
    groups
}

/// `e^(-d * scale)` for d = 0..=255 as integers, with as many fraction bits as the sum of `n` of them allows in 32 bits.
fn exp_table(scale: f64, n: usize) -> Vec<u32> {
    let fraction_bits = (31 - n.next_power_of_two().trailing_zeros().min(31)).min(23);
    let one = f64::from(1u32 << fraction_bits);
    (0..256u32).map(|d| (libm::exp(-f64::from(d) * scale) * one).round_ties_even() as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_tables_fall_from_one_and_sum_to_less_than_32_bits() {
        for n in [1, 10, 1000, 1001, 65536] {
            let table = exp_table(0.1, n);
            assert!(table.is_sorted_by(|a, b| a >= b) && table[0].is_power_of_two());
            assert!(n as u64 * u64::from(table[0]) < 1 << 32);
            let ratio = f64::from(table[10]) / f64::from(table[0]);
            assert!((ratio - (-1f64).exp()).abs() < 1.0 / f64::from(table[0]));
        }
    }
}
