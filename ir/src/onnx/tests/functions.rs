//! Functions of one value, extrema, and arithmetic that becomes something else.

use super::*;
use crate::function::Function;
use crate::graph::{Graph, Op};
use crate::onnx::save;

fn one(line: &str, opset: i64, attributes: &[AttributeProto]) -> Graph {
    Tiny::new(opset)
        .input("x", "1,2,3,4")
        .node(line, attributes)
        .load_with(&LoadOptions::default())
        .unwrap()
        .graph
}

fn function(op: &str, opset: i64, attributes: &[AttributeProto]) -> Function {
    let graph = one(&format!("{op} x -> y"), opset, attributes);
    match graph.nodes.as_slice() {
        [node] => match &node.op {
            Op::Unary { function } => function.clone(),
            other => panic!("{op} became {other:?}"),
        },
        nodes => panic!("{op} became {nodes:?}"),
    }
}

#[test]
fn formulas_compute_what_the_standard_says() {
    let alpha = |value| vec![float("alpha", value)];
    type Real = fn(f64) -> f64;
    let cases: [(&str, i64, Vec<AttributeProto>, Real); 20] = [
        ("Celu", 12, vec![], |x| x.max(0.0) + (x.exp() - 1.0).min(0.0)),
        ("Celu", 12, alpha(2.0), |x| x.max(0.0) + (2.0 * ((x / 2.0).exp() - 1.0)).min(0.0)),
        ("Elu", 7, vec![], |x| if x < 0.0 { x.exp() - 1.0 } else { x }),
        ("Elu", 22, alpha(0.5), |x| if x < 0.0 { 0.5 * (x.exp() - 1.0) } else { x }),
        ("Gelu", 20, vec![], |x| 0.5 * x * (1.0 + libm::erf(x / 2f64.sqrt()))),
        ("Gelu", 20, vec![string("approximate", "tanh")], |x| {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        }),
        ("HardSwish", 14, vec![], |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        ("LeakyRelu", 7, vec![], |x| if x < 0.0 { 0.01 * x } else { x }),
        ("LeakyRelu", 16, alpha(-0.3), |x| if x < 0.0 { -0.3 * x } else { x }),
        ("Mish", 18, vec![], |x| x * (1.0 + x.exp()).ln().tanh()),
        ("Reciprocal", 13, vec![], |x| 1.0 / x),
        ("Round", 11, vec![], f64::round_ties_even),
        ("Selu", 7, vec![], |x| 1.050701 * if x < 0.0 { 1.6732632 * (x.exp() - 1.0) } else { x }),
        ("Selu", 7, vec![float("alpha", 2.0), float("gamma", 3.0)], |x| {
            3.0 * if x < 0.0 { 2.0 * (x.exp() - 1.0) } else { x }
        }),
        ("Sigmoid", 13, vec![], |x| 1.0 / (1.0 + (-x).exp())),
        ("Sign", 9, vec![], |x| if x == 0.0 { 0.0 } else { x.signum() }),
        ("Softplus", 7, vec![], |x| (1.0 + x.exp()).ln()),
        ("Softsign", 7, vec![], |x| x / (1.0 + x.abs())),
        ("Swish", 24, alpha(1.5), |x| x / (1.0 + (-1.5 * x).exp())),
        ("ThresholdedRelu", 10, vec![], |x| if x > 1.0 { x } else { 0.0 }),
    ];
    for (op, opset, attributes, expected) in cases {
        let function = function(op, opset, &attributes);
        for step in -160..=160 {
            let x = f64::from(step) / 32.0;
            let (found, expected) = (function.evaluate(x), expected(x));
            let close = (found - expected).abs() <= 2e-7 * (1.0 + expected.abs());
            assert!(close || found == expected, "{op} at {x}: {found}, expected {expected}");
        }
    }
}

#[test]
fn every_operator_of_one_value_is_taken_from_its_first_set_on() {
    for op in ["Abs", "Ceil", "Exp", "Floor", "Log", "Sin", "Sqrt", "Tan", "Tanh", "Acos"] {
        assert_eq!(function(op, 7, &[]).onnx_name(), op);
    }
    for op in ["Acosh", "Asinh", "Atanh", "Cosh", "Erf", "Sinh"] {
        assert_eq!(function(op, 9, &[]).onnx_name(), op);
    }
    let early = Tiny::new(13).input("x", "1").node("HardSwish x -> y", &[]).refusal();
    assert_has(&early, "the operator exists since operator set 14, the file uses 13");
    let gelu = |kind: &str| {
        let attributes = [string("approximate", kind)];
        Tiny::new(20).input("x", "1").node("Gelu x -> y", &attributes).refusal()
    };
    assert_has(&gelu("sigmoid"), "attribute `approximate` is `sigmoid`, expected none or tanh");
    let nan = Tiny::new(16).input("x", "1").node("Elu x -> y", &[float("alpha", f32::NAN)]);
    assert_has(&nan.refusal(), "a constant of the function is not a number");
}

#[test]
fn what_is_affine_or_a_clip_stays_so() {
    let nodes = |line: &str, attributes: &[AttributeProto]| {
        let tiny = Tiny::new(13).input("x", "1,2,3").floats("c", &[3]);
        let tiny = tiny.float_values("two", &[1, 1], &[2.0, 2.0][..1]);
        tiny.node(line, attributes).text()
    };
    let hard = nodes("HardSigmoid x -> y", &[float("alpha", 0.25)]);
    assert_has(&hard, "%hardsigmoid/alpha: f32[] = const data=[0.25]");
    assert_has(&hard, "%hardsigmoid/beta: f32[] = const data=[0.5]");
    assert_has(&hard, "= clip \"hardsigmoid\"(%y/shifted) lo=0.0 hi=1.0");
    assert_has(&nodes("Neg x -> y", &[]), "%y: f32[1, 2, 3] = mul \"neg\"(%x, %neg/sign)");
    let div = nodes("Div x c -> y", &[]);
    assert_has(&div, "%div/reciprocal: f32[3] = const data=[1.0, 0.5, 0.33333334]");
    assert_has(&div, "= mul \"div\"(%x, %div/reciprocal)");
    assert_has(&nodes("Div c x -> y", &[]), "= mul \"div\"(%c, %y/reciprocal)");
    assert_has(&nodes("Mean x x x -> y", &[]), "data=[0.33333334]");
    assert_has(&nodes("Max x two -> y", &[]), "= clip \"max\"(%x) lo=2.0 hi=inf");
    assert_has(&nodes("Min two x -> y", &[]), "= clip \"min\"(%x) lo=-inf hi=2.0");
    assert_has(&nodes("Pow x two -> y", &[]), "function=[x, 2.0, pow]");
    assert_has(&nodes("Pow two x -> y", &[]), "function=[2.0, x, pow]");
    let vary = Tiny::new(13).input("x", "1,2,3").floats("c", &[3]).node("Pow x c -> y", &[]);
    assert_has(&vary.refusal(), "the exponent or the base is one constant; found operands");
}

#[test]
fn extrema_of_many_operands() {
    let tiny = Tiny::new(13).input("x", "1,2,3").input("z", "2,1").floats("c", &[3]);
    let tiny = tiny.float_values("one", &[], &[1.0]).float_values("tall", &[4, 1, 1], &[2.0; 4]);
    let nodes = |line: &str| tiny.clone().node(line, &[]).nodes();
    assert_eq!(
        nodes("Max one x c z -> y"),
        "%y/operands: f32[1, 2, 3] = max \"max/operands\"(%x, %z)\n\
         %y/bound: f32[1, 2, 3] = clip \"max/bound\"(%y/operands) lo=1.0 hi=inf\n\
         %y/distance: f32[1, 2, 3] = sub \"max/distance\"(%y/bound, %c)\n\
         %y/beyond: f32[1, 2, 3] = clip \"max/beyond\"(%y/distance) lo=0.0 hi=inf\n\
         %y: f32[1, 2, 3] = add \"max\"(%y/beyond, %c)\n"
    );
    assert_has(&nodes("Min x z -> y"), "%y: f32[1, 2, 3] = min \"min\"(%x, %z)");
    // A bound that repeats the operand is no clip.
    assert_has(&nodes("Min x tall -> y"), "%y: f32[4, 2, 3] = add \"min\"(%y/beyond, %tall)");
    assert_has(&nodes("Max x -> y"), "= reshape \"max\"(%x)");
    assert_has(&tiny.clone().node("Max one c -> y", &[]).text(), "data=[1.0, 2.0, 3.0]");
}

#[test]
fn slopes_of_prelu() {
    let tiny = |dims: &[i64]| Tiny::new(16).input("x", "1,2,3,3").floats("s", dims);
    let nodes = |dims: &[i64]| tiny(dims).node("PRelu x s -> y", &[]).nodes();
    assert_has(&nodes(&[2, 1, 1]), "%y: f32[1, 2, 3, 3] = prelu \"prelu\"(%x, %s)");
    assert_has(&nodes(&[3]), "= prelu");
    assert_has(&nodes(&[1, 1]), "= unary \"prelu\"(%x) function=[x, 1.0, leaky_relu]");
    let wide = tiny(&[2, 1, 1, 1]).node("PRelu x s -> y", &[]).refusal();
    assert_has(&wide, "operand 1 has shape [2, 1, 1, 1], expected [1, 2, 3, 3]");
    let computed = Tiny::new(16).input("x", "1,2").input("s", "2").node("PRelu x s -> y", &[]);
    assert_has(&computed.refusal(), "the slope is constant; found `s`");
}

#[test]
fn constants_are_folded() {
    let tiny = Tiny::new(13).input("x", "3").float_values("c", &[3], &[4.0, 9.0, 0.25]);
    let text =
        |op: &str| tiny.clone().node(&format!("{op} c -> d"), &[]).node("Add x d -> y", &[]).text();
    assert_has(&text("Sqrt"), "%d: f32[3] = const data=[2.0, 3.0, 0.5]");
    assert_has(&text("Neg"), "data=[-4.0, -9.0, -0.25]");
    let shape = Tiny::new(13).input("x", "6").ints("n", &[-2, -3]).node("Abs n -> m", &[]);
    assert_has(&shape.node("Reshape x m -> y", &[]).nodes(), "%y: f32[2, 3] = reshape");
    let huge = Tiny::new(13).ints("n", &[i64::MIN]).node("Abs n -> y", &[]).refusal();
    assert_has(&huge, "integer arithmetic on its constants overflows");
}

#[test]
fn a_function_of_several_primitives_is_saved_as_one_node_each() {
    let text = "graph \"g\" (%x: f32[2, 3]) -> (%y) {
  %y: f32[2, 3] = unary \"f\"(%x) function=[x, 3.0, add, 0.0, max, x, 0.1, elu, mul, x, mul]
}
";
    let graph: Graph = text.parse().unwrap();
    assert_eq!(graph.to_string(), text);
    let again = load_bytes(save(&graph).into(), &LoadOptions::default()).unwrap().graph;
    assert_eq!(
        again.to_string().lines().filter(|line| line.contains('"')).skip(1).collect::<Vec<_>>(),
        [
            "  %f/add: f32[2, 3] = add \"f/add\"(%x, %f/constant)",
            "  %f/max: f32[2, 3] = clip \"f/max\"(%f/add) lo=0.0 hi=inf",
            "  %f/elu: f32[2, 3] = unary \"f/elu\"(%x) function=[x, 0.1, elu]",
            "  %f/mul: f32[2, 3] = mul \"f/mul\"(%f/max, %f/elu)",
            "  %y: f32[2, 3] = mul \"f\"(%f/mul, %x)",
        ]
    );
    let wrong = text.replace(", x, mul]", "]").replace("elu, mul", "elu");
    let error = wrong.parse::<Graph>().unwrap_err().to_string();
    assert_has(&error, "the function ends with 2 results, expected 1");
}
