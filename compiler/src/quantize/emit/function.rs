//! Functions of one value, and leaky ReLUs with a slope per channel.

use ir::function::Function;
use ir::graph::ValueId;
use ir::qgraph::{QOp, QType};
use isa::numerics::{AddMultipliers, LUT16_NODES, Requant};

use super::{Emitter, Group, onnx_name, scale_error};
use crate::quantize::QuantizeError;
use crate::quantize::normalization::is_square;
use crate::quantize::params::{Params, Storage, nearest};
use crate::quantize::scales::Assigned;

/// Distance of the nodes of an int16 table.
pub(in crate::quantize) const NODE_STEP: i32 = 128;

impl Emitter<'_> {
    pub(super) fn unary(
        &mut self,
        group: Group<'_>,
        function: &Function,
    ) -> Result<(), QuantizeError> {
        let x = group.node.inputs[0];
        let stored = self.stored(x);
        let wanted = self.params(group.result);
        let operand = self.params_of(stored.id).dtype;
        if operand == QType::I16 && is_square(function) {
            // A product is exact, and a table of 513 nodes is not.
            let from = self.params_of(stored.id);
            let scale = from.scale * from.scale / wanted.scale;
            let requant = self.requant(group.node, scale, from.span() * from.span())?;
            let op = QOp::Mul { requant, bounds: wanted.bounds(group.clip) };
            self.push(group, op, &[stored.id, stored.id], stored.layout);
            return Ok(());
        }
        // A table of int16 operands has int16 results; they are rounded to int8 behind it.
        let to = match (operand, wanted.dtype) {
            (QType::I16, QType::I8) => {
                let Assigned { range, .. } = self.assigned(group.result);
                Params::covering(range, Storage::INT16, self.arithmetic.grid())
            }
            _ => wanted,
        };
        let from = self.table_operand(stored.id, to.dtype);
        let id = self.rescaled(group.node, stored.id, from)?;
        let inputs = match to.dtype {
            QType::I8 => (-128..128).collect::<Vec<i32>>(),
            QType::I16 => (0..LUT16_NODES as i32).map(|i| NODE_STEP * i - 32768).collect(),
        };
        let Some(results) = results(function, &inputs, from, to) else {
            return Err(self.refuse(group.node, "its function is defined for no stored integer"));
        };
        let op = match to.dtype {
            QType::I8 => QOp::Lut8 { table: results.iter().map(|&y| y as i8).collect() },
            QType::I16 => QOp::Lut16 { nodes: results.iter().map(|&y| y as i16).collect() },
        };
        if to == wanted {
            self.push(group, op, &[id], stored.layout);
            return Ok(());
        }
        let base = &group.node.name;
        let wide = self.added_value(base, "table", stored.layout.hwc, to);
        self.push_added(base, "table", &onnx_name(&group.node.op), op, &[id], wide);
        let narrowed = self.rescale_op(group.node, to, wanted, wanted.bounds(group.clip))?;
        self.push(group, narrowed, &[wide], stored.layout);
        Ok(())
    }

    /// How the operand of a table with results of type `dtype` is stored: int8 values become int16 ones that lie on the nodes
    /// of an int16 table, so that nothing is interpolated.
    fn table_operand(&self, id: ValueId, dtype: QType) -> Params {
        let from = self.params_of(id);
        match (from.dtype, dtype) {
            (QType::I8, QType::I16) => {
                Params { dtype, scale: from.scale / f64::from(NODE_STEP), zero_point: 0 }
            }
            _ => from,
        }
    }

    /// A leaky ReLU whose slope varies along one axis, which becomes the channels.
    pub(super) fn prelu(&mut self, group: Group<'_>) -> Result<(), QuantizeError> {
        let (x, slope) = (group.node.inputs[0], group.node.inputs[1]);
        let axis = slope_axis(self.shape(x), self.shape(slope)).expect("checked before");
        let layout = self.with_channels(x, axis);
        let id = self.arrange(&group.node.name, x, &layout);
        let (from, to) = (self.params_of(id), self.params(group.result));
        let slopes = self.graph.values[slope.0 as usize].constant.as_ref();
        let slopes = slopes.and_then(|tensor| tensor.f32_values()).expect("slopes are constant");
        let ratio = from.scale / to.scale;
        let bits = self.arithmetic.multiplier_bits;
        let multipliers = |(index, &slope): (usize, &f32)| {
            if !slope.is_finite() {
                let (node, what, value) = (group.node.name.clone(), "slope", slope);
                return Err(QuantizeError::NotFinite { node, what, index, value });
            }
            let below = ratio * f64::from(slope);
            let multipliers = if below == 0.0 {
                AddMultipliers::from_scale(ratio, bits)
            } else {
                AddMultipliers::from_scales(ratio, below, bits)
            };
            multipliers.map_err(scale_error(group.node))
        };
        let channels = slopes.iter().enumerate().map(multipliers).collect::<Result<Vec<_>, _>>()?;
        let requant =
            |m: &AddMultipliers| Requant { multiplier: m.ma.unsigned_abs(), shift: m.shift };
        let op = QOp::PRelu {
            requant: channels.iter().map(requant).collect(),
            negative: channels.iter().map(|m| m.mb).collect(),
            bounds: to.bounds(group.clip),
        };
        self.push(group, op, &[id], layout);
        Ok(())
    }
}

/// The axis of a tensor of shape `x` along which a slope of shape `slope` varies, if it is exactly one.
pub(crate) fn slope_axis(x: &[usize], slope: &[usize]) -> Option<usize> {
    let missing = x.len().checked_sub(slope.len())?;
    let mut varies = (0..slope.len()).filter(|&i| slope[i] != 1);
    let axis = varies.next()? + missing;
    varies.next().is_none().then_some(axis)
}

/// The stored result of each stored operand. Where the function is not defined, because rounding moved an operand out of its
/// domain, that of the nearest operand where it is.
fn results(function: &Function, inputs: &[i32], from: Params, to: Params) -> Option<Vec<i32>> {
    let (lo, hi) = to.dtype.range();
    let values = inputs.iter().map(|&q| {
        let y = function.evaluate(from.scale * f64::from(q - from.zero_point));
        // Rounded before the zero point is added, as (N2) says.
        let stored =
            || nearest((y / to.scale).round_ties_even() + f64::from(to.zero_point), lo, hi);
        (!y.is_nan()).then(stored)
    });
    let values: Vec<Option<i32>> = values.collect();
    let defined: Vec<usize> = (0..values.len()).filter(|&i| values[i].is_some()).collect();
    (0..values.len())
        .map(|i| values[*defined.iter().min_by_key(|place| place.abs_diff(i))?])
        .collect()
}
