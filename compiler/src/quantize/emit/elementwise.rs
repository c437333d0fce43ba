//! Additions, subtractions, products, extrema and clips of activations.

use ir::graph::ValueId;
use ir::qgraph::{Bounds, QOp};

use super::{Emitter, Group};
use crate::quantize::QuantizeError;
use crate::quantize::fusion::Clip;
use crate::quantize::layout::Layout;

/// Operands of an elementwise operator as the integer graph wants them.
struct Pair {
    /// The operand of the result's shape.
    a: ValueId,
    /// The other one, perhaps repeated along h, w or c.
    b: ValueId,
    /// Whether they changed places.
    swapped: bool,
    /// Layout of `a` and of the result.
    layout: Layout,
}

impl Emitter<'_> {
    /// `sign` applies to the second operand.
    pub(super) fn add(&mut self, group: Group<'_>, sign: f64) -> Result<(), QuantizeError> {
        let Pair { a, b, swapped, layout } = self.pair(group)?;
        let (p, q, y) = (self.params_of(a), self.params_of(b), self.params(group.result));
        let (sign_a, sign_b) = if swapped { (sign, 1.0) } else { (1.0, sign) };
        let m = self.add_multipliers(
            group.node,
            sign_a * p.scale / y.scale,
            sign_b * q.scale / y.scale,
        )?;
        let op = QOp::Add { ma: m.ma, mb: m.mb, shift: m.shift, bounds: y.bounds(group.clip) };
        self.push(group, op, &[a, b], layout);
        Ok(())
    }

    /// `op` makes the operator of two multipliers, a shift and bounds.
    pub(super) fn extremum(
        &mut self,
        group: Group<'_>,
        op: fn(i32, i32, u8, Bounds) -> QOp,
    ) -> Result<(), QuantizeError> {
        let Pair { a, b, layout, .. } = self.pair(group)?;
        let (p, q, y) = (self.params_of(a), self.params_of(b), self.params(group.result));
        let m = self.add_multipliers(group.node, p.scale / y.scale, q.scale / y.scale)?;
        self.push(group, op(m.ma, m.mb, m.shift, y.bounds(group.clip)), &[a, b], layout);
        Ok(())
    }

    pub(super) fn mul(&mut self, group: Group<'_>) -> Result<(), QuantizeError> {
        let Pair { a, b, layout, .. } = self.pair(group)?;
        let (p, q, y) = (self.params_of(a), self.params_of(b), self.params(group.result));
        let requant = self.requant(group.node, p.scale * q.scale / y.scale, p.span() * q.span())?;
        self.push(group, QOp::Mul { requant, bounds: y.bounds(group.clip) }, &[a, b], layout);
        Ok(())
    }

    /// A clip that no operator could take in.
    pub(super) fn clip(&mut self, group: Group<'_>) -> Result<(), QuantizeError> {
        let stored = self.stored(group.node.inputs[0]);
        let (from, to) = (self.params_of(stored.id), self.params(group.result));
        let op = self.rescale_op(group.node, from, to, to.bounds(group.clip))?;
        self.push(group, op, &[stored.id], stored.layout);
        Ok(())
    }

    /// A rounding that no operator could take in: another scale, unless the operand is stored so already.
    pub(super) fn round(&mut self, group: Group<'_>) -> Result<(), QuantizeError> {
        let stored = self.stored(group.node.inputs[0]);
        let (from, to) = (self.params_of(stored.id), self.params(group.result));
        if from == to {
            self.stored.insert(group.result, stored);
            return Ok(());
        }
        let op = self.rescale_op(group.node, from, to, to.bounds(Clip::NONE))?;
        self.push(group, op, &[stored.id], stored.layout);
        Ok(())
    }

    fn pair(&mut self, group: Group<'_>) -> Result<Pair, QuantizeError> {
        let (first, second) = (group.node.inputs[0], group.node.inputs[1]);
        let y = self.shape(group.result);
        let swapped = self.shape(first) != y;
        let (a, b) = if swapped { (second, first) } else { (first, second) };
        // Of the layouts at hand, the first one that both operands can have.
        let standard = Layout::standard(y);
        let candidates = [self.stored(a).layout, standard.clone()];
        let same_shape = self.shape(b) == y;
        let mut candidates = candidates.to_vec();
        if same_shape && self.stored(b).layout == standard {
            candidates.reverse();
        }
        let fitting = candidates.into_iter().find_map(|layout| {
            let other = repeated(&layout, y, self.shape(b))?;
            Some((layout, other))
        });
        let Some((layout, other)) = fitting else {
            return Err(
                self.refuse(group.node, "the second operand repeats along a part of h, w or c")
            );
        };
        let (a, b) =
            (self.arrange(&group.node.name, a, &layout), self.arrange(&group.node.name, b, &other));
        Ok(Pair { a, b, swapped, layout })
    }
}

/// The layout in which an operand of shape `b` lies like the result's `layout` of shape `y`, with extent 1 where it
/// repeats; `None` if it would repeat along a part of h, w or c only.
fn repeated(layout: &Layout, y: &[usize], b: &[usize]) -> Option<Layout> {
    let missing = y.len() - b.len();
    let own = |axis: &usize| axis.checked_sub(missing).filter(|&i| b[i] != 1);
    let groups = layout.groups(y)?;
    let whole = groups
        .iter()
        .all(|axes| axes.iter().all(|a| own(a).is_some()) || axes.iter().all(|a| own(a).is_none()));
    let narrowed = groups.map(|axes| axes.iter().filter_map(own).collect());
    whole.then(|| Layout::of_groups(b, &narrowed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ir::qgraph::Hwc;

    #[test]
    fn operands_repeat_along_whole_extents() {
        let y = [1, 3, 4, 5];
        let image = Layout::standard(&y);
        let of = |b: &[usize]| {
            repeated(&image, &y, b).map(|layout| (layout.hwc.extents(), layout.order))
        };
        assert_eq!(of(&[1, 3, 1, 1]), Some(([1, 1, 3], vec![1])));
        assert_eq!(of(&[3, 1, 1]), Some(([1, 1, 3], vec![0])));
        assert_eq!(of(&[4, 5]), Some(([4, 5, 1], vec![0, 1])));
        assert_eq!(of(&[1]), Some(([1, 1, 1], vec![])));
        let rows = Layout { order: vec![2, 3, 1], hwc: Hwc { h: 1, w: 20, c: 3 } };
        assert_eq!(repeated(&rows, &y, &[1, 1, 1, 5]), None);
    }
}
