//! Each rule is broken once; the message must name what is wrong.

use proptest::prelude::*;

use super::Problem;
use crate::graph::{Graph, ValueId};
use crate::qgraph::{QGraph, QOp};
use crate::testing::{graphs, qgraphs};

const FLOAT: &str = r#"graph "net" (%x: f32[1, 2, 4, 4]) -> (%y) {
  %w: f32[3, 2, 2, 2] = const data=0x000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
  %c: f32[1, 3, 3, 3] = conv "conv"(%x, %w) kernel=[2, 2] stride=[1, 1] dilation=[1, 1] pad=[0, 0, 0, 0] groups=1
  %p: f32[1, 3, 2, 2] = max_pool "pool"(%c) kernel=[2, 2] stride=[1, 1] dilation=[1, 1] pad=[0, 0, 0, 0]
  %y: f32[1, 3, 2, 2] = clip "relu"(%p) lo=0.0 hi=inf
}
"#;

const INTEGER: &str = r#"qgraph "net" rounding=half-even (%x: i8[2, 2, 2] scale=0.1 zero_point=-3 onnx_shape=[1, 2, 2, 2] perm=[0, 2, 3, 1]) -> (%y) {
  %c: i8[2, 2, 1] scale=0.2 zero_point=5 = conv "conv"(%x) onnx="Conv" kernel=[1, 1] stride=[1, 1] dilation=[1, 1] pad=[0, 0, 0, 0] groups=1 oc=1 ic=2 bits=4 weights=0x07f9 bias=[-1000] multipliers=[8388608] shifts=[30] lo=-128 hi=127
  %a: i8[2, 2, 1] scale=0.2 zero_point=5 = average_pool "avg"(%c) onnx="AveragePool" kernel=[2, 2] stride=[1, 1] dilation=[1, 1] pad=[0, 0, 1, 1] multipliers=[4, 3, 2, 1] shifts=[2, 2, 2, 2] lo=-128 hi=127
  %m: i8[1, 1, 1] scale=0.2 zero_point=5 = max_pool "max"(%a) onnx="MaxPool" kernel=[2, 2] stride=[1, 1] dilation=[1, 1] pad=[0, 0, 0, 0]
  %s: i8[2, 2, 1] scale=0.3 zero_point=0 = add "add"(%c, %m) onnx="Add" ma=3 mb=-4 shift=2 lo=-128 hi=127
  %t: i8[2, 2, 2] scale=0.3 zero_point=0 = concat "join"(%s, %s) onnx="Concat" axis=2
  %p: i8[3, 2, 2] scale=0.3 zero_point=0 = pad "pad"(%t) onnx="Pad" before=[1, 0, 0] after=[0, 0, 0] value=0
  %r: i8[1, 1, 12] scale=0.3 zero_point=0 = reorder "flat"(%p) onnx="Reshape" dims=[3, 4] perm=[0, 1]
  %y: i8[1, 1, 12] scale=0.3 zero_point=0 onnx_shape=[1, 12] perm=[0, 1] = rescale "scale"(%r) onnx="Relu" m=1 shift=0 lo=0 hi=127
}
"#;

/// Problems of a text after one replacement, as one string.
fn float_problems(from: &str, to: &str) -> String {
    assert!(FLOAT.contains(from), "`{from}` is not in the text");
    let graph: Graph = FLOAT.replacen(from, to, 1).parse().unwrap();
    text(graph.verify())
}

fn integer_problems(from: &str, to: &str) -> String {
    assert!(INTEGER.contains(from), "`{from}` is not in the text");
    let graph: QGraph = INTEGER.replacen(from, to, 1).parse().unwrap();
    text(graph.verify())
}

fn text(result: Result<(), Vec<Problem>>) -> String {
    result.unwrap_err().iter().map(|problem| format!("{problem}\n")).collect()
}

#[track_caller]
fn assert_has(problems: &str, expected: &str) {
    assert!(problems.contains(expected), "expected `{expected}` in:\n{problems}");
}

#[test]
fn the_texts_themselves_are_fine() {
    assert_eq!(FLOAT.parse::<Graph>().unwrap().verify(), Ok(()));
    assert_eq!(INTEGER.parse::<QGraph>().unwrap().verify(), Ok(()));
}

#[test]
fn broken_float_graphs_are_named() {
    assert_has(
        &float_problems("max_pool \"pool\"(%c)", "max_pool \"pool\"(%y)"),
        "uses value `y` before",
    );
    assert_has(&float_problems("\"pool\"", "\"conv\""), "more than one node is named `conv`");
    assert_has(&float_problems("\"pool\"", "\"\""), "node 1 has no name");
    assert_has(&float_problems("(%y) {", "() {"), "no output");
    assert_has(&float_problems("(%x, %w)", "(%x, %x)"), "operand 1 must be constant");
    assert_has(&float_problems("(%x, %w)", "(%x)"), "found 1 operands, expected 2 to 3");
    assert_has(&float_problems("groups=1", "groups=2"), "2 groups do not divide");
    assert_has(&float_problems("groups=1", "groups=0"), "0 groups do not divide");
    assert_has(&float_problems("stride=[1, 1]", "stride=[0, 1]"), "does not fit");
    assert_has(
        &float_problems("%p: f32[1, 3, 2, 2]", "%p: f32[1, 3, 2, 3]"),
        "expected [1, 3, 2, 2]",
    );
    assert_has(
        &float_problems("%x: f32[1, 2, 4, 4]", "%x: f32[1, 0, 4, 4]"),
        "extents of at least 1",
    );
    assert_has(&float_problems("%x: f32", "%x: i64"), "value `x` is i64, expected f32");
    assert_has(&float_problems("lo=0.0", "lo=NaN"), "the lower bound is NaN");
    let huge = "%x: f32[9223372036854775807, 9223372036854775807, 4, 4]";
    assert_has(&float_problems("%x: f32[1, 2, 4, 4]", huge), "addressable");
}

#[test]
fn ids_that_do_not_exist_are_named() {
    let mut graph: Graph = FLOAT.parse().unwrap();
    graph.nodes[1].inputs[0] = ValueId(99);
    graph.outputs.push(ValueId(u32::MAX));
    graph.inputs.push(ValueId(77));
    let problems = text(graph.verify());
    assert_has(&problems, "node `pool` names value 99, but there are only 5 values");
    assert_has(&problems, "the list of outputs names value 4294967295");
    assert_has(&problems, "the list of inputs names value 77");
}

#[test]
fn values_have_one_producer() {
    let mut graph: Graph = FLOAT.parse().unwrap();
    graph.nodes[2].output = graph.nodes[1].output;
    let problems = text(graph.verify());
    assert_has(&problems, "value `p` has 2 producers");
    assert_has(&problems, "value `y` has 0 producers");
    let mut graph: Graph = FLOAT.parse().unwrap();
    graph.values[0].name = "y".to_owned();
    assert_has(&text(graph.verify()), "more than one value is named `y`");
}

#[test]
fn constants_agree_with_their_value() {
    let mut graph: Graph = FLOAT.parse().unwrap();
    graph.values[1].shape = vec![24];
    assert_has(&text(graph.verify()), "constant `w` is declared f32[24] but holds f32[3, 2, 2, 2]");
    graph.values[1].constant.as_mut().unwrap().shape = vec![25];
    assert_has(&text(graph.verify()), "found 24 elements, expected 25");
}

#[test]
fn broken_integer_values_are_named() {
    assert_has(&integer_problems("scale=0.1", "scale=0.0"), "value `x`: the scale is 0.0");
    assert_has(&integer_problems("scale=0.1", "scale=inf"), "the scale is inf");
    assert_has(&integer_problems("scale=0.1", "scale=NaN"), "the scale is NaN");
    assert_has(
        &integer_problems("zero_point=-3", "zero_point=-129"),
        "the zero point is -129, expected -128 to 127",
    );
    assert_has(
        &integer_problems("perm=[0, 2, 3, 1])", "perm=[0, 2, 3, 3])"),
        "each of 4 axes once",
    );
    assert_has(
        &integer_problems("onnx_shape=[1, 2, 2, 2]", "onnx_shape=[1, 2, 2, 3]"),
        "axes that merge into [2, 2, 2]",
    );
    assert_has(
        &integer_problems(
            "%m: i8[1, 1, 1] scale=0.2",
            "%m: i8[1, 1, 1] onnx_shape=[7] perm=[0] scale=0.2",
        ),
        "value `m`: the view is [7] transposed by [0], expected axes that merge into [1, 1, 1]",
    );
    assert_has(
        &integer_problems(
            "i8[1, 1, 12] scale=0.3 zero_point=0 onnx",
            "i8[12, 1, 0] scale=0.3 zero_point=0 onnx",
        ),
        "extents of at least 1",
    );
}

#[test]
fn broken_integer_operators_are_named() {
    let check =
        |from: &str, to: &str, expected: &str| assert_has(&integer_problems(from, to), expected);
    check("bits=4", "bits=9", "the weights' bits is 9, expected 2 to 8");
    check("weights=0x07f9", "weights=0x07f7", "a weight is -9, expected -8 to 7 at 4 bits");
    check("weights=0x07f9", "weights=0x07", "the number of weights is 1");
    check(
        "bias=[-1000]",
        "bias=[-1000, 1]",
        "the number of biases is 2, expected 1, one per output channel",
    );
    check("shifts=[30]", "shifts=[63]", "the shift is 63, expected 0 to 62");
    check(
        "multipliers=[8388608]",
        "multipliers=[2147483648]",
        "the multiplier is 2147483648, expected below 2^31",
    );
    check(
        "bias=[-1000]",
        "bias=[-2147483000]",
        "accumulates up to 2147484792, expected below 2^31",
    );
    check("bias=[-1000]", "bias=[-9223372036854775808]", "expected below 2^31");
    check("groups=1", "groups=2", "groups that divide both and cover 2 input channels");
    check("lo=-128", "lo=-129", "the saturation range is -129..=127");
    check("hi=127", "hi=-129", "the saturation range");
    check(
        "[4, 3, 2, 1] shifts=[2, 2, 2, 2]",
        "[1] shifts=[2]",
        "expected 4, or 1 where every window has all its taps",
    );
    check("pad=[0, 0, 1, 1]", "pad=[0, 0, 2, 1]", "has windows without any input");
    check(
        "%m: i8[1, 1, 1] scale=0.2",
        "%m: i8[1, 1, 1] scale=0.25",
        "`a` and `m` must have the same scale",
    );
    check("%m: i8[1, 1, 1]", "%m: i8[1, 2, 1]", "expected [1, 1, 1] or [1, 1, 1]");
    check("(%c, %m)", "(%c, %x)", "expected [2, 2, 1], or 1 on any axis");
    check("(%c, %m)", "(%c)", "the number of operands is 1, expected 2 to 2");
    check("axis=2", "axis=3", "the axis is 3, expected 0 to 2");
    check("axis=2", "axis=1", "expected [2, 4, 1]");
    check("value=0", "value=128", "the padding value is 128");
    check(
        "before=[1, 0, 0]",
        "before=[18446744073709551615, 0, 0]",
        "the result has shape [3, 2, 2]",
    );
    check("dims=[3, 4]", "dims=[3, 5]", "factors of the elements of [3, 2, 2]");
    check("perm=[0, 1] = rescale", "perm=[0, 0] = rescale", "each of 2 axes once");
}

#[test]
fn tables_are_checked() {
    let mut graph: QGraph = INTEGER.parse().unwrap();
    graph.nodes[7].op = QOp::Lut8 { table: vec![0; 255] };
    assert_has(&text(graph.verify()), "the table's length is 255, expected 256");
    graph.nodes[7].op = QOp::Softmax { exp: vec![1; 256] };
    assert_has(&text(graph.verify()), "expected scale 0.00390625, zero point -128");
    graph.nodes[7].op = QOp::Softmax { exp: vec![0; 256] };
    assert_has(&text(graph.verify()), "256 entries that start above 0");
}

#[test]
fn producers_bounds_narrow_the_accumulator_proof() {
    // The bias leaves room for 999: too little for weights 7 and -7 on inputs down to -128, enough up to 6.
    let heavy = INTEGER.replace("bias=[-1000]", "bias=[-2147482648]");
    assert!(heavy.parse::<QGraph>().unwrap().verify().is_err());
    let clipped = heavy
        .replace("(%x: i8[2, 2, 2] scale=0.1 zero_point=-3 ", "(%i: i8[2, 2, 2] scale=0.1 zero_point=0 ")
        .replace(
            "  %c:",
            "  %x: i8[2, 2, 2] scale=0.1 zero_point=0 = rescale \"clip\"(%i) onnx=\"Clip\" m=1 shift=0 lo=0 hi=6\n  %c:",
        );
    assert_eq!(clipped.parse::<QGraph>().unwrap().verify(), Ok(()));
}

proptest! {
    /// Ids and extents of a well-formed graph replaced by anything: problems, never a panic.
    #[test]
    fn scrambled_graphs_do_not_panic(mut float in graphs(), mut integer in qgraphs(), n in any::<usize>(), id in any::<u32>(), extent in any::<usize>()) {
        let at = n % float.nodes.len();
        float.nodes[at].output = ValueId(id % 30);
        float.nodes[at].inputs.push(ValueId(id % 40));
        let value = n % float.values.len();
        float.values[value].shape.push(extent);
        let _ = (float.verify(), float.to_string(), crate::onnx::save(&float));
        let at = n % integer.nodes.len();
        integer.nodes[at].output = ValueId(id % 30);
        let value = n % integer.values.len();
        integer.values[value].shape.w = extent;
        let _ = (integer.verify(), integer.to_string());
    }
}
