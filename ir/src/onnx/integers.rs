//! Tensors that a file holds as integers which stand for real numbers.
//!
//! The graph has none: an activation is its real values from the start, and behind QuantizeLinear a note on its slot tells which
//! integers the file means. What reads such a tensor must move elements, or be DequantizeLinear with the same parameters.

use std::collections::BTreeSet;

use super::builder::{Builder, SlotId};
use super::ops::OpSpec;
use super::proto::DataType;
use crate::graph::{Node, Op, Value, ValueId};
use crate::qgraph::QType;
use crate::quantized::Encoding;

/// An integer type of ONNX that stands for real numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IntType {
    /// Bits of an element.
    bits: u8,
    signed: bool,
}

impl IntType {
    /// What QuantizeLinear gives where nothing else is said.
    pub(super) const UINT8: IntType = IntType { bits: 8, signed: false };

    /// Bias vectors.
    pub(super) const INT32: IntType = IntType { bits: 32, signed: true };

    /// The type with that number in ONNX.
    pub(super) fn of(data_type: i32) -> Option<IntType> {
        let (bits, signed) = match DataType::try_from(data_type).ok()? {
            DataType::Int4 => (4, true),
            DataType::Uint4 => (4, false),
            DataType::Int8 => (8, true),
            DataType::Uint8 => (8, false),
            DataType::Int16 => (16, true),
            DataType::Uint16 => (16, false),
            DataType::Int32 => (32, true),
            _ => return None,
        };
        Some(IntType { bits, signed })
    }

    /// Whether an element takes at most a byte.
    pub(super) fn is_byte(self) -> bool {
        self.bits <= 8
    }

    /// Name in ONNX.
    pub(super) fn name(self) -> String {
        format!("{}int{}", if self.signed { "" } else { "u" }, self.bits)
    }

    /// Smallest and largest integer.
    pub(super) fn range(self) -> (i64, i64) {
        let count = 1i64 << self.bits;
        if self.signed { (-count / 2, count / 2 - 1) } else { (0, count - 1) }
    }

    /// How many more the file's integers are than the signed ones of this project.
    fn offset(self) -> i64 {
        if self.signed { 0 } else { 1 << (self.bits - 1) }
    }
}

/// Scale and zero point of a whole tensor, as the file has them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FileEncoding {
    pub(super) int: IntType,
    pub(super) scale: f32,
    pub(super) zero_point: i64,
}

impl FileEncoding {
    /// The graph's form; `None` if it has none.
    pub(super) fn stored(&self) -> Option<Encoding> {
        let dtype = match self.int.bits {
            4 | 8 => QType::I8,
            16 => QType::I16,
            _ => return None,
        };
        let zero_point = i32::try_from(self.zero_point - self.int.offset()).ok()?;
        let fits = dtype == QType::I8 || zero_point == 0;
        fits.then_some(Encoding { dtype, scale: self.scale, zero_point })
    }

    /// Real values of the ends, where they lie inside those of the graph's type.
    pub(super) fn narrower_ends(&self) -> Option<(f32, f32)> {
        let (lo, hi) = self.int.range();
        let real = |q: i64| self.scale * (q - self.zero_point) as f32;
        (self.int.bits < 8).then(|| (real(lo), real(hi)))
    }
}

/// Lets integers that nobody has explained, in graph value `x`, mean `stored`: gives all inputs of the graph that `x` is made from
/// that meaning. What contradicts it, an input or a part with another one.
pub(super) fn explain(
    builder: &mut Builder,
    x: ValueId,
    stored: Encoding,
) -> Result<(), Contradiction> {
    let (mut open, mut seen) = (vec![x], BTreeSet::new());
    while let Some(value) = open.pop() {
        if !seen.insert(value) {
            continue;
        }
        let name = || builder.graph.values[value.0 as usize].name.clone();
        if builder.graph.inputs.contains(&value) {
            let known = *builder.explained.entry(value).or_insert(stored);
            if known != stored {
                return Err(Contradiction { tensor: name(), known });
            }
            continue;
        }
        let maker = builder.graph.nodes.iter().rev().find(|node| node.output == value);
        match maker.map(|node| (&node.op, &node.inputs)) {
            Some((&Op::FakeQuantize { to: known }, _)) if known != stored => {
                return Err(Contradiction { tensor: name(), known });
            }
            Some((Op::FakeQuantize { .. }, _)) | None => {}
            // The others move elements: see `MOVES`.
            Some((_, inputs)) => open.extend(inputs),
        }
    }
    Ok(())
}

/// A tensor whose integers would mean two things.
pub(super) struct Contradiction {
    /// Its name.
    pub(super) tensor: String,
    /// What they mean already.
    pub(super) known: Encoding,
}

/// Puts the roundings behind inputs whose integers have been explained: they hold nothing but such integers, so every reader may
/// have the rounded values.
pub(super) fn round_inputs(builder: &mut Builder) {
    for (input, to) in std::mem::take(&mut builder.explained) {
        let Value { name, dtype, shape, .. } = builder.graph.values[input.0 as usize].clone();
        let rounded = Value {
            name: builder.fresh_value_name(&format!("{name}/stored")),
            dtype,
            shape,
            constant: None,
        };
        let output = builder.add_value(rounded);
        for operand in builder.graph.nodes.iter_mut().flat_map(|node| &mut node.inputs) {
            if *operand == input {
                *operand = output;
            }
        }
        let name = builder.fresh_node_name(&format!("{name}/stored"));
        let node = Node { name, op: Op::FakeQuantize { to }, inputs: vec![input], output };
        builder.graph.nodes.insert(0, node);
    }
}

/// What the integers of a computed slot mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Integers {
    /// An input of the graph, or made from one: nobody has said yet.
    Open(IntType),
    /// Decided.
    Encoded(FileEncoding),
    /// Decided anew for every input of the network; here they are real values, of scale 1.
    Dynamic,
}

impl Integers {
    /// Type of the integers.
    pub(super) fn int(self) -> IntType {
        match self {
            Integers::Open(int) => int,
            Integers::Encoded(encoding) => encoding.int,
            Integers::Dynamic => IntType::UINT8,
        }
    }

    /// Meaning of a tensor with elements of both; `None` if no integer means the same in both.
    fn joined(self, other: Integers) -> Option<Integers> {
        match (self, other) {
            _ if self == other => Some(self),
            // Decided by who reads it.
            (Integers::Dynamic, _) | (_, Integers::Dynamic) => None,
            (Integers::Open(_), _) | (_, Integers::Open(_)) if self.int() == other.int() => {
                Some(Integers::Open(self.int()))
            }
            _ => None,
        }
    }
}

/// Standard operators that move elements and read integers as they read floats.
pub(super) const MOVES: &[&str] = &[
    "Concat",
    "DepthToSpace",
    "Dropout",
    "Expand",
    "Flatten",
    "Gather",
    "Identity",
    "MaxPool",
    "Reshape",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
];

/// Operators for which it does not matter what the elements are.
pub(super) const BLIND: &[&str] = &["Shape", "Size"];

/// Whether an operator says itself what the integers it reads mean.
pub(super) fn reads_integers(op: &str) -> bool {
    matches!(
        op,
        "ConvInteger" | "DequantizeLinear" | "MatMulInteger" | "MatMulIntegerToFloat" | "QGemm"
    ) || op.starts_with("QLinear")
}

/// What an operator does with operands that are integers.
pub(super) enum Reading {
    /// There are none, or they do not matter.
    Floats,
    /// Its results mean the same.
    Moves(Integers),
    /// It cannot take them.
    Refused(String),
}

/// How an operator reads operands `slots`.
pub(super) fn reading(builder: &Builder, spec: &OpSpec, slots: &[Option<SlotId>]) -> Reading {
    let op = spec.name;
    let mut found = slots.iter().flatten().filter_map(|&slot| builder.integers(slot));
    let Some(first) = found.next() else {
        return Reading::Floats;
    };
    if BLIND.contains(&op) || reads_integers(op) {
        return Reading::Floats;
    }
    if !MOVES.contains(&op) {
        return Reading::Refused(format!(
            "it computes with stored {} integers",
            first.int().name()
        ));
    }
    match found.try_fold(first, Integers::joined) {
        Some(all) => Reading::Moves(all),
        None => Reading::Refused("its operands are integers of different scales".to_owned()),
    }
}
