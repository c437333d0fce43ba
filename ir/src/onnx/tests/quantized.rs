//! Networks that are quantized already.

use super::*;
use crate::graph::{Graph, Op};
use crate::qgraph::QType;
use crate::quantized::Encoding;

fn int_tensor(name: &str, element: DataType, dims: &[i64], values: &[i32]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: dims.to_vec(),
        data_type: element as i32,
        int32_data: values.to_vec(),
        ..TensorProto::default()
    }
}

impl Tiny {
    fn integers(mut self, name: &str, element: DataType, dims: &[i64], values: &[i32]) -> Tiny {
        graph(&mut self.model).initializer.push(int_tensor(name, element, dims, values));
        self
    }

    /// A scale and a zero point, called `s` and `z`.
    fn parameters(self, scale: f32, element: DataType, zero: i32) -> Tiny {
        self.float_values("s", &[], &[scale]).integers("z", element, &[], &[zero])
    }

    fn load(self) -> Model {
        self.load_with(&LoadOptions::default()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn error(self) -> String {
        self.load_with(&LoadOptions::default()).unwrap_err().to_string()
    }
}

fn ops(graph: &Graph) -> Vec<&Op> {
    graph.nodes.iter().map(|node| &node.op).collect()
}

fn int8(scale: f32, zero_point: i32) -> Op {
    Op::FakeQuantize { to: Encoding { dtype: QType::I8, scale, zero_point } }
}

#[test]
fn a_pair_becomes_a_rounding_of_signed_integers() {
    for (element, zero, stored) in [(DataType::Int8, -5, -5), (DataType::Uint8, 130, 2)] {
        let tiny = Tiny::new(13).input("x", "1,4").parameters(0.5, element, zero);
        let model = tiny
            .node("QuantizeLinear x s z -> q", &[])
            .node("Transpose q -> t", &[])
            .node("DequantizeLinear t s z -> r", &[])
            .node("Relu r -> y", &[])
            .load();
        let found = ops(&model.graph);
        assert_eq!(found[0], &int8(0.5, stored));
        assert_eq!(found.len(), 3, "{found:?}");
    }
    let wide = Tiny::new(21).input("x", "1,4").parameters(0.5, DataType::Uint16, 32768);
    let wide = wide.node("QuantizeLinear x s z -> q", &[]).node("DequantizeLinear q s z -> y", &[]);
    let to = Encoding { dtype: QType::I16, scale: 0.5, zero_point: 0 };
    assert_eq!(ops(&wide.load().graph)[0], &Op::FakeQuantize { to });
}

#[test]
fn integers_without_zero_point_are_unsigned() {
    let model = Tiny::new(10)
        .input("x", "1,4")
        .float_values("s", &[], &[0.25])
        .node("QuantizeLinear x s -> q", &[])
        .node("DequantizeLinear q s -> r", &[])
        .node("Relu r -> y", &[])
        .load();
    assert_eq!(ops(&model.graph)[0], &int8(0.25, -128));
}

#[test]
fn four_bits_saturate_before_they_are_stored() {
    let model = Tiny::new(21)
        .input("x", "1,4")
        .float_values("s", &[], &[0.5])
        .node("QuantizeLinear x s -> q", &[int("output_dtype", DataType::Int4 as i64)])
        .node("DequantizeLinear q s -> r", &[])
        .node("Relu r -> y", &[])
        .load();
    assert_eq!(ops(&model.graph)[..2], [&Op::Clip { lo: -4.0, hi: 3.5 }, &int8(0.5, 0)]);
}

/// The weights of `y = x w` with `w` dequantized.
fn weights(tiny: Tiny, attributes: &[AttributeProto]) -> Result<(Vec<i32>, Vec<f32>), String> {
    let tiny = tiny
        .input("x", "1,2")
        .node("DequantizeLinear q s z -> w", attributes)
        .node("MatMul x w -> y", &[]);
    let model = tiny.load_with(&LoadOptions::default()).map_err(|error| error.to_string())?;
    let id = model.graph.nodes[0].inputs[1];
    let tensor = model.graph.values[id.0 as usize].constant.as_ref().unwrap();
    let stored = tensor.quantized().unwrap_or_else(|| panic!("{tensor:?}"));
    Ok((stored.integers().to_vec(), stored.row_scales(tensor.shape[0]).unwrap()))
}

#[test]
fn weights_stay_integers_through_their_transpose() {
    let tiny = || Tiny::new(13).integers("q", DataType::Uint8, &[2, 3], &[0, 128, 255, 1, 2, 3]);
    let whole = weights(tiny().parameters(0.5, DataType::Uint8, 128), &[]).unwrap();
    assert_eq!(whole, (vec![-128, -127, 0, -126, 127, -125], vec![0.5; 3]));
    let each = |axis: i64, scales: &[f32], zeros: &[i32]| {
        let n = scales.len() as i64;
        let tiny = tiny().float_values("s", &[n], scales);
        weights(tiny.integers("z", DataType::Uint8, &[n], zeros), &[int("axis", axis)])
    };
    let columns = each(1, &[1.0, 2.0, 3.0], &[0, 10, 0]).unwrap();
    assert_eq!(columns, (vec![0, 1, 118, -8, 255, 3], vec![1.0, 2.0, 3.0]));
    assert_eq!(each(-1, &[1.0, 2.0, 3.0], &[0, 10, 0]).unwrap(), columns);
    let error = each(0, &[1.0, 2.0, 3.0], &[0, 0, 0]).unwrap_err();
    assert!(error.contains("`s` is 3 scales, expected one for each of 2 along axis 0"), "{error}");
}

#[test]
fn halves_of_bytes_are_weights() {
    let packed = TensorProto {
        raw_data: Some(vec![0x8f, 0x21, 0x07].into()),
        ..int_tensor("q", DataType::Int4, &[2, 3], &[])
    };
    let mut tiny = Tiny::new(21).parameters(0.5, DataType::Int4, 0);
    graph(&mut tiny.model).initializer.push(packed);
    // The parameter `z` is packed like `q`: one byte for one element.
    let found = weights(tiny, &[]).unwrap();
    assert_eq!(found, (vec![-1, 2, -8, 7, 1, 0], vec![0.5; 3]));
}

#[test]
fn weights_that_are_rounded_in_the_graph_are_folded() {
    let model = Tiny::new(13)
        .input("x", "1,2")
        .float_values("f", &[2, 1], &[0.3, -90.0])
        .parameters(0.5, DataType::Int8, 0)
        .node("QuantizeLinear f s z -> q", &[])
        .node("DequantizeLinear q s z -> w", &[])
        .node("MatMul x w -> y", &[])
        .load();
    let id = model.graph.nodes[0].inputs[1];
    let tensor = model.graph.values[id.0 as usize].constant.as_ref().unwrap();
    assert_eq!(tensor.quantized().unwrap().integers(), [1, -128]);
}

#[test]
fn ends_that_are_integers_hold_real_values() {
    let mut tiny = Tiny::new(13).parameters(0.5, DataType::Int8, 3);
    graph(&mut tiny.model).input.push(info("x", DataType::Int8, "1,4"));
    let model = tiny
        .node("DequantizeLinear x s z -> r", &[])
        .node("Relu r -> p", &[])
        .node("QuantizeLinear p s z -> y", &[])
        .load();
    assert_eq!(ops(&model.graph)[0], &int8(0.5, 3));
    assert_eq!(model.graph.nodes[0].inputs, model.graph.inputs);
    assert!(model.warnings[0].contains("input `x` holds int8 integers"), "{:?}", model.warnings);
    assert!(model.warnings[1].contains("output `y` holds int8 integers"), "{:?}", model.warnings);
}

#[test]
fn what_is_read_behind_movement_explains_the_inputs() {
    let tiny = || {
        let mut tiny = Tiny::new(13).input("x", "1,4").parameters(0.5, DataType::Int8, 3);
        graph(&mut tiny.model).input.push(info("state", DataType::Int8, "1,4"));
        tiny.node("QuantizeLinear x s z -> q", &[])
            .node("Concat state q -> joined", &[int("axis", 1)])
            .node("Transpose joined -> y", &[])
    };
    let model = tiny().node("DequantizeLinear joined s z -> r", &[]).node("Relu r -> y2", &[]);
    let mut model = model;
    graph(&mut model.model).output.push(ValueInfoProto { name: "y2".to_owned(), r#type: None });
    let loaded = model.load().graph;
    let rounded: Vec<_> = loaded.nodes.iter().filter(|node| node.op == int8(0.5, 3)).collect();
    assert_eq!(rounded.len(), 2, "one behind each input");
    assert!(rounded.iter().any(|node| node.inputs[0] == loaded.inputs[1]));
    let other =
        tiny().float_values("t", &[], &[0.25]).node("DequantizeLinear joined t z -> r", &[]);
    let mut other = other;
    graph(&mut other.model).output.push(ValueInfoProto { name: "r".to_owned(), r#type: None });
    assert!(other.error().contains("integers of scale 0.5, zero point 3"));
}

#[test]
fn parameters_must_make_sense() {
    let pair = |tiny: Tiny| {
        let tiny = tiny.input("x", "1,4").node("QuantizeLinear x s z -> q", &[]);
        tiny.node("DequantizeLinear q s z -> y", &[]).error()
    };
    for scale in [0.0, -0.5, f32::NAN, f32::INFINITY, 1e-40] {
        let error = pair(Tiny::new(13).parameters(scale, DataType::Int8, 0));
        assert!(error.contains("`quantizelinear`") && error.contains("`s` is"), "{error}");
    }
    let error = pair(Tiny::new(21).parameters(0.5, DataType::Int16, 7));
    assert!(error.contains("16-bit activations are symmetric"), "{error}");
    let error = pair(Tiny::new(13).floats("s", &[4]).integers("z", DataType::Int8, &[4], &[0; 4]));
    assert!(error.contains("one scale") && error.contains("[4]"), "{error}");
    let error = pair(Tiny::new(13).floats("s", &[1]).integers("z", DataType::Int8, &[2], &[0; 2]));
    assert!(error.contains("`z` is 2 zero points, expected as many as scales, 1"), "{error}");
    let error = pair(Tiny::new(13).floats("s", &[]).integers("z", DataType::Int32, &[], &[1]));
    assert!(error.contains("`z`") || error.contains("int32"), "{error}");
    let error = Tiny::new(13)
        .input("x", "1,4")
        .parameters(0.5, DataType::Int8, 0)
        .integers("u", DataType::Uint8, &[], &[0])
        .node("QuantizeLinear x s z -> q", &[])
        .node("DequantizeLinear q s u -> y", &[])
        .error();
    assert!(error.contains("`u` is uint8, expected int8, like what it belongs to"), "{error}");
}

#[test]
fn integers_are_moved_but_not_computed_with() {
    let tiny = |line: &str| {
        let tiny = Tiny::new(13).input("x", "1,4").parameters(0.5, DataType::Int8, 0);
        let tiny = tiny.float_values("t", &[], &[0.25]);
        let tiny =
            tiny.node("QuantizeLinear x s z -> q", &[]).node("QuantizeLinear x t z -> p", &[]);
        tiny.node(line, &[int("axis", 1)])
    };
    let error = tiny("Softmax q -> y").error();
    assert!(error.contains("it computes with stored int8 integers"), "{error}");
    let error = tiny("Concat q p -> y").error();
    assert!(error.contains("integers of different scales"), "{error}");
    let error = tiny("DequantizeLinear p s z -> y").error();
    assert!(error.contains("same scale and zero point"), "{error}");
    let error = tiny("DequantizeLinear x s z -> y").error();
    assert!(error.contains("`x` is float32, expected integers"), "{error}");
}

#[test]
fn saving_writes_the_pair_again() {
    let model = Tiny::new(13)
        .input("x", "1,4")
        .parameters(0.5, DataType::Uint8, 130)
        .node("QuantizeLinear x s z -> q", &[])
        .node("DequantizeLinear q s z -> r", &[])
        .node("Relu r -> y", &[])
        .load();
    let options = LoadOptions::default();
    let again = load_bytes(crate::onnx::save(&model.graph).into(), &options).unwrap().graph;
    assert_eq!(ops(&again), ops(&model.graph));
    let spelled = crate::onnx::save_in_common_operators(&model.graph);
    assert!(load_bytes(spelled.into(), &options).is_ok());
}
