//! One change of a model.

use bytes::Bytes;
use ir::onnx::ops::OPS;
use ir::onnx::proto::{
    AttributeProto, AttributeType, Dimension, DimensionProto, GraphProto, ModelProto, NodeProto,
    TensorProto, ValueInfoProto,
};
use rand::RngExt;

use crate::mutate::number;
use crate::{Change, Rng};

/// Texts that attributes take.
const WORDS: [&str; 15] = [
    "constant",
    "reflect",
    "edge",
    "SAME_UPPER",
    "VALID",
    "NOTSET",
    "linear",
    "cubic",
    "nearest",
    "floor",
    "asymmetric",
    "align_corners",
    "half_pixel",
    "CRD",
    "add",
];

/// Bytes of an element, by element type.
const WIDTHS: [usize; 14] = [0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8];

/// Changes one thing.
pub(super) fn model(model: &mut ModelProto, rng: &mut Rng, change: &mut Change<'_>) {
    if rng.random_bool(0.05)
        && let Some(set) = model.opset_import.first_mut()
    {
        set.version = rng.random_range(6..30);
    } else if let Some(graph) = &mut model.graph {
        self::graph(graph, rng, change);
    }
}

fn graph(graph: &mut GraphProto, rng: &mut Rng, change: &mut Change<'_>) {
    match rng.random_range(0..20) {
        0..9 => {
            let names = names(graph);
            if let Some(at) = index(graph.node.len(), rng) {
                node(&mut graph.node[at], &names, rng, change);
            }
        }
        9 => {
            if let Some(at) = index(graph.node.len(), rng) {
                graph.node.remove(at);
            }
        }
        10 | 11 => double(graph, rng),
        12..16 => {
            if let Some(at) = index(graph.initializer.len(), rng) {
                tensor(&mut graph.initializer[at], rng, change);
            }
        }
        16 | 17 => {
            let list = if rng.random_bool(0.7) { &mut graph.input } else { &mut graph.output };
            if let Some(at) = index(list.len(), rng) {
                info(&mut list[at], rng);
            }
        }
        18 => {
            let names = names(graph);
            if let (Some(at), Some(to)) = (index(names.len(), rng), index(graph.output.len(), rng))
            {
                graph.output[to].name.clone_from(&names[at]);
            }
        }
        _ => {
            let names = names(graph);
            if let Some(at) = index(names.len(), rng) {
                let mut told = graph.input.first().cloned().unwrap_or_default();
                told.name.clone_from(&names[at]);
                info(&mut told, rng);
                graph.value_info.push(told);
            }
        }
    }
}

/// A node again, behind another and with a result of its own, which what follows reads instead.
fn double(graph: &mut GraphProto, rng: &mut Rng) {
    let Some(at) = index(graph.node.len(), rng) else { return };
    let mut copy = graph.node[at].clone();
    let name = format!("v{}", graph.node.len());
    let old = copy.output.first().cloned().unwrap_or_default();
    if let Some(output) = copy.output.first_mut() {
        output.clone_from(&name);
    }
    let readers = graph.node.iter_mut().skip(at + 1).flat_map(|node| &mut node.input);
    readers.filter(|input| **input == old).for_each(|input| input.clone_from(&name));
    if rng.random_bool(0.7)
        && let Some(input) = copy.input.first_mut()
    {
        *input = old;
    }
    graph.node.insert(at + 1, copy);
}

fn names(graph: &GraphProto) -> Vec<String> {
    let inputs = graph.input.iter().map(|input| &input.name);
    let constants = graph.initializer.iter().map(|tensor| &tensor.name);
    let results = graph.node.iter().flat_map(|node| &node.output);
    inputs.chain(constants).chain(results).cloned().collect()
}

fn index(len: usize, rng: &mut Rng) -> Option<usize> {
    (len > 0).then(|| rng.random_range(0..len))
}

fn node(node: &mut NodeProto, names: &[String], rng: &mut Rng, change: &mut Change<'_>) {
    match rng.random_range(0..12) {
        0 | 1 => OPS[rng.random_range(0..OPS.len())].name.clone_into(&mut node.op_type),
        2 | 3 => {
            if let (Some(at), Some(name)) = (index(node.input.len(), rng), index(names.len(), rng))
            {
                node.input[at].clone_from(&names[name]);
            }
        }
        4 => {
            if let Some(name) = index(names.len(), rng) {
                node.input.push(names[name].clone());
            }
        }
        5 => match index(node.input.len(), rng) {
            Some(at) if rng.random_bool(0.5) => node.input[at].clear(),
            Some(at) => drop(node.input.remove(at)),
            None => {}
        },
        6 | 7 => {
            let spec = OPS.iter().find(|op| op.name == node.op_type);
            let known = spec.and_then(|op| Some(op.attributes[index(op.attributes.len(), rng)?]));
            if let Some(name) = known {
                let mut new = AttributeProto { name: name.into(), ..AttributeProto::default() };
                attribute(&mut new, rng, change);
                node.attribute.retain(|old| old.name != name);
                node.attribute.push(new);
            }
        }
        8 => {
            if let Some(at) = index(node.attribute.len(), rng) {
                node.attribute.remove(at);
            }
        }
        _ => {
            if let Some(at) = index(node.attribute.len(), rng) {
                attribute(&mut node.attribute[at], rng, change);
            }
        }
    }
}

fn small(rng: &mut Rng) -> i64 {
    if rng.random_bool(0.7) { rng.random_range(-2..6) } else { number(rng) }
}

fn float(rng: &mut Rng) -> f32 {
    let special =
        [0.0, -0.0, 1.0, -1.0, 0.5, 1e-40, 1e38, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 6.0];
    special[rng.random_range(0..special.len())]
}

fn attribute(attribute: &mut AttributeProto, rng: &mut Rng, change: &mut Change<'_>) {
    if let Some(at) = index(attribute.ints.len(), rng)
        && rng.random_bool(0.8)
    {
        match rng.random_range(0..6) {
            0 => drop(attribute.ints.remove(at)),
            1 => attribute.ints.insert(at, small(rng)),
            _ => attribute.ints[at] = small(rng),
        }
        return;
    }
    if let Some(tensor) = &mut attribute.t {
        return self::tensor(tensor, rng, change);
    }
    let old = AttributeType::try_from(attribute.r#type).unwrap_or(AttributeType::Undefined);
    let all = [
        AttributeType::Float,
        AttributeType::Int,
        AttributeType::String,
        AttributeType::Tensor,
        AttributeType::Graph,
        AttributeType::Floats,
        AttributeType::Ints,
    ];
    let keep = old != AttributeType::Undefined && rng.random_bool(0.7);
    let kind = if keep { old } else { all[rng.random_range(0..all.len())] };
    *attribute = AttributeProto {
        name: std::mem::take(&mut attribute.name),
        r#type: kind as i32,
        ..AttributeProto::default()
    };
    match kind {
        AttributeType::Float => attribute.f = Some(float(rng)),
        AttributeType::Int => attribute.i = Some(small(rng)),
        AttributeType::String => {
            let word = WORDS[rng.random_range(0..WORDS.len())];
            attribute.s = Some(Bytes::from_static(word.as_bytes()));
        }
        AttributeType::Tensor => {
            let mut tensor = TensorProto {
                dims: vec![1],
                data_type: 7,
                int64_data: vec![1],
                ..TensorProto::default()
            };
            self::tensor(&mut tensor, rng, change);
            attribute.t = Some(tensor);
        }
        AttributeType::Graph => attribute.g = Some(Box::default()),
        AttributeType::Floats => {
            attribute.floats = (0..rng.random_range(0..5)).map(|_| float(rng)).collect();
        }
        _ => attribute.ints = (0..rng.random_range(0..9)).map(|_| small(rng)).collect(),
    }
}

fn tensor(tensor: &mut TensorProto, rng: &mut Rng, change: &mut Change<'_>) {
    match rng.random_range(0..10) {
        0..3 => match index(tensor.dims.len(), rng) {
            Some(at) if rng.random_bool(0.7) => tensor.dims[at] = small(rng),
            Some(at) if rng.random_bool(0.5) => drop(tensor.dims.remove(at)),
            _ => tensor.dims.push(small(rng)),
        },
        3 => tensor.data_type = rng.random_range(0..20),
        4..7 => {
            // Integers are shapes and indices.
            if let Some(at) = index(tensor.int64_data.len(), rng) {
                tensor.int64_data[at] = small(rng);
            } else if let Some(raw) = &tensor.raw_data {
                let mut bytes = raw.to_vec();
                change(&mut bytes);
                tensor.raw_data = Some(bytes.into());
            }
        }
        7 => fill(tensor, rng),
        8 => tensor.raw_data = None,
        _ => tensor.int64_data.push(small(rng)),
    }
}

/// Gives a tensor as many elements as its extents say.
fn fill(tensor: &mut TensorProto, rng: &mut Rng) {
    let count = tensor.dims.iter().try_fold(1i64, |n, &dim| n.checked_mul(dim));
    let kind = usize::try_from(tensor.data_type).ok();
    let width = kind.and_then(|kind| WIDTHS.get(kind)).copied().unwrap_or(4);
    if let Some(count) = count.and_then(|n| usize::try_from(n).ok()).filter(|&n| n < 4096) {
        tensor.raw_data = Some(vec![rng.random_range(0..3); count * width].into());
        (tensor.int64_data, tensor.int32_data, tensor.float_data) = Default::default();
    }
}

fn info(info: &mut ValueInfoProto, rng: &mut Rng) {
    let tensor = info.r#type.get_or_insert_default().tensor_type.get_or_insert_default();
    if rng.random_bool(0.15) {
        tensor.elem_type = rng.random_range(0..17);
        return;
    }
    let dims = &mut tensor.shape.get_or_insert_default().dim;
    let value = match rng.random_range(0..10) {
        0 => None,
        1 => Some(Dimension::Param("batch".into())),
        2..8 => Some(Dimension::Value(rng.random_range(0..9))),
        _ => Some(Dimension::Value(number(rng))),
    };
    match index(dims.len(), rng) {
        Some(at) if rng.random_bool(0.8) => dims[at].value = value,
        Some(at) if rng.random_bool(0.5) => drop(dims.remove(at)),
        _ => dims.push(DimensionProto { value }),
    }
}
