//! The graph under construction: what each ONNX value name stands for so far.
//!
//! A constant enters the graph only when an operator needs it as an operand; shape arithmetic and the like never
//! does. Several names may stand for one value (Identity, Dropout).

mod host;

use std::collections::{BTreeMap, BTreeSet};

use super::error::NodeError;
use super::external::External;
use super::host::record::Side;
use super::integers::{IntType, Integers};
use super::names::UsedNames;
use super::tensor::{Budget, MAX_RANK, OverLimit};
use crate::graph::{Graph, Node, Op, Value, ValueId};
use crate::infer::{Rule, infer};
use crate::quantized::Encoding;
use crate::tensor::{DType, Data, Tensor};

/// Index of a [`Slot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SlotId(usize);

/// What a name stands for.
enum Slot {
    /// A constant that no operator has needed yet.
    Constant { name: String, tensor: Tensor },
    /// A value of the graph, constant or not.
    Value(ValueId),
    /// What the host computes, by its name in its part.
    Host { side: Side, name: String, example: Tensor },
    /// The result of a node that is not supported.
    Unknown,
}

/// The graph under construction.
pub(super) struct Builder {
    pub(super) graph: Graph,
    pub(super) budget: Budget,
    pub(super) external: External,
    slots: Vec<Slot>,
    names: BTreeMap<String, SlotId>,
    /// Constant matrices known to be the transpose of another one, both ways.
    transposed: BTreeMap<SlotId, SlotId>,
    /// Computed slots that are integers in the file.
    integers: BTreeMap<SlotId, Integers>,
    /// What the integers in inputs of the graph mean, as far as somebody has said.
    pub(super) explained: BTreeMap<ValueId, Encoding>,
    /// Types of integer constants.
    int_types: BTreeMap<SlotId, IntType>,
    used_value_names: UsedNames,
    used_node_names: UsedNames,
}

impl From<OverLimit> for NodeError {
    fn from(_: OverLimit) -> NodeError {
        NodeError::Limit
    }
}

impl Builder {
    /// An empty graph. `value_names` and `node_names` are those of the file, which made-up names must avoid.
    pub(super) fn new(
        name: &str,
        budget: Budget,
        external: External,
        value_names: BTreeSet<String>,
        node_names: BTreeSet<String>,
    ) -> Builder {
        Builder {
            graph: Graph { name: name.to_owned(), ..Graph::default() },
            budget,
            external,
            slots: Vec::new(),
            names: BTreeMap::new(),
            transposed: BTreeMap::new(),
            integers: BTreeMap::new(),
            explained: BTreeMap::new(),
            int_types: BTreeMap::new(),
            used_value_names: UsedNames::new(value_names),
            used_node_names: UsedNames::new(node_names),
        }
    }

    /// What `name` stands for.
    pub(super) fn slot(&self, name: &str) -> Option<SlotId> {
        self.names.get(name).copied()
    }

    /// Lets `name` stand for `slot`. `false` when the name is taken.
    pub(super) fn bind(&mut self, name: &str, slot: SlotId) -> bool {
        self.names.insert(name.to_owned(), slot).is_none()
    }

    /// A slot for a constant. `name` must be free in the graph: a name of the file or from [`Builder::fresh_value_name`].
    pub(super) fn constant_slot(&mut self, name: &str, tensor: Tensor) -> SlotId {
        self.push_slot(Slot::Constant { name: name.to_owned(), tensor })
    }

    /// A slot for a value of the graph.
    pub(super) fn value_slot(&mut self, id: ValueId) -> SlotId {
        self.push_slot(Slot::Value(id))
    }

    /// A slot for what could not be imported.
    pub(super) fn unknown_slot(&mut self) -> SlotId {
        self.push_slot(Slot::Unknown)
    }

    fn push_slot(&mut self, slot: Slot) -> SlotId {
        self.slots.push(slot);
        SlotId(self.slots.len() - 1)
    }

    /// Whether the slot holds the result of an unsupported node.
    pub(super) fn is_unknown(&self, slot: SlotId) -> bool {
        matches!(self.slots[slot.0], Slot::Unknown)
    }

    /// The constant in a slot.
    pub(super) fn constant(&self, slot: SlotId) -> Option<&Tensor> {
        match &self.slots[slot.0] {
            Slot::Constant { tensor, .. } => Some(tensor),
            Slot::Value(id) => self.graph.values[id.0 as usize].constant.as_ref(),
            Slot::Host { .. } | Slot::Unknown => None,
        }
    }

    /// Shape of what is in a slot.
    pub(super) fn shape(&self, slot: SlotId) -> Option<&[usize]> {
        match &self.slots[slot.0] {
            Slot::Constant { tensor, .. } | Slot::Host { example: tensor, .. } => {
                Some(&tensor.shape)
            }
            Slot::Value(id) => Some(&self.graph.values[id.0 as usize].shape),
            Slot::Unknown => None,
        }
    }

    /// Element type of what is in a slot.
    pub(super) fn dtype(&self, slot: SlotId) -> Option<DType> {
        match &self.slots[slot.0] {
            Slot::Constant { tensor, .. } | Slot::Host { example: tensor, .. } => {
                Some(tensor.dtype())
            }
            Slot::Value(id) => Some(self.graph.values[id.0 as usize].dtype),
            Slot::Unknown => None,
        }
    }

    /// The graph value of a slot; a constant enters the graph now. `None` for an unknown one.
    pub(super) fn operand(&mut self, slot: SlotId) -> Option<ValueId> {
        match std::mem::replace(&mut self.slots[slot.0], Slot::Unknown) {
            Slot::Unknown => None,
            host @ Slot::Host { .. } => {
                self.slots[slot.0] = host;
                None
            }
            Slot::Value(id) => {
                self.slots[slot.0] = Slot::Value(id);
                Some(id)
            }
            Slot::Constant { name, tensor } => {
                let id = self.add_value(Value {
                    name,
                    dtype: tensor.dtype(),
                    shape: tensor.shape.clone(),
                    constant: Some(tensor),
                });
                self.slots[slot.0] = Slot::Value(id);
                Some(id)
            }
        }
    }

    /// Remembers that two constant matrices are each other's transpose, so that none is transposed back by copying.
    pub(super) fn note_transposed(&mut self, a: SlotId, b: SlotId) {
        self.transposed.insert(a, b);
        self.transposed.entry(b).or_insert(a);
    }

    /// The constant known to be the transpose of `slot`.
    pub(super) fn known_transpose(&self, slot: SlotId) -> Option<SlotId> {
        self.transposed.get(&slot).copied()
    }

    /// What the integers in a computed slot mean; `None` for floats and constants.
    pub(super) fn integers(&self, slot: SlotId) -> Option<Integers> {
        self.integers.get(&slot).copied()
    }

    /// Remembers what the integers in a slot mean.
    pub(super) fn note_integers(&mut self, slot: SlotId, integers: Integers) {
        self.integers.insert(slot, integers);
    }

    /// Type of an integer constant, where it is known.
    pub(super) fn int_type(&self, slot: SlotId) -> Option<IntType> {
        self.int_types.get(&slot).copied()
    }

    /// Remembers the type of an integer constant.
    pub(super) fn note_int_type(&mut self, slot: SlotId, int: IntType) {
        self.int_types.insert(slot, int);
    }

    /// A graph input.
    pub(super) fn add_input(&mut self, name: &str, shape: Vec<usize>) -> ValueId {
        let id = self.add_value(Value {
            name: name.to_owned(),
            dtype: DType::F32,
            shape,
            constant: None,
        });
        self.graph.inputs.push(id);
        id
    }

    /// A value that some node is about to compute, or a constant.
    pub(super) fn add_value(&mut self, value: Value) -> ValueId {
        let id = u32::try_from(self.graph.values.len())
            .expect("a file of 2^32 values does not fit memory");
        self.graph.values.push(value);
        ValueId(id)
    }

    /// Appends a node and its result. `shape` decides where the operator leaves a choice (reshape, pools).
    pub(super) fn add_node(
        &mut self,
        name: String,
        op: Op,
        inputs: Vec<ValueId>,
        result: String,
        shape: Option<Vec<usize>>,
    ) -> Result<ValueId, NodeError> {
        let operands: Vec<&Value> =
            inputs.iter().map(|id| &self.graph.values[id.0 as usize]).collect();
        for (operand, value) in operands.iter().enumerate() {
            if value.dtype != DType::F32 {
                return Err(NodeError::OperandType {
                    operand,
                    found: value.dtype,
                    expected: DType::F32,
                });
            }
        }
        let shapes: Vec<&[usize]> = operands.iter().map(|value| value.shape.as_slice()).collect();
        let rule = infer(&op, &shapes)?;
        let shape = match (shape, rule) {
            (Some(shape), rule) if rule.admits(&shape) => shape,
            (None, Rule::Exact(shape)) => shape,
            (None, Rule::FloorOrCeil { floor, .. }) => floor,
            (shape, Rule::Exact(_) | Rule::FloorOrCeil { .. } | Rule::Elements(_)) => {
                let signed = |&extent: &usize| i64::try_from(extent).unwrap_or(i64::MAX);
                let to = shape.unwrap_or_default().iter().map(signed).collect();
                return Err(NodeError::Reshape { from: shapes[0].to_vec(), to });
            }
        };
        if shape.len() > MAX_RANK {
            return Err(NodeError::Rank { found: shape.len(), most: MAX_RANK });
        }
        let output =
            self.add_value(Value { name: result, dtype: DType::F32, shape, constant: None });
        self.graph.nodes.push(Node { name, op, inputs, output });
        Ok(output)
    }

    /// `base`, or `base` with the first number that makes it differ from every value name.
    pub(super) fn fresh_value_name(&mut self, base: &str) -> String {
        self.used_value_names.fresh(base)
    }

    /// As [`Builder::fresh_value_name`], for nodes.
    pub(super) fn fresh_node_name(&mut self, base: &str) -> String {
        self.used_node_names.fresh(base)
    }

    /// A copy of a constant under the limit: mapped floats are shared and a repeated one is small, everything else is
    /// counted.
    pub(super) fn copy_constant(&self, tensor: &Tensor) -> Result<Tensor, NodeError> {
        if !matches!(tensor.data, Data::MappedF32(_) | Data::SplatF32 { .. }) {
            self.budget.take(tensor.data.len(), 8)?;
        }
        Ok(tensor.clone())
    }
}
