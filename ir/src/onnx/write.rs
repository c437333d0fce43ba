//! Building blocks of ONNX files that both exports share.

use prost::Message;

use super::proto::{
    AttributeProto, AttributeType, DataType, Dimension, DimensionProto, GraphProto, ModelProto,
    NodeProto, OperatorSetIdProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use crate::graph::Window;
use crate::infer::window_extents;

/// The bytes of a file with this graph.
pub(super) fn file(graph: GraphProto, opset: i64, ir_version: i64) -> Vec<u8> {
    let model = ModelProto {
        ir_version,
        producer_name: "qcc".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: opset }],
        ..ModelProto::default()
    };
    model.encode_to_vec()
}

/// A node of the standard domain.
pub(super) fn node(
    name: String,
    op: &str,
    input: Vec<String>,
    output: String,
    attribute: Vec<AttributeProto>,
) -> NodeProto {
    NodeProto {
        input,
        output: vec![output],
        name,
        op_type: op.to_owned(),
        attribute,
        domain: String::new(),
    }
}

/// Attributes of a convolution's or a pool's window. Dilations are written only where there are any: quantized pools of
/// ONNX Runtime do not know the attribute.
pub(super) fn window_attributes(window: &Window) -> Vec<AttributeProto> {
    let mut attributes = vec![
        ints("kernel_shape", &window.kernel),
        ints("strides", &window.stride),
        ints("pads", &window.pad),
    ];
    if window.dilation != [1, 1] {
        attributes.push(ints("dilations", &window.dilation));
    }
    attributes
}

/// Attributes of a pool from `input` to `output` rows and columns, which tell whether it is in ceil mode.
pub(super) fn pool_attributes(
    window: &Window,
    input: [usize; 2],
    output: [usize; 2],
) -> Vec<AttributeProto> {
    let is_ceil = window_extents(window, input, false).is_ok_and(|floor| floor != output);
    let mut attributes = window_attributes(window);
    attributes.push(int("ceil_mode", usize::from(is_ceil)));
    attributes
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: kind as i32, ..AttributeProto::default() }
}

/// An integer attribute.
pub(super) fn int(name: &str, value: usize) -> AttributeProto {
    AttributeProto { i: Some(signed(value)), ..attribute(name, AttributeType::Int) }
}

/// A list of integers attribute.
pub(super) fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        ints: values.iter().copied().map(signed).collect(),
        ..attribute(name, AttributeType::Ints)
    }
}

/// A float attribute.
pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) }
}

/// Extents of a well-formed graph are addressable, so they fit.
pub(super) fn signed(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Name and type of a value.
pub(super) fn value_info(name: &str, elem_type: DataType, shape: &[usize]) -> ValueInfoProto {
    let extent = |&extent: &usize| DimensionProto { value: Some(Dimension::Value(signed(extent))) };
    let shape = TensorShapeProto { dim: shape.iter().map(extent).collect() };
    let tensor_type = TensorTypeProto { elem_type: elem_type as i32, shape: Some(shape) };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto { tensor_type: Some(tensor_type) }),
    }
}
