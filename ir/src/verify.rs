//! Rules that every graph keeps, checked after import, after each pass, and on every graph read from text.
//!
//! A check collects all problems instead of stopping at the first, so that one run shows everything that is wrong.
//! Nothing here trusts the graph: value ids may be out of range and extents may be absurd.

mod graph;
mod qgraph;
mod qops;
mod structure;
mod sums;
#[cfg(test)]
mod tests;

use thiserror::Error;

use crate::graph::Graph;
use crate::infer::{Rule, ShapeError};
use crate::qgraph::{Hwc, QGraph};
use crate::tensor::{DType, TensorError};

pub use sums::wrapping_sums;

/// One broken rule. `node` and `value` are names.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Problem {
    /// An id beyond the arena of values.
    #[error("{place} names value {id}, but there are only {count} values")]
    UnknownValue {
        /// Who names it.
        place: String,
        /// The id.
        id: u32,
        /// Values there are.
        count: usize,
    },
    /// Two values of one name.
    #[error("more than one value is named `{value}`")]
    DuplicateValue {
        /// The name.
        value: String,
    },
    /// Two nodes of one name.
    #[error("more than one node is named `{node}`")]
    DuplicateNode {
        /// The name.
        node: String,
    },
    /// A value or node without a name.
    #[error("{what} {index} has no name")]
    NoName {
        /// `value` or `node`.
        what: &'static str,
        /// Its index.
        index: usize,
    },
    /// A value is made by nobody, or by several of node, graph input and constant.
    #[error("value `{value}` has {producers} producers (nodes, graph input, constant), expected 1")]
    Producers {
        /// The value.
        value: String,
        /// How many there are.
        producers: usize,
    },
    /// Nodes are not in topological order.
    #[error("node `{node}` uses value `{value}` before it is computed")]
    Order {
        /// The node.
        node: String,
        /// The value.
        value: String,
    },
    /// A graph without outputs.
    #[error("the graph has no output")]
    NoOutput,
    /// A value without elements.
    #[error(
        "value `{value}` has shape {shape:?}, expected extents of at least 1 and an addressable size"
    )]
    Extents {
        /// The value.
        value: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// Elements of a constant do not fit its own shape.
    #[error("constant `{value}`: {source}")]
    Constant {
        /// The value.
        value: String,
        /// What is wrong.
        source: TensorError,
    },
    /// A constant's tensor and its value disagree.
    #[error("constant `{value}` is declared {declared} but holds {held}")]
    ConstantType {
        /// The value.
        value: String,
        /// Declared element type and shape.
        declared: String,
        /// Element type and shape of the tensor.
        held: String,
    },
    /// An operand or result of a type the operator does not take.
    #[error("node `{node}`: value `{value}` is {found}, expected {expected}", found = found.name(), expected = expected.name())]
    ElementType {
        /// The node.
        node: String,
        /// The value.
        value: String,
        /// Its type.
        found: DType,
        /// Type expected.
        expected: DType,
    },
    /// Operands do not suit the operator.
    #[error("node `{node}`: {source}")]
    Operands {
        /// The node.
        node: String,
        /// What is wrong.
        source: ShapeError,
    },
    /// The result has another shape than the operator gives.
    #[error("node `{node}`: the result has shape {found:?}, expected {expected}", expected = describe(expected))]
    ResultShape {
        /// The node.
        node: String,
        /// Declared shape.
        found: Vec<usize>,
        /// What it may be.
        expected: Rule,
    },
    /// An operand that must be constant is not.
    #[error("node `{node}`: operand {operand} must be constant")]
    NotConstant {
        /// The node.
        node: String,
        /// Position of the operand.
        operand: usize,
    },
    /// A parameter outside its range.
    #[error("node `{node}`: {parameter} is {found}, expected {expected}")]
    Parameter {
        /// The node.
        node: String,
        /// Which parameter.
        parameter: &'static str,
        /// Its value.
        found: String,
        /// Range expected.
        expected: String,
    },
    /// Scale, zero point or view of an integer value outside its range.
    #[error("value `{value}`: {parameter} is {found}, expected {expected}")]
    ValueParameter {
        /// The value.
        value: String,
        /// Which parameter.
        parameter: &'static str,
        /// Its value.
        found: String,
        /// Range expected.
        expected: String,
    },
    /// A result of the integer graph has the wrong shape.
    #[error("node `{node}`: the result has shape {found}, expected {expected}")]
    ResultHwc {
        /// The node.
        node: String,
        /// Declared shape.
        found: Hwc,
        /// What it may be.
        expected: String,
    },
    /// Two values that must share scale and zero point (or type) do not.
    #[error("node `{node}`: `{a}` and `{b}` must have the same {what}")]
    Differ {
        /// The node.
        node: String,
        /// First value.
        a: String,
        /// Second value.
        b: String,
        /// What must be equal.
        what: &'static str,
    },
    /// An accumulator could wrap.
    #[error("node `{node}`: output channel {channel} accumulates up to {bound}, expected below 2^{bits}", bits = bits - 1)]
    Accumulator {
        /// The node.
        node: String,
        /// Output channel.
        channel: usize,
        /// Largest absolute partial sum.
        bound: u64,
        /// Bits of the accumulator.
        bits: u8,
    },
    /// A product of accumulator and multiplier could leave 64 bits.
    #[error(
        "node `{node}`: requantization {index} (multiplier {multiplier}, shift {shift}) of sums up to {bound} does not fit 64 bits"
    )]
    Product {
        /// The node.
        node: String,
        /// Output channel or table entry.
        index: usize,
        /// Its multiplier.
        multiplier: u32,
        /// Its shift.
        shift: u8,
        /// Largest absolute sum.
        bound: u64,
    },
}

fn describe(rule: &Rule) -> String {
    match rule {
        Rule::Exact(shape) => format!("{shape:?}"),
        Rule::FloorOrCeil { floor, ceil } if floor == ceil => format!("{floor:?}"),
        Rule::FloorOrCeil { floor, ceil } => format!("{floor:?} or {ceil:?}"),
        Rule::Elements(count) => format!("{count} elements"),
    }
}

impl Graph {
    /// Checks structure, shapes, types and parameters.
    ///
    /// # Errors
    /// All broken rules.
    pub fn verify(&self) -> Result<(), Vec<Problem>> {
        finish(graph::problems(self))
    }
}

impl QGraph {
    /// Checks structure, shapes, ranges, and that no accumulator or requantization can overflow.
    ///
    /// # Errors
    /// All broken rules.
    pub fn verify(&self) -> Result<(), Vec<Problem>> {
        finish(qgraph::check(self).0)
    }
}

/// Range of stored integers of each value, narrowed by the bounds of the operator that makes it. `graph` must be verified.
pub(crate) fn stored_ranges(graph: &QGraph) -> Vec<(i32, i32)> {
    qgraph::check(graph).1
}

fn finish(problems: Vec<Problem>) -> Result<(), Vec<Problem>> {
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}
