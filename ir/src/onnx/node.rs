//! One ONNX node being imported: typed access to operands and attributes, and the ways to answer.

mod integers;

use std::collections::BTreeSet;

use super::attributes::Attributes;
use super::builder::{Builder, SlotId};
use super::error::NodeError;
use super::proto::{GraphProto, NodeProto, TensorProto};
use super::tensor::decode;
use crate::graph::{Op, ValueId};
use crate::infer::{ShapeError, broadcast};
use crate::tensor::{DType, Data, Tensor, TensorError};

/// Why an import function gives up.
pub(super) enum Refusal {
    /// Legal ONNX that cannot be taken.
    Unsupported {
        /// Why not.
        reason: String,
        /// What the user can do; may be empty.
        suggestion: String,
    },
    /// Not legal ONNX.
    Invalid(NodeError),
}

impl<E: Into<NodeError>> From<E> for Refusal {
    fn from(error: E) -> Refusal {
        Refusal::Invalid(error.into())
    }
}

/// Result of an import function.
pub(super) type Imported = Result<(), Refusal>;

/// One node, the operands it finds, and the graph it adds to.
pub(super) struct NodeCtx<'a> {
    pub(super) proto: &'a NodeProto,
    /// Version of the standard operators.
    pub(super) opset: i64,
    /// Unique name of the node in the graph.
    pub(super) name: String,
    /// Operands; `None` where an optional one is absent.
    pub(super) inputs: Vec<Option<SlotId>>,
    /// Whether the first result is an output of the whole graph.
    pub(super) is_graph_output: bool,
    /// All names that some node reads or the graph returns.
    pub(super) used_values: &'a BTreeSet<&'a str>,
    pub(super) builder: &'a mut Builder,
    /// Nodes that make the results instead, to be imported next; they read any name that stands for something by now.
    pub(super) replacement: Option<GraphProto>,
}

impl<'a> NodeCtx<'a> {
    /// The attributes.
    pub(super) fn attributes(&self) -> Attributes<'a> {
        Attributes(self.proto)
    }

    /// Number of operands written, absent ones included.
    pub(super) fn n_inputs(&self) -> usize {
        self.inputs.len()
    }

    fn slot(&self, index: usize) -> Option<SlotId> {
        self.inputs.get(index).copied().flatten()
    }

    fn required(&self, index: usize) -> Result<SlotId, NodeError> {
        self.slot(index).ok_or(NodeError::MissingInput(index))
    }

    /// Whether the operand is given.
    pub(super) fn has_input(&self, index: usize) -> bool {
        self.slot(index).is_some()
    }

    /// Whether somebody uses the result. Many writers name results that nobody does.
    pub(super) fn uses_output(&self, index: usize) -> bool {
        self.proto.output.get(index).is_some_and(|name| self.used_values.contains(name.as_str()))
    }

    /// Shape of a given operand; `None` if absent, or made by an unsupported node.
    pub(super) fn known_shape(&self, index: usize) -> Option<&[usize]> {
        self.builder.shape(self.slot(index)?)
    }

    /// Shape of a required operand.
    pub(super) fn shape(&self, index: usize) -> Result<Vec<usize>, NodeError> {
        let slot = self.required(index)?;
        Ok(self.builder.shape(slot).ok_or(NodeError::MissingInput(index))?.to_vec())
    }

    /// Element type of a required operand.
    pub(super) fn dtype(&self, index: usize) -> Result<DType, NodeError> {
        let slot = self.required(index)?;
        self.builder.dtype(slot).ok_or(NodeError::MissingInput(index))
    }

    /// The operand, if it is given and constant.
    pub(super) fn constant(&self, index: usize) -> Option<&Tensor> {
        self.builder.constant(self.slot(index)?)
    }

    /// Name of the operand if it is given but computed at run time: what a constraint on constants reports.
    pub(super) fn computed(&self, index: usize) -> Option<String> {
        let slot = self.slot(index)?;
        let known = !self.builder.is_unknown(slot) && self.builder.constant(slot).is_none();
        known.then(|| format!("`{}`, which is computed at run time", self.proto.input[index]))
    }

    /// Number of axes of the operand if it is known and differs from `expected`.
    pub(super) fn other_rank(&self, index: usize, expected: usize) -> Option<String> {
        let shape = self.known_shape(index)?;
        (shape.len() != expected).then(|| format!("shape {shape:?}"))
    }

    /// A required constant operand.
    pub(super) fn required_constant(&self, index: usize) -> Result<&Tensor, NodeError> {
        self.builder.constant(self.required(index)?).ok_or(NodeError::NotConstant(index))
    }

    /// A constant operand of integers, `None` if it is absent.
    pub(super) fn integers(&self, index: usize) -> Result<Option<&[i64]>, NodeError> {
        if !self.has_input(index) {
            return Ok(None);
        }
        let tensor = self.required_constant(index)?;
        let wrong =
            NodeError::OperandType { operand: index, found: tensor.dtype(), expected: DType::I64 };
        tensor.i64_values().map(Some).ok_or(wrong)
    }

    /// Truth values of a required constant operand.
    pub(super) fn booleans(&self, index: usize) -> Result<&[bool], NodeError> {
        let tensor = self.required_constant(index)?;
        let wrong =
            NodeError::OperandType { operand: index, found: tensor.dtype(), expected: DType::Bool };
        tensor.bool_values().ok_or(wrong)
    }

    /// Integers of a required constant operand.
    pub(super) fn required_integers(&self, index: usize) -> Result<&[i64], NodeError> {
        self.integers(index)?.ok_or(NodeError::MissingInput(index))
    }

    /// The only integer of a constant operand, `None` if it is absent.
    pub(super) fn integer(&self, index: usize) -> Result<Option<i64>, NodeError> {
        match self.integers(index)? {
            None => Ok(None),
            Some(&[value]) => Ok(Some(value)),
            Some(values) => {
                let found = format!("{} integers", values.len());
                Err(NodeError::OperandValue { operand: index, found, expected: "one integer" })
            }
        }
    }

    /// A constant operand with one float, `None` if it is absent.
    pub(super) fn scalar(&self, index: usize) -> Result<Option<f32>, NodeError> {
        if !self.has_input(index) {
            return Ok(None);
        }
        let tensor = self.required_constant(index)?;
        let found = tensor.dtype();
        if found != DType::F32 {
            return Err(NodeError::OperandType { operand: index, found, expected: DType::F32 });
        }
        let found = format!("a tensor of shape {:?}", tensor.shape);
        let wrong = NodeError::OperandValue { operand: index, found, expected: "one element" };
        tensor.f32_scalar().map(Some).ok_or(wrong)
    }

    /// The number that a constant operand holds everywhere, if it does and repeats along the other operands only, so that
    /// the result has the same shape without it.
    pub(super) fn uniform(&self, index: usize) -> Option<f32> {
        let tensor = self.constant(index)?;
        let others = (0..self.n_inputs()).filter(|&i| i != index && self.has_input(i));
        let shape = others
            .map(|i| self.known_shape(i))
            .try_fold(Vec::new(), |shape, other| broadcast(&shape, other?).ok())?;
        if broadcast(&shape, &tensor.shape) != Ok(shape) {
            return None;
        }
        let mut values: Box<dyn Iterator<Item = f32>> = match &tensor.data {
            Data::I64(values) => Box::new(values.iter().map(|&v| v as f32)),
            _ => tensor.f32_iter()?,
        };
        let first = values.next()?;
        values.all(|value| value == first).then_some(first)
    }

    /// Required floats of a constant operand.
    pub(super) fn floats(&self, index: usize) -> Result<Vec<f32>, NodeError> {
        let tensor = self.required_constant(index)?;
        let wrong =
            NodeError::OperandType { operand: index, found: tensor.dtype(), expected: DType::F32 };
        let values = tensor.f32_iter().ok_or(wrong)?;
        self.builder.budget.take(values.len(), 4)?;
        Ok(values.collect())
    }

    /// A constant in an attribute, decoded.
    pub(super) fn decode(&mut self, proto: &TensorProto) -> Result<Tensor, NodeError> {
        let Builder { external, budget, .. } = &mut *self.builder;
        Ok(decode(proto, external, budget)?.tensor)
    }

    /// Asks for room for `count` elements before they are computed.
    pub(super) fn reserve(&self, count: usize, element_bytes: u64) -> Result<(), NodeError> {
        Ok(self.builder.budget.take(count, element_bytes)?)
    }

    /// A counted copy of the floats of a constant of the graph.
    pub(super) fn constant_floats(&self, id: ValueId) -> Result<Vec<f32>, NodeError> {
        let tensor = self.builder.graph.values[id.0 as usize].constant.as_ref();
        let values = tensor.and_then(Tensor::f32_iter).ok_or(NodeError::NotConstant(1))?;
        self.builder.budget.take(values.len(), 4)?;
        Ok(values.collect())
    }

    /// The graph value of a required operand.
    pub(super) fn operand(&mut self, index: usize) -> Result<ValueId, NodeError> {
        let slot = self.required(index)?;
        self.builder.operand(slot).ok_or(NodeError::MissingInput(index))
    }

    /// Graph values of all given operands.
    pub(super) fn operands(&mut self) -> Result<Vec<ValueId>, NodeError> {
        let given: Vec<usize> =
            (0..self.n_inputs()).filter(|&index| self.has_input(index)).collect();
        given.into_iter().map(|index| self.operand(index)).collect()
    }

    /// Shape of a graph value.
    pub(super) fn value_shape(&self, id: ValueId) -> &[usize] {
        &self.builder.graph.values[id.0 as usize].shape
    }

    /// A new constant of the graph, named after the first operand it comes from.
    pub(super) fn new_constant(&mut self, base: &str, tensor: Tensor) -> ValueId {
        let name = self.builder.fresh_value_name(base);
        let slot = self.builder.constant_slot(&name, tensor);
        self.builder.operand(slot).expect("the slot was just filled with a constant")
    }

    /// The constant weights `[m, c, k]` in operand `index` as `[m, c, 1, k]`; others as they are.
    pub(super) fn weights_on_map(&mut self, index: usize) -> Result<ValueId, NodeError> {
        let weights = self.required_constant(index)?;
        let &[m, c, k] = weights.shape.as_slice() else {
            return self.operand(index);
        };
        let copy = self.builder.copy_constant(weights)?;
        let on_map = Tensor::new(vec![m, c, 1, k], copy.data)?;
        Ok(self.new_constant(&format!("{}/map", self.proto.input[index]), on_map))
    }

    /// A new constant that belongs to this node.
    pub(super) fn own_constant(&mut self, what: &str, tensor: Tensor) -> ValueId {
        self.new_constant(&format!("{}/{what}", self.name), tensor)
    }

    /// A new constant of one element that belongs to this node.
    pub(super) fn scalar_constant(&mut self, what: &str, value: f32) -> ValueId {
        self.own_constant(what, Tensor { shape: Vec::new(), data: Data::F32(vec![value]) })
    }

    /// The constant matrix in operand `index`, transposed. Each matrix is transposed once, however many nodes use it.
    pub(super) fn transposed_operand(&mut self, index: usize) -> Result<ValueId, NodeError> {
        let slot = self.required(index)?;
        if let Some(other) = self.builder.known_transpose(slot) {
            return self.builder.operand(other).ok_or(NodeError::MissingInput(index));
        }
        let tensor = transpose_matrix(self, index)?;
        let name =
            self.builder.fresh_value_name(&format!("{}.transposed", self.proto.input[index]));
        let other = self.builder.constant_slot(&name, tensor);
        self.builder.note_transposed(slot, other);
        self.builder.operand(other).ok_or(NodeError::MissingInput(index))
    }

    fn result_name(&self) -> Result<String, NodeError> {
        self.nth_result_name(0)
    }

    fn nth_result_name(&self, index: usize) -> Result<String, NodeError> {
        self.proto
            .output
            .get(index)
            .filter(|name| !name.is_empty())
            .cloned()
            .ok_or(NodeError::MissingOutput)
    }

    /// The node's result is `op` of `inputs`.
    pub(super) fn emit(&mut self, op: Op, inputs: Vec<ValueId>) -> Imported {
        self.emit_shaped(op, inputs, None)
    }

    /// As [`NodeCtx::emit`], with the shape that the operator leaves open.
    pub(super) fn emit_shaped(
        &mut self,
        op: Op,
        inputs: Vec<ValueId>,
        shape: Option<Vec<usize>>,
    ) -> Imported {
        let result = self.result_name()?;
        let id = self.builder.add_node(self.name.clone(), op, inputs, result.clone(), shape)?;
        let slot = self.builder.value_slot(id);
        self.builder.bind(&result, slot);
        Ok(())
    }

    /// As [`NodeCtx::emit_shaped`], for an operator on maps `[n, c, 1, l]` that the file calls `[n, c, l]`: a reshape follows.
    pub(super) fn emit_without_height(
        &mut self,
        op: Op,
        inputs: Vec<ValueId>,
        shape: Option<Vec<usize>>,
    ) -> Imported {
        let result = self.result_name()?;
        let map = self.builder.fresh_value_name(&format!("{result}/map"));
        let map = self.builder.add_node(self.name.clone(), op, inputs, map, shape)?;
        let mut flat = self.value_shape(map).to_vec();
        flat.remove(2);
        let name = self.builder.fresh_node_name(&format!("{}/from_map", self.name));
        let id = self.builder.add_node(name, Op::Reshape, vec![map], result.clone(), Some(flat))?;
        let slot = self.builder.value_slot(id);
        self.builder.bind(&result, slot);
        Ok(())
    }

    /// Result `index` of a node with several is `op` of `inputs`; each is a node of its own.
    pub(super) fn emit_at(
        &mut self,
        index: usize,
        op: Op,
        inputs: Vec<ValueId>,
        shape: Option<Vec<usize>>,
    ) -> Imported {
        let result = self.nth_result_name(index)?;
        let name = match index {
            0 => self.name.clone(),
            _ => self.builder.fresh_node_name(&format!("{}/{index}", self.name)),
        };
        let id = self.builder.add_node(name, op, inputs, result.clone(), shape)?;
        let slot = self.builder.value_slot(id);
        self.builder.bind(&result, slot);
        Ok(())
    }

    /// A node in front of the one that makes the result; both names get `suffix`.
    pub(super) fn intermediate(
        &mut self,
        suffix: &str,
        op: Op,
        inputs: Vec<ValueId>,
        shape: Option<Vec<usize>>,
    ) -> Result<ValueId, NodeError> {
        let name = self.builder.fresh_node_name(&format!("{}/{suffix}", self.name));
        let result = format!("{}/{suffix}", self.result_name()?);
        let result = self.builder.fresh_value_name(&result);
        self.builder.add_node(name, op, inputs, result, shape)
    }

    /// The node's result is operand `index` unchanged. An output of the graph keeps its name through a reshape that
    /// changes nothing.
    pub(super) fn forward(&mut self, index: usize) -> Imported {
        let slot = self.required(index)?;
        if self.is_graph_output && self.builder.constant(slot).is_none() {
            let shape = self.shape(index)?;
            let operand = self.operand(index)?;
            return self.emit_shaped(Op::Reshape, vec![operand], Some(shape));
        }
        let result = self.result_name()?;
        if self.is_graph_output {
            let tensor = self.builder.copy_constant(self.required_constant(index)?)?;
            return self.set_constant(tensor);
        }
        self.builder.bind(&result, slot);
        Ok(())
    }

    /// The node's result is a constant.
    pub(super) fn set_constant(&mut self, tensor: Tensor) -> Imported {
        let result = self.result_name()?;
        let slot = self.builder.constant_slot(&result, tensor);
        self.builder.bind(&result, slot);
        Ok(())
    }

    /// Result `index` is a constant; nothing happens where the file does not want it.
    pub(super) fn set_constant_result(&mut self, index: usize, tensor: Tensor) {
        if let Ok(result) = self.nth_result_name(index) {
            let slot = self.builder.constant_slot(&result, tensor);
            self.builder.bind(&result, slot);
        }
    }

    /// The node's result is a constant that is operand 0 transposed as a matrix.
    pub(super) fn set_transposed_constant(&mut self, tensor: Tensor) -> Imported {
        let operand = self.required(0)?;
        self.set_constant(tensor)?;
        if let Some(result) = self.builder.slot(&self.result_name()?) {
            self.builder.note_transposed(result, operand);
        }
        Ok(())
    }
}

/// Resolves an axis that may count from the end.
pub(super) fn resolve_axis(axis: i64, rank: usize) -> Result<usize, NodeError> {
    let outside = NodeError::Axis { axis, rank };
    let positive = match usize::try_from(axis) {
        Ok(positive) => Some(positive),
        Err(_) => usize::try_from(axis.unsigned_abs()).ok().and_then(|back| rank.checked_sub(back)),
    };
    positive.filter(|&axis| axis < rank).ok_or(outside)
}

/// Resolves several axes; the result ascends, and a repeated one is an error.
pub(super) fn resolve_axes(axes: &[i64], rank: usize) -> Result<Vec<usize>, NodeError> {
    let mut resolved =
        axes.iter().map(|&axis| resolve_axis(axis, rank)).collect::<Result<Vec<_>, _>>()?;
    resolved.sort_unstable();
    if resolved.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(ShapeError::Axes { axes: resolved, rank }.into());
    }
    Ok(resolved)
}

fn transpose_matrix(node: &NodeCtx<'_>, index: usize) -> Result<Tensor, NodeError> {
    let tensor = node.required_constant(index)?;
    let wrong =
        NodeError::OperandType { operand: index, found: tensor.dtype(), expected: DType::F32 };
    let count = tensor.f32_iter().ok_or(wrong)?.len();
    // Leading extents of 1 do not count.
    let &[.., rows, columns] = tensor.shape.as_slice() else {
        return Err(ShapeError::RankTooSmall {
            operand: index,
            shape: tensor.shape.clone(),
            least: 2,
        }
        .into());
    };
    if rows.checked_mul(columns) != Some(count) {
        let shape = tensor.shape.clone();
        return Err(TensorError::Count {
            shape,
            expected: rows.saturating_mul(columns),
            found: count,
        }
        .into());
    }
    if let Data::SplatF32 { value, count } = tensor.data {
        let data = Data::SplatF32 { value, count };
        return Ok(Tensor::new(vec![columns, rows], data)?);
    }
    node.builder.budget.take(count, 4)?;
    if let Some(turned) = tensor.quantized().and_then(|values| values.transposed(rows)) {
        return Ok(Tensor::new(vec![columns, rows], Data::Quantized(turned))?);
    }
    let values = tensor.f32_values().unwrap_or_default();
    let mut transposed = Vec::with_capacity(count);
    for column in 0..columns {
        transposed.extend((0..rows).map(|row| values[row * columns + column]));
    }
    Ok(Tensor::from_f32(&[columns, rows], transposed)?)
}
