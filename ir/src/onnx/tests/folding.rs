//! Operators that are computed on constants: examples worked out from the ONNX definition.

use super::*;
use crate::tensor::{Data, Tensor};

/// The constant outputs of a model, as text: elements and shape.
#[track_caller]
fn outputs(tiny: Tiny) -> Vec<String> {
    let graph = tiny.load_with(&LoadOptions::default()).unwrap_or_else(|e| panic!("{e}")).graph;
    let text = |tensor: &Tensor| match &tensor.data {
        Data::I64(values) => format!("{values:?} {:?}", tensor.shape),
        Data::Bool(values) => format!("{values:?} {:?}", tensor.shape),
        Data::F32(_) | Data::MappedF32(_) | Data::SplatF32 { .. } | Data::Quantized(_) => {
            format!("{:?} {:?}", tensor.f32_values().unwrap(), tensor.shape)
        }
    };
    assert!(graph.nodes.is_empty());
    graph
        .outputs
        .iter()
        .map(|id| text(graph.values[id.0 as usize].constant.as_ref().unwrap()))
        .collect()
}

/// A model with integers `i = [[1, 2, 3], [4, 5, 6]]`, floats `f` alike, truth values `t = [true, false, true]`.
fn start(opset: i64) -> Tiny {
    Tiny::new(opset).floats("f", &[2, 3]).with(|model| {
        let proto = graph(model);
        proto.initializer.push(ints_tensor("i", &[2, 3], &[1, 2, 3, 4, 5, 6]));
        proto.initializer.push(TensorProto {
            name: "t".to_owned(),
            dims: vec![3],
            data_type: DataType::Bool as i32,
            int32_data: vec![1, 0, 1],
            ..TensorProto::default()
        });
    })
}

#[track_caller]
fn gives(tiny: Tiny, expected: &str) {
    assert_eq!(outputs(tiny), [expected]);
}

#[test]
fn elementwise() {
    let float = |values: &[f32], line: &str| {
        start(18).float_values("v", &[values.len() as i64], values).node(line, &[])
    };
    gives(float(&[-1.5, 0.5, 2.5], "Round v -> y"), "[-2.0, 0.0, 2.0] [3]");
    gives(float(&[-1.5, 0.0, 2.5], "Sign v -> y"), "[-1.0, 0.0, 1.0] [3]");
    gives(float(&[-1.5, 2.5], "Floor v -> y"), "[-2.0, 2.0] [2]");
    gives(float(&[-1.5, 2.5], "Ceil v -> y"), "[-1.0, 3.0] [2]");
    gives(float(&[4.0, 9.0], "Sqrt v -> y"), "[2.0, 3.0] [2]");
    gives(float(&[4.0, 0.5], "Reciprocal v -> y"), "[0.25, 2.0] [2]");
    gives(float(&[0.0], "Exp v -> y"), "[1.0] [1]");
    gives(float(&[1.0], "Log v -> y"), "[0.0] [1]");
    let integer = |a: &[i64], b: &[i64], line: &str, attributes: &[AttributeProto]| {
        start(18).ints("a", a).ints("b", b).node(line, attributes)
    };
    gives(integer(&[-3, 4], &[], "Abs a -> y", &[]), "[3, 4] [2]");
    gives(integer(&[-3, 4], &[], "Neg a -> y", &[]), "[3, -4] [2]");
    // The sign of a remainder is that of the divisor, or of the dividend with `fmod`.
    let (a, b) = ([-7, 7, -6], [3, -3, 3]);
    gives(integer(&a, &b, "Mod a b -> y", &[]), "[2, -2, 0] [3]");
    gives(integer(&a, &b, "Mod a b -> y", &[int("fmod", 1)]), "[-1, 1, 0] [3]");
    gives(integer(&a, &b, "Max a b -> y", &[]), "[3, 7, 3] [3]");
    gives(integer(&a, &b, "Min a b a -> y", &[]), "[-7, -3, -6] [3]");
    gives(integer(&a, &b, "Sum a b b -> y", &[]), "[-1, 1, 0] [3]");
    gives(integer(&[2, -2, 5], &[3, 3, -1], "Pow a b -> y", &[]), "[8, -8, 0] [3]");
    gives(integer(&[2], &[], "Pow f a -> y", &[]), "[1.0, 4.0, 9.0, 16.0, 25.0, 36.0] [2, 3]");
    gives(
        start(18).ints("a", &[9]).float_values("h", &[1], &[0.5]).node("Pow a h -> y", &[]),
        "[3] [1]",
    );
    gives(float(&[2.0, 4.0, 6.0], "Mean v f -> y"), "[1.5, 3.0, 4.5, 3.0, 4.5, 6.0] [2, 3]");
    gives(float(&[f32::NAN], "Max v f -> y"), "[NaN, NaN, NaN, NaN, NaN, NaN] [2, 3]");
    let overflow = integer(&[i64::MIN], &[], "Neg a -> y", &[]).refusal();
    assert_has(&overflow, "node `neg` (Neg): integer arithmetic on its constants overflows");
    assert_has(&integer(&[1], &[0], "Mod a b -> y", &[]).refusal(), "divides by zero");
    assert_has(&integer(&[2], &[63], "Pow a b -> y", &[]).refusal(), "overflows");
    assert_has(&start(18).node("Sqrt i -> y", &[]).refusal(), "operand 0 is i64, expected f32");
}

#[test]
fn comparisons_and_logic() {
    let ints = |line: &str| start(18).ints("a", &[1, 2, 3]).ints("b", &[2]).node(line, &[]);
    gives(ints("Less a b -> y"), "[true, false, false] [3]");
    gives(ints("LessOrEqual a b -> y"), "[true, true, false] [3]");
    gives(ints("Greater a b -> y"), "[false, false, true] [3]");
    gives(ints("GreaterOrEqual a b -> y"), "[false, true, true] [3]");
    gives(ints("Equal a b -> y"), "[false, true, false] [3]");
    gives(ints("Equal t t -> y"), "[true, true, true] [3]");
    gives(ints("Not t -> y"), "[false, true, false] [3]");
    let logic = |op: &str| ints("Not t -> n").node(&format!("{op} t n -> y"), &[]);
    gives(logic("And"), "[false, false, false] [3]");
    gives(logic("Or"), "[true, true, true] [3]");
    gives(logic("Xor"), "[true, true, true] [3]");
    gives(ints("Where t a b -> y"), "[1, 2, 3] [3]");
    gives(start(18).ints("z", &[0]).node("Where t i z -> y", &[]), "[1, 0, 3, 4, 0, 6] [2, 3]");
    gives(start(18).node("NonZero t -> y", &[]), "[0, 2] [1, 2]");
    gives(
        start(18).ints("z", &[3]).node("Equal i z -> e", &[]).node("NonZero e -> y", &[]),
        "[0, 2] [2, 1]",
    );
    gives(start(18).node("Compress i t -> y", &[int("axis", 1)]), "[1, 3, 4, 6] [2, 2]");
    gives(start(18).node("Compress i t -> y", &[]), "[1, 3] [2]");
    let computed = start(18).input("x", "3").node("NonZero x -> y", &[]).refusal();
    assert_has(&computed, "all operands are constant; found `x`, which is computed at run time");
    assert_has(&computed, "run it on the host");
}

#[test]
fn reductions() {
    let reduce = |op: &str, attributes: &[AttributeProto]| {
        start(13).node(&format!("{op} i -> y"), attributes)
    };
    let rows = [ints("axes", &[-1]), int("keepdims", 0)];
    gives(reduce("ReduceProd", &rows), "[6, 120] [2]");
    gives(reduce("ReduceMax", &rows), "[3, 6] [2]");
    gives(reduce("ReduceMin", &rows), "[1, 4] [2]");
    gives(reduce("ReduceMean", &rows), "[2, 5] [2]");
    gives(reduce("ReduceL1", &rows), "[6, 15] [2]");
    gives(reduce("ReduceL2", &rows), "[3, 8] [2]");
    gives(reduce("ReduceSumSquare", &rows), "[14, 77] [2]");
    gives(reduce("ReduceProd", &[ints("axes", &[0])]), "[4, 10, 18] [1, 3]");
    gives(reduce("ReduceSum", &[]), "[21] [1, 1]");
    let summed = |axes: &[i64], attributes: &[AttributeProto]| {
        start(18).ints("axes", axes).node("ReduceSum i axes -> y", attributes)
    };
    gives(summed(&[0], &[]), "[5, 7, 9] [1, 3]");
    gives(summed(&[], &[int("noop_with_empty_axes", 1)]), "[1, 2, 3, 4, 5, 6] [2, 3]");
    gives(start(13).node("ReduceMean f -> y", &[int("keepdims", 0)]), "[3.5] []");
    gives(start(20).node("ReduceMin t -> y", &[]), "[false] [1]");
    let arg = |op: &str, attributes: &[AttributeProto]| {
        let tiny = start(13).ints("v", &[3, 1, 3, 1]);
        tiny.node(&format!("{op} v -> y"), attributes)
    };
    gives(arg("ArgMax", &[]), "[0] [1]");
    gives(arg("ArgMin", &[int("select_last_index", 1), int("keepdims", 0)]), "[3] []");
    let top = start(11).ints("k", &[2]).node("TopK f k -> v y", &[int("axis", 0)]);
    gives(top, "[1, 1, 1, 0, 0, 0] [2, 3]");
    let least = start(11).ints("k", &[2]).node("TopK i k -> y _", &[int("largest", 0)]);
    gives(least, "[1, 2, 4, 5] [2, 2]");
    let many = start(11).ints("k", &[4]).node("TopK i k -> y", &[]).refusal();
    assert_has(&many, "index 4 is outside extent 3");
    let sums = |attributes: &[AttributeProto]| {
        start(14).ints("axis", &[1]).node("CumSum i axis -> y", attributes)
    };
    gives(sums(&[]), "[1, 3, 6, 4, 9, 15] [2, 3]");
    gives(sums(&[int("reverse", 1)]), "[6, 5, 3, 15, 11, 6] [2, 3]");
    gives(sums(&[int("exclusive", 1)]), "[0, 1, 3, 0, 4, 9] [2, 3]");
    let products = start(26).ints("axis", &[0]).node("CumProd i axis -> y", &[]);
    gives(products, "[1, 2, 3, 4, 10, 18] [2, 3]");
}

#[test]
fn movement() {
    let with =
        |name: &str, values: &[i64], line: &str| start(18).ints(name, values).node(line, &[]);
    gives(
        with("s", &[2, 2, 3], "Expand t s -> y"),
        &format!("{:?} [2, 2, 3]", [true, false, true].repeat(4)),
    );
    gives(with("s", &[1], "Expand t s -> y"), "[true, false, true] [3]");
    gives(with("n", &[1, 2], "Tile i n -> y"), "[1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6] [2, 6]");
    gives(with("n", &[2, 1], "Tile i n -> y"), "[1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6] [4, 3]");
    assert_has(
        &with("n", &[2], "Tile i n -> y").refusal(),
        "operand 1 is 1 counts, expected one per axis",
    );
    let split = |attributes: &[AttributeProto]| start(18).node("Split i -> y b", attributes);
    gives(split(&[int("axis", 1), int("num_outputs", 2)]), "[1, 2, 4, 5] [2, 2]");
    let sized = start(13).ints("sizes", &[1, 2]).node("Split i sizes -> a y", &[int("axis", 1)]);
    gives(sized, "[2, 3, 5, 6] [2, 2]");
    let old = start(11).node("Split i -> _ y", &[ints("split", &[2, 1]), int("axis", -1)]);
    gives(old, "[3, 6] [2, 1]");
    let wrong = start(13).ints("sizes", &[1, 1]).node("Split i sizes -> a y", &[int("axis", 1)]);
    assert_has(&wrong.refusal(), "expected one size for each result");
    let two = |op: &str, dims: &[i64], indices: &[i64]| {
        start(18)
            .with(|model| graph(model).initializer.push(ints_tensor("at", dims, indices)))
            .node(op, &[])
    };
    gives(two("GatherElements i at -> y", &[1, 3], &[-1, 0, 1]), "[4, 2, 6] [1, 3]");
    gives(two("GatherND i at -> y", &[2, 2], &[0, 1, -1, -1]), "[2, 6] [2]");
    gives(two("GatherND i at -> y", &[1, 1], &[1]), "[4, 5, 6] [1, 3]");
    let batched = start(18)
        .with(|model| graph(model).initializer.push(ints_tensor("at", &[2, 1], &[2, 0])))
        .node("GatherND i at -> y", &[int("batch_dims", 1)]);
    gives(batched, "[3, 4] [2]");
    assert_has(&two("GatherND i at -> y", &[1], &[2]).refusal(), "index 2 is outside extent 2");
    let scatter = |line: &str, attributes: &[AttributeProto]| {
        start(18)
            .with(|model| {
                graph(model).initializer.push(ints_tensor("at", &[1, 2], &[0, 0]));
                graph(model).initializer.push(ints_tensor("new", &[1, 2], &[10, 20]));
                graph(model).initializer.push(ints_tensor("one", &[1], &[30]));
            })
            .node(line, attributes)
    };
    let elements = "ScatterElements i at new -> y";
    gives(scatter(elements, &[]), "[10, 20, 3, 4, 5, 6] [2, 3]");
    let added = [int("axis", 1), string("reduction", "add")];
    gives(scatter(elements, &added), "[31, 2, 3, 4, 5, 6] [2, 3]");
    gives(scatter("ScatterND i at one -> y", &[]), "[30, 2, 3, 4, 5, 6] [2, 3]");
    let largest = scatter("ScatterND i at one -> y", &[string("reduction", "max")]);
    gives(largest, "[30, 2, 3, 4, 5, 6] [2, 3]");
    assert_has(
        &scatter("ScatterND i at new -> y", &[]).refusal(),
        "operand 2 has shape [1, 2], expected [1]",
    );
}

#[test]
fn made_from_few_numbers() {
    let range = |from: i64, to: i64, step: i64| {
        let tiny = start(13).ints("a", &[from]).ints("b", &[to]).ints("c", &[step]);
        tiny.node("Range a b c -> y", &[])
    };
    gives(range(3, 10, 3), "[3, 6, 9] [3]");
    gives(range(5, 0, -2), "[5, 3, 1] [3]");
    assert_has(&range(0, 1, 0).refusal(), "divides by zero");
    assert_has(&range(0, i64::MAX, 1).refusal(), "constants need more than");
    let floats = start(13).float_values("a", &[], &[0.0]).float_values("b", &[], &[1.0]);
    gives(
        floats.float_values("c", &[], &[0.375]).node("Range a b c -> y", &[]),
        "[0.0, 0.375, 0.75] [3]",
    );
    let eye = start(13).node("EyeLike f -> y", &[int("k", 1), int("dtype", 7)]);
    gives(eye, "[0, 1, 0, 0, 0, 1] [2, 3]");
    gives(start(14).node("Trilu i -> y", &[]), "[1, 2, 3, 0, 5, 6] [2, 3]");
    let lower = start(14).ints("k", &[-1]).node("Trilu i k -> y", &[int("upper", 0)]);
    gives(lower, "[0, 0, 0, 4, 0, 0] [2, 3]");
    let hot = |axis: i64| {
        let tiny = start(11).ints("at", &[1, -1, 5]).ints("depth", &[2]).ints("values", &[0, 9]);
        tiny.node("OneHot at depth values -> y", &[int("axis", axis)])
    };
    gives(hot(-1), "[0, 9, 0, 9, 0, 0] [3, 2]");
    gives(hot(0), "[0, 0, 0, 9, 9, 0] [2, 3]");
    gives(start(13).input("x", "2,5").node("Size x -> y", &[]), "[10] []");
    gives(start(19).node("CastLike f t -> y", &[]), "[true, true, true, true, true, true] [2, 3]");
    let like = start(19).input("x", "2,3").node("CastLike x f -> c", &[]).node("Relu c -> y", &[]);
    assert_has(&like.nodes(), "clip \"relu\"(%x)");
    let cut = start(19).input("x", "2,3").node("CastLike x i -> y", &[]).refusal();
    assert_has(&cut, "found a cast to i64");
}
