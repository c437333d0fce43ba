//! Splitting index work off at both ends of the network: see [`host`](crate::onnx::host).
//!
//! A node that the host computes is folded once on an example (zeros) for the extents and types of its results, and recorded.

use std::collections::{BTreeMap, BTreeSet};

use super::{Import, import_node};
use crate::graph::{Op, ValueId};
use crate::onnx::builder::SlotId;
use crate::onnx::error::{ImportError, NodeError, TensorProtoError};
use crate::onnx::host::Kind;
use crate::onnx::host::record::{Recording, Side};
use crate::onnx::integers::BLIND;
use crate::onnx::node::{NodeCtx, Refusal};
use crate::onnx::ops::OpSpec;
use crate::onnx::proto::{DataType, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use crate::onnx::write::{int, node as new_node, value_info};
use crate::tensor::{DType, Data, Tensor};

/// Operators that find positions, or move elements to or from positions found: with them the tail begins.
const INDEX_WORK: &[&str] = &[
    "And",
    "ArgMax",
    "ArgMin",
    "Equal",
    "Gather",
    "GatherElements",
    "GatherND",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Not",
    "OneHot",
    "Or",
    "ScatterElements",
    "ScatterND",
    "TopK",
    "Where",
    "Xor",
];

/// The parts so far, and what is known of values in them.
#[derive(Default)]
pub(super) struct Parts {
    head: Recording,
    tail: Recording,
    /// Values of the graph that the tail reads, in the order it does.
    read: Vec<ValueId>,
    /// Values of the head that are the same along their last axis: what they repeat, of extent 1 there.
    repeated: BTreeMap<String, String>,
    /// Values of the head whose last axis is 1 where it equals an index, else 0: the indices.
    one_hot: BTreeMap<String, String>,
}

/// Who computes a node.
enum Place {
    Machine,
    Host(Side),
    Refused(String),
}

impl Import<'_> {
    /// Takes a node for the host if it is index work, or works on what is: `None` if it is the machine's.
    pub(super) fn outsource(
        &mut self,
        spec: &OpSpec,
        node: &NodeProto,
        name: &str,
        inputs: &[Option<SlotId>],
        used: &BTreeSet<&str>,
    ) -> Result<Option<Option<GraphProto>>, ImportError> {
        if inputs.iter().flatten().any(|&slot| self.builder.is_unknown(slot)) {
            return Ok(None);
        }
        if let Some(lookup) = self.lookup(node, inputs) {
            return Ok(Some(Some(lookup)));
        }
        match self.place(spec, node, inputs) {
            Place::Machine => {
                for &slot in inputs.iter().flatten() {
                    self.builder.materialise(slot);
                }
                Ok(None)
            }
            Place::Host(side) => self.host_node(side, spec, node, name, inputs, used).map(Some),
            Place::Refused(reason) => {
                let suggestion = "the host does index work in front of the network or behind it; move it there, or run it outside";
                self.refuse(name, &node.op_type, &reason, suggestion);
                Ok(Some(None))
            }
        }
    }

    fn place(&self, spec: &OpSpec, node: &NodeProto, inputs: &[Option<SlotId>]) -> Place {
        let builder = &self.builder;
        let slots = || inputs.iter().flatten().copied();
        let computed = slots().filter(|&slot| builder.is_computed(slot)).count();
        let sides = |side| slots().find(|&slot| builder.side(slot) == Some(side));
        let foldable = spec.fold.is_some();
        let name = |slot: SlotId| builder.host_name(slot).unwrap_or_default();
        if let Some(slot) = sides(Side::Tail) {
            return match (foldable, sides(Side::Head)) {
                (true, None) => Place::Host(Side::Tail),
                (false, _) => Place::Refused(format!(
                    "it reads `{}`, the result of index work, and is no work for the host",
                    name(slot)
                )),
                (true, Some(head)) => Place::Refused(format!(
                    "it joins `{}`, the result of index work, with `{}`, made of integer inputs",
                    name(slot),
                    name(head)
                )),
            };
        }
        let integer = slots().find(|&slot| {
            builder.side(slot) == Some(Side::Head) && builder.dtype(slot) != Some(DType::F32)
        });
        if let Some(slot) = integer {
            return match (foldable, computed) {
                (true, 0) => Place::Host(Side::Head),
                (true, _) => Place::Refused(format!(
                    "it joins `{}`, integers made of inputs, with computed values",
                    name(slot)
                )),
                (false, _) => Place::Refused(format!(
                    "it computes with `{}`, integers at run time",
                    name(slot)
                )),
            };
        }
        let stored = slots().any(|slot| builder.integers(slot).is_some());
        let begins = computed > 0 && !stored && foldable && self.begins_tail(node, inputs);
        if begins { Place::Host(Side::Tail) } else { Place::Machine }
    }

    /// Whether a node with computed operands is index work.
    fn begins_tail(&self, node: &NodeProto, inputs: &[Option<SlotId>]) -> bool {
        let index = |at: usize| inputs.get(at).copied().flatten();
        match node.op_type.as_str() {
            "Cast" => {
                let to = node.attribute.iter().find(|a| a.name == "to").and_then(|a| a.i);
                let to = to.and_then(|to| i32::try_from(to).ok());
                matches!(to.and_then(Kind::of), Some(Kind::Integer { .. } | Kind::Truth))
            }
            "Gather" => index(1).is_some_and(|slot| self.builder.is_computed(slot)),
            op => INDEX_WORK.contains(&op),
        }
    }

    fn host_node(
        &mut self,
        side: Side,
        spec: &OpSpec,
        node: &NodeProto,
        name: &str,
        inputs: &[Option<SlotId>],
        used: &BTreeSet<&str>,
    ) -> Result<Option<GraphProto>, ImportError> {
        let invalid =
            |source| ImportError::Node { node: name.to_owned(), op: node.op_type.clone(), source };
        let examples = inputs.iter().map(|slot| slot.map(|s| self.builder.example(s)).transpose());
        let examples = match examples.collect::<Result<Vec<_>, _>>() {
            Ok(examples) => examples,
            Err(_) => return Err(self.over_limit(name)),
        };
        let mut ctx = NodeCtx {
            proto: node,
            opset: self.opset,
            name: name.to_owned(),
            inputs: examples,
            is_graph_output: false,
            used_values: used,
            builder: &mut self.builder,
            replacement: None,
        };
        match import_node(spec, &mut ctx, &mut self.unsupported) {
            Ok(()) => {
                if let Some(replacement) = ctx.replacement {
                    return Ok(Some(replacement));
                }
            }
            Err(Refusal::Unsupported { reason, suggestion }) => {
                self.refuse(name, &node.op_type, &reason, &suggestion);
                return Ok(None);
            }
            Err(Refusal::Invalid(
                NodeError::Limit | NodeError::Constant(TensorProtoError::Limit),
            )) => return Err(self.over_limit(name)),
            Err(Refusal::Invalid(source)) => return Err(invalid(source)),
        }
        // Extents do not depend on values.
        if BLIND.contains(&node.op_type.as_str()) {
            return Ok(None);
        }
        for result in node.output.iter().filter(|result| !result.is_empty()) {
            let Some(slot) = self.builder.slot(result) else { continue };
            let Some(tensor) = self.builder.constant(slot) else { continue };
            let tensor = self.builder.copy_constant(tensor).map_err(invalid)?;
            let slot = self.builder.host_slot(side, result, tensor);
            self.builder.rebind(result, slot);
        }
        self.record(side, node, name, inputs);
        if side == Side::Head {
            self.understand(node, inputs);
        }
        Ok(None)
    }

    /// Adds a node to a part, under the names by which the part knows its operands.
    fn record(&mut self, side: Side, node: &NodeProto, name: &str, inputs: &[Option<SlotId>]) {
        let mut node = NodeProto { name: name.to_owned(), ..node.clone() };
        for (operand, slot) in node.input.iter_mut().zip(inputs) {
            let Some(slot) = *slot else { continue };
            if let Some(tensor) = self.builder.constant(slot) {
                let int = self.builder.int_type(slot);
                let part = match side {
                    Side::Head => &mut self.parts.head,
                    Side::Tail => &mut self.parts.tail,
                };
                part.constant(operand, tensor, int);
            } else if let Some(known) = self.builder.host_name(slot) {
                *operand = known;
            } else if let Some(id) = self.builder.operand(slot) {
                let id = self.output_of(id);
                *operand = self.builder.graph.values[id.0 as usize].name.clone();
            }
        }
        match side {
            Side::Head => self.parts.head.push(node),
            Side::Tail => self.parts.tail.push(node),
        }
    }

    /// A value of the graph as an output of the machine. An input of the network goes through a reshape that changes nothing.
    fn output_of(&mut self, id: ValueId) -> ValueId {
        let value = &self.builder.graph.values[id.0 as usize];
        let id = if self.builder.graph.inputs.contains(&id) {
            let (name, shape) = (format!("{}/copy", value.name), value.shape.clone());
            let (node, value) =
                (self.builder.fresh_node_name(&name), self.builder.fresh_value_name(&name));
            let copy = self.builder.add_node(node, Op::Reshape, vec![id], value, Some(shape));
            copy.unwrap_or(id)
        } else {
            id
        };
        if !self.parts.read.contains(&id) {
            self.parts.read.push(id);
        }
        id
    }

    /// Notes what a node of the head says of its result's last axis.
    fn understand(&mut self, node: &NodeProto, inputs: &[Option<SlotId>]) {
        let [Some(result), Some(first)] = [node.output.first(), node.input.first()] else { return };
        let last = |slot: Option<SlotId>| {
            slot.and_then(|slot| self.builder.shape(slot)).and_then(|shape| shape.last().copied())
        };
        let slot = |at: usize| inputs.get(at).copied().flatten();
        match node.op_type.as_str() {
            "Expand" if last(slot(0)) == Some(1) => {
                self.parts.repeated.insert(result.clone(), first.clone());
            }
            "Equal" => {
                let counts = |slot: Option<SlotId>| {
                    slot.and_then(|slot| self.builder.constant(slot)).is_some_and(counts_up)
                };
                let (indices, from) = if counts(slot(1)) { (0, slot(0)) } else { (1, slot(1)) };
                if !counts(slot(1 - indices)) {
                    return;
                }
                let name = &node.input[indices];
                let base = match self.parts.repeated.get(name) {
                    Some(base) => base.clone(),
                    None if last(from) == Some(1) => name.clone(),
                    None => return,
                };
                self.parts.one_hot.insert(result.clone(), base);
            }
            "Cast" | "Identity" => {
                if let Some(base) = self.parts.one_hot.get(first).cloned() {
                    self.parts.one_hot.insert(result.clone(), base);
                }
            }
            _ => {}
        }
    }

    /// The product of a one-hot value of the head with a table is its rows: the nodes that look them up instead.
    fn lookup(&mut self, node: &NodeProto, inputs: &[Option<SlotId>]) -> Option<GraphProto> {
        let (&[Some(a), Some(b)], [first, table], [result]) =
            (inputs, node.input.as_slice(), node.output.as_slice())
        else {
            return None;
        };
        if node.op_type != "MatMul" || self.builder.side(a) != Some(Side::Head) {
            return None;
        }
        let base = self.parts.one_hot.get(first)?.clone();
        let depth = *self.builder.shape(a)?.last()?;
        let &[rows, columns] = self.builder.constant(b)?.shape.as_slice() else { return None };
        if rows != depth {
            return None;
        }
        let mut shape = self.builder.shape(a)?.to_vec();
        *shape.last_mut()? = columns;
        let [looked, extents] = ["rows", "extents"]
            .map(|what| self.builder.fresh_value_name(&format!("{result}/{what}")));
        let gather = self.builder.fresh_node_name(&format!("{}/rows", node.name));
        let gather = new_node(
            gather,
            "Gather",
            vec![table.clone(), base],
            looked.clone(),
            vec![int("axis", 0)],
        );
        let reshape = new_node(
            node.name.clone(),
            "Reshape",
            vec![looked, extents.clone()],
            result.clone(),
            Vec::new(),
        );
        let extents = TensorProto {
            name: extents,
            dims: vec![shape.len() as i64],
            data_type: DataType::Int64 as i32,
            int64_data: shape.iter().map(|&extent| extent as i64).collect(),
            ..TensorProto::default()
        };
        Some(GraphProto {
            node: vec![gather, reshape],
            initializer: vec![extents],
            output: vec![ValueInfoProto { name: result.clone(), r#type: None }],
            ..GraphProto::default()
        })
    }

    /// The outputs of the graph, and both parts, once all nodes are there.
    pub(super) fn split(&mut self) -> Result<(), ImportError> {
        let mut given = Vec::new();
        let mut results = Vec::new();
        for output in &self.proto.output {
            let undefined = || ImportError::Undefined {
                place: "the list of outputs".to_owned(),
                value: output.name.clone(),
            };
            let slot = self.builder.slot(&output.name).ok_or_else(undefined)?;
            if self.builder.side(slot) == Some(Side::Head) {
                let reason = "it is made of integer inputs without any computation";
                self.refuse(&output.name, "output", reason, "compute it outside");
                continue;
            }
            if let Some(name) = self.builder.host_name(slot) {
                let shape = self.builder.shape(slot).unwrap_or_default();
                let data_type = match self.builder.dtype(slot) {
                    Some(DType::I64) => match super::element_type(output) {
                        number if number == DataType::Int32 as i32 => DataType::Int32,
                        _ => DataType::Int64,
                    },
                    Some(DType::Bool) => DataType::Bool,
                    Some(DType::F32) | None => DataType::Float,
                };
                results.push(value_info(&name, data_type, shape));
                continue;
            }
            // An unknown one means that something is unsupported, which is reported below.
            if let Some(id) = self.builder.operand(slot) {
                given.push(id);
                let value = &self.builder.graph.values[id.0 as usize];
                results.push(value_info(&value.name, DataType::Float, &value.shape));
            }
            if let Some(integers) = self.builder.integers(slot) {
                self.tell_real("output", &output.name, integers.int());
            }
        }
        self.builder.graph.outputs = given;
        if !self.parts.tail.is_empty() {
            for id in std::mem::take(&mut self.parts.read) {
                if !self.builder.graph.outputs.contains(&id) {
                    self.builder.graph.outputs.push(id);
                }
            }
            let ends = self.ends(&self.builder.graph.outputs);
            let tail = std::mem::take(&mut self.parts.tail);
            self.builder.graph.tail = Some(tail.finish(self.opset, ends, results));
        }
        if self.has_integers {
            let inputs = std::mem::take(&mut self.described);
            let mut ends = self.ends(&self.builder.graph.inputs);
            // What goes through unchanged keeps its type.
            for end in &mut ends {
                if let Some(same) = inputs.iter().find(|input| input.name == end.name) {
                    end.r#type.clone_from(&same.r#type);
                }
            }
            let head = std::mem::take(&mut self.parts.head);
            self.builder.graph.head = Some(head.finish(self.opset, inputs, ends));
        }
        Ok(())
    }

    fn ends(&self, ids: &[ValueId]) -> Vec<ValueInfoProto> {
        let values = ids.iter().map(|id| &self.builder.graph.values[id.0 as usize]);
        values.map(|value| value_info(&value.name, DataType::Float, &value.shape)).collect()
    }
}

/// Whether a constant counts 0, 1, 2, .. along its last axis, and has no other.
fn counts_up(tensor: &Tensor) -> bool {
    let Data::I64(values) = &tensor.data else { return false };
    let last = tensor.shape.last().copied().unwrap_or(0);
    last == values.len() && last > 1 && values.iter().enumerate().all(|(i, &v)| v == i as i64)
}
