//! Maximum and average pools.

use isa::numerics::Requant;

use super::scales::{factor, makes};
use super::writer::{Writer, scale_of};
use crate::onnx::proto::AttributeProto;
use crate::onnx::write::pool_attributes;
use crate::qgraph::{Bounds, QNode, Window};

/// MaxPool; operand and result share their scale, so both conversions are exact.
pub(super) fn max(writer: &mut Writer<'_>, node: &QNode, window: &Window) {
    let input = vec![writer.real(node, 0)];
    let real = writer.compute(node, "MaxPool", input, attributes(writer, node, window));
    let (lo, hi) = writer.result(node).dtype.range();
    writer.store(node, real, Bounds { lo, hi });
}

/// AveragePool without padding in the divisor: entry `n - 1` of the table belongs to `n` valid taps, a lone entry to all.
pub(super) fn average(
    writer: &mut Writer<'_>,
    node: &QNode,
    window: &Window,
    requant: &[Requant],
    bounds: Bounds,
) -> Result<(), String> {
    let unit = f64::from(scale_of(writer.result(node)));
    let taps = window.kernel[0] * window.kernel[1];
    let factors = || (1..=taps).rev().zip(requant.iter().rev().map(|&entry| factor(entry)));
    let divides =
        |scale: f32| factors().all(|(n, wanted)| makes(scale, unit * n as f64, wanted, wanted));
    let whole = factors().next().map(|(n, wanted)| (wanted * unit * n as f64) as f32);
    let candidates = [Some(scale_of(writer.operand(node, 0))), whole];
    let scale = candidates.into_iter().flatten().find(|&scale| divides(scale)).ok_or(
        "its multipliers are not those of one scale divided by the number of taps (the machine's are too coarse, or padding counts)",
    )?;
    let input = vec![writer.real_at(node, 0, scale)];
    let real = writer.compute(node, "AveragePool", input, attributes(writer, node, window));
    writer.store(node, real, bounds);
    Ok(())
}

fn attributes(writer: &Writer<'_>, node: &QNode, window: &Window) -> Vec<AttributeProto> {
    let (x, y) = (writer.operand(node, 0).shape, writer.result(node).shape);
    pool_attributes(window, [x.h, x.w], [y.h, y.w])
}
