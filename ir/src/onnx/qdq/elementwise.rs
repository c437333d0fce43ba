//! Sums, extrema, products and changes of scale.

use isa::numerics::Requant;

use super::scales::{factor, operand_scale};
use super::writer::{Writer, scale_of};
use crate::onnx::write::int;
use crate::qgraph::{Bounds, Point, QNode};

/// Add, or Sub where one multiplier is negative.
pub(super) fn add(
    writer: &mut Writer<'_>,
    node: &QNode,
    multipliers: [i32; 2],
    shift: u8,
    bounds: Bounds,
) -> Result<(), String> {
    let (op, order) = match multipliers.map(|m| m < 0) {
        [false, false] => ("Add", [0, 1]),
        [false, true] => ("Sub", [0, 1]),
        [true, false] => ("Sub", [1, 0]),
        [true, true] => return Err("both multipliers are negative".to_owned()),
    };
    pair(writer, node, op, order, multipliers, shift, bounds);
    Ok(())
}

/// Max or Min.
pub(super) fn extremum(
    writer: &mut Writer<'_>,
    node: &QNode,
    op: &'static str,
    multipliers: [i32; 2],
    shift: u8,
    bounds: Bounds,
) -> Result<(), String> {
    if multipliers.iter().any(|&m| m < 0) {
        return Err("a multiplier is negative".to_owned());
    }
    pair(writer, node, op, [0, 1], multipliers, shift, bounds);
    Ok(())
}

/// An operator of two operands that have multipliers and share a shift.
fn pair(
    writer: &mut Writer<'_>,
    node: &QNode,
    op: &'static str,
    order: [usize; 2],
    multipliers: [i32; 2],
    shift: u8,
    bounds: Bounds,
) {
    let [a, b] = multipliers.map(|m| f64::from(m.unsigned_abs()) / 2f64.powi(shift.into()));
    let unit = f64::from(scale_of(writer.result(node)));
    let mut real = |index: usize| {
        let own = scale_of(writer.operand(node, index));
        let scale = operand_scale([a, b][index], a.max(b), own, unit);
        writer.real_at(node, index, scale)
    };
    let input = order.map(&mut real).to_vec();
    let result = writer.compute(node, op, input, Vec::new());
    writer.store(node, result, bounds);
}

/// Mul; a coarse multiplier goes into the scale of the first operand.
pub(super) fn mul(
    writer: &mut Writer<'_>,
    node: &QNode,
    requant: Requant,
    bounds: Bounds,
) -> Result<(), String> {
    let [a, b] = [0, 1].map(|index| scale_of(writer.operand(node, index)));
    let unit = f64::from(scale_of(writer.result(node))) / f64::from(b);
    let wanted = factor(requant);
    let scale = operand_scale(wanted, wanted, a, unit);
    if !scale.is_finite() {
        return Err("its multiplier is outside the range of float32".to_owned());
    }
    let input = vec![writer.real_at(node, 0, scale), writer.real(node, 1)];
    let product = writer.compute(node, "Mul", input, Vec::new());
    writer.store(node, product, bounds);
    Ok(())
}

/// The same real values, quantized again.
pub(super) fn rescale(
    writer: &mut Writer<'_>,
    node: &QNode,
    m: i32,
    shift: u8,
    bounds: Bounds,
) -> Result<(), String> {
    if m < 0 {
        return Err("its multiplier is negative".to_owned());
    }
    let wanted = f64::from(m) / 2f64.powi(shift.into());
    let unit = f64::from(scale_of(writer.result(node)));
    let scale = operand_scale(wanted, wanted, scale_of(writer.operand(node, 0)), unit);
    let real = writer.real_at(node, 0, scale);
    writer.store(node, real, bounds);
    Ok(())
}

/// Two gathers along the axis and their weighted sum.
pub(super) fn interpolate(
    writer: &mut Writer<'_>,
    node: &QNode,
    axis: usize,
    points: &[Point],
    shift: u8,
    bounds: Bounds,
) -> Result<(), String> {
    // Weights are 128ths.
    let wanted = 128.0 / 2f64.powi(shift.into());
    let unit = f64::from(scale_of(writer.result(node)));
    let scale = operand_scale(wanted, wanted, scale_of(writer.operand(node, 0)), unit);
    let real = writer.real_at(node, 0, scale);
    // h and w are the last axes of `[1, c, h, w]`.
    let shape = [&[points.len()][..], &vec![1; 1 - axis]].concat();
    let mut part = |what: &str, neighbour: bool| {
        let index = |p: &Point| p.index + usize::from(neighbour && p.weight > 0);
        let weight = |p: &Point| {
            let next = f32::from(p.weight) / 128.0;
            if neighbour { next } else { 1.0 - next }
        };
        let indices: Vec<usize> = points.iter().map(index).collect();
        let weights: Vec<f32> = points.iter().map(weight).collect();
        let indices = writer.extents(&node.name, &format!("{what}_indices"), &indices);
        let weights = writer.floats(&node.name, &format!("{what}_weights"), &shape, &weights);
        let input = vec![real.clone(), indices];
        let attributes = vec![int("axis", axis + 2)];
        let taken =
            writer.helper(&node.name, &format!("{what}_taken"), "Gather", input, attributes);
        writer.helper(&node.name, what, "Mul", vec![taken, weights], Vec::new())
    };
    let input = vec![part("first", false), part("second", true)];
    let sum = writer.compute(node, "Add", input, Vec::new());
    writer.store(node, sum, bounds);
    Ok(())
}
