//! Operators that look results up.

use super::writer::{Writer, as_u8, scale_of};
use crate::onnx::proto::DataType;
use crate::onnx::write::int;
use crate::qgraph::{Bounds, QNode};

/// Gather from the table: Gather takes wider indices than uint8, hence the Cast.
pub(super) fn lut8(writer: &mut Writer<'_>, node: &QNode, table: &[i8]) {
    let results = table.iter().map(|&q| as_u8(q)).collect();
    let table = writer.constant(&node.name, "table", DataType::Uint8, &[table.len()], results);
    let to = vec![int("to", DataType::Int32 as usize)];
    let index = writer.helper(&node.name, "index", "Cast", vec![writer.stored(node, 0)], to);
    let stored = writer.compute(node, "Gather", vec![table, index], vec![int("axis", 0)]);
    writer.set_stored(node, stored);
}

/// Softmax over the channels.
pub(super) fn softmax(writer: &mut Writer<'_>, node: &QNode, exp: &[u32]) -> Result<(), String> {
    let (x, y) = (writer.operand(node, 0), writer.result(node));
    let one = f64::from(exp.first().copied().unwrap_or_default());
    // Half a unit for the rounding of the table, half for the exponential function of this host.
    let belongs = |(d, &entry): (usize, &u32)| {
        let wanted = (-(d as f64) * f64::from(scale_of(x))).exp() * one;
        (f64::from(entry) - wanted).abs() <= 1.0
    };
    if !exp.iter().enumerate().all(belongs) {
        return Err("its table is not the exponential at its operand's scale".to_owned());
    }
    if scale_of(y) != 1.0 / 256.0 {
        return Err(format!("its result has scale {}, expected 1/256", y.scale));
    }
    let input = vec![writer.real(node, 0)];
    let real = writer.compute(node, "Softmax", input, vec![int("axis", 1)]);
    let (lo, hi) = y.dtype.range();
    writer.store(node, real, Bounds { lo, hi });
    Ok(())
}
