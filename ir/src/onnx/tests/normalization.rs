//! Normalizations by statistics of the sample, and sums along axes.

use super::*;

#[test]
fn a_layer_is_normalized_in_rows() {
    let layer = |input: &str, attributes: &[_], weights: &[i64]| {
        let tiny = Tiny::new(17).input("x", input).floats("g", weights).floats("b", weights);
        tiny.node("LayerNormalization x g b -> y", attributes)
    };
    let text = layer("2,3,4", &[float("epsilon", 0.5)], &[4]).nodes();
    for line in [
        "%y/mean: f32[2, 3, 1] = reduce_mean \"layernormalization/mean\"(%x) axes=[2]",
        "%y/centred: f32[2, 3, 4] = sub \"layernormalization/centred\"(%x, %y/mean)",
        "%y/squares: f32[2, 3, 4] = mul \"layernormalization/squares\"(%y/centred, %y/centred)",
        "%y/variance: f32[2, 3, 1] = reduce_mean",
        "function=[x, 0.5, add, sqrt, reciprocal]",
        "%y/normalized: f32[2, 3, 4] = mul",
        "%y/with_scale: f32[2, 3, 4] = mul",
        "%y/with_bias: f32[2, 3, 4] = add",
    ] {
        assert_has(&text, line);
    }
    // Several axes are one row.
    let text = layer("2,3,4", &[int("axis", 1)], &[3, 4]).nodes();
    assert_has(&text, "%y/rows: f32[2, 12] = reshape");
    assert_has(&text, "%y: f32[2, 3, 4] = reshape");
    let wrong = layer("2,3,4", &[], &[3]).refusal();
    assert_has(&wrong, "operand 1 has shape [3], expected [4]");
    let statistics = Tiny::new(17).input("x", "2,4").floats("g", &[4]);
    let statistics = statistics.node("LayerNormalization x g -> h m", &[]);
    let text = statistics.node("Add h m -> y", &[]).nodes();
    assert_has(&text, "%m: f32[2, 1] = reshape \"layernormalization/1\"(%h/mean)");
}

#[test]
fn roots_of_mean_squares_keep_the_mean() {
    let tiny = Tiny::new(23).input("x", "2,4").floats("g", &[4]);
    let text = tiny.node("RMSNormalization x g -> y", &[]).nodes();
    assert_has(&text, "%y/squares: f32[2, 4] = mul \"rmsnormalization/squares\"(%x, %x)");
    assert!(!text.contains("sub"), "{text}");
}

#[test]
fn instances_and_groups_are_rows() {
    let instance = Tiny::new(13).input("x", "2,6,3,5").floats("g", &[6]).floats("b", &[6]);
    let text = instance.node("InstanceNormalization x g b -> y", &[]).nodes();
    assert_has(&text, "%y/rows: f32[2, 6, 15] = reshape");
    let group = |opset, weights: &[i64], groups| {
        let tiny = Tiny::new(opset).input("x", "2,6,3,5").floats("g", weights).floats("b", weights);
        tiny.node("GroupNormalization x g b -> y", &[int("num_groups", groups)])
    };
    // Up to operator set 20 scale and bias are the groups'.
    let text = group(18, &[3], 3).nodes();
    assert_has(&text, "%y/with_bias: f32[2, 3, 30] = add");
    let text = group(21, &[6], 3).nodes();
    assert_has(&text, "%y/channels: f32[2, 6, 15] = reshape");
    assert_has(&text, "%y/with_bias: f32[2, 6, 15] = add");
    assert_has(&group(21, &[6], 4).refusal(), "6 channels");
}

#[test]
fn sums_are_means_times_their_number() {
    let sum = |op: &str| {
        let tiny = Tiny::new(11).input("x", "2,3,4");
        tiny.node(&format!("{op} x -> y"), &[ints("axes", &[1, 2]), int("keepdims", 0)]).nodes()
    };
    let text = sum("ReduceSum");
    assert_has(&text, "%y/mean: f32[2, 1, 1] = reduce_mean \"reducesum/mean\"(%x) axes=[1, 2]");
    assert_has(&text, "%y/sum: f32[2, 1, 1] = mul");
    assert_has(&text, "%y: f32[2] = reshape");
    assert_has(&sum("ReduceSumSquare"), "function=[x, x, mul]");
    let text = sum("ReduceL2");
    assert_has(&text, "function=[x, x, mul]");
    assert_has(&text, "function=[x, sqrt]");
    assert_has(&sum("ReduceL1"), "function=[x, abs]");
}
