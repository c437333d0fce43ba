//! What each operator becomes.

use super::*;

#[test]
fn conv_in_all_its_paddings() {
    let conv = |attributes: &[AttributeProto]| {
        let tiny = Tiny::new(13).input("x", "1,2,5,7").floats("w", &[4, 1, 3, 2]).floats("b", &[4]);
        let attributes = [&[int("group", 2)], attributes].concat();
        tiny.node("Conv x w b -> y", &attributes).nodes()
    };
    let explicit =
        [ints("pads", &[1, 0, 2, 1]), ints("strides", &[2, 3]), ints("dilations", &[2, 1])];
    assert_eq!(
        conv(&explicit),
        "%y: f32[1, 4, 2, 3] = conv \"conv\"(%x, %w, %b) kernel=[3, 2] stride=[2, 3] dilation=[2, 1] pad=[1, 0, 2, 1] groups=2\n"
    );
    // Height: 3 windows reach 7 rows, 2 too many; width: 4 windows reach 8 columns, 1 too many.
    assert_has(
        &conv(&[string("auto_pad", "SAME_UPPER"), ints("strides", &[2, 2])]),
        "[1, 4, 3, 4] = conv",
    );
    assert_has(
        &conv(&[string("auto_pad", "SAME_UPPER"), ints("strides", &[2, 2])]),
        "pad=[1, 0, 1, 1]",
    );
    assert_has(
        &conv(&[string("auto_pad", "SAME_LOWER"), ints("strides", &[2, 2])]),
        "pad=[1, 1, 1, 0]",
    );
    assert_has(&conv(&[string("auto_pad", "VALID"), ints("pads", &[0; 4])]), "[1, 4, 3, 6] = conv");
    assert_has(&conv(&[string("auto_pad", "NOTSET")]), "pad=[0, 0, 0, 0]");
    assert_has(&conv(&[ints("kernel_shape", &[3, 2])]), "kernel=[3, 2]");
}

#[test]
fn conv_that_contradicts_itself_is_refused() {
    let conv = |attributes: &[AttributeProto]| {
        let tiny = Tiny::new(13).input("x", "1,2,5,7").floats("w", &[4, 1, 3, 2]);
        tiny.node("Conv x w -> y", attributes).refusal()
    };
    assert_has(&conv(&[]), "operand 1 has shape [4, 1, 3, 2], expected [4, 2, 3, 2]");
    assert_has(&conv(&[int("group", 3)]), "3 groups do not divide 2 input and 4 output channels");
    assert_has(&conv(&[int("group", -1)]), "attribute `group` is -1, expected at least 1");
    assert_has(
        &conv(&[int("group", 2), ints("kernel_shape", &[2, 3])]),
        "expected the kernel of the weights",
    );
    assert_has(
        &conv(&[ints("pads", &[1, 1])]),
        "attribute `pads` is [1, 1], expected one entry per axis",
    );
    assert_has(&conv(&[ints("strides", &[0, 1])]), "stride 0");
    assert_has(&conv(&[int("strides", 1)]), "attribute `strides` is not a list of integers");
    assert_has(&conv(&[string("auto_pad", "SAME")]), "attribute `auto_pad` is `SAME`");
    let both = conv(&[string("auto_pad", "SAME_UPPER"), ints("pads", &[1, 0, 0, 0])]);
    assert_has(&both, "`pads` are absent or 0 where `auto_pad` is given; found pads [1, 0, 0, 0]");
}

#[test]
fn pools() {
    let pool = |op: &str, attributes: &[AttributeProto]| {
        let attributes =
            [&[ints("kernel_shape", &[3, 2]), ints("strides", &[2, 2])], attributes].concat();
        Tiny::new(19).input("x", "1,2,6,7").node(&format!("{op} x -> y"), &attributes).nodes()
    };
    assert_has(
        &pool("MaxPool", &[]),
        "%y: f32[1, 2, 2, 3] = max_pool \"maxpool\"(%x) kernel=[3, 2] stride=[2, 2]",
    );
    assert_has(&pool("MaxPool", &[int("ceil_mode", 1)]), "[1, 2, 3, 4]");
    assert_has(&pool("MaxPool", &[ints("dilations", &[2, 3])]), "[1, 2, 1, 2]");
    assert_has(&pool("MaxPool", &[string("auto_pad", "SAME_UPPER")]), "[1, 2, 3, 4]");
    assert_has(
        &pool("AveragePool", &[int("count_include_pad", 1), ints("pads", &[1, 1, 1, 1])]),
        "count_include_pad=true",
    );
    assert_has(&pool("AveragePool", &[int("ceil_mode", 1)]), "[1, 2, 3, 4] = average_pool");
    let global =
        |op: &str| Tiny::new(13).input("x", "1,2,6,7").node(&format!("{op} x -> y"), &[]).nodes();
    assert_has(
        &global("GlobalAveragePool"),
        "%y: f32[1, 2, 1, 1] = reduce_mean \"globalaveragepool\"(%x) axes=[2, 3]",
    );
    assert_has(
        &global("GlobalMaxPool"),
        "%y: f32[1, 2, 1, 1] = max_pool \"globalmaxpool\"(%x) kernel=[6, 7]",
    );
}

#[test]
fn a_window_with_one_place_takes_no_step() {
    let pool = |shape: &str, attributes: &[AttributeProto]| {
        Tiny::new(13).input("x", shape).node("AveragePool x -> y", attributes).nodes()
    };
    let strides = ints("strides", &[64, 64]);
    assert_has(
        &pool("1,2,64,64", &[ints("kernel_shape", &[64, 64]), strides.clone()]),
        "kernel=[64, 64] stride=[1, 1]",
    );
    // Rows that no window reaches: as many steps as leave one place.
    assert_has(
        &pool("1,2,10,128", &[ints("kernel_shape", &[8, 64]), strides]),
        "f32[1, 2, 1, 2] = average_pool \"averagepool\"(%x) kernel=[8, 64] stride=[3, 64]",
    );
    // A shorter stride would have ceil mode begin a second window in the row.
    let ceil = [
        ints("kernel_shape", &[3, 2]),
        ints("strides", &[100, 2]),
        ints("pads", &[2, 1, 1, 0]),
        int("ceil_mode", 1),
    ];
    assert_has(
        &pool("1,2,1,2", &ceil),
        "f32[1, 2, 1, 2] = average_pool \"averagepool\"(%x) kernel=[3, 2] stride=[3, 2]",
    );
}

#[test]
fn sequences_become_maps_of_height_1() {
    let conv = Tiny::new(13).input("x", "1,2,9").floats("w", &[4, 1, 3]).floats("b", &[4]);
    let attributes = [int("group", 2), ints("pads", &[1, 2]), ints("strides", &[2])];
    assert_eq!(
        conv.node("Conv x w b -> y", &attributes).nodes(),
        "%y/to_map: f32[1, 2, 1, 9] = reshape \"conv/to_map\"(%x)\n\
         %y/map: f32[1, 4, 1, 5] = conv \"conv\"(%y/to_map, %w/map, %b) kernel=[1, 3] stride=[1, 2] dilation=[1, 1] pad=[0, 1, 0, 2] groups=2\n\
         %y: f32[1, 4, 5] = reshape \"conv/from_map\"(%y/map)\n"
    );
    let pool = |op: &str, attributes: &[AttributeProto]| {
        Tiny::new(19).input("x", "1,2,9").node(&format!("{op} x -> y"), attributes).nodes()
    };
    let kernel = ints("kernel_shape", &[2]);
    let strided = [kernel.clone(), ints("strides", &[2]), int("ceil_mode", 1)];
    for (op, name) in [("MaxPool", "max_pool"), ("AveragePool", "average_pool")] {
        let nodes = pool(op, &strided);
        assert_has(&nodes, &format!("%y/map: f32[1, 2, 1, 5] = {name}"));
        assert_has(&nodes, "%y: f32[1, 2, 5] = reshape");
    }
    let same = [kernel, string("auto_pad", "SAME_LOWER")];
    assert_has(&pool("MaxPool", &same), "pad=[0, 1, 0, 0]");
    assert_has(&pool("GlobalMaxPool", &[]), "max_pool \"globalmaxpool\"(%y/to_map) kernel=[1, 9]");
    assert_has(&pool("GlobalAveragePool", &[]), "(%y/to_map) axes=[2, 3]");
}

#[test]
fn gemm_folds_its_factors() {
    let gemm = |weights: &[i64], bias: &[i64], attributes: &[AttributeProto]| {
        let tiny = Tiny::new(13).input("x", "1,2").floats("w", weights).floats("c", bias);
        tiny.node("Gemm x w c -> y", attributes).text()
    };
    let plain = gemm(&[3, 2], &[3], &[int("transB", 1)]);
    assert_has(&plain, "%w: f32[3, 2] = const data=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]");
    assert_has(&plain, "%y: f32[1, 3] = dense \"gemm\"(%x, %w, %c)");
    let scaled = gemm(&[2, 3], &[1, 3], &[float("alpha", 2.0), float("beta", 0.5)]);
    assert_has(&scaled, "%w.scaled: f32[3, 2] = const data=[2.0, 8.0, 4.0, 10.0, 6.0, 12.0]");
    assert_has(&scaled, "%c.bias: f32[3] = const data=[0.5, 1.0, 1.5]");
    assert_has(&scaled, "(%x, %w.scaled, %c.bias)");
    assert_has(&gemm(&[2, 3], &[], &[]), "%c.bias: f32[3] = const data=[1.0, 1.0, 1.0]");
    assert_has(&gemm(&[2, 3], &[3], &[float("beta", 0.0)]), "dense \"gemm\"(%x, %w.transposed)\n");
}

#[test]
fn gemm_with_a_transposed_input_or_a_computed_bias() {
    let tiny = Tiny::new(13).input("x", "2,4").input("c", "4,3").floats("w", &[3, 2]);
    let nodes = tiny.node("Gemm x w c -> y", &[int("transA", 1), int("transB", 1)]).nodes();
    assert_eq!(
        nodes,
        "%y/transA: f32[4, 2] = transpose \"gemm/transA\"(%x) perm=[1, 0]\n\
         %y/product: f32[4, 3] = dense \"gemm/product\"(%y/transA, %w)\n\
         %y: f32[4, 3] = add \"gemm\"(%y/product, %c)\n"
    );
}

#[test]
fn matmul_with_the_constant_on_either_side() {
    let right =
        Tiny::new(13).input("x", "2,5,3").floats("w", &[3, 2]).node("MatMul x w -> y", &[]).text();
    assert_has(&right, "%w.transposed: f32[2, 3] = const data=[1.0, 3.0, 5.0, 2.0, 4.0, 6.0]");
    assert_has(&right, "%y: f32[2, 5, 2] = dense \"matmul\"(%x, %w.transposed)");
    let leading = Tiny::new(13)
        .input("x", "2,5,3")
        .floats("w", &[1, 3, 2])
        .node("MatMul x w -> y", &[])
        .nodes();
    assert_has(&leading, "%y: f32[2, 5, 2] = dense");
    let vector =
        Tiny::new(13).input("x", "3").floats("w", &[3, 2]).node("MatMul x w -> y", &[]).nodes();
    assert_has(&vector, "%y: f32[2] = dense");
    let left =
        Tiny::new(13).input("x", "2,3,5").floats("w", &[4, 3]).node("MatMul w x -> y", &[]).nodes();
    assert_eq!(
        left,
        "%y/columns: f32[2, 5, 3] = transpose \"matmul/columns\"(%x) perm=[0, 2, 1]\n\
         %y/product: f32[2, 5, 4] = dense \"matmul/product\"(%y/columns, %w)\n\
         %y: f32[2, 4, 5] = transpose \"matmul\"(%y/product) perm=[0, 2, 1]\n"
    );
}

#[test]
fn products_of_two_activations_repeat_leading_axes() {
    let product = |a: &str, b: &str| {
        Tiny::new(13).input("a", a).input("b", b).node("MatMul a b -> y", &[]).nodes()
    };
    assert_eq!(
        product("1,2,3,4", "1,2,4,5"),
        "%y: f32[1, 2, 3, 5] = matmul \"matmul\"(%a, %b) scale=1.0\n"
    );
    // One matrix on the right: all rows are those of one matrix.
    let shared = product("2,3,4", "4,5");
    assert_has(&shared, "%y/rows: f32[6, 4] = reshape");
    assert_has(&shared, "%y/product: f32[6, 5] = matmul \"matmul/product\"(%y/rows, %b) scale=1.0");
    assert_has(&shared, "%y: f32[2, 3, 5] = reshape");
    // A column of matrices against a row of them: each with each.
    let all = product("2,1,3,4", "5,4,6");
    assert_has(&all, "%y/rows_repeated: f32[2, 5, 3, 4] = gather");
    assert_has(&all, "%y/columns_repeated: f32[2, 5, 4, 6] = gather");
    assert_has(
        &all,
        "%y: f32[2, 5, 3, 6] = matmul \"matmul\"(%y/rows_repeated, %y/columns_repeated)",
    );
    // Vectors are matrices of one row or column, and leave no axis behind.
    assert_has(&product("4", "4"), "%y: f32[] = reshape");
    assert_has(&product("2,3,4", "4"), "%y: f32[2, 3] = reshape");
    assert_has(&product("4", "2,4,3"), "%y: f32[2, 3] = reshape");
}

#[test]
fn a_matrix_used_twice_is_transposed_once() {
    let tiny = Tiny::new(13).input("x", "1,3").floats("w", &[3, 3]);
    let text = tiny.node("MatMul x w -> h", &[]).node("MatMul h w -> y", &[]).text();
    assert_eq!(text.matches("= const").count(), 1, "{text}");
}

#[test]
fn elementwise_operators_broadcast() {
    for (op, name) in [("Add", "add"), ("Sub", "sub"), ("Mul", "mul")] {
        let tiny = Tiny::new(14).input("x", "1,2,3").floats("k", &[2, 1]);
        let nodes = tiny.node(&format!("{op} k x -> y"), &[]).nodes();
        assert_eq!(nodes, format!("%y: f32[1, 2, 3] = {name} \"{name}\"(%k, %x)\n"));
    }
    let sum = Tiny::new(13)
        .input("a", "1,2")
        .input("b", "1,2")
        .input("c", "2")
        .node("Sum a b c -> y", &[]);
    assert_eq!(
        sum.nodes(),
        "%y/sum: f32[1, 2] = add \"sum/sum\"(%a, %b)\n%y: f32[1, 2] = add \"sum\"(%y/sum, %c)\n"
    );
    let mismatch = Tiny::new(14).input("x", "1,2,3").floats("k", &[2]).node("Add x k -> y", &[]);
    assert_has(&mismatch.refusal(), "node `add` (Add): shapes [1, 2, 3] and [2] do not broadcast");
}

#[test]
fn clip_takes_bounds_from_attributes_or_operands() {
    let old = |attributes: &[AttributeProto]| {
        Tiny::new(6 + 4).input("x", "1,2").node("Clip x -> y", attributes).nodes()
    };
    assert_has(&old(&[float("min", 0.0), float("max", 6.0)]), "lo=0.0 hi=6.0");
    assert_has(&old(&[float("max", 6.0)]), "lo=-inf hi=6.0");
    let new = |line: &str| {
        let tiny = Tiny::new(13).input("x", "1,2").float_values("lo", &[], &[-1.0]).float_values(
            "hi",
            &[1],
            &[1.0],
        );
        tiny.node(line, &[]).nodes()
    };
    assert_has(&new("Clip x lo hi -> y"), "clip \"clip\"(%x) lo=-1.0 hi=1.0");
    assert_has(&new("Clip x _ hi -> y"), "lo=-inf hi=1.0");
    assert_has(&new("Clip x lo -> y"), "lo=-1.0 hi=inf");
    assert_has(&new("Clip x -> y"), "lo=-inf hi=inf");
    let relu = Tiny::new(13).input("x", "1,2").node("Relu x -> y", &[]).nodes();
    assert_eq!(relu, "%y: f32[1, 2] = clip \"relu\"(%x) lo=0.0 hi=inf\n");
}

#[test]
fn batch_normalization_keeps_its_statistics() {
    let norm = |opset, attributes: &[AttributeProto], line: &str| {
        let tiny = Tiny::new(opset).input("x", "1,2,3,3");
        ["s", "b", "m", "v"]
            .iter()
            .fold(tiny, |tiny, name| tiny.floats(name, &[2]))
            .node(line, attributes)
    };
    let line = "BatchNormalization x s b m v -> y";
    assert_has(
        &norm(15, &[], line).nodes(),
        "= batch_norm \"batchnormalization\"(%x, %s, %b, %m, %v) epsilon=1e-5",
    );
    let old = norm(7, &[float("epsilon", 1e-3), float("momentum", 0.9), int("spatial", 1)], line);
    assert_has(&old.nodes(), "epsilon=0.001");
    assert_has(
        &norm(7, &[int("spatial", 0)], line).refusal(),
        "statistics are per channel (`spatial` is 1); found spatial 0",
    );
    assert_has(&norm(15, &[int("training_mode", 1)], line).refusal(), "found training_mode 1");
    // Results that nobody uses may be named.
    assert_has(&norm(13, &[], "BatchNormalization x s b m v -> y mean var").nodes(), "%y:");
}

#[test]
fn local_response_normalization() {
    let lrn = |shape: &str, attributes: &[AttributeProto]| {
        Tiny::new(13).input("x", shape).node("LRN x -> y", attributes)
    };
    let numbers = [float("alpha", 0.5), float("beta", 1.0), float("bias", 2.0), int("size", 3)];
    assert_eq!(
        lrn("1,8,3,3", &numbers).nodes(),
        "%y: f32[1, 8, 3, 3] = lrn \"lrn\"(%x) size=3 alpha=0.5 beta=1.0 bias=2.0\n"
    );
    // A sequence becomes a map of height 1, and what is missing has a default.
    assert_has(
        &lrn("1,8,3", &[int("size", 4)]).nodes(),
        "lrn \"lrn\"(%y/to_map) size=4 alpha=0.0001 beta=0.75 bias=1.0",
    );
    for (attributes, found) in [
        (vec![], "attribute `size` is missing"),
        (vec![int("size", 0)], "`size` is 0"),
        (vec![int("size", 3), float("bias", 0.0)], "found bias 0 and alpha 0.0001"),
        (vec![int("size", 3), float("alpha", -1.0)], "found bias 1 and alpha -1"),
    ] {
        assert_has(&lrn("1,8,3,3", &attributes).refusal(), found);
    }
    assert_has(&lrn("1,8,2,3,3", &[int("size", 3)]).refusal(), "3 axes `[n, c, l]` or 4 axes");
    let nothing = Tiny::new(13).input("x", "1").node("LRN -> y", &[int("size", 3)]);
    assert_has(&nothing.refusal(), "operand 0 is missing");
}

#[test]
fn reduce_mean_drops_axes_through_a_reshape() {
    let old = |attributes: &[AttributeProto]| {
        Tiny::new(13).input("x", "1,2,3,4").node("ReduceMean x -> y", attributes).nodes()
    };
    assert_eq!(
        old(&[ints("axes", &[-1, 2])]),
        "%y: f32[1, 2, 1, 1] = reduce_mean \"reducemean\"(%x) axes=[2, 3]\n"
    );
    assert_eq!(
        old(&[ints("axes", &[3, 2]), int("keepdims", 0)]),
        "%y/mean: f32[1, 2, 1, 1] = reduce_mean \"reducemean/mean\"(%x) axes=[2, 3]\n\
         %y: f32[1, 2] = reshape \"reducemean\"(%y/mean)\n"
    );
    assert_has(&old(&[]), "axes=[0, 1, 2, 3]");
    let new =
        Tiny::new(18).input("x", "1,2,3").ints("axes", &[1]).node("ReduceMean x axes -> y", &[]);
    assert_has(&new.nodes(), "axes=[1]");
    let nothing = Tiny::new(18)
        .input("x", "1,2,3")
        .node("ReduceMean x -> y", &[int("noop_with_empty_axes", 1)]);
    assert_has(&nothing.nodes(), "%y: f32[1, 2, 3] = reshape");
    let twice =
        Tiny::new(13).input("x", "1,2,3").node("ReduceMean x -> y", &[ints("axes", &[1, -2])]);
    assert_has(&twice.refusal(), "axes [1, 1] are not distinct");
}

#[test]
fn shapes_of_the_reshape_family() {
    let reshape = |wanted: &[i64], attributes: &[AttributeProto]| {
        Tiny::new(14).input("x", "1,2,3,4").ints("s", wanted).node("Reshape x s -> y", attributes)
    };
    assert_has(&reshape(&[0, -1], &[]).nodes(), "%y: f32[1, 24] = reshape \"reshape\"(%x)");
    assert_has(&reshape(&[2, 0, 6], &[]).nodes(), "[2, 2, 6]");
    assert_has(&reshape(&[5, -1], &[]).refusal(), "cannot reshape [1, 2, 3, 4] to [5, -1]");
    assert_has(&reshape(&[-1, -1], &[]).refusal(), "cannot reshape");
    assert_has(&reshape(&[0, 24], &[int("allowzero", 1)]).refusal(), "cannot reshape");
    let node = |opset, op: &str, attributes: &[AttributeProto]| {
        Tiny::new(opset)
            .input("x", "2,1,3,1")
            .ints("axes", &[-1, 1])
            .node(&format!("{op} -> y"), attributes)
    };
    assert_has(&node(13, "Flatten x", &[]).nodes(), "[2, 3]");
    assert_has(&node(13, "Flatten x", &[int("axis", 0)]).nodes(), "[1, 6]");
    assert_has(&node(13, "Flatten x", &[int("axis", -2)]).nodes(), "[2, 3]");
    assert_has(&node(13, "Flatten x", &[int("axis", 4)]).nodes(), "[6, 1]");
    assert_has(
        &node(13, "Flatten x", &[int("axis", 5)]).refusal(),
        "axis 5 is outside a tensor with 4 axes",
    );
    assert_has(&node(13, "Squeeze x", &[]).nodes(), "[2, 3]");
    assert_has(&node(13, "Squeeze x axes", &[]).nodes(), "[2, 3]");
    assert_has(&node(11, "Squeeze x", &[ints("axes", &[1])]).nodes(), "[2, 3, 1]");
    assert_has(&node(11, "Squeeze x", &[ints("axes", &[0])]).refusal(), "axes of extent 1");
    assert_has(&node(13, "Unsqueeze x axes", &[]).nodes(), "[2, 1, 1, 3, 1, 1]");
    assert_has(&node(11, "Unsqueeze x", &[ints("axes", &[0])]).nodes(), "[1, 2, 1, 3, 1]");
}

#[test]
fn data_movement() {
    let transpose = |attributes: &[AttributeProto]| {
        Tiny::new(13).input("x", "1,2,3").node("Transpose x -> y", attributes).nodes()
    };
    assert_has(
        &transpose(&[ints("perm", &[0, 2, 1])]),
        "%y: f32[1, 3, 2] = transpose \"transpose\"(%x) perm=[0, 2, 1]",
    );
    assert_has(&transpose(&[]), "perm=[2, 1, 0]");
    let concat = Tiny::new(13)
        .input("a", "1,2")
        .input("b", "1,3")
        .node("Concat a b a -> y", &[int("axis", -1)]);
    assert_eq!(concat.nodes(), "%y: f32[1, 7] = concat \"concat\"(%a, %b, %a) axis=1\n");
    let old = Tiny::new(10).input("x", "1,2");
    let old = old.node(
        "Pad x -> y",
        &[ints("pads", &[0, 1, 2, 3]), float("value", 1.5), string("mode", "constant")],
    );
    assert_has(
        &old.nodes(),
        "%y: f32[3, 6] = pad \"pad\"(%x) before=[0, 1] after=[2, 3] value=1.5",
    );
    let new = Tiny::new(18).input("x", "1,2").ints("p", &[1, 2]).ints("axes", &[-1]);
    let new = new.node("Pad x p _ axes -> y", &[]);
    assert_has(
        &new.nodes(),
        "%y: f32[1, 5] = pad \"pad\"(%x) before=[0, 1] after=[0, 2] value=0.0",
    );
}

#[test]
fn softmax_of_old_and_new_operator_sets() {
    let softmax = |opset, dims: &str, attributes: &[AttributeProto]| {
        Tiny::new(opset).input("x", dims).node("Softmax x -> y", attributes).nodes()
    };
    assert_eq!(softmax(13, "1,2,3", &[]), "%y: f32[1, 2, 3] = softmax \"softmax\"(%x) axis=2\n");
    assert_has(&softmax(13, "1,2,3", &[int("axis", 1)]), "axis=1");
    assert_has(&softmax(9, "1,10", &[]), "%y: f32[1, 10] = softmax \"softmax\"(%x) axis=1");
    assert_has(
        &softmax(9, "1,10,1,1", &[]),
        "%y: f32[1, 10, 1, 1] = softmax \"softmax\"(%x) axis=1",
    );
    assert_eq!(
        softmax(9, "2,3,4", &[]),
        "%y/flat: f32[2, 12] = reshape \"softmax/flat\"(%x)\n\
         %y/softmax: f32[2, 12] = softmax \"softmax/softmax\"(%y/flat) axis=1\n\
         %y: f32[2, 3, 4] = reshape \"softmax\"(%y/softmax)\n"
    );
}

#[test]
fn nodes_that_do_nothing_leave_no_trace_but_output_names_stay() {
    let chain = Tiny::new(13)
        .input("x", "1,2")
        .node("Identity x -> a", &[])
        .node("Dropout a -> b mask", &[]);
    let chain = chain.node("Cast b -> c", &[int("to", 1)]).node("Relu c -> y", &[]);
    assert_eq!(chain.nodes(), "%y: f32[1, 2] = clip \"relu\"(%x) lo=0.0 hi=inf\n");
    let last =
        Tiny::new(13).input("x", "1,2").node("Relu x -> r", &[]).node("Identity r -> y", &[]);
    assert_has(&last.nodes(), "%y: f32[1, 2] = reshape \"identity\"(%r)");
}
