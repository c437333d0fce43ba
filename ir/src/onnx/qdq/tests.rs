//! The file is well formed whatever the graph, and says what cannot be said.

use std::collections::BTreeSet;

use isa::numerics::Rounding;
use proptest::prelude::*;
use prost::Message;

use super::{QdqError, save_qdq};
use crate::onnx::proto::{GraphProto, ModelProto, NodeProto};
use crate::qgraph::{QGraph, QOp};
use crate::testing::qgraphs;

/// Weights `[oc, kh, kw, ic]` 1, -2, 3, -4 and 1, 2, 3, 4.
const CONV: &str = r#"qgraph "g" rounding=half-even (%x: i8[3, 1, 2] scale=0.5 zero_point=3 onnx_shape=[1, 2, 3, 1] perm=[0, 2, 3, 1]) -> (%y) {
  %y: i8[2, 1, 2] scale=0.25 zero_point=-100 onnx_shape=[1, 2, 2, 1] perm=[0, 2, 3, 1] = conv "conv"(%x) onnx="Conv" kernel=[2, 1] stride=[1, 1] dilation=[1, 1] pad=[0, 0, 0, 0] groups=1 oc=2 ic=2 bits=8 weights=0x01fe03fc01020304 bias=[-13, 20] multipliers=[3, 5] shifts=[4, 5] lo=-100 hi=127
}
"#;

fn decode(bytes: &[u8]) -> GraphProto {
    ModelProto::decode(bytes).unwrap().graph.unwrap()
}

fn export(text: &str) -> GraphProto {
    decode(&save_qdq(&text.parse::<QGraph>().unwrap()).unwrap())
}

fn bytes<'a>(graph: &'a GraphProto, name: &str) -> &'a [u8] {
    let tensor = graph.initializer.iter().find(|t| t.name == name).unwrap();
    tensor.raw_data.as_deref().unwrap()
}

fn node<'a>(graph: &'a GraphProto, name: &str) -> &'a NodeProto {
    graph.node.iter().find(|node| node.name == name).unwrap()
}

#[test]
fn the_bias_loses_the_zero_point_and_weights_change_their_order() {
    let graph = export(CONV);
    // B' = -13 and 20, Zx = 3, sums of weights -2 and 10: b = B' + Zx * sum.
    let bias: Vec<i32> = bytes(&graph, "conv/bias/stored")
        .chunks(4)
        .map(|b| i32::from_le_bytes(b.try_into().unwrap()))
        .collect();
    assert_eq!(bias, [-13 - 6, 20 + 30]);
    let weights: Vec<i8> =
        bytes(&graph, "conv/weights/stored").iter().map(|&b| b.cast_signed()).collect();
    // [oc, kh, kw, ic] = [[1, -2], [3, -4]], [[1, 2], [3, 4]] as [oc, ic, kh, kw].
    assert_eq!(weights, [1, 3, -2, -4, 1, 3, 2, 4]);
    assert_eq!(node(&graph, "conv").op_type, "Conv");
    // ReLU at zero point -100 is above the smallest stored integer and must be said.
    assert_eq!(node(&graph, "conv/relu").op_type, "Relu");
    let names = |infos: &[crate::onnx::proto::ValueInfoProto]| -> Vec<String> {
        infos.iter().map(|info| info.name.clone()).collect()
    };
    assert_eq!((names(&graph.input), names(&graph.output)), (vec!["x".into()], vec!["y".into()]));
}

#[test]
fn everything_that_cannot_be_said_is_named_at_once() {
    let wide =
        CONV.replace("i8[3, 1, 2] scale=0.5 zero_point=3", "i16[3, 1, 2] scale=0.5 zero_point=0");
    let mut graph: QGraph = wide.parse().unwrap();
    let QOp::Conv { bias, .. } = &mut graph.nodes[0].op else { panic!("a convolution") };
    bias[1] = 1 << 40;
    let Err(QdqError::NotExpressible(refused)) = save_qdq(&graph) else { panic!("refused") };
    assert_eq!((refused.len(), refused[0].node.as_str()), (1, "conv"));
    assert!(refused[0].reason.contains("channel 1 is 1099511627776"), "{}", refused[0].reason);

    graph.rounding = Rounding::Floor;
    let error = save_qdq(&graph).unwrap_err().to_string();
    assert!(error.contains("rounds floor") && error.contains("rounding=half-even"), "{error}");

    graph.outputs.clear();
    assert!(matches!(save_qdq(&graph), Err(QdqError::Invalid(_))));
}

/// Every operand is an input, a constant or an earlier result; every name is made once; outputs are made.
fn check(graph: &GraphProto) {
    let mut made = BTreeSet::new();
    let mut make = |name: &str| assert!(made.insert(name.to_owned()), "`{name}` is made twice");
    graph.input.iter().for_each(|info| make(&info.name));
    graph.initializer.iter().for_each(|tensor| make(&tensor.name));
    let mut nodes = BTreeSet::new();
    let mut used = BTreeSet::new();
    for node in &graph.node {
        assert!(nodes.insert(&node.name), "two nodes are named `{}`", node.name);
        for operand in node.input.iter().filter(|name| !name.is_empty()) {
            assert!(made.contains(operand), "`{operand}` is used before it is made");
            used.insert(operand.clone());
        }
        for result in &node.output {
            assert!(made.insert(result.clone()), "`{result}` is made twice");
        }
    }
    assert!(graph.output.iter().all(|info| made.contains(&info.name)));
    let unused = graph.initializer.iter().find(|tensor| !used.contains(&tensor.name));
    assert_eq!(unused.map(|tensor| &tensor.name), None, "a constant that nobody reads");
}

proptest! {
    #[test]
    fn files_are_well_formed(graph in qgraphs()) {
        match save_qdq(&graph) {
            Ok(bytes) => check(&decode(&bytes)),
            Err(QdqError::Invalid(problems)) => prop_assert!(false, "{problems:?}"),
            Err(QdqError::Rounding(mode)) => prop_assert_ne!(mode, Rounding::HalfEven),
            Err(QdqError::NotExpressible(refused)) => prop_assert!(!refused.is_empty()),
        }
    }
}
