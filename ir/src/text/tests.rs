//! Print-parse-print is the identity, and no text whatever makes the parsers panic.

use proptest::prelude::*;

use super::ParseError;
use crate::graph::Graph;
use crate::qgraph::QGraph;
use crate::tensor::{Data, Tensor};
use crate::testing::{graphs, qgraphs};

const SMALL: &str = r#"graph "net" (%x: f32[1, 1, 4, 4]) -> (%y) {
  %w: f32[2, 1, 1, 1] = const data=[0.5, -1.0]
  %"a b": f32[1, 2, 4, 4] = conv "conv1"(%x, %w) kernel=[1, 1] stride=[1, 1] dilation=[1, 1] pad=[0, 0, 0, 0] groups=1
  %y: f32[1, 2, 4, 4] = clip "relu \"1\""(%"a b") lo=0.0 hi=inf
}
"#;

const SMALL_INTEGER: &str = r#"qgraph "net" rounding=half-even (%x: i8[2, 2, 3] scale=0.1 zero_point=-3 onnx_shape=[1, 3, 2, 2] perm=[0, 2, 3, 1]) -> (%y) {
  %c: i8[2, 2, 1] scale=1e-7 zero_point=5 = conv "conv1"(%x) onnx="Conv" kernel=[1, 1] stride=[1, 1] dilation=[1, 1] pad=[0, 0, 0, 0] groups=1 oc=1 ic=3 bits=8 weights=0x7f81ff bias=[-1000] multipliers=[8388608] shifts=[30] lo=-128 hi=127
  %y: i8[1, 1, 1] scale=1e-7 zero_point=5 onnx_shape=[1, 1] perm=[0, 1] = max_pool "pool"(%c) onnx="MaxPool" kernel=[2, 2] stride=[1, 1] dilation=[1, 1] pad=[0, 0, 0, 0]
}
"#;

fn float_error(text: &str) -> ParseError {
    text.parse::<Graph>().unwrap_err()
}

#[test]
fn a_float_graph_reads_back() {
    let graph: Graph = SMALL.parse().unwrap();
    assert_eq!(graph.verify(), Ok(()));
    assert_eq!(graph.to_string(), SMALL);
    assert_eq!(graph.values[2].name, "a b");
    assert_eq!(graph.nodes[1].name, "relu \"1\"");
}

#[test]
fn transposed_convolutions_read_back() {
    let text = "graph \"g\" (%x: f32[1, 2, 3, 3]) -> (%y) {\n  %w: f32[2, 1, 1, 2] = const data=[1.0, 2.0, 3.0, 4.0]\n  %y: f32[1, 2, 5, 7] = conv_transpose \"n\"(%x, %w) kernel=[1, 2] stride=[2, 3] dilation=[1, 1] pad=[0, 1, 0, 0] output_padding=[0, 0] groups=2\n}\n";
    let graph: Graph = text.parse().unwrap();
    assert_eq!((graph.verify(), graph.to_string()), (Ok(()), text.to_owned()));
}

#[test]
fn products_read_back_with_a_positive_factor() {
    let text = |scale: &str| {
        format!(
            "graph \"g\" (%x: f32[2, 3, 3]) -> (%y) {{\n  %y: f32[2, 3, 3] = matmul \"n\"(%x, %x) scale={scale}\n}}\n"
        )
    };
    let graph: Graph = text("0.25").parse().unwrap();
    assert_eq!((graph.verify(), graph.to_string()), (Ok(()), text("0.25")));
    for scale in ["0.0", "-1.0", "inf", "NaN"] {
        assert!(text(scale).parse::<Graph>().unwrap().verify().is_err(), "{scale}");
    }
}

/// The text of an interpolation with the interpolated axis made empty.
fn text_of_nothing(text: &str) -> String {
    text.replace("(%x: f32[1, 2, 3])", "(%x: f32[1, 0, 3])")
}

#[test]
fn interpolations_read_back() {
    let line = |places: &str| {
        format!(
            "graph \"g\" (%x: f32[1, 2, 3]) -> (%y) {{\n  %y: f32[1, 3, 3] = interpolate \"n\"(%x) axes=[1] counts=[3] places={places}\n}}\n"
        )
    };
    let text = line("[0.0, 0.25, 1.0]");
    let graph: Graph = text.parse().unwrap();
    assert_eq!((graph.verify(), graph.to_string()), (Ok(()), text));
    let error = float_error(&line("[0.0, 0.25]")).to_string();
    assert!(error.contains("1 axes, 1 counts and 2 places"), "{error}");
    // An axis without extent has no places.
    let empty: Graph = text_of_nothing(&line("[0.0, 0.0, 0.0]")).parse().unwrap();
    assert!(empty.verify().is_err());
}

#[test]
fn an_integer_graph_reads_back() {
    let graph: QGraph = SMALL_INTEGER.parse().unwrap();
    assert_eq!(graph.verify(), Ok(()));
    assert_eq!(graph.to_string(), SMALL_INTEGER);
    assert_eq!(graph.values[0].scale, 0.1);
}

#[test]
fn white_space_and_comments_do_not_matter() {
    let text = SMALL.replace(' ', " // remark }\n\t ").replace("a // remark }\n\t b", "a b");
    let text = text.replace("relu // remark }\n\t ", "relu ");
    assert_eq!(text.parse::<Graph>().unwrap(), SMALL.parse().unwrap());
}

#[test]
fn errors_point_at_the_place() {
    insta::assert_snapshot!(float_error(&SMALL.replace("%w)", "%q)")));
    insta::assert_snapshot!(float_error(&SMALL.replace("groups=1", "groups=one")));
    insta::assert_snapshot!(float_error(&SMALL.replace("[0.5, -1.0]", "[0.5, -1.0")));
    insta::assert_snapshot!(float_error(&SMALL.replace("lo=0.0", "low=0.0")));
    insta::assert_snapshot!(float_error(&SMALL.replace("= clip", "= clap")));
    insta::assert_snapshot!(float_error(&SMALL.replace("%y: f32", "%w: f32")));
    insta::assert_snapshot!(float_error(&SMALL.replace("[0.5, -1.0]", "[0.5]")));
    insta::assert_snapshot!(float_error(&SMALL[..SMALL.len() - 2]));
    insta::assert_snapshot!(float_error(""));
    insta::assert_snapshot!(
        SMALL_INTEGER.replace("0x7f81ff", "0x7f81f").parse::<QGraph>().unwrap_err()
    );
    insta::assert_snapshot!(
        SMALL_INTEGER.replace("[2, 2, 3]", "[2, 2]").parse::<QGraph>().unwrap_err()
    );
    insta::assert_snapshot!(SMALL.parse::<QGraph>().unwrap_err());
}

#[test]
fn constants_of_every_kind_are_exact() {
    let mut graph: Graph = SMALL.parse().unwrap();
    let hard =
        [f32::MIN_POSITIVE, 1e-45, f32::MAX, -0.0, 0.1, f32::INFINITY, 1.0 / 3.0, 16777217.0];
    let constants = [
        Tensor::from_f32(&[8], hard.to_vec()).unwrap(),
        Tensor::from_f32(&[2], vec![f32::from_bits(0x7fc0_1234), f32::NAN]).unwrap(),
        Tensor::from_f32(&[5, 5], (0..25).map(|i| i as f32 / 7.0).collect()).unwrap(),
        Tensor::from_i64_vec(vec![i64::MIN, -1, i64::MAX]),
        Tensor::from_i64_vec((-20..20).collect()),
        Tensor::new(vec![3], Data::Bool(vec![true, false, true])).unwrap(),
        Tensor::new(vec![20], Data::Bool((0..20).map(|i| i % 3 == 0).collect())).unwrap(),
        Tensor::from_f32(&[], vec![2.5]).unwrap(),
        Tensor::from_f32(&[0], vec![]).unwrap(),
        Tensor::new(vec![4, 9], Data::SplatF32 { value: 0.1, count: 36 }).unwrap(),
        Tensor::new(vec![2], Data::SplatF32 { value: f32::from_bits(0xffc0_1234), count: 2 })
            .unwrap(),
    ];
    for tensor in constants {
        graph.values[1].dtype = tensor.dtype();
        graph.values[1].shape = tensor.shape.clone();
        graph.values[1].constant = Some(tensor);
        let again: Graph = graph.to_string().parse().unwrap();
        assert_eq!(again, graph);
    }
}

#[test]
fn pictures_name_every_node() {
    let graph: Graph = SMALL.parse().unwrap();
    let dot = graph.to_dot();
    assert!(dot.contains("n1 [label=\"clip\\nrelu \\\"1\\\"\"];"), "{dot}");
    assert!(dot.contains("n0 -> n1 [label=\"a b\\n[1, 2, 4, 4]\"];"), "{dot}");
    assert!(dot.contains("i0 -> n0") && dot.contains("n1 -> o0"), "{dot}");
    let graph: QGraph = SMALL_INTEGER.parse().unwrap();
    assert!(graph.to_dot().contains("n0 -> n1 [label=\"c\\ni8 [2, 2, 1]\"];"));
}

/// One byte changed, or the end cut off: the text may parse or not, but nothing panics, and what parses prints.
fn damage(text: &str, at: usize, byte: u8) -> Vec<String> {
    let mut bytes = text.as_bytes().to_vec();
    let at = at % bytes.len();
    bytes[at] = byte;
    let changed = String::from_utf8_lossy(&bytes).into_owned();
    let cut = String::from_utf8_lossy(&bytes[..at]).into_owned();
    vec![changed, cut]
}

proptest! {
    #[test]
    fn float_graphs_print_parse_print(graph in graphs()) {
        prop_assert_eq!(graph.verify(), Ok(()));
        let text = graph.to_string();
        let again: Graph = text.parse().unwrap();
        prop_assert_eq!(again.verify(), Ok(()));
        prop_assert_eq!(again.to_string(), text);
        prop_assert_eq!(&again.nodes.iter().map(|n| &n.op).collect::<Vec<_>>(), &graph.nodes.iter().map(|n| &n.op).collect::<Vec<_>>());
    }

    #[test]
    fn integer_graphs_print_parse_print(graph in qgraphs()) {
        prop_assert_eq!(graph.verify(), Ok(()));
        let again: QGraph = graph.to_string().parse().unwrap();
        prop_assert_eq!(again.to_string(), graph.to_string());
        prop_assert_eq!(again, graph);
    }

    #[test]
    fn damaged_text_does_not_panic(float in graphs(), integer in qgraphs(), at in any::<usize>(), byte in 0u8..128) {
        for text in damage(&float.to_string(), at, byte) {
            if let Ok(graph) = text.parse::<Graph>() {
                let _ = (graph.verify(), graph.to_dot(), crate::onnx::save(&graph));
                let printed = graph.to_string();
                prop_assert_eq!(printed.parse::<Graph>().unwrap().to_string(), printed);
            }
        }
        for text in damage(&integer.to_string(), at, byte) {
            if let Ok(graph) = text.parse::<QGraph>() {
                let _ = (graph.verify(), graph.to_dot());
                let printed = graph.to_string();
                prop_assert_eq!(printed.parse::<QGraph>().unwrap().to_string(), printed);
            }
        }
    }

    #[test]
    fn arbitrary_text_does_not_panic(text in "\\PC{0,80}") {
        let _ = (text.parse::<Graph>(), text.parse::<QGraph>());
    }
}
