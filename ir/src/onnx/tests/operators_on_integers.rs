//! QOperator form: operators that read and make stored integers.

use super::*;
use crate::graph::{Graph, Op};

/// The last node's domain becomes that of ONNX Runtime.
fn microsoft(mut tiny: Tiny) -> Tiny {
    if let Some(node) = graph(&mut tiny.model).node.last_mut() {
        node.domain = "com.microsoft".to_owned();
    }
    tiny
}

/// A network `x -> QuantizeLinear -> q`, with scales `s`, `t`, `u` and zero points `z` (int8).
fn stored(dims: &str) -> Tiny {
    let zero = TensorProto {
        name: "z".to_owned(),
        data_type: DataType::Int8 as i32,
        int32_data: vec![3],
        ..TensorProto::default()
    };
    let mut tiny = Tiny::new(13).input("x", dims);
    graph(&mut tiny.model).initializer.push(zero);
    let tiny = tiny.float_values("s", &[], &[0.5]).float_values("t", &[], &[0.25]);
    tiny.float_values("u", &[], &[0.125]).node("QuantizeLinear x s z -> q", &[])
}

fn bytes(mut tiny: Tiny, name: &str, element: DataType, dims: &[i64], values: &[i32]) -> Tiny {
    graph(&mut tiny.model).initializer.push(TensorProto {
        name: name.to_owned(),
        dims: dims.to_vec(),
        data_type: element as i32,
        int32_data: values.to_vec(),
        ..TensorProto::default()
    });
    tiny
}

fn load(tiny: Tiny) -> Graph {
    tiny.load_with(&LoadOptions::default()).unwrap_or_else(|error| panic!("{error}")).graph
}

fn names(graph: &Graph) -> Vec<&str> {
    graph.nodes.iter().map(|node| node.op.name()).collect()
}

/// Integers and scales of operand `index` of node `node`.
fn constant(graph: &Graph, node: usize, index: usize) -> (Vec<i32>, Vec<f32>) {
    let id = graph.nodes[node].inputs[index];
    let quantized = graph.values[id.0 as usize].constant.as_ref().unwrap().quantized().unwrap();
    (quantized.integers().to_vec(), quantized.scales().to_vec())
}

#[test]
fn convolutions_keep_weights_and_biases() {
    let tiny = bytes(stored("1,2,1,1"), "w", DataType::Uint8, &[2, 2, 1, 1], &[128, 0, 255, 1]);
    let tiny = bytes(tiny, "zw", DataType::Uint8, &[], &[128]);
    let tiny = bytes(tiny, "b", DataType::Int32, &[2], &[1 << 30, -7]);
    let tiny = tiny.float_values("sw", &[2], &[0.5, 3.0]);
    let graph = load(tiny.node("QLinearConv q s z w sw zw t z b -> y", &[]));
    assert_eq!(names(&graph), ["fake_quantize", "conv", "fake_quantize"]);
    assert_eq!(constant(&graph, 1, 1), (vec![0, -128, 127, -127], vec![0.5, 3.0]));
    assert_eq!(constant(&graph, 1, 2), (vec![1 << 30, -7], vec![0.25, 1.5]));
    assert_eq!(graph.nodes[1].name, "qlinearconv");
}

#[test]
fn products_keep_a_scale_for_each_column() {
    let weights = |tiny: Tiny| {
        let tiny = bytes(tiny, "w", DataType::Int8, &[2, 3], &[1, 2, 3, 4, 5, 6]);
        let tiny = bytes(tiny, "zw", DataType::Int8, &[3], &[0, 0, 0]);
        tiny.float_values("sw", &[3], &[1.0, 2.0, 3.0])
    };
    let expected = (vec![1, 4, 2, 5, 3, 6], vec![1.0, 2.0, 3.0]);
    let tiny = weights(stored("1,2")).node("QLinearMatMul q s z w sw zw t z -> y", &[]);
    let graph = load(tiny);
    assert_eq!(names(&graph), ["fake_quantize", "dense", "fake_quantize"]);
    assert_eq!(constant(&graph, 1, 1), expected);
    let tiny = bytes(weights(stored("1,2")), "b", DataType::Int32, &[3], &[5, 6, 7]);
    let graph = load(microsoft(tiny.node("QGemm q s z w sw zw b t z -> y", &[])));
    assert_eq!(names(&graph), ["fake_quantize", "dense", "fake_quantize"]);
    assert_eq!(constant(&graph, 1, 1), expected);
    assert_eq!(constant(&graph, 1, 2), (vec![5, 6, 7], vec![0.5, 1.0, 1.5]));
    let graph = load(microsoft(weights(stored("1,2")).node("QGemm q s z w sw zw -> y", &[])));
    assert_eq!(names(&graph), ["fake_quantize", "dense"], "without a scale the result is real");
}

#[test]
fn operators_without_weights_become_their_float_form() {
    let axis = |value| int("axis", value);
    let cases: [(&str, Vec<AttributeProto>, &str); 9] = [
        ("QLinearAdd q s z q s z t z -> y", vec![], "add"),
        ("QLinearMul q s z q s z t z -> y", vec![], "mul"),
        ("QLinearConcat t z q s z q s z -> y", vec![axis(1)], "concat"),
        ("QLinearGlobalAveragePool q s z t z -> y", vec![int("channels_last", 0)], "reduce_mean"),
        ("QLinearAveragePool q s z t z -> y", vec![ints("kernel_shape", &[2, 2])], "average_pool"),
        ("QLinearLeakyRelu q s z t z -> y", vec![float("alpha", 0.1)], "unary"),
        ("QLinearSigmoid q s z t z -> y", vec![], "unary"),
        ("QLinearSoftmax q s z t z -> y", vec![axis(1), int("opset", 13)], "softmax"),
        ("QLinearReduceMean q s z t z -> y", vec![ints("axes", &[1])], "reduce_mean"),
    ];
    for (line, attributes, op) in cases {
        let graph = load(microsoft(stored("1,2,4,4").node(line, &attributes)));
        assert_eq!(names(&graph), ["fake_quantize", op, "fake_quantize"], "{line}");
        let [.., last] = graph.nodes.as_slice() else { unreachable!() };
        assert!(
            matches!(last.op, Op::FakeQuantize { to } if to.scale == 0.25 && to.zero_point == 3)
        );
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    let error = |tiny: Tiny| tiny.load_with(&LoadOptions::default()).unwrap_err().to_string();
    let other = microsoft(stored("1,2").node("QLinearAdd q u z q s z t z -> y", &[]));
    assert!(error(other).contains("same scale and zero point"));
    let last = stored("1,2,4,4")
        .node("QLinearGlobalAveragePool q s z t z -> y", &[int("channels_last", 1)]);
    assert!(error(microsoft(last)).contains("channels are the second axis"));
    let cut = microsoft(stored("1,2").node("QLinearConcat t z q s -> y", &[int("axis", 1)]));
    assert!(error(cut).contains("is missing"));
    let unknown = microsoft(stored("1,2").node("QLinearWhere q s z t z -> y", &[]));
    assert!(error(unknown).contains("`com.microsoft`"));
}

/// What `quantize_dynamic` writes for a product.
fn dynamic(op: &str, dims: &str, weights: &[i64]) -> Tiny {
    let count: i64 = weights.iter().product();
    let values: Vec<i32> = (0..count).map(|i| 100 + i as i32).collect();
    let tiny = bytes(Tiny::new(13).input("x", dims), "w", DataType::Uint8, weights, &values);
    let tiny = bytes(tiny, "zw", DataType::Uint8, &[], &[101]).float_values("sw", &[], &[0.25]);
    tiny.node("DynamicQuantizeLinear x -> q s z", &[])
        .node(&format!("{op} q w z zw -> i"), &[])
        .node("Cast i -> f", &[int("to", DataType::Float as i64)])
        .node("Mul s sw -> both", &[])
        .node("Mul f both -> y", &[])
}

#[test]
fn dynamic_products_become_real_ones() {
    for (op, dims, weights, expected) in [
        ("MatMulInteger", "1,2", &[2, 2][..], "dense"),
        ("ConvInteger", "1,2,1,1", &[2, 2, 1, 1], "conv"),
    ] {
        let model = dynamic(op, dims, weights).load_with(&LoadOptions::default()).unwrap();
        assert!(model.warnings[0].contains("calibrated once"), "{:?}", model.warnings);
        let graph = model.graph;
        assert_eq!(names(&graph), [expected, "mul"]);
        let (integers, scales) = constant(&graph, 0, 1);
        let transposed = op == "MatMulInteger";
        assert_eq!(integers, if transposed { [-1, 1, 0, 2] } else { [-1, 0, 1, 2] });
        assert_eq!(scales, [1.0]);
    }
    let static_input = stored("1,2").floats("k", &[2, 2]);
    let static_input = bytes(static_input, "w", DataType::Int8, &[2, 2], &[1; 4]);
    let error = static_input.node("MatMulInteger q w -> y", &[]).load_with(&LoadOptions::default());
    assert!(error.unwrap_err().to_string().contains("a result of DynamicQuantizeLinear"));
}

#[test]
fn dynamic_products_of_onnx_runtime_too() {
    let tiny =
        bytes(Tiny::new(13).input("x", "1,2"), "w", DataType::Int8, &[2, 3], &[1, 2, 3, 4, 5, 6]);
    let tiny = tiny.float_values("sw", &[3], &[1.0, 2.0, 3.0]).floats("b", &[3]);
    let zeros = bytes(tiny, "zw", DataType::Int8, &[3], &[0; 3]);
    let graph = load(microsoft(zeros.node("DynamicQuantizeMatMul x w sw zw b -> y", &[])));
    assert_eq!(names(&graph), ["dense", "add"]);
    assert_eq!(constant(&graph, 0, 1), (vec![1, 4, 2, 5, 3, 6], vec![1.0, 2.0, 3.0]));
}

#[test]
fn weights_may_be_written_as_arithmetic() {
    let tiny =
        bytes(Tiny::new(13).input("x", "1,2"), "w", DataType::Uint8, &[2, 2], &[0, 128, 200, 255]);
    let tiny = tiny.float_values("zero", &[], &[128.0]).float_values("scale", &[2], &[0.5, 0.25]);
    let tiny = tiny
        .node("Cast w -> f", &[int("to", DataType::Float as i64)])
        .node("Sub f zero -> g", &[])
        .node("Mul scale g -> h", &[])
        .node("MatMul x h -> y", &[]);
    assert_eq!(constant(&load(tiny), 0, 1), (vec![-128, 72, 0, 127], vec![0.5, 0.25]));
}

#[test]
fn transposed_convolutions_keep_their_integers() {
    let tiny = bytes(
        Tiny::new(13).input("x", "1,2,3,3"),
        "w",
        DataType::Int8,
        &[2, 3, 1, 2],
        &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    );
    let tiny = tiny.float_values("sw", &[3], &[1.0, 2.0, 3.0]);
    let tiny = tiny.node("DequantizeLinear w sw -> f", &[int("axis", 1)]);
    let graph = load(tiny.node("ConvTranspose x f -> y", &[]));
    let (integers, scales) = constant(&graph, 0, 1);
    assert_eq!(integers, [1, 2, 7, 8, 3, 4, 9, 10, 5, 6, 11, 12]);
    assert_eq!(scales, [1.0, 2.0, 3.0]);
}
