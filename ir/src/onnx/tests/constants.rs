//! Arithmetic on constants during import: each case ends in a Reshape or an Add that shows the result.

use super::*;

/// Shape that a Reshape of 24 elements gets from the nodes before it, which make `s`.
#[track_caller]
fn shape_of(tiny: Tiny) -> String {
    let nodes = tiny.node("Reshape x s -> y", &[]).nodes();
    let (_, rest) = nodes.split_once("f32").unwrap();
    rest.split_once(" =").unwrap().0.to_owned()
}

fn start(opset: i64) -> Tiny {
    Tiny::new(opset).input("x", "1,2,3,4").input("unused", "1")
}

#[test]
fn shape_arithmetic_folds() {
    let gathered = start(13)
        .node("Shape x -> full", &[])
        .ints("two", &[2])
        .node("Gather full two -> third", &[])
        .node("Constant -> rest", &[ints("value_ints", &[2, -1])])
        .node("Concat third rest -> s", &[int("axis", 0)]);
    assert_eq!(shape_of(gathered), "[3, 2, 4]");
    let sliced = start(13)
        .node("Shape x -> full", &[])
        .ints("from", &[-1])
        .ints("to", &[-100])
        .ints("axes", &[0])
        .ints("steps", &[-2])
        .node("Slice full from to axes steps -> s", &[])
        .node("Identity s -> same", &[]);
    assert_has(
        &sliced.clone().node("Reshape x s -> y", &[]).refusal(),
        "cannot reshape [1, 2, 3, 4] to [4, 2]",
    );
    let product = start(15)
        .node("Shape x -> tail", &[int("start", -2)])
        .node("Shape x -> head", &[int("start", 0), int("end", 2)])
        .node("Mul head tail -> s", &[]);
    assert_eq!(shape_of(product), "[3, 8]");
    let quotient = start(13).ints("a", &[-48, 7]).ints("b", &[-2, 7]).node("Div a b -> s", &[]);
    assert_eq!(shape_of(quotient), "[24, 1]");
    let difference = start(13).ints("a", &[5]).ints("b", &[6]).node("Sub a b -> s", &[]);
    assert_eq!(shape_of(difference), "[24]");
    let casts = start(13)
        .float_values("f", &[2], &[12.9, 2.0])
        .node("Cast f -> wide", &[int("to", 7)])
        .node("Cast wide -> back", &[int("to", 1)])
        .node("Cast back -> s", &[int("to", 6)]);
    assert_eq!(shape_of(casts), "[12, 2]");
    let filled = start(13)
        .ints("count", &[1])
        .node("ConstantOfShape count -> ones", &[tensor("value", ints_tensor("", &[1], &[24]))])
        .ints("axes", &[0])
        .node("Unsqueeze ones axes -> matrix", &[])
        .node("Squeeze matrix axes -> s", &[]);
    assert_eq!(shape_of(filled), "[24]");
}

#[test]
fn constants_come_in_every_form() {
    let add = |attribute: AttributeProto| {
        let tiny = Tiny::new(13).input("x", "1,2").node("Constant -> k", &[attribute]);
        tiny.node("Add x k -> y", &[]).text()
    };
    assert_has(
        &add(tensor("value", floats_tensor("", &[2], &[1.0, 2.0]))),
        "%k: f32[2] = const data=[1.0, 2.0]",
    );
    assert_has(&add(float("value_float", 0.5)), "%k: f32[] = const data=[0.5]");
    let floats = AttributeProto {
        floats: vec![3.0, 4.0],
        ..attribute("value_floats", AttributeType::Floats)
    };
    assert_has(&add(floats), "%k: f32[2] = const data=[3.0, 4.0]");
    let text = |name: &str| {
        Tiny::new(13)
            .input("x", "1,2")
            .node("Constant -> k", &[string(name, "a")])
            .node("Add x k -> y", &[])
            .refusal()
    };
    assert_has(&text("value_string"), "the constant is a dense tensor of numbers");
    let integer = Tiny::new(13).input("x", "1,2").node("Constant -> k", &[int("value_int", 1)]);
    assert_has(&integer.node("Add x k -> y", &[]).refusal(), "operand 1 is i64, expected f32");
}

#[test]
fn weights_may_be_computed() {
    let tiny = Tiny::new(13).input("x", "1,2").floats("a", &[2, 1]).floats("b", &[2]);
    let text = tiny.node("Add a b -> w", &[]).node("MatMul x w -> y", &[]).text();
    assert_has(&text, "%w.transposed: f32[2, 2] = const data=[2.0, 3.0, 3.0, 4.0]");
    // A transposed constant that is transposed again is the original.
    let tiny = Tiny::new(13).input("x", "1,3").floats("w", &[2, 3]).node("Transpose w -> t", &[]);
    let text = tiny.node("MatMul x t -> y", &[]).text();
    assert_has(&text, "dense \"matmul\"(%x, %w)");
    assert_eq!(text.matches("= const").count(), 1, "{text}");
    let tiny = Tiny::new(13).input("x", "1,2,2").floats("a", &[1, 1, 2]).floats("b", &[1, 1, 2]);
    let text = tiny.node("Concat a b -> w", &[int("axis", 1)]).node("Add x w -> y", &[]).text();
    assert_has(&text, "%w: f32[1, 2, 2] = const data=[1.0, 2.0, 1.0, 2.0]");
}

#[test]
fn impossible_arithmetic_is_refused() {
    let fails = |tiny: Tiny| tiny.node("Reshape x s -> y", &[]).refusal();
    assert_has(
        &fails(start(13).ints("a", &[1]).ints("b", &[0]).node("Div a b -> s", &[])),
        "divides by zero",
    );
    let overflow = start(13).ints("a", &[i64::MAX]).ints("b", &[2]).node("Mul a b -> s", &[]);
    assert_has(&fails(overflow), "node `mul` (Mul): integer arithmetic");
    let outside = start(13).ints("a", &[1, 2]).ints("b", &[2]).node("Gather a b -> s", &[]);
    assert_has(&fails(outside), "index 2 is outside extent 2");
    let cast = start(13).float_values("a", &[1], &[1e30]).node("Cast a -> s", &[int("to", 7)]);
    assert_has(&fails(cast), "overflows");
    let step = start(13).ints("a", &[1]).ints("z", &[0]).node("Slice a z a z z -> s", &[]);
    assert_has(&fails(step), "a step other than 0");
    assert_has(
        &fails(start(13).node("Shape unused -> u", &[]).node("Gather u x -> s", &[])),
        "operand 1 is f32, expected i64",
    );
}

#[test]
fn large_constants_are_refused_before_they_are_made() {
    let bomb = |extents: &[i64]| {
        Tiny::new(13)
            .input("x", "1")
            .ints("s", extents)
            .node("ConstantOfShape s -> k", &[])
            .node("Add x k -> y", &[])
    };
    assert_has(
        &bomb(&[1 << 40]).refusal(),
        "constants need more than 4294967296 bytes of memory (at `constantofshape`): 4398046511112 bytes up to there; hint: raise `--max-constant-bytes`",
    );
    assert_has(&bomb(&[i64::MAX, i64::MAX]).refusal(), "larger than the address space");
    assert_has(&bomb(&[i64::MAX, 0, i64::MAX]).refusal(), "larger than the address space");
    assert_has(&bomb(&[-1]).refusal(), "operand 0 is [-1], expected extents of at least 0");
    assert_has(&bomb(&[1; 17]).refusal(), "17 axes, expected at most 16");
    let limit = |max_constant_bytes| LoadOptions { max_constant_bytes, ..LoadOptions::default() };
    assert!(bomb(&[100]).load_with(&limit(1000)).is_ok());
    assert!(bomb(&[100]).load_with(&limit(399)).is_err());
    // A small constant that grows by broadcasting with itself.
    let mut growing = Tiny::new(13).input("x", "1").floats("a", &[1000, 1]).floats("b", &[1, 1000]);
    growing = growing.node("Add a b -> k", &[]).node("Add x k -> y", &[]);
    assert!(growing.load_with(&limit(1_000_000)).is_err());
}

#[test]
fn a_repeated_value_stays_compact() {
    let made = |line: &str| {
        Tiny::new(13)
            .input("x", "1,3,4")
            .ints("s", &[4, 3])
            .node("ConstantOfShape s -> k", &[tensor("value", floats_tensor("", &[1], &[0.5]))])
            .float_values("two", &[], &[2.0])
            .node(line, &[])
    };
    let add = |tiny: Tiny| tiny.node("Add x k2 -> y", &[]).text();
    let splat = |value: &str| format!("%k2: f32[3, 4] = const splat={value}\n");
    assert_has(&add(made("Transpose k -> k2")), &splat("0.5"));
    let shifted = made("Mul k two -> k1").node("Transpose k1 -> k2", &[]);
    assert_has(&add(shifted), &splat("1.0"));
    assert_has(&add(made("Neg k -> k1").node("Transpose k1 -> k2", &[])), &splat("-0.5"));
    // As weights of a dense layer too.
    let dense = made("Identity k -> w").node("MatMul x2 w -> y", &[]).with(|model| {
        graph(model).input[0] = info("x2", DataType::Float, "1,4");
    });
    assert_has(&dense.text(), "%w.transposed: f32[3, 4] = const splat=0.5");
}
