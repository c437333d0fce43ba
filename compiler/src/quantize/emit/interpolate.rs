//! Linear interpolation: one integer operator an axis, with a single rounding behind the last one.

use ir::graph::{Interpolation, ValueId};
use ir::qgraph::{Point, QOp, QType};

use super::{Emitter, Group};
use crate::quantize::QuantizeError;
use crate::quantize::fusion::Clip;
use crate::quantize::layout::{Groups, Layout};
use crate::quantize::params::Params;

/// Fraction bits of a point's weight.
const WEIGHT_BITS: u8 = 7;

impl Emitter<'_> {
    pub(super) fn interpolate(
        &mut self,
        group: Group<'_>,
        axes: &[Interpolation],
    ) -> Result<(), QuantizeError> {
        let machine_bits = self.arithmetic.add_multiplier_bits;
        if machine_bits < WEIGHT_BITS {
            let reason = format!(
                "its weights have {WEIGHT_BITS} bits, and the machine's add_multiplier_bits are {machine_bits}"
            );
            return Err(self.refuse(group.node, &reason));
        }
        let x = group.node.inputs[0];
        let (from, y) = (self.shape(x), self.shape(group.result));
        let Some((groups, places)) = self.arrangement(x, axes) else {
            return Err(
                self.refuse(group.node, "an interpolated axis is stored inside another one")
            );
        };
        let mut id = self.arrange(&group.node.name, x, &Layout::of_groups(from, &groups));
        // Weights not yet shifted out.
        let mut pending = 0;
        for (position, (axis, place)) in axes.iter().zip(places).enumerate() {
            let is_last = position + 1 == axes.len();
            let exact = !is_last && self.params_of(id).dtype == QType::I8;
            let shift = if exact { 0 } else { WEIGHT_BITS + pending };
            let points = axis.places.iter().map(|&real| point(real)).collect();
            let op = |bounds| QOp::Interpolate { axis: place, points, shift, bounds };
            if is_last {
                let op = op(self.params(group.result).bounds(group.clip));
                self.push(group, op, &[id], Layout::of_groups(y, &groups));
                break;
            }
            let mut to = self.params_of(id);
            if exact {
                // 255 steps times 2^7 fit 16 bits: the sum is kept whole.
                let scale = to.scale / f64::from(1u32 << WEIGHT_BITS);
                to = Params { dtype: QType::I16, scale, zero_point: 0 };
                pending = WEIGHT_BITS;
            }
            id = self.half_interpolated(group, id, op(to.bounds(Clip::NONE)), to);
        }
        Ok(())
    }

    /// The node of all axes but the last; its result has the parameters `to`.
    fn half_interpolated(
        &mut self,
        group: Group<'_>,
        id: ir::qgraph::ValueId,
        op: QOp,
        to: Params,
    ) -> ir::qgraph::ValueId {
        let QOp::Interpolate { axis, points, .. } = &op else {
            unreachable!("the caller interpolates");
        };
        let mut shape = self.hwc(id);
        *[&mut shape.h, &mut shape.w][*axis] = points.len();
        let base = &group.node.name;
        let output = self.added_value(base, "interpolated", shape, to);
        self.push_added(base, "interpolated", "Resize", op, &[id], output);
        output
    }

    /// The axes that make up h, w and c, and which of h (0) and w (1) each interpolated axis is.
    fn arrangement(&self, x: ValueId, axes: &[Interpolation]) -> Option<(Groups, Vec<usize>)> {
        let from = self.shape(x);
        let places = |groups: &Groups| {
            let place = |a: &Interpolation| groups[..2].iter().position(|g| *g == [a.axis]);
            axes.iter().map(place).collect::<Option<Vec<usize>>>()
        };
        let layouts = [self.stored(x).layout, Layout::standard(from)];
        let known = layouts.iter().filter_map(|layout| layout.groups(from));
        let candidates = known.chain([self.own_arrangement(from, axes)]);
        candidates
            .into_iter()
            .find_map(|groups| Some((places(&groups)?, groups)))
            .map(|(p, g)| (g, p))
    }

    /// Interpolated axes as h and w, or as w alone, and channels as they usually are.
    fn own_arrangement(&self, from: &[usize], axes: &[Interpolation]) -> Groups {
        let moved = |axis: &usize| axes.iter().any(|a| a.axis == *axis);
        let mut others: Vec<usize> =
            (0..from.len()).filter(|axis| from[*axis] != 1 && !moved(axis)).collect();
        match axes {
            [a, b, ..] => [vec![a.axis], vec![b.axis], others],
            _ => {
                let channels = others.iter().position(|&axis| axis == 1);
                let channels = channels.or(others.len().checked_sub(1));
                let channels = channels.map(|at| others.remove(at)).into_iter().collect();
                [others, axes.iter().map(|a| a.axis).collect(), channels]
            }
        }
    }
}

/// The point nearest to a real index.
fn point(real: f32) -> Point {
    let steps = f64::from(1u32 << WEIGHT_BITS);
    let whole = (f64::from(real) * steps).round_ties_even() as usize;
    Point { index: whole >> WEIGHT_BITS, weight: (whole % (1 << WEIGHT_BITS)) as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_indices_are_rounded_to_128ths() {
        let of = |real| {
            let Point { index, weight } = point(real);
            (index, weight)
        };
        assert_eq!([of(0.0), of(0.25), of(2.75)], [(0, 0), (0, 32), (2, 96)]);
        assert_eq!([of(4.999), of(1.0 / 3.0)], [(5, 0), (0, 43)]);
    }
}
