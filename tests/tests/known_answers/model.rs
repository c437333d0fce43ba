//! A case and its ONNX file.

use ir::onnx::proto::{
    AttributeProto, AttributeType, DataType, Dimension, DimensionProto, GraphProto, ModelProto,
    NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto,
};
use prost::Message;

/// One node on a ramp, and its answer.
pub(crate) struct Case {
    /// ONNX operator.
    pub(crate) op: &'static str,
    /// Operator set.
    pub(crate) opset: i64,
    /// Attributes by name.
    pub(crate) attributes: &'static [(&'static str, Attribute)],
    /// Shape of the input, [`ramp`] 1.
    pub(crate) input: &'static [usize],
    /// Further operands.
    pub(crate) constants: &'static [Constant],
    /// Shape of the result.
    pub(crate) shape: &'static [usize],
    /// The result, row-major.
    pub(crate) output: &'static [f32],
}

/// Value of an attribute.
#[derive(Debug)]
pub(crate) enum Attribute {
    Float(f32),
    Int(i64),
    Ints(&'static [i64]),
    Text(&'static str),
}

/// A constant operand.
pub(crate) enum Constant {
    /// [`ramp`] of a shape; the second operand of a node is ramp 2, and so on.
    Ramp(&'static [usize]),
    /// A vector of floats, perhaps empty.
    Floats(&'static [f32]),
    /// A vector of integers.
    Ints(&'static [i64]),
    /// None: an optional operand is left out.
    Absent,
}

/// Elements between -1 and 1 that are no multiples of each other: `((37 i + 11 seed) mod 101) / 50 - 1`.
pub(crate) fn ramp(shape: &[usize], seed: usize) -> Vec<f32> {
    let count = shape.iter().product();
    (0..count).map(|i: usize| ((i * 37 + seed * 11) % 101) as f32 / 50.0 - 1.0).collect()
}

/// The ONNX file of a case: input `x`, output `y`.
pub(crate) fn onnx(case: &Case) -> Vec<u8> {
    let name = |(i, c): (usize, &Constant)| match c {
        Constant::Absent => String::new(),
        Constant::Ramp(_) | Constant::Ints(_) | Constant::Floats(_) => format!("c{i}"),
    };
    let names: Vec<String> = case.constants.iter().enumerate().map(name).collect();
    let initializer = names.iter().zip(case.constants).enumerate();
    let node = NodeProto {
        name: "node".to_owned(),
        op_type: case.op.to_owned(),
        input: [vec!["x".to_owned()], names.clone()].concat(),
        output: vec!["y".to_owned()],
        attribute: case.attributes.iter().map(attribute).collect(),
        domain: String::new(),
    };
    let graph = GraphProto {
        name: "case".to_owned(),
        node: vec![node],
        initializer: initializer.filter_map(|(i, (name, c))| constant(name, c, i + 2)).collect(),
        input: vec![value("x", Some(case.input))],
        output: vec![value("y", None)],
        ..GraphProto::default()
    };
    let model = ModelProto {
        ir_version: 8,
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: case.opset }],
        ..ModelProto::default()
    };
    model.encode_to_vec()
}

fn attribute((name, value): &(&'static str, Attribute)) -> AttributeProto {
    let mut proto = AttributeProto { name: (*name).to_owned(), ..AttributeProto::default() };
    let kind = match value {
        Attribute::Float(f) => {
            proto.f = Some(*f);
            AttributeType::Float
        }
        Attribute::Int(i) => {
            proto.i = Some(*i);
            AttributeType::Int
        }
        Attribute::Ints(values) => {
            proto.ints = values.to_vec();
            AttributeType::Ints
        }
        Attribute::Text(text) => {
            proto.s = Some(text.as_bytes().into());
            AttributeType::String
        }
    };
    proto.r#type = kind as i32;
    proto
}

fn constant(name: &str, value: &Constant, seed: usize) -> Option<TensorProto> {
    let floats = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let (shape, data_type, bytes) = match value {
        Constant::Ramp(shape) => (shape.to_vec(), DataType::Float, floats(&ramp(shape, seed))),
        Constant::Floats(values) => (vec![values.len()], DataType::Float, floats(values)),
        Constant::Ints(values) => {
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            (vec![values.len()], DataType::Int64, bytes)
        }
        Constant::Absent => return None,
    };
    Some(TensorProto {
        name: name.to_owned(),
        dims: shape.iter().map(|&extent| extent as i64).collect(),
        data_type: data_type as i32,
        raw_data: Some(bytes.into()),
        ..TensorProto::default()
    })
}

fn value(name: &str, shape: Option<&[usize]>) -> ValueInfoProto {
    let dimension = |&n: &usize| DimensionProto { value: Some(Dimension::Value(n as i64)) };
    let shape = shape.map(|s| TensorShapeProto { dim: s.iter().map(dimension).collect() });
    let tensor_type = TensorTypeProto { elem_type: DataType::Float as i32, shape };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto { tensor_type: Some(tensor_type) }),
    }
}
