//! Index work at the two ends of a network, which the host does and the machine does not.
//!
//! What follows from integers that are no activations (token ids, positions found by ArgMax) is no arithmetic for a systolic array. The
//! importer splits it off: in front, what is made of integer inputs until it is a real number ([`Graph::head`](crate::graph::Graph)),
//! and at the end, what is made of the positions that an operator such as ArgMax finds ([`Graph::tail`](crate::graph::Graph)). Each is
//! a [`Part`]: an ONNX model whose inputs and outputs are those of the network and of the machine, and every node of which gives
//! constants once its inputs are known. So the operators that fold constants run it, one sample at a time.
//!
//! The tail sees outputs of the machine as `S * (q - Z)` in float32. These are distinct for distinct integers and in their order (an
//! integer has at most 17 bits, a float32 24), so that what compares them, such as ArgMax, finds what it would find on the integers.

pub(super) mod record;
mod run;

use std::collections::BTreeSet;

use bytes::Bytes;
use prost::Message;

use super::error::{ImportError, NodeError, TensorProtoError};
use super::load::standard_opset;
use super::ops::find_in;
use super::order::needed_nodes;
use super::proto::{DataType, Dimension, GraphProto, ModelProto, NodeProto, ValueInfoProto};
use super::tensor::{MAX_RANK, type_name};
use crate::tensor::element_count;

/// Memory that the constants of a run may take.
const RUN_BYTES: u64 = 1 << 30;

/// Most elements of an input or output.
const MAX_ELEMENTS: usize = 1 << 28;

/// A part of a network that the host computes.
#[derive(Clone, Debug)]
pub struct Part {
    graph: GraphProto,
    /// Its nodes in topological order.
    order: Vec<usize>,
    opset: i64,
    inputs: Vec<End>,
    outputs: Vec<End>,
}

/// An input or output of a [`Part`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Name in the network.
    pub name: String,
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// What its elements are.
    pub kind: Kind,
}

/// What elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Float32.
    Real,
    /// Integers from `lo` to `hi`.
    Integer {
        /// Smallest one.
        lo: i64,
        /// Largest one.
        hi: i64,
    },
    /// Truth values.
    Truth,
}

/// How much work one node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// Name of the node.
    pub node: String,
    /// ONNX operator.
    pub op: String,
    /// Elements it writes; of an operator that chooses among elements (ArgMax, TopK, a reduction) those it reads, and none of one that
    /// only changes extents.
    pub elements: u64,
}

/// Why a part cannot be read or run.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The bytes are no ONNX model.
    #[error("is no ONNX model: {0}")]
    Decode(#[from] prost::DecodeError),
    /// The model has no graph.
    #[error("has no graph")]
    NoGraph,
    /// The model contradicts itself.
    #[error(transparent)]
    Import(Box<ImportError>),
    /// A stored constant is malformed.
    #[error("constant `{name}`: {source}")]
    Constant {
        /// Its name.
        name: String,
        /// What is wrong.
        source: Box<TensorProtoError>,
    },
    /// An input or output without a type or with one that the host does not compute with.
    #[error("`{name}`: {reason}")]
    End {
        /// Its name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A node that the host does not compute.
    #[error("node `{node}` ({op}): {reason}")]
    Operator {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// Why not.
        reason: String,
    },
    /// An input of another shape or type.
    #[error("input `{name}` has {found}, expected {expected}")]
    Input {
        /// Its name.
        name: String,
        /// What was given.
        found: String,
        /// What it takes.
        expected: String,
    },
    /// An element outside an input's type.
    #[error("input `{name}` holds {value} at {position:?}, expected {lo}..={hi}")]
    Range {
        /// The input.
        name: String,
        /// Index of the element along each axis.
        position: Vec<usize>,
        /// The element.
        value: i64,
        /// Smallest one of the type.
        lo: i64,
        /// Largest one.
        hi: i64,
    },
    /// An index that leads out of a table.
    #[error("node `{node}` ({op}): {}the index {index} is outside an axis of {extent}", place(.at))]
    Index {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// The index.
        index: i64,
        /// Extent of the axis.
        extent: usize,
        /// An input that holds it, and where.
        at: Option<(String, Vec<usize>)>,
    },
    /// A node failed on these inputs.
    #[error("node `{node}` ({op}): {source}")]
    Node {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// What is wrong.
        source: Box<NodeError>,
    },
}

fn place(at: &Option<(String, Vec<usize>)>) -> String {
    at.as_ref()
        .map_or_else(String::new, |(name, position)| format!("input `{name}` at {position:?}: "))
}

impl From<ImportError> for HostError {
    fn from(error: ImportError) -> HostError {
        HostError::Import(Box::new(error))
    }
}

impl Kind {
    /// Of elements with that type in ONNX.
    pub(super) fn of(data_type: i32) -> Option<Kind> {
        let integer = |lo, hi| Some(Kind::Integer { lo, hi });
        match DataType::try_from(data_type).ok()? {
            DataType::Float => Some(Kind::Real),
            DataType::Bool => Some(Kind::Truth),
            DataType::Int8 => integer(i8::MIN.into(), i8::MAX.into()),
            DataType::Uint8 => integer(0, u8::MAX.into()),
            DataType::Int16 => integer(i16::MIN.into(), i16::MAX.into()),
            DataType::Uint16 => integer(0, u16::MAX.into()),
            DataType::Int32 => integer(i32::MIN.into(), i32::MAX.into()),
            DataType::Uint32 => integer(0, u32::MAX.into()),
            DataType::Int64 => integer(i64::MIN, i64::MAX),
            DataType::Uint64 => integer(0, i64::MAX),
            _ => None,
        }
    }
}

impl Part {
    /// Reads a part from the bytes of an ONNX model.
    ///
    /// # Errors
    /// When the bytes are no such model, or hold what the host does not compute. What depends on values is found by [`run`](Self::run).
    pub fn from_bytes(bytes: Bytes) -> Result<Part, HostError> {
        let model = ModelProto::decode(bytes)?;
        let opset = standard_opset(&model)?;
        let graph = model.graph.ok_or(HostError::NoGraph)?;
        let order = needed_nodes(&graph)?;
        order.iter().try_for_each(|&index| check(&graph.node[index]))?;
        let inputs = graph.input.iter().map(end).collect::<Result<_, _>>()?;
        let outputs = graph.output.iter().map(end).collect::<Result<_, _>>()?;
        Ok(Part { graph, order, opset, inputs, outputs })
    }

    /// What it takes, in order.
    #[must_use]
    pub fn inputs(&self) -> &[End] {
        &self.inputs
    }

    /// Names of the inputs that some node reads.
    #[must_use]
    pub fn read(&self) -> BTreeSet<&str> {
        let read: BTreeSet<&str> = self.graph.node.iter().flat_map(super::order::reads).collect();
        self.inputs.iter().map(|end| end.name.as_str()).filter(|name| read.contains(name)).collect()
    }

    /// What it gives, in order.
    #[must_use]
    pub fn outputs(&self) -> &[End] {
        &self.outputs
    }
}

/// Whether the host computes a node: nodes without one way to fold them, and those that hold graphs, it does not.
fn check(node: &NodeProto) -> Result<(), HostError> {
    let foldable = find_in(&node.domain, &node.op_type).is_some_and(|spec| spec.fold.is_some());
    let nested = node.attribute.iter().any(|attribute| attribute.g.is_some());
    let reason = match (foldable, nested) {
        (true, false) => return Ok(()),
        (false, _) => "the host does not compute this operator",
        (true, true) => "the host does not run graphs inside nodes",
    };
    let (node, op) = (node.name.clone(), node.op_type.clone());
    Err(HostError::Operator { node, op, reason: reason.to_owned() })
}

fn end(info: &ValueInfoProto) -> Result<End, HostError> {
    let fail = |reason: String| HostError::End { name: info.name.clone(), reason };
    let tensor = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    let tensor = tensor.ok_or_else(|| fail("has no tensor type".to_owned()))?;
    let kind = Kind::of(tensor.elem_type)
        .ok_or_else(|| fail(format!("element type {}", type_name(tensor.elem_type))))?;
    let dims = tensor.shape.as_ref().map_or(&[][..], |shape| &shape.dim);
    let extent = |dim: &super::proto::DimensionProto| match dim.value {
        Some(Dimension::Value(extent)) => usize::try_from(extent).ok(),
        Some(Dimension::Param(_)) | None => None,
    };
    let shape: Option<Vec<usize>> = dims.iter().map(extent).collect();
    let fits = |shape: &Vec<usize>| {
        shape.len() <= MAX_RANK && element_count(shape).is_some_and(|n| n <= MAX_ELEMENTS)
    };
    let shape = shape
        .filter(fits)
        .ok_or_else(|| fail(format!("has no fixed shape of at most {MAX_ELEMENTS} elements")))?;
    Ok(End { name: info.name.clone(), shape, kind })
}
