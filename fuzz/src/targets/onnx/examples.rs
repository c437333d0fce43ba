//! Small models: every operator that is taken, with operands that suit most.

use ir::onnx::ops::{OPS, OpSpec};
use ir::onnx::proto::{
    AttributeProto, Dimension, DimensionProto, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// A value of floats with these extents.
fn value(name: &str, extents: &[i64]) -> ValueInfoProto {
    let dim =
        extents.iter().map(|&n| DimensionProto { value: Some(Dimension::Value(n)) }).collect();
    let tensor_type = Some(TensorTypeProto { elem_type: 1, shape: Some(TensorShapeProto { dim }) });
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type }) }
}

fn floats(name: &str, dims: &[i64]) -> TensorProto {
    let count = dims.iter().product::<i64>();
    let data: Vec<u8> = (0..count).flat_map(|i| (i as f32 * 0.25 - 1.0).to_le_bytes()).collect();
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: 1,
        raw_data: Some(data.into()),
        ..TensorProto::default()
    }
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: 7,
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

/// A node.
pub(in crate::targets) fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    NodeProto {
        name: format!("{op} node"),
        op_type: op.into(),
        input: names(inputs),
        output: names(outputs),
        ..NodeProto::default()
    }
}

/// A model of these nodes, whose output is `z`, over constants of all kinds.
pub(in crate::targets) fn model(nodes: Vec<NodeProto>) -> ModelProto {
    let scales = [1f32, 1.0, 2.0, 2.0].map(f32::to_le_bytes).concat();
    let graph = GraphProto {
        name: "example".into(),
        node: nodes,
        initializer: vec![
            floats("w", &[2, 2, 3, 3]),
            floats("m", &[4, 4]),
            floats("c", &[2]),
            floats("s", &[]),
            integers("shape", &[1, 2, 8, 2]),
            integers("i", &[1]),
            integers("n", &[0, 1]),
            integers("pads", &[0, 0, 1, 1, 0, 0, 1, 1]),
            TensorProto {
                name: "b".into(),
                dims: vec![2],
                data_type: 9,
                int32_data: vec![1, 0],
                ..TensorProto::default()
            },
            TensorProto {
                name: "scales".into(),
                dims: vec![4],
                data_type: 1,
                float_data: vec![scales.into()],
                ..TensorProto::default()
            },
        ],
        input: vec![value("x", &[1, 2, 4, 4])],
        output: vec![ValueInfoProto { name: "z".into(), r#type: None }],
        ..GraphProto::default()
    };
    ModelProto {
        ir_version: 8,
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 13 }],
        ..ModelProto::default()
    }
}

/// Attributes of an operator, as far as a number can be one.
fn attributes(op: &OpSpec) -> Vec<AttributeProto> {
    let one = |name: &&str| match *name {
        "axis" | "to" => Some(AttributeProto {
            name: (*name).into(),
            i: Some(1),
            r#type: 2,
            ..AttributeProto::default()
        }),
        "kernel_shape" | "strides" | "dilations" | "axes" => Some(AttributeProto {
            name: (*name).into(),
            ints: vec![2, 2],
            r#type: 7,
            ..AttributeProto::default()
        }),
        _ => None,
    };
    op.attributes.iter().filter_map(one).collect()
}

/// Every operator over several choices of operands, on data and on constants.
pub(super) fn all() -> Vec<ModelProto> {
    let operands: [&[&str]; 8] = [
        &["x"],
        &["x", "x"],
        &["x", "w"],
        &["x", "c", "c", "c", "c"],
        &["x", "shape"],
        &["x", "", "scales"],
        &["m", "m"],
        &["n", "i", "i"],
    ];
    let mut models = Vec::new();
    for (at, op) in OPS.iter().enumerate() {
        for choice in [at % operands.len(), (at / 2 + 3) % operands.len()] {
            let mut main = node(op.name, operands[choice], &["y"]);
            main.attribute = attributes(op);
            models.push(model(vec![main, node("Relu", &["y"], &["z"])]));
        }
    }
    let conv = node("Conv", &["x", "w", "c"], &["y"]);
    let mut oldest = model(vec![conv, node("Relu", &["y"], &["z"])]);
    oldest.opset_import[0].version = ir::onnx::OLDEST_OPSET;
    models.push(oldest);
    models
}
