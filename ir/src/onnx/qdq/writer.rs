//! The file under construction, and the nodes that every operator needs.

use super::movement::Movement;
use crate::graph::ValueId;
use crate::onnx::names::UsedNames;
use crate::onnx::proto::{AttributeProto, DataType, GraphProto, TensorProto};
use crate::onnx::write::{self, signed, value_info};
use crate::qgraph::{Bounds, Hwc, QGraph, QNode, QType, QValue};

/// The file under construction. Ids are those of a verified graph.
pub(super) struct Writer<'a> {
    graph: &'a QGraph,
    value_names: UsedNames,
    node_names: UsedNames,
    /// The tensor `[1, c, h, w]` of stored integers of each value; empty before its maker is written.
    stored: Vec<String>,
    /// Names of each value's scale and zero point, where something reads them.
    scales: Vec<Option<String>>,
    zero_points: Vec<Option<String>>,
    pub(super) proto: GraphProto,
}

impl<'a> Writer<'a> {
    pub(super) fn new(graph: &'a QGraph) -> Writer<'a> {
        let ends = graph.inputs.iter().chain(&graph.outputs);
        let ends = ends.map(|id| graph.values[id.0 as usize].name.clone());
        Writer {
            graph,
            value_names: UsedNames::new(ends.collect()),
            node_names: UsedNames::new(graph.nodes.iter().map(|node| node.name.clone()).collect()),
            stored: vec![String::new(); graph.values.len()],
            scales: vec![None; graph.values.len()],
            zero_points: vec![None; graph.values.len()],
            proto: GraphProto { name: graph.name.clone(), ..GraphProto::default() },
        }
    }

    /// Declares and quantizes the graph's inputs.
    pub(super) fn inputs(&mut self) {
        for &id in &self.graph.inputs {
            let value = self.value(id);
            let (name, view) = (value.name.clone(), &value.view);
            self.proto.input.push(value_info(&name, DataType::Float, &view.onnx_shape));
            let stored = self.quantize(&name, name.clone(), id);
            let mut movement = Movement::of(view.onnx_shape.clone());
            movement.transpose(&view.perm);
            movement.planes(value.shape);
            self.stored[id.0 as usize] = self.moved(&name, stored, movement);
        }
    }

    /// Dequantizes and declares the graph's outputs.
    pub(super) fn outputs(&mut self) {
        for &id in &self.graph.outputs {
            let value = self.value(id);
            let view = &value.view;
            // An input can be an output too; the second one needs another name.
            let name = if self.graph.inputs.contains(&id) {
                self.value_names.fresh(&value.name)
            } else {
                value.name.clone()
            };
            let mut movement = Movement::of_planes(value.shape);
            movement.reshape(view.perm.iter().map(|&axis| view.onnx_shape[axis]).collect());
            movement.transpose(&inverse(&view.perm));
            let stored = self.moved(&name, self.stored[id.0 as usize].clone(), movement);
            let node = self.node_names.fresh(&format!("{name}/dequantize"));
            let input = vec![stored, self.scale(id), self.zero_point(id)];
            self.push(node, "DequantizeLinear", input, name.clone(), Vec::new());
            self.proto.output.push(value_info(&name, DataType::Float, &view.onnx_shape));
        }
    }

    pub(super) fn value(&self, id: ValueId) -> &'a QValue {
        &self.graph.values[id.0 as usize]
    }

    pub(super) fn operand(&self, node: &QNode, index: usize) -> &'a QValue {
        self.value(node.inputs[index])
    }

    pub(super) fn result(&self, node: &QNode) -> &'a QValue {
        self.value(node.output)
    }

    /// Stored integers of an operand.
    pub(super) fn stored(&self, node: &QNode, index: usize) -> String {
        self.stored[node.inputs[index].0 as usize].clone()
    }

    /// Declares `stored` to be the result's integers.
    pub(super) fn set_stored(&mut self, node: &QNode, stored: String) {
        self.stored[node.output.0 as usize] = stored;
    }

    /// Real values of an operand.
    pub(super) fn real(&mut self, node: &QNode, index: usize) -> String {
        self.real_at(node, index, scale_of(self.operand(node, index)))
    }

    /// Real values of an operand at a scale that is the operator's and may differ from the operand's.
    pub(super) fn real_at(&mut self, node: &QNode, index: usize, scale: f32) -> String {
        let scale = if scale == scale_of(self.operand(node, index)) {
            self.scale(node.inputs[index])
        } else {
            self.floats(&node.name, "scale", &[], &[scale])
        };
        let input = vec![self.stored(node, index), scale, self.zero_point(node.inputs[index])];
        self.helper(&node.name, "dequantize", "DequantizeLinear", input, Vec::new())
    }

    /// The node itself; gives the name of its result, which is real.
    pub(super) fn compute(
        &mut self,
        node: &QNode,
        op: &str,
        input: Vec<String>,
        attributes: Vec<AttributeProto>,
    ) -> String {
        let output = self.value_names.fresh(&self.result(node).name);
        self.push(node.name.clone(), op, input, output.clone(), attributes);
        output
    }

    /// Clips `real` to `bounds`, quantizes it and declares it to be the result.
    ///
    /// Clipping real values first is the same as clamping integers afterwards: rounding is monotone, and the real bounds
    /// are `scale * (lo - Z)`, which quantize to `lo` and `hi` themselves.
    pub(super) fn store(&mut self, node: &QNode, real: String, bounds: Bounds) {
        let value = self.result(node);
        let (least, most) = value.dtype.range();
        let clipped = if (bounds.lo, bounds.hi) == (least, most) {
            real
        } else if (bounds.lo, bounds.hi) == (value.zero_point, most) {
            self.helper(&node.name, "relu", "Relu", vec![real], Vec::new())
        } else {
            let mut bound = |what, q: i32, absent: i32| {
                let real = scale_of(value) * (q - value.zero_point) as f32;
                if q == absent {
                    String::new()
                } else {
                    self.floats(&node.name, what, &[], &[real])
                }
            };
            let mut input =
                vec![real, bound("min", bounds.lo, least), bound("max", bounds.hi, most)];
            if input[2].is_empty() {
                input.pop();
            }
            self.helper(&node.name, "clip", "Clip", input, Vec::new())
        };
        let stored = self.quantize(&node.name, clipped, node.output);
        self.set_stored(node, stored);
    }

    /// A node that the graph does not have, named after `base`; gives the name of its result.
    pub(super) fn helper(
        &mut self,
        base: &str,
        what: &str,
        op: &str,
        input: Vec<String>,
        attributes: Vec<AttributeProto>,
    ) -> String {
        let wanted = format!("{base}/{what}");
        let (name, output) = (self.node_names.fresh(&wanted), self.value_names.fresh(&wanted));
        self.push(name, op, input, output.clone(), attributes);
        output
    }

    /// A float32 constant.
    pub(super) fn floats(
        &mut self,
        base: &str,
        what: &str,
        shape: &[usize],
        values: &[f32],
    ) -> String {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(base, what, DataType::Float, shape, bytes)
    }

    /// A list of 64-bit integers: a shape or amounts of padding.
    pub(super) fn extents(&mut self, base: &str, what: &str, values: &[usize]) -> String {
        let bytes = values.iter().flat_map(|&v| signed(v).to_le_bytes()).collect();
        self.constant(base, what, DataType::Int64, &[values.len()], bytes)
    }

    /// A constant of little-endian elements.
    pub(super) fn constant(
        &mut self,
        base: &str,
        what: &str,
        data_type: DataType,
        shape: &[usize],
        bytes: Vec<u8>,
    ) -> String {
        let name = self.value_names.fresh(&format!("{base}/{what}"));
        self.proto.initializer.push(TensorProto {
            name: name.clone(),
            dims: shape.iter().copied().map(signed).collect(),
            data_type: data_type as i32,
            raw_data: Some(bytes.into()),
            ..TensorProto::default()
        });
        name
    }

    fn quantize(&mut self, base: &str, real: String, id: ValueId) -> String {
        let input = vec![real, self.scale(id), self.zero_point(id)];
        self.helper(base, "quantize", "QuantizeLinear", input, Vec::new())
    }

    fn scale(&mut self, id: ValueId) -> String {
        if let Some(name) = &self.scales[id.0 as usize] {
            return name.clone();
        }
        let value = self.value(id);
        let name = self.floats(&value.name, "scale", &[], &[scale_of(value)]);
        self.scales[id.0 as usize].insert(name).clone()
    }

    fn zero_point(&mut self, id: ValueId) -> String {
        if let Some(name) = &self.zero_points[id.0 as usize] {
            return name.clone();
        }
        let value = self.value(id);
        let (data_type, bytes) = stored(value.dtype, value.zero_point);
        let name = self.constant(&value.name, "zero_point", data_type, &[], bytes);
        self.zero_points[id.0 as usize].insert(name).clone()
    }

    fn push(
        &mut self,
        name: String,
        op: &str,
        input: Vec<String>,
        output: String,
        attributes: Vec<AttributeProto>,
    ) {
        self.proto.node.push(write::node(name, op, input, output, attributes));
    }
}

/// The scale of a value as ONNX stores it.
pub(super) fn scale_of(value: &QValue) -> f32 {
    value.scale as f32
}

/// Element type of stored integers in the file, and one of them as an element.
fn stored(dtype: QType, q: i32) -> (DataType, Vec<u8>) {
    match dtype {
        QType::I8 => (DataType::Uint8, vec![as_u8(q as i8)]),
        QType::I16 => (DataType::Int16, (q as i16).to_le_bytes().to_vec()),
    }
}

/// int8 as uint8: 128 more.
pub(super) fn as_u8(q: i8) -> u8 {
    q.cast_unsigned() ^ 0x80
}

/// Extents of the tensor `[1, c, h, w]`.
pub(super) fn planes(shape: Hwc) -> Vec<usize> {
    vec![1, shape.c, shape.h, shape.w]
}

fn inverse(perm: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; perm.len()];
    for (position, &axis) in perm.iter().enumerate() {
        inverse[axis] = position;
    }
    inverse
}
