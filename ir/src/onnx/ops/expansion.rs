//! A node as other nodes: operators on stored integers become DequantizeLinear, the operator on real values, and
//! QuantizeLinear.

use crate::onnx::error::NodeError;
use crate::onnx::node::NodeCtx;
use crate::onnx::proto::{
    AttributeProto, DataType, GraphProto, NodeProto, TensorProto, ValueInfoProto,
};
use crate::onnx::write::{int, node};

/// Nodes that will stand for the node at hand.
pub(super) struct Expansion<'a, 'b> {
    node: &'a mut NodeCtx<'b>,
    graph: GraphProto,
}

impl<'a, 'b> Expansion<'a, 'b> {
    /// No node yet.
    pub(super) fn of(node: &'a mut NodeCtx<'b>) -> Expansion<'a, 'b> {
        let outputs = node.proto.output.iter().filter(|name| !name.is_empty());
        let output = outputs.map(|name| ValueInfoProto { name: name.clone(), r#type: None });
        let graph = GraphProto { output: output.collect(), ..GraphProto::default() };
        Expansion { node, graph }
    }

    /// Name of an operand of the node; empty where it is absent.
    pub(super) fn operand(&self, index: usize) -> String {
        let given = self.node.has_input(index);
        if given { self.node.proto.input[index].clone() } else { String::new() }
    }

    /// Attributes of the node with these names.
    pub(super) fn attributes(&self, names: &[&str]) -> Vec<AttributeProto> {
        let all = self.node.proto.attribute.iter();
        all.filter(|attribute| names.contains(&attribute.name.as_str())).cloned().collect()
    }

    fn helper(
        &mut self,
        what: &str,
        op: &str,
        input: Vec<String>,
        attribute: Vec<AttributeProto>,
    ) -> String {
        let base = format!("{}/{what}", self.node.name);
        let output = self.node.builder.fresh_value_name(&base);
        let name = self.node.builder.fresh_node_name(&base);
        self.graph.node.push(node(name, op, input, output.clone(), attribute));
        output
    }

    /// Real values of operand `x`, which is stored with the scale and the zero point in two other operands.
    pub(super) fn real(&mut self, x: usize, scale: usize, zero: usize, axis: i64) -> String {
        let operands = [x, scale, zero].map(|index| self.operand(index));
        self.dequantized(&operands, axis)
    }

    /// As [`Expansion::real`], for any three values.
    pub(super) fn dequantized(&mut self, operands: &[String; 3], axis: i64) -> String {
        let axis = AttributeProto { i: Some(axis), ..int("axis", 0) };
        let what = format!("{}/real", operands[0]);
        self.helper(&what, "DequantizeLinear", operands.to_vec(), vec![axis])
    }

    /// A constant of floats: a vector, or a scalar if it is one.
    pub(super) fn floats(&mut self, what: &str, values: &[f32]) -> Result<String, NodeError> {
        self.node.reserve(values.len(), 4)?;
        let name = self.node.builder.fresh_value_name(&format!("{}/{what}", self.node.name));
        let extent = i64::try_from(values.len()).map_err(|_| NodeError::Arithmetic)?;
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.graph.initializer.push(TensorProto {
            name: name.clone(),
            dims: if values.len() == 1 { Vec::new() } else { vec![extent] },
            data_type: DataType::Float as i32,
            raw_data: Some(bytes.into()),
            ..TensorProto::default()
        });
        Ok(name)
    }

    /// A vector of integers.
    pub(super) fn integers(&mut self, what: &str, values: &[i64]) -> Result<String, NodeError> {
        self.node.reserve(values.len(), 8)?;
        let name = self.node.builder.fresh_value_name(&format!("{}/{what}", self.node.name));
        let extent = i64::try_from(values.len()).map_err(|_| NodeError::Arithmetic)?;
        self.graph.initializer.push(TensorProto {
            name: name.clone(),
            dims: vec![extent],
            data_type: DataType::Int64 as i32,
            int64_data: values.to_vec(),
            ..TensorProto::default()
        });
        Ok(name)
    }

    /// Real values of a bias `operand`, which counts in steps of the product of two scales and `factor`; empty where there is none.
    pub(super) fn bias(
        &mut self,
        operand: usize,
        [x, w]: [usize; 2],
        factor: f32,
    ) -> Result<String, NodeError> {
        if !self.node.has_input(operand) {
            return Ok(String::new());
        }
        let (x, w) = (self.node.floats(x)?, self.node.floats(w)?);
        let &[x] = x.as_slice() else {
            let found = format!("{} scales", x.len());
            return Err(NodeError::OperandValue { operand: 1, found, expected: "one" });
        };
        let steps: Vec<f32> = w.iter().map(|w| factor * (x * w)).collect();
        let scale = self.floats("bias_scale", &steps)?;
        let operands = [self.operand(operand), scale, String::new()];
        Ok(self.dequantized(&operands, 0))
    }

    /// The operator itself, which keeps the node's name; its result as a new value.
    pub(super) fn apply(
        &mut self,
        op: &str,
        input: Vec<String>,
        attribute: Vec<AttributeProto>,
    ) -> String {
        let output = self.node.builder.fresh_value_name(&format!("{}/real", self.node.name));
        self.graph.node.push(node(self.node.name.clone(), op, input, output.clone(), attribute));
        output
    }

    /// The node's result: `y` stored with the scale and the zero point in two operands.
    pub(super) fn end_stored(self, y: String, scale: usize, zero: usize) {
        let operands = vec![y, self.operand(scale), self.operand(zero)];
        self.end_with("stored", "QuantizeLinear", operands, Vec::new());
    }

    /// The node's result: that of `op`.
    pub(super) fn end_with(
        mut self,
        what: &str,
        op: &str,
        input: Vec<String>,
        attribute: Vec<AttributeProto>,
    ) {
        let base = format!("{}/{what}", self.node.name);
        let name = if what.is_empty() {
            self.node.name.clone()
        } else {
            self.node.builder.fresh_node_name(&base)
        };
        let output = self.node.proto.output.first().cloned().unwrap_or_default();
        self.graph.node.push(NodeProto {
            output: vec![output.clone()],
            ..node(name, op, input, output, attribute)
        });
        self.node.replacement = Some(self.graph);
    }
}
