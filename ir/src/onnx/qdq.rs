//! An integer graph as ONNX with QuantizeLinear and DequantizeLinear (QDQ).
//!
//! Inputs and outputs are float32 with the names and shapes of the original file. In between, a value `[h, w, c]` is a
//! tensor `[1, c, h, w]` of stored integers: int8 as uint8 with 128 added to values and zero points, so that runtimes
//! find kernels for it, int16 as it is. An operator reads its operands through DequantizeLinear and its result goes
//! through QuantizeLinear.
//!
//! The scales written are those that give back the integer multipliers of the graph, as near as float32 can. For a
//! machine with 24-bit multipliers these are the scales of the values; for a coarser machine the DequantizeLinear in
//! front of an operator has a scale of its own, and the file still computes what that machine computes.
//!
//! | operator | written as |
//! | --- | --- |
//! | `conv` | Conv with int8 weights and int32 bias, both dequantized per output channel; the zero point is unfolded from the bias |
//! | `add` | Add; Sub where one multiplier is negative |
//! | `mul`, `max`, `min` | Mul, Max, Min |
//! | `interpolate` | two Gathers of neighbours, each times its weights, and Add |
//! | `rescale` | nothing between DequantizeLinear and QuantizeLinear |
//! | `max_pool`, `average_pool` | MaxPool, AveragePool (`count_include_pad` 0) |
//! | `lut8` | Cast and Gather from the 256 results: the function is no longer known, the table is exact |
//! | `softmax` | Softmax over the channels |
//! | `concat`, `pad` | Concat, Pad |
//! | `gather` | Gather of stored integers, along each axis of which not all are taken |
//! | `reorder` | Reshape and Transpose of stored integers |
//! | bounds narrower than the storage type | Relu or Clip in front of QuantizeLinear |
//!
//! What ONNX cannot say is refused: a rounding mode other than half to even, a bias beyond 32 bits, an average pool
//! whose multipliers are not those of one scale divided by the taps, a sum with two negative multipliers, a softmax
//! table that does not belong to its operand's scale, an interpolated table, a leaky ReLU with a slope per channel.

mod elementwise;
mod join;
mod linear;
mod movement;
mod pool;
mod scales;
mod table;
#[cfg(test)]
mod tests;
mod writer;

use isa::numerics::Rounding;

use crate::qgraph::{QGraph, QNode, QOp};
use crate::verify::Problem;
pub(crate) use scales::{factor, weight_scale};
use writer::Writer;

/// Operator set written: the first with 16-bit quantized values.
const OPSET: i64 = 21;

/// File format version of that operator set.
const IR_VERSION: i64 = 10;

/// A node whose integers ONNX cannot say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotExpressible {
    /// Name of the node.
    pub node: String,
    /// Its integer operator.
    pub op: &'static str,
    /// Why.
    pub reason: String,
}

/// Why an integer graph was not written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QdqError {
    /// The graph breaks its own rules.
    #[error("the integer graph is not valid: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Problem>),
    /// QuantizeLinear has one rounding mode.
    #[error(
        "the machine rounds {}, which QuantizeLinear cannot say; hint: compile for a machine with `--set rounding=half-even`",
        .0.name()
    )]
    Rounding(Rounding),
    /// Nodes whose integers ONNX cannot say, all of them.
    #[error("ONNX cannot say the integers of {} nodes:{}", .0.len(), list(.0))]
    NotExpressible(Vec<NotExpressible>),
}

fn list(nodes: &[NotExpressible]) -> String {
    nodes.iter().map(|n| format!("\n  node `{}` ({}): {}", n.node, n.op, n.reason)).collect()
}

/// The bytes of an ONNX QDQ file that computes the integers of `graph`.
///
/// # Errors
/// [`QdqError`]: an invalid graph, a rounding mode or nodes that ONNX cannot say.
pub fn save_qdq(graph: &QGraph) -> Result<Vec<u8>, QdqError> {
    graph.verify().map_err(QdqError::Invalid)?;
    if graph.rounding != Rounding::HalfEven {
        return Err(QdqError::Rounding(graph.rounding));
    }
    let mut writer = Writer::new(graph);
    writer.inputs();
    let mut refused = Vec::new();
    for node in &graph.nodes {
        if let Err(reason) = write(&mut writer, node) {
            refused.push(NotExpressible { node: node.name.clone(), op: node.op.name(), reason });
        }
    }
    if !refused.is_empty() {
        return Err(QdqError::NotExpressible(refused));
    }
    writer.outputs();
    Ok(super::write::file(&writer.proto, OPSET, IR_VERSION))
}

fn write(writer: &mut Writer<'_>, node: &QNode) -> Result<(), String> {
    match &node.op {
        QOp::Conv { weights, bias, requant, window, groups, bounds } => {
            let layer = linear::Layer { weights, bias, requant, window, groups: *groups };
            linear::conv(writer, node, &layer, *bounds)
        }
        &QOp::Add { ma, mb, shift, bounds } => {
            elementwise::add(writer, node, [ma, mb], shift, bounds)
        }
        &QOp::Max { ma, mb, shift, bounds } => {
            elementwise::extremum(writer, node, "Max", [ma, mb], shift, bounds)
        }
        &QOp::Min { ma, mb, shift, bounds } => {
            elementwise::extremum(writer, node, "Min", [ma, mb], shift, bounds)
        }
        QOp::Lut16 { .. } => Err("no ONNX operator interpolates a table".to_owned()),
        QOp::PRelu { .. } => Err("no scale gives back the multipliers of each channel".to_owned()),
        &QOp::Mul { requant, bounds } => elementwise::mul(writer, node, requant, bounds),
        &QOp::MatMul { requant, bounds } => linear::matmul(writer, node, requant, bounds),
        &QOp::Rescale { m, shift, bounds } => elementwise::rescale(writer, node, m, shift, bounds),
        QOp::Interpolate { axis, points, shift, bounds } => {
            elementwise::interpolate(writer, node, *axis, points, *shift, *bounds)
        }
        QOp::MaxPool { window } => {
            pool::max(writer, node, window);
            Ok(())
        }
        QOp::AveragePool { window, requant, bounds } => {
            pool::average(writer, node, window, requant, *bounds)
        }
        QOp::Lut8 { table } => {
            table::lut8(writer, node, table);
            Ok(())
        }
        QOp::Softmax { exp } => table::softmax(writer, node, exp),
        QOp::Concat { axis } => {
            join::concat(writer, node, *axis);
            Ok(())
        }
        QOp::Pad { before, after, value } => {
            join::pad(writer, node, before, after, *value);
            Ok(())
        }
        QOp::Gather { indices } => {
            movement::gather(writer, node, indices);
            Ok(())
        }
        QOp::Reorder { dims, perm } => {
            movement::reorder(writer, node, dims, perm);
            Ok(())
        }
    }
}
