//! Tiny models built from the message types, imported and compared with the text of the expected graph.

mod conditional;
mod constants;
mod einsum;
mod folding;
mod functions;
mod host;
mod hostile;
mod movement;
mod normalization;
mod operators;
mod operators_on_integers;
mod quantized;
mod refusals;
mod resize;
mod round_trip;

use bytes::Bytes;
use prost::Message;

use super::proto::{
    AttributeProto, AttributeType, DataType, Dimension, DimensionProto, GraphProto, ModelProto,
    NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto,
};
use super::{LoadError, LoadOptions, Model, load_bytes};

/// A model under construction.
#[derive(Clone)]
struct Tiny {
    model: ModelProto,
}

/// The graph of a [`Tiny`].
fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.get_or_insert_default()
}

fn tensor_type(element: DataType, dims: &[&str]) -> TypeProto {
    let dim = dims.iter().map(|text| {
        let value = match text.parse() {
            Ok(extent) => Some(Dimension::Value(extent)),
            Err(_) if text.is_empty() => None,
            Err(_) => Some(Dimension::Param((*text).to_owned())),
        };
        DimensionProto { value }
    });
    let shape = Some(TensorShapeProto { dim: dim.collect() });
    TypeProto { tensor_type: Some(TensorTypeProto { elem_type: element as i32, shape }) }
}

fn info(name: &str, element: DataType, dims: &str) -> ValueInfoProto {
    let dims: Vec<&str> =
        if dims.is_empty() { Vec::new() } else { dims.split(',').map(str::trim).collect() };
    ValueInfoProto { name: name.to_owned(), r#type: Some(tensor_type(element, &dims)) }
}

fn floats_tensor(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: dims.to_vec(),
        data_type: DataType::Float as i32,
        raw_data: Some(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>().into()),
        ..TensorProto::default()
    }
}

fn ints_tensor(name: &str, dims: &[i64], values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: dims.to_vec(),
        data_type: DataType::Int64 as i32,
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

impl Tiny {
    /// An empty model with output `y`.
    fn new(opset: i64) -> Tiny {
        let mut model = ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: opset }],
            ..ModelProto::default()
        };
        let proto = graph(&mut model);
        proto.name = "tiny".to_owned();
        proto.output.push(ValueInfoProto { name: "y".to_owned(), r#type: None });
        Tiny { model }
    }

    /// A float input; extents that are not numbers are symbols.
    fn input(mut self, name: &str, dims: &str) -> Tiny {
        graph(&mut self.model).input.push(info(name, DataType::Float, dims));
        self
    }

    /// A float constant counting up from 1.
    fn floats(mut self, name: &str, dims: &[i64]) -> Tiny {
        let count: i64 = dims.iter().product();
        let values: Vec<f32> = (1..=count).map(|v| v as f32).collect();
        graph(&mut self.model).initializer.push(floats_tensor(name, dims, &values));
        self
    }

    fn float_values(mut self, name: &str, dims: &[i64], values: &[f32]) -> Tiny {
        graph(&mut self.model).initializer.push(floats_tensor(name, dims, values));
        self
    }

    /// A vector of integers.
    fn ints(mut self, name: &str, values: &[i64]) -> Tiny {
        graph(&mut self.model).initializer.push(ints_tensor(name, &[values.len() as i64], values));
        self
    }

    /// A node `"Op in in -> out out"` with attributes; its name is the operator in lower case.
    fn node(mut self, line: &str, attributes: &[AttributeProto]) -> Tiny {
        let (left, right) = line.split_once("->").unwrap();
        let mut words = left.split_whitespace().map(|word| if word == "_" { "" } else { word });
        let op_type = words.next().unwrap().to_owned();
        graph(&mut self.model).node.push(NodeProto {
            name: op_type.to_lowercase(),
            op_type,
            input: words.map(str::to_owned).collect(),
            output: right.split_whitespace().map(str::to_owned).collect(),
            attribute: attributes.to_vec(),
            domain: String::new(),
        });
        self
    }

    /// Any other change.
    fn with(mut self, change: impl FnOnce(&mut ModelProto)) -> Tiny {
        change(&mut self.model);
        self
    }

    fn bytes(&self) -> Bytes {
        self.model.encode_to_vec().into()
    }

    fn load_with(&self, options: &LoadOptions) -> Result<Model, LoadError> {
        load_bytes(self.bytes(), options)
    }

    /// The nodes of the imported graph as text, one a line.
    #[track_caller]
    fn nodes(&self) -> String {
        let model =
            self.load_with(&LoadOptions::default()).unwrap_or_else(|error| panic!("{error}"));
        let text = model.graph.to_string();
        let is_node = |line: &&str| line.contains(" = ") && !line.contains(" = const ");
        text.lines().filter(is_node).map(|line| format!("{}\n", line.trim())).collect()
    }

    /// The imported graph as text.
    #[track_caller]
    fn text(&self) -> String {
        self.load_with(&LoadOptions::default())
            .unwrap_or_else(|error| panic!("{error}"))
            .graph
            .to_string()
    }

    /// The message that refuses the model.
    #[track_caller]
    fn refusal(&self) -> String {
        match self.load_with(&LoadOptions::default()) {
            Ok(model) => panic!("was taken: {}", model.graph),
            Err(error) => error.to_string(),
        }
    }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: kind as i32, ..AttributeProto::default() }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, AttributeType::Ints) }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) }
}

fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        s: Some(Bytes::copy_from_slice(value.as_bytes())),
        ..attribute(name, AttributeType::String)
    }
}

fn tensor(name: &str, value: TensorProto) -> AttributeProto {
    AttributeProto { t: Some(value), ..attribute(name, AttributeType::Tensor) }
}

#[track_caller]
fn assert_has(text: &str, expected: &str) {
    assert!(text.contains(expected), "expected `{expected}` in:\n{text}");
}
