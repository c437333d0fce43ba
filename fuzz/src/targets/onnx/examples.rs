//! Small models: every operator that is taken, with operands that suit most.

use ir::onnx::ops::{MICROSOFT, OPS, OpSpec};
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

/// Bytes, of an 8-bit or a packed 4-bit type.
fn bytes(name: &str, dims: &[i64], data_type: i32, data: &'static [u8]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type,
        raw_data: Some(data.into()),
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
            floats("r", &[2]),
            bytes("zero", &[], 3, &[3]),
            bytes("k", &[2, 2, 1, 1], 3, &[100, 128, 7, 255]),
            bytes("zk", &[], 3, &[0]),
            bytes("u", &[2, 2, 1, 1], 2, &[0, 128, 200, 255]),
            bytes("zu", &[], 2, &[90]),
            bytes("h", &[2, 2, 1, 1], 22, &[0x8f, 0x21]),
            bytes("zh", &[], 22, &[0]),
            TensorProto {
                float_data: vec![0.5f32.to_le_bytes().to_vec().into()],
                raw_data: None,
                ..floats("step", &[])
            },
            TensorProto {
                dims: vec![2],
                data_type: 6,
                int32_data: vec![70, -5],
                raw_data: None,
                ..floats("bias", &[2])
            },
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
    let operands = ["q", "step", "zero", "q", "step", "zero", "step", "zero"];
    // Operators with one operand have five of these.
    models.extend(MICROSOFT.iter().flat_map(|op| {
        [5, 8].map(|count| {
            let mut main = node(op.name, &operands[..count], &["y"]);
            (main.attribute, main.domain) = (attributes(op), "com.microsoft".into());
            let first = node("QuantizeLinear", &["x", "step", "zero"], &["q"]);
            model(vec![first, main, node("DequantizeLinear", &["y", "step", "zero"], &["z"])])
        })
    }));
    for (weights, zero) in [("k", "zk"), ("u", "zu"), ("h", "zh")] {
        let parts = ["q", "step", "zero", weights, "step", zero, "step", "zero", "bias"];
        let stored = |main: Vec<NodeProto>| {
            let first = node("QuantizeLinear", &["x", "step", "zero"], &["q"]);
            let last = node("DequantizeLinear", &["y", "step", "zero"], &["z"]);
            model(std::iter::once(first).chain(main).chain([last]).collect())
        };
        let real = |from: &[&str], to: &str| node("DequantizeLinear", from, &[to]);
        models.push(stored(vec![node("QLinearConv", &parts, &["y"])]));
        models.push(stored(vec![
            real(&["q", "step", "zero"], "a"),
            real(&[weights, "step", zero], "f"),
            node("Conv", &["a", "f"], &["g"]),
            node("QuantizeLinear", &["g", "step", "zero"], &["y"]),
        ]));
    }
    let conv = node("Conv", &["x", "w", "c"], &["y"]);
    let mut oldest = model(vec![conv, node("Relu", &["y"], &["z"])]);
    oldest.opset_import[0].version = ir::onnx::OLDEST_OPSET;
    models.push(oldest);
    models
}
