//! Building blocks of ONNX files that both exports share.

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use super::proto::{
    AttributeProto, AttributeType, DataType, Dimension, DimensionProto, GraphProto, ModelProto,
    NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto,
};
use crate::graph::Window;
use crate::infer::window_extents;
use crate::tensor::{DType, Data, Tensor};

/// The bytes of a file with this graph.
pub(super) fn file(graph: &GraphProto, opset: i64, ir_version: i64) -> Vec<u8> {
    file_with(graph, &[], opset, ir_version)
}

/// Field of the graph in a model, of a constant in a graph, and of the bytes in a constant.
const GRAPH_FIELD: u32 = 7;
const INITIALIZER_FIELD: u32 = 5;
const RAW_DATA_FIELD: u32 = 9;

/// The bytes of a file with this graph, which also gets `constants`, given without and with their elements. Fields of a
/// message may stand in any order, so those with the elements come last and are copied once.
pub(super) fn file_with(
    graph: &GraphProto,
    constants: &[(TensorProto, &Tensor)],
    opset: i64,
    ir_version: i64,
) -> Vec<u8> {
    let model = ModelProto {
        ir_version,
        producer_name: "qcc".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: opset }],
        ..ModelProto::default()
    };
    let field = |tag, length| key_len(tag) + encoded_len_varint(length as u64) + length;
    let length = |(head, tensor): &(TensorProto, &Tensor)| {
        head.encoded_len()
            + field(RAW_DATA_FIELD, tensor.data.len() * element_bytes(tensor.dtype()))
    };
    let graph_length: usize = graph.encoded_len()
        + constants.iter().map(|c| field(INITIALIZER_FIELD, length(c))).sum::<usize>();
    let mut out = Vec::with_capacity(model.encoded_len() + field(GRAPH_FIELD, graph_length));
    let begin = |out: &mut Vec<u8>, tag, length: usize| {
        encode_key(tag, WireType::LengthDelimited, out);
        encode_varint(length as u64, out);
    };
    out.extend(model.encode_to_vec());
    begin(&mut out, GRAPH_FIELD, graph_length);
    out.extend(graph.encode_to_vec());
    for constant in constants {
        begin(&mut out, INITIALIZER_FIELD, length(constant));
        let (head, tensor) = constant;
        out.extend(head.encode_to_vec());
        begin(&mut out, RAW_DATA_FIELD, tensor.data.len() * element_bytes(tensor.dtype()));
        put_elements(&mut out, &tensor.data);
    }
    out
}

fn element_bytes(dtype: DType) -> usize {
    match dtype {
        DType::F32 => 4,
        DType::I64 => 8,
        DType::Bool => 1,
    }
}

/// Appends elements as ONNX stores them: little-endian.
pub(super) fn put_elements(out: &mut Vec<u8>, data: &Data) {
    match data {
        Data::MappedF32(bytes) => out.extend_from_slice(bytes),
        Data::F32(values) => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        Data::SplatF32 { value, count } => {
            out.extend(std::iter::repeat_n(value.to_le_bytes(), *count).flatten());
        }
        Data::Quantized(values) => out.extend(values.floats().flat_map(f32::to_le_bytes)),
        Data::I64(values) => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        Data::Bool(values) => out.extend(values.iter().map(|&v| u8::from(v))),
    }
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

/// An attribute of that type, still without its value.
pub(super) fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
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
