//! Inputs of the network: real values, integers that stand for real values, and integers that are looked up.

use std::collections::{BTreeMap, BTreeSet};

use super::{Import, element_type};
use crate::onnx::builder::SlotId;
use crate::onnx::error::ImportError;
use crate::onnx::host::Kind;
use crate::onnx::host::record::Side;
use crate::onnx::integers::{IntType, Integers, MOVES, reads_integers};
use crate::onnx::proto::{DataType, GraphProto, NodeProto, ValueInfoProto};
use crate::onnx::shapes::Symbols;
use crate::onnx::tensor::type_name;
use crate::onnx::write::value_info;
use crate::tensor::{Data, Tensor, element_count};

/// What a network does with an integer input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Operators on stored integers say which real values they stand for.
    Stored,
    /// They are cast to float: they are real values themselves, such as pixels.
    Real,
    /// They are indices, or something else that the host turns into real values.
    Index,
}

impl Import<'_> {
    pub(super) fn inputs(
        &mut self,
        shapes: &BTreeMap<String, Vec<usize>>,
    ) -> Result<BTreeMap<String, usize>, ImportError> {
        // Up to IR version 3 constants are listed as inputs too: default values that nobody overrides.
        let is_constant =
            |input: &&ValueInfoProto| self.names.constants.contains(input.name.as_str());
        let inputs: Vec<&ValueInfoProto> =
            self.proto.input.iter().filter(|input| !is_constant(input)).collect();
        let symbols = Symbols::new(inputs.iter().copied(), shapes, self.warnings)?;
        for (index, input) in inputs.into_iter().enumerate() {
            let shape = symbols.shape(index)?;
            let slot = self.input(input, shape);
            self.define(&input.name, slot)?;
        }
        Ok(symbols.extents())
    }

    fn input(&mut self, input: &ValueInfoProto, shape: Vec<usize>) -> SlotId {
        let (name, number) = (&input.name, element_type(input));
        let int = IntType::of(number).filter(|int| *int != IntType::INT32);
        let purpose = match Kind::of(number) {
            Some(Kind::Real) => None,
            Some(Kind::Integer { .. } | Kind::Truth) => Some(purpose(self.proto, name)),
            None => int.map(|_| Use::Stored),
        };
        let mut described = DataType::Float;
        let slot = match (purpose, int) {
            (None, _) if number == DataType::Float as i32 => self.real_input(name, &shape),
            (Some(Use::Stored), Some(int)) => {
                let slot = self.real_input(name, &shape);
                self.builder.note_integers(slot, Integers::Open(int));
                self.tell_real("input", name, int);
                slot
            }
            (Some(Use::Real), _) => {
                described = DataType::try_from(number).unwrap_or(DataType::Float);
                self.real_input(name, &shape)
            }
            (Some(Use::Index), _)
                if element_count(&shape)
                    .is_some_and(|n| self.builder.budget.take(n, 8).is_ok()) =>
            {
                described = DataType::try_from(number).unwrap_or(DataType::Float);
                let count = shape.iter().product();
                let data = match described {
                    DataType::Bool => Data::Bool(vec![false; count]),
                    _ => Data::I64(vec![0; count]),
                };
                self.builder.host_slot(Side::Head, name, Tensor { shape: shape.clone(), data })
            }
            _ => {
                let reason = format!(
                    "element type {} is not supported, expected float or integers that are cast or looked up",
                    type_name(number)
                );
                self.refuse(name, "input", &reason, "feed float32 and cast before export");
                self.builder.unknown_slot()
            }
        };
        self.has_integers |= described != DataType::Float;
        self.described.push(value_info(name, described, &shape));
        slot
    }

    fn real_input(&mut self, name: &str, shape: &[usize]) -> SlotId {
        let id = self.builder.add_input(name, shape.to_vec());
        self.builder.value_slot(id)
    }
}

/// What the nodes behind an integer input, and behind those that only move its elements, do with it.
fn purpose(graph: &GraphProto, input: &str) -> Use {
    let (mut open, mut seen) = (vec![input], BTreeSet::new());
    let (mut cast, mut other) = (false, false);
    while let Some(name) = open.pop() {
        if !seen.insert(name) {
            continue;
        }
        for node in graph.node.iter().filter(|node| node.input.iter().any(|read| read == name)) {
            let op = node.op_type.as_str();
            let data = node.input.first().is_some_and(|first| first == name);
            if reads_integers(op) {
                return Use::Stored;
            } else if MOVES.contains(&op) && (data || op == "Concat") {
                open.extend(node.output.iter().map(String::as_str));
            } else if is_cast_to_float(node) {
                cast = true;
            } else {
                other = true;
            }
        }
    }
    match (cast, other) {
        (_, true) => Use::Index,
        (true, false) => Use::Real,
        (false, false) => Use::Stored,
    }
}

fn is_cast_to_float(node: &NodeProto) -> bool {
    let to = node.attribute.iter().find(|attribute| attribute.name == "to").and_then(|a| a.i);
    node.op_type == "Cast" && to == Some(DataType::Float as i64)
}
