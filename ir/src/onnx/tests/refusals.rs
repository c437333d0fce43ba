//! What is refused, and the words it is refused with.

use std::collections::BTreeMap;

use super::*;
use crate::onnx::ops::OPS;
use crate::onnx::proto::{FunctionProto, SparseTensorProto};
use crate::onnx::unsupported::FAMILIES;

#[test]
fn everything_unsupported_is_reported_at_once() {
    let tiny = Tiny::new(13)
        .with(|model| graph(model).input.push(info("tokens", DataType::Int32, "1,4")))
        .input("x", "1,2,4,4")
        .floats("w", &[2, 2, 1, 1])
        .node("LSTM x -> a", &[])
        .node("Conv a w -> b", &[int("groups", 1)])
        .node("Cnov b w -> c", &[])
        .node("Pad c tokens -> d", &[string("mode", "mirror")])
        .node("Shrink d -> e", &[])
        .node("Shrink e -> y", &[])
        .with(|model| {
            graph(model).node[5].name = "second".to_owned();
            graph(model).node[3].name.clear();
        });
    insta::assert_snapshot!(tiny.refusal());
}

#[test]
fn foreign_operators_and_functions_are_told_apart() {
    let foreign = Tiny::new(13).input("x", "1").node("Relu x -> y", &[]).with(|model| {
        graph(model).node[0].domain = "com.example".to_owned();
        model
            .opset_import
            .push(OperatorSetIdProto { domain: "com.example".to_owned(), version: 1 });
    });
    assert_has(&foreign.refusal(), "operators of domain `com.example` are not supported");
    let function = foreign.with(|model| {
        model
            .functions
            .push(FunctionProto { name: "Relu".to_owned(), domain: "com.example".to_owned() });
    });
    assert_has(&function.refusal(), "it is defined inside the file");
    // An import that no node uses does not matter, and `ai.onnx` is the standard domain.
    let unused = Tiny::new(13).input("x", "1").node("Relu x -> y", &[]).with(|model| {
        model
            .opset_import
            .push(OperatorSetIdProto { domain: "ai.onnx.ml".to_owned(), version: 99 });
        model.opset_import[0].domain = "ai.onnx".to_owned();
    });
    unused.nodes();
}

#[test]
fn operand_constraints() {
    let conv = Tiny::new(13).input("x", "1,2,4,4").input("w", "2,2,1,1").node("Conv x w -> y", &[]);
    assert_has(
        &conv.refusal(),
        "the weights are constant; found `w`, which is computed at run time",
    );
    let volume = Tiny::new(13).input("x", "1,2,4,4,4").floats("w", &[2, 2, 1, 1, 1]);
    assert_has(
        &volume.node("Conv x w -> y", &[]).refusal(),
        "the input has 3 axes `[n, c, l]` or 4 axes `[n, c, h, w]`; found shape [1, 2, 4, 4, 4]",
    );
    let mixed = Tiny::new(13).input("x", "1,2,4").floats("w", &[2, 2, 1, 1]);
    assert_has(
        &mixed.node("Conv x w -> y", &[]).refusal(),
        "operand 1 has shape [2, 2, 1, 1], expected 3 axes",
    );
    let uneven = Tiny::new(13).input("a", "1,2").input("b", "3,1").node("MatMul a b -> y", &[]);
    assert_has(&uneven.refusal(), "operand 1 has shape [3, 1], expected [2, 1]");
    let batches = Tiny::new(13).input("a", "2,4,3").input("b", "5,3,1");
    assert_has(&batches.node("MatMul a b -> y", &[]).refusal(), "[2] and [5] do not broadcast");
    let batched =
        Tiny::new(13).input("x", "2,1,2").floats("w", &[2, 2, 1]).node("MatMul x w -> y", &[]);
    assert_has(&batched.refusal(), "a constant operand is a matrix");
    let gemm = Tiny::new(13).input("x", "2,2").floats("w", &[2, 3]).floats("c", &[2, 1]);
    let gemm = |beta| gemm.clone().node("Gemm x w c -> y", &[float("beta", beta)]);
    assert_has(
        &gemm(0.5).refusal(),
        "`beta` is 0 or 1 where the bias `C` is computed, or is not one value",
    );
    assert_has(&gemm(1.0).nodes(), "%y: f32[2, 3] = add \"gemm\"(%y/product, %c)");
    let reshape = Tiny::new(13).input("x", "2,2").input("s", "1").node("Reshape x s -> y", &[]);
    assert_has(&reshape.refusal(), "the new shape is constant");
    let indices = Tiny::new(13)
        .input("x", "1,1,2,2")
        .node("MaxPool x -> v y", &[ints("kernel_shape", &[1, 1])]);
    assert_has(&indices.refusal(), "the indices are not used; found an output of indices");
    let cast = Tiny::new(13).input("x", "1").node("Cast x -> y", &[int("to", 10)]);
    assert_has(&cast.refusal(), "found a cast to float16");
    let missing = Tiny::new(13).input("x", "1,2").node("Gemm x -> y", &[]);
    assert_has(&missing.refusal(), "operand 1 is missing");
    let early = Tiny::new(8)
        .input("x", "1")
        .ints("s", &[1])
        .node("ConstantOfShape s -> k", &[])
        .node("Add x k -> y", &[]);
    assert_has(&early.refusal(), "the operator exists since operator set 9, the file uses 8");
    let sparse = Tiny::new(13).input("x", "1").node("Add x k -> y", &[]).with(|model| {
        let values = Some(floats_tensor("k", &[1], &[1.0]));
        graph(model).sparse_initializer.push(SparseTensorProto { values });
    });
    assert_has(&sparse.refusal(), "sparse constants are not supported");
}

#[test]
fn symbolic_extents_are_fixed_by_the_user() {
    let tiny = Tiny::new(13).input("x", "N,3,H,W").input("z", "N,3,H,").node("Relu x -> y", &[]);
    assert_has(
        &tiny.refusal(),
        "axis 2 of input `x` has no fixed extent (`H`); axis 3 of input `x` has no fixed extent (`W`); axis 3 of input `z` has no fixed extent (`z:3`); hint: `--shape H=EXTENT --shape W=EXTENT --shape z:3=EXTENT`",
    );
    let options = |pairs: &[(&str, &[usize])]| LoadOptions {
        shapes: pairs
            .iter()
            .map(|&(name, extents)| (name.to_owned(), extents.to_vec()))
            .collect::<BTreeMap<_, _>>(),
        ..LoadOptions::default()
    };
    let load = |pairs: &[(&str, &[usize])]| {
        tiny.load_with(&options(pairs)).map_err(|error| error.to_string())
    };
    assert_has(
        &load(&[("H", &[5]), ("W", &[6])]).unwrap_err(),
        "axis 3 of input `z` has no fixed extent (`z:3`)",
    );
    let model = load(&[("H", &[5]), ("W", &[6]), ("z:3", &[7])]).unwrap();
    assert_eq!(model.graph.values[0].shape, [1, 3, 5, 6]);
    assert_eq!(model.graph.values[1].shape, [1, 3, 5, 7]);
    assert_eq!(model.warnings, ["input `x`: leading extent `N` is not fixed, taken as batch 1"]);
    let extents: Vec<(&str, usize)> =
        model.shapes.iter().map(|(name, &extent)| (name.as_str(), extent)).collect();
    assert_eq!(extents, [("H", 5), ("N", 1), ("W", 6), ("z:3", 7)]);
    assert_eq!(
        load(&[("N", &[2]), ("H", &[5]), ("W", &[6]), ("z:3", &[7])]).unwrap().graph.values[1]
            .shape,
        [2, 3, 5, 7]
    );
    // Whole shapes, and axes of inputs, fix the symbols that stand there.
    let whole = load(&[("x", &[2, 3, 5, 6]), ("z:3", &[7])]).unwrap();
    assert_eq!(whole.graph.values[1].shape, [2, 3, 5, 7]);
    let axes = load(&[("x:2", &[5]), ("x:3", &[6]), ("z", &[1, 3, 5, 7])]).unwrap();
    assert_eq!(axes.graph.values[0].shape, [1, 3, 5, 6]);
    let refused = |pairs: &[(&str, &[usize])], expected: &str| {
        assert_has(&load(pairs).unwrap_err(), expected);
    };
    refused(&[("x", &[1, 4, 5, 6])], "axis 1 of input `x` has extent 3 in the file, which cannot");
    refused(&[("x", &[3, 5, 6])], "input `x` has 4 axes, but a shape with 3 was given");
    refused(&[("H", &[4]), ("x:2", &[5])], "extent `H` was given as 4 and as 5");
    for unknown in ["x:4", "x:-1", "B"] {
        let expected = format!("no input has a symbolic extent `{unknown}`");
        refused(&[(unknown, &[1])], &expected);
    }
    refused(&[("H", &[4, 5])], "no input has a symbolic extent `H`");
    let unknown = load(&[("H", &[5]), ("W", &[6]), ("z:3", &[7]), ("B", &[1])]).unwrap_err();
    assert_has(
        &unknown,
        "no input has a symbolic extent `B`; the symbols are: `H`, `N`, `W`, `z:3`; the inputs are: `x`, `z`",
    );
    assert_has(
        &load(&[("H", &[0]), ("W", &[6]), ("z:3", &[7])]).unwrap_err(),
        "axis 2 of input `x` has extent 0",
    );
    let untyped = tiny.clone().with(|model| graph(model).input[0].r#type = None);
    assert_has(&untyped.refusal(), "input `x` has no tensor type with a shape");
}

#[test]
fn declared_shapes_must_agree() {
    let declared = |dims: &str| {
        let tiny =
            Tiny::new(13).input("x", "1,2").node("Relu x -> r", &[]).node("Relu r -> y", &[]);
        tiny.with(|model| graph(model).value_info.push(info("r", DataType::Float, dims)))
    };
    declared("1,2").nodes();
    declared("N,2").nodes();
    declared("-1,2").nodes();
    assert_has(
        &declared("N,3").refusal(),
        "value `r` is declared with shape [?, 3], but its operators give [1, 2]",
    );
    assert_has(&declared("1,2,1").refusal(), "declared with shape [1, 2, 1]");
}

#[test]
fn files_that_contradict_themselves() {
    let base = || Tiny::new(13).input("x", "1,2").node("Relu x -> y", &[]);
    let opset = |version| base().with(|model| model.opset_import[0].version = version).refusal();
    assert_has(&opset(6), "the file uses operator set 6, expected 7 to 28");
    assert_has(&opset(29), "the file uses operator set 29, expected 7 to 28");
    assert_has(&base().with(|model| model.opset_import.clear()).refusal(), "states no version");
    assert_has(&base().with(|model| graph(model).output.clear()).refusal(), "no output");
    assert_has(
        &base().with(|model| graph(model).node[0].input[0] = "q".to_owned()).refusal(),
        "node `relu` uses value `q`, which nothing defines",
    );
    assert_has(
        &base().with(|model| graph(model).output[0].name = "q".to_owned()).refusal(),
        "the list of outputs uses value `q`",
    );
    assert_has(&base().node("Relu x -> y", &[]).refusal(), "value `y` is defined more than once");
    assert_has(&base().input("x", "1,2").refusal(), "value `x` is defined more than once");
    assert_has(&base().floats("y", &[1]).refusal(), "value `y` is defined more than once");
    let nan = Tiny::new(10).input("x", "1").node("Clip x -> y", &[float("min", f32::NAN)]);
    assert_has(&nan.refusal(), "the graph is not well formed: node `clip`: the lower bound is NaN");
    let empty = Tiny::new(13).input("x", "1").floats("k", &[0]).node("Add x k -> y", &[]);
    assert_has(&empty.refusal(), "value `k` has shape [0], expected extents of at least 1");
    let cycle = Tiny::new(13).input("x", "1").node("Add x y -> a", &[]).node("Relu a -> y", &[]);
    assert_has(&cycle.refusal(), "depends on its own result");
    let broken = base().with(|model| {
        graph(model)
            .initializer
            .push(TensorProto { dims: vec![3], ..floats_tensor("k", &[], &[1.0]) })
    });
    assert_has(&broken.refusal(), "constant `k`: found 4 bytes of elements, expected 12");
}

#[test]
fn odd_but_legal_files_are_taken() {
    // Nodes out of order, a dead branch, constants listed as inputs, nameless and equally named nodes.
    let tiny = Tiny::new(13)
        .input("x", "1,2")
        .input("k", "2")
        .floats("k", &[2])
        .node("Relu a -> y", &[])
        .node("Add x k -> a", &[])
        .node("LSTM x -> dead", &[])
        .with(|model| {
            graph(model).node[0].name.clear();
            graph(model).node[1].name = "Relu_0".to_owned();
        });
    assert_eq!(
        tiny.nodes(),
        "%a: f32[1, 2] = add \"Relu_0\"(%x, %k)\n%y: f32[1, 2] = clip \"Relu_0_2\"(%a) lo=0.0 hi=inf\n"
    );
    let model = tiny.load_with(&LoadOptions::default()).unwrap();
    assert_eq!(model.warnings, ["1 nodes reach no output and are left out"]);
    assert_eq!(model.graph.inputs.len(), 1);
}

#[test]
fn the_tables_are_sorted_and_do_not_overlap() {
    assert!(OPS.windows(2).all(|pair| pair[0].name < pair[1].name));
    for family in FAMILIES {
        assert!(family.ops.is_sorted(), "{:?}", family.ops);
        for op in family.ops {
            assert!(!OPS.iter().any(|spec| spec.name == *op), "{op} is in both tables");
            let elsewhere = FAMILIES.iter().filter(|other| other.ops.contains(op)).count();
            assert_eq!(elsewhere, 1, "{op}");
        }
    }
    // Every standard operator of the newest operator set is in one of the two.
    assert_eq!(OPS.len() + FAMILIES.iter().map(|family| family.ops.len()).sum::<usize>(), 203);
    for spec in OPS {
        assert!(spec.versions.is_sorted() && spec.attributes.is_sorted(), "{}", spec.name);
        assert!(spec.fold.is_some() || spec.import.is_some(), "{}", spec.name);
    }
}

#[test]
fn the_manual_lists_every_operator_and_constraint() {
    let manual = crate::onnx::supported_ops_manual();
    for spec in OPS {
        assert_has(&manual, &format!("| {} |", spec.name));
        spec.constraints.iter().for_each(|constraint| assert_has(&manual, constraint.text));
    }
    FAMILIES.iter().flat_map(|family| family.ops).for_each(|op| assert_has(&manual, op));
}
