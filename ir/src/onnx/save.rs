//! A float graph as an ONNX file.
//!
//! Used to run the graph in a float runtime and to look at it in other tools, so every value keeps its name. A constant
//! that repeats one value becomes a node that makes it, and all others are written straight into the file, so that no
//! second copy of the weights stands beside it. Loading what was saved gives the same graph again, except where ONNX has
//! no single operator: a `Dense` with a bias on an operand of other than two axes becomes a product and an addition, a
//! `Gather` becomes one slice, then one node for each axis whose indices are no slice, and a function becomes one node
//! for each of its primitives.

mod dynamic;
mod interpolate;
mod lrn;
mod pool;
mod quantize;

use std::collections::{BTreeMap, BTreeSet};

pub use dynamic::IntegerWeights;

use super::names::UsedNames;
use super::ops::swap_channels;
use super::proto::{
    AttributeProto, AttributeType, DataType, GraphProto, NodeProto, TensorProto, ValueInfoProto,
};
use super::write::{
    self, file_with, float, int, ints, pool_attributes, put_elements, signed, value_info,
    window_attributes,
};
use crate::function::{Function, Term};
use crate::graph::{Graph, Node, Op, Value, ValueId, Window};
use crate::indices::{Indices, Run};
use crate::tensor::{DType, Data, Tensor};

/// Operator set written: the first in which average pools may be dilated.
const OPSET: i64 = 19;

/// File format version of that operator set.
const IR_VERSION: i64 = 9;

/// The bytes of an ONNX file with this graph, which must be well formed ([`Graph::verify`]); ids out of range are left
/// out.
#[must_use]
pub fn save(graph: &Graph) -> Vec<u8> {
    write(graph, Extent::All, None)
}

/// As [`save`], with dilated pools and local response normalization spelled out: not every float runtime has them.
#[must_use]
pub fn save_in_common_operators(graph: &Graph) -> Vec<u8> {
    write(graph, Extent::Common, None)
}

/// As [`save_in_common_operators`], with the convolutions and dense layers that `weights` names computed in integers, their operands
/// quantized to uint8 at run time (`DynamicQuantizeLinear`). Each must have as many elements as the float weights.
#[must_use]
pub fn save_dynamic(graph: &Graph, weights: &BTreeMap<String, IntegerWeights>) -> Vec<u8> {
    write(graph, Extent::Common, Some(weights))
}

/// Which operators are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// One for each of the graph.
    All,
    /// Those that every runtime has.
    Common,
}

fn write(
    graph: &Graph,
    extent: Extent,
    integers: Option<&BTreeMap<String, IntegerWeights>>,
) -> Vec<u8> {
    let mut writer = Writer {
        graph,
        extent,
        integers,
        used_names: UsedNames::new(graph.values.iter().map(|value| value.name.clone()).collect()),
        constants: Vec::new(),
        proto: GraphProto { name: graph.name.clone(), ..GraphProto::default() },
    };
    writer.values();
    for node in &graph.nodes {
        writer.node(node);
    }
    file_with(&writer.proto, &writer.constants, OPSET, IR_VERSION)
}

struct Writer<'a> {
    graph: &'a Graph,
    extent: Extent,
    /// Weights of the layers that are written in integers, by node.
    integers: Option<&'a BTreeMap<String, IntegerWeights>>,
    used_names: UsedNames,
    /// Constants without, and with, their elements.
    constants: Vec<(TensorProto, &'a Tensor)>,
    proto: GraphProto,
}

impl<'a> Writer<'a> {
    fn values(&mut self) {
        let infos =
            |ids: &[ValueId]| ids.iter().filter_map(|&id| self.graph.value(id)).map(info).collect();
        self.proto.input = infos(&self.graph.inputs);
        self.proto.output = infos(&self.graph.outputs);
        let ends: BTreeSet<ValueId> =
            self.graph.inputs.iter().chain(&self.graph.outputs).copied().collect();
        for (value, id) in self.graph.values.iter().zip(0..) {
            match &value.constant {
                Some(tensor) => self.constant(&value.name, tensor),
                None if !ends.contains(&ValueId(id)) => self.proto.value_info.push(info(value)),
                None => {}
            }
        }
    }

    fn constant(&mut self, name: &str, tensor: &'a Tensor) {
        let Data::SplatF32 { value, .. } = tensor.data else {
            return self.constants.push((tensor_head(name, tensor), tensor));
        };
        let shape = self.fresh(format!("{name}/shape"));
        self.proto.initializer.push(tensor_proto(&shape, &integers(&tensor.shape)));
        let element = Tensor { shape: vec![1], data: Data::F32(vec![value]) };
        self.proto.node.push(NodeProto {
            input: vec![shape],
            output: vec![name.to_owned()],
            name: String::new(),
            op_type: "ConstantOfShape".to_owned(),
            attribute: vec![AttributeProto {
                t: Some(tensor_proto("", &element)),
                ..write::attribute("value", AttributeType::Tensor)
            }],
            domain: String::new(),
        });
    }

    fn name(&self, id: ValueId) -> String {
        self.graph.value(id).map(|value| value.name.clone()).unwrap_or_default()
    }

    fn shape(&self, id: ValueId) -> &[usize] {
        self.graph.value(id).map_or(&[], |value| &value.shape)
    }

    /// A value name that the graph does not have.
    fn fresh(&mut self, base: String) -> String {
        self.used_names.fresh(&base)
    }

    /// A constant that is an operand in ONNX but a parameter in the graph.
    fn parameter(&mut self, node: &Node, what: &str, tensor: &Tensor) -> String {
        let name = self.fresh(format!("{}/{what}", node.name));
        self.proto.initializer.push(tensor_proto(&name, tensor));
        name
    }

    fn push(&mut self, node: &Node, op: &str, input: Vec<String>, attribute: Vec<AttributeProto>) {
        let output = self.name(node.output);
        self.proto.node.push(write::node(node.name.clone(), op, input, output, attribute));
    }

    fn node(&mut self, node: &Node) {
        let mut inputs: Vec<String> = node.inputs.iter().map(|&id| self.name(id)).collect();
        if self.dynamic(node, &inputs) {
            return;
        }
        match &node.op {
            Op::MaxPool { window } | Op::AveragePool { window, .. }
                if self.extent == Extent::Common && window.dilation != [1, 1] =>
            {
                self.spelled_out_pool(node, window, inputs);
            }
            Op::Conv { window, groups } => {
                let mut attributes = window_attributes(window);
                attributes.push(int("group", *groups));
                self.push(node, "Conv", inputs, attributes);
            }
            Op::ConvTranspose { window, output_padding, groups } => {
                let mut attributes = window_attributes(window);
                attributes.push(ints("output_padding", output_padding));
                attributes.push(int("group", *groups));
                if let Some(weights) = inputs.get_mut(1)
                    && let Some(swapped) = self.swapped_weights(node, *groups)
                {
                    *weights = self.parameter(node, "weights", &swapped);
                }
                self.push(node, "ConvTranspose", inputs, attributes);
            }
            Op::Dense => self.dense(node, inputs),
            Op::MatMul { scale: 1.0 } => self.push(node, "MatMul", inputs, Vec::new()),
            Op::MatMul { scale } => {
                let product = self.fresh(format!("{}/product", node.name));
                self.helper(node, "product", "MatMul", inputs, &product, Vec::new());
                let scale = self.parameter(node, "scale", &scalar(*scale));
                self.push(node, "Mul", vec![product, scale], Vec::new());
            }
            Op::BatchNorm { epsilon } => {
                self.push(node, "BatchNormalization", inputs, vec![float("epsilon", *epsilon)]);
            }
            Op::Add => self.push(node, "Add", inputs, Vec::new()),
            Op::Sub => self.push(node, "Sub", inputs, Vec::new()),
            Op::Mul => self.push(node, "Mul", inputs, Vec::new()),
            Op::Max => self.push(node, "Max", inputs, Vec::new()),
            Op::Min => self.push(node, "Min", inputs, Vec::new()),
            Op::PRelu => self.push(node, "PRelu", inputs, Vec::new()),
            Op::Unary { function } => self.unary(node, inputs, function),
            Op::Clip { lo, hi } => self.clip(node, inputs, *lo, *hi),
            Op::FakeQuantize { to } => self.fake_quantize(node, inputs, *to),
            Op::MaxPool { window } => {
                self.push(node, "MaxPool", inputs, self.pool_attributes(node, window))
            }
            Op::AveragePool { window, count_include_pad } => {
                let mut attributes = self.pool_attributes(node, window);
                attributes.push(int("count_include_pad", usize::from(*count_include_pad)));
                self.push(node, "AveragePool", inputs, attributes);
            }
            &Op::Lrn { size, alpha, beta, bias } => {
                if self.extent == Extent::Common {
                    return self.spelled_out_lrn(node, inputs, size, [alpha, beta, bias]);
                }
                let numbers = [("alpha", alpha), ("beta", beta), ("bias", bias)];
                let mut attributes = vec![int("size", size)];
                attributes.extend(numbers.map(|(name, value)| float(name, value)));
                self.push(node, "LRN", inputs, attributes);
            }
            Op::Interpolate { axes } => self.interpolate(node, inputs, axes),
            Op::ReduceMean { axes } => {
                inputs.push(self.parameter(node, "axes", &integers(axes)));
                self.push(node, "ReduceMean", inputs, Vec::new());
            }
            Op::Concat { axis } => self.push(node, "Concat", inputs, vec![int("axis", *axis)]),
            Op::Reshape => {
                let shape = integers(self.shape(node.output));
                inputs.push(self.parameter(node, "shape", &shape));
                self.push(node, "Reshape", inputs, Vec::new());
            }
            Op::Transpose { perm } => {
                self.push(node, "Transpose", inputs, vec![ints("perm", perm)])
            }
            Op::Pad { before, after, value } => {
                inputs.push(self.parameter(
                    node,
                    "pads",
                    &integers(&[before.as_slice(), after].concat()),
                ));
                inputs.push(self.parameter(node, "value", &scalar(*value)));
                self.push(node, "Pad", inputs, Vec::new());
            }
            Op::Gather { indices } => self.gather(node, inputs, indices),
            Op::Softmax { axis } => self.push(node, "Softmax", inputs, vec![int("axis", *axis)]),
        }
    }

    /// Weights of a transposed convolution with the input channels first, as ONNX has them.
    fn swapped_weights(&self, node: &Node, groups: usize) -> Option<Tensor> {
        let constant = self.graph.value(*node.inputs.get(1)?)?.constant.as_ref()?;
        let &[m, per_group, kh, kw] = constant.shape.as_slice() else {
            return None;
        };
        let m_group = m.checked_div(groups)?;
        let swapped = swap_channels(&constant.f32_values()?, [groups, m_group, per_group, kh * kw]);
        Tensor::from_f32(&[per_group * groups, m_group, kh, kw], swapped).ok()
    }

    /// Gemm takes matrices only; other operands go through MatMul, whose weights are `[k, m]`.
    fn dense(&mut self, node: &Node, mut inputs: Vec<String>) {
        let is_matrix = node.inputs.first().is_some_and(|&id| self.shape(id).len() == 2);
        if is_matrix || inputs.len() < 2 {
            return self.push(node, "Gemm", inputs, vec![int("transB", 1)]);
        }
        let bias = if inputs.len() == 3 { inputs.pop() } else { None };
        let weights = self.fresh(format!("{}/weights", node.name));
        self.helper(
            node,
            "weights",
            "Transpose",
            vec![inputs[1].clone()],
            &weights,
            vec![ints("perm", &[1, 0])],
        );
        inputs[1] = weights;
        match bias {
            None => self.push(node, "MatMul", inputs, Vec::new()),
            Some(bias) => {
                let product = self.fresh(format!("{}/product", node.name));
                self.helper(node, "product", "MatMul", inputs, &product, Vec::new());
                self.push(node, "Add", vec![product, bias], Vec::new());
            }
        }
    }

    fn gather(&mut self, node: &Node, mut inputs: Vec<String>, indices: &[Indices]) {
        let extents = node.inputs.first().map_or(Vec::new(), |&id| self.shape(id).to_vec());
        let mut slice: Vec<(usize, Run)> = Vec::new();
        let mut lists: Vec<(usize, &Indices)> = Vec::new();
        for (axis, (list, &extent)) in indices.iter().zip(&extents).enumerate() {
            match *list.runs() {
                _ if list.is_all(extent) => {}
                [run] if run.step != 0 || run.count == 1 => slice.push((axis, run)),
                _ => lists.push((axis, list)),
            }
        }
        let mut left = usize::from(!slice.is_empty()) + lists.len();
        if left == 0 {
            return self.push(node, "Identity", inputs, Vec::new());
        }
        // The last of the nodes is the graph's; the others are made up in front of it.
        let mut emit = |writer: &mut Self, op: &str, what: &str, parameters, attributes| {
            left -= 1;
            let operands = [std::mem::take(&mut inputs), parameters].concat();
            if left == 0 {
                return writer.push(node, op, operands, attributes);
            }
            let result = writer.fresh(format!("{}/{what}", node.name));
            writer.helper(node, what, op, operands, &result, attributes);
            inputs = vec![result];
        };
        if !slice.is_empty() {
            let starts: Vec<i64> = slice.iter().map(|(_, run)| signed(run.first)).collect();
            let ends = slice.iter().map(|(axis, run)| end(run, extents[*axis])).collect();
            let axes: Vec<usize> = slice.iter().map(|(axis, _)| *axis).collect();
            let steps = slice.iter().map(|(_, run)| step(run)).collect();
            let parameters = [
                ("starts", Tensor::from_i64_vec(starts)),
                ("ends", Tensor::from_i64_vec(ends)),
                ("axes", integers(&axes)),
                ("steps", Tensor::from_i64_vec(steps)),
            ];
            let parameters: Vec<String> = parameters
                .iter()
                .map(|(what, tensor)| self.parameter(node, what, tensor))
                .collect();
            emit(self, "Slice", "slice", parameters, Vec::new());
        }
        for (axis, list) in lists {
            let what = format!("indices{axis}");
            let taken: Vec<usize> = list.iter().collect();
            let parameter = self.parameter(node, &what, &integers(&taken));
            emit(self, "Gather", &format!("axis{axis}"), vec![parameter], vec![int("axis", axis)]);
        }
    }

    /// A node that the graph does not have.
    fn helper(
        &mut self,
        node: &Node,
        what: &str,
        op: &str,
        input: Vec<String>,
        output: &str,
        attribute: Vec<AttributeProto>,
    ) {
        let name = format!("{}/{what}", node.name);
        self.proto.node.push(write::node(name, op, input, output.to_owned(), attribute));
    }

    /// One ONNX node for each primitive.
    fn unary(&mut self, node: &Node, inputs: Vec<String>, function: &Function) {
        let Some(x) = inputs.first().cloned() else {
            return;
        };
        let mut stack = Vec::new();
        let mut nodes = Vec::new();
        for term in function.terms() {
            let result = match term {
                Term::X => Piece::Value(x.clone()),
                Term::Constant(value) => Piece::Number(*value),
                Term::Apply(primitive) => {
                    let numbers = stack.split_off(stack.len() - primitive.attributes().len());
                    let operands = stack.split_off(stack.len() - primitive.operands());
                    let attributes = primitive.attributes().iter().zip(numbers);
                    let attributes = attributes.filter_map(|(name, piece)| match piece {
                        Piece::Number(value) => Some(float(name, value)),
                        Piece::Value(_) => None,
                    });
                    let attributes: Vec<AttributeProto> = attributes.collect();
                    let operands = operands.into_iter().map(|piece| match piece {
                        Piece::Value(name) => name,
                        Piece::Number(value) => self.parameter(node, "constant", &scalar(value)),
                    });
                    let operands: Vec<String> = operands.collect();
                    let result = self.fresh(format!("{}/{}", node.name, primitive.name()));
                    nodes.push((primitive, operands, attributes, result.clone()));
                    Piece::Value(result)
                }
            };
            stack.push(result);
        }
        let Some((last, operands, attributes, _)) = nodes.pop() else {
            return self.push(node, "Identity", inputs, Vec::new());
        };
        for (primitive, operands, attributes, result) in nodes {
            let what = &result[node.name.len() + 1..];
            self.helper(node, what, primitive.onnx(), operands, &result, attributes);
        }
        self.push(node, last.onnx(), operands, attributes);
    }

    fn clip(&mut self, node: &Node, mut inputs: Vec<String>, lo: f32, hi: f32) {
        if lo.to_bits() == 0 && hi == f32::INFINITY {
            return self.push(node, "Relu", inputs, Vec::new());
        }
        for (what, bound, absent) in [("min", lo, f32::NEG_INFINITY), ("max", hi, f32::INFINITY)] {
            let operand = if bound == absent {
                String::new()
            } else {
                self.parameter(node, what, &scalar(bound))
            };
            inputs.push(operand);
        }
        self.push(node, "Clip", inputs, Vec::new());
    }

    fn pool_attributes(&self, node: &Node, window: &Window) -> Vec<AttributeProto> {
        let image = |id: Option<&ValueId>| match id.map(|&id| self.shape(id)) {
            Some(&[_, _, h, w]) => [h, w],
            _ => [0, 0],
        };
        pool_attributes(window, image(node.inputs.first()), image(Some(&node.output)))
    }
}

/// A slice's step; that of a single element does not matter, but may not be 0.
fn step(run: &Run) -> i64 {
    if run.count == 1 { 1 } else { i64::try_from(run.step).unwrap_or(i64::MAX) }
}

/// A slice's end, which is not taken itself. What lies in front of index 0 is counted from the end.
fn end(run: &Run, extent: usize) -> i64 {
    let end = signed(run.last()) + step(run).signum();
    if end < 0 { end - signed(extent) } else { end }
}

/// An operand of a primitive.
enum Piece {
    /// A value of the file.
    Value(String),
    /// A number.
    Number(f32),
}

fn integers(values: &[usize]) -> Tensor {
    Tensor::from_i64_vec(values.iter().copied().map(signed).collect())
}

fn scalar(value: f32) -> Tensor {
    Tensor { shape: Vec::new(), data: Data::F32(vec![value]) }
}

/// A constant with its elements, for small ones.
fn tensor_proto(name: &str, tensor: &Tensor) -> TensorProto {
    let mut raw = Vec::new();
    put_elements(&mut raw, &tensor.data);
    TensorProto { raw_data: Some(raw.into()), ..tensor_head(name, tensor) }
}

/// A constant without its elements.
fn tensor_head(name: &str, tensor: &Tensor) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: tensor.shape.iter().copied().map(signed).collect(),
        data_type: data_type(tensor.dtype()) as i32,
        ..TensorProto::default()
    }
}

fn data_type(dtype: DType) -> DataType {
    match dtype {
        DType::F32 => DataType::Float,
        DType::I64 => DataType::Int64,
        DType::Bool => DataType::Bool,
    }
}

fn info(value: &Value) -> ValueInfoProto {
    value_info(&value.name, data_type(value.dtype), &value.shape)
}
