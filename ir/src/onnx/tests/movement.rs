//! Operators that only move elements.

use super::*;

#[test]
fn slices_clamp_and_count_from_the_end() {
    let slice = |starts: &[i64], ends: &[i64], axes: &[i64], steps: &[i64]| {
        let tiny = Tiny::new(13).input("x", "1,3,8,8").ints("s", starts).ints("e", ends);
        tiny.ints("a", axes).ints("t", steps).node("Slice x s e a t -> y", &[])
    };
    assert_eq!(
        slice(&[1, -1], &[100, -100], &[2, -1], &[2, -3]).nodes(),
        "%y: f32[1, 3, 4, 3] = gather \"slice\"(%x) axis0=[0:1:0] axis1=[0:3:1] axis2=[1:4:2] axis3=[7:3:-3]\n"
    );
    let far = i64::MAX;
    assert_has(&slice(&[-far], &[far], &[3], &[1]).nodes(), "axis3=[0:8:1]");
    assert_has(&slice(&[far], &[i64::MIN], &[3], &[-1]).nodes(), "axis3=[7:8:-1]");
    assert_has(&slice(&[2], &[3], &[3], &[far]).nodes(), "axis3=[2:1:0]");
    let empty = slice(&[3], &[3], &[2], &[1]).refusal();
    assert_has(&empty, "the elements taken along axis 2 are none, or outside its 8 elements");
    assert_has(&slice(&[0], &[3], &[2], &[0]).refusal(), "a step other than 0");
    let attributes = [ints("starts", &[1]), ints("ends", &[-1]), ints("axes", &[1])];
    let old = Tiny::new(9).input("x", "1,3,8,8").node("Slice x -> y", &attributes).nodes();
    assert_has(&old, "[1, 1, 8, 8] = gather \"slice\"(%x) axis0=[0:1:0] axis1=[1:1:0]");
    let computed = Tiny::new(13).input("x", "4").input("s", "1").ints("e", &[2]);
    let computed = computed.node("Slice x s e -> y", &[]).refusal();
    assert_has(&computed, "the starts are constant; found `s`, which is computed at run time");
}

#[test]
fn every_part_of_a_split_is_a_slice() {
    let split = |opset, operands: &str, attributes: &[AttributeProto]| {
        let tiny = Tiny::new(opset).input("x", "1,7,2").ints("sizes", &[2, 5]);
        tiny.node(&format!("Split {operands} -> p q"), attributes)
            .node("Concat q p -> y", &[int("axis", 1)])
    };
    let sized = split(11, "x", &[int("axis", 1), ints("split", &[2, 5])]).nodes();
    assert_eq!(
        sized,
        "%p: f32[1, 2, 2] = gather \"split\"(%x) axis0=[0:1:0] axis1=[0:2:1] axis2=[0:2:1]\n\
         %q: f32[1, 5, 2] = gather \"split/1\"(%x) axis0=[0:1:0] axis1=[2:5:1] axis2=[0:2:1]\n\
         %y: f32[1, 7, 2] = concat \"concat\"(%q, %p) axis=1\n"
    );
    assert_eq!(split(13, "x sizes", &[int("axis", -2)]).nodes(), sized);
    let uneven = split(18, "x", &[int("axis", 1), int("num_outputs", 2)]).nodes();
    assert_has(&uneven, "axis1=[0:4:1]");
    assert_has(&uneven, "axis1=[4:3:1]");
    assert_has(&split(13, "x", &[int("axis", 1)]).refusal(), "can be cut into as many parts");
    assert_has(&split(18, "x", &[int("axis", 1)]).refusal(), "attribute `num_outputs` is None");
    let few = split(11, "x", &[int("axis", 1), ints("split", &[2, 4])]).refusal();
    assert_has(&few, "expected one size for each result, which add up");
    let none = split(11, "x", &[int("axis", 1), ints("split", &[7, 0])]).refusal();
    assert_has(&none, "no part of a value computed at run time is empty; found [7, 0]");
    let constant = Tiny::new(11).input("x", "1").floats("k", &[4]).node("Split k -> a b", &[]);
    let text = constant.node("Add x b -> y", &[]).text();
    assert_has(&text, "%b: f32[2] = const data=[3.0, 4.0]");
    // Of constants, a part may be empty: whatever takes it is computed at import too.
    let whole = Tiny::new(13).input("x", "1").floats("k", &[4]).ints("sizes", &[4, 0]);
    let text = whole.node("Split k sizes -> a b", &[]).node("Add x a -> y", &[]).text();
    assert_has(&text, "%a: f32[4] = const");
}

#[test]
fn borders_repeat_elements_and_negative_amounts_cut() {
    let pad = |mode: &str, amounts: &[i64]| {
        let tiny = Tiny::new(19).input("x", "4,5").ints("amounts", amounts);
        tiny.node("Pad x amounts -> y", &[string("mode", mode)])
    };
    let rows = |mode: &str, amounts: &[i64]| {
        let text = pad(mode, amounts).nodes();
        text.split_once("axis0=").unwrap().1.split_once(" axis1").unwrap().0.to_owned()
    };
    assert_eq!(rows("edge", &[2, 0, 1, 0]), "[0:3:0, 1:3:1, 3:1:0]");
    assert_eq!(rows("reflect", &[2, 0, 2, 0]), "[2:3:-1, 1:3:1, 2:2:-1]");
    assert_eq!(rows("reflect", &[7, 0, 0, 0]), "[1:2:-1, 1:3:1, 2:3:-1, 1:3:1]");
    assert_eq!(rows("wrap", &[1, 0, 2, 0]), "[3:2:-3, 1:3:1, 0:2:1]");
    assert_eq!(rows("edge", &[-1, 0, 1, 0]), "[1:3:1, 3:1:0]");
    assert_eq!(
        pad("constant", &[-1, 1, 0, -2]).nodes(),
        "%y/cut: f32[3, 3] = gather \"pad/cut\"(%x) axis0=[1:3:1] axis1=[0:3:1]\n\
         %y: f32[3, 4] = pad \"pad\"(%y/cut) before=[0, 1] after=[0, 0] value=0.0\n"
    );
    assert_has(&pad("constant", &[0, 0, -1, 0]).nodes(), "%y: f32[3, 5] = gather \"pad\"(%x)");
    assert_has(&pad("edge", &[-2, 0, -2, 0]).refusal(), "leave at least one element");
    assert_has(
        &pad("mirror", &[0; 4]).refusal(),
        "the mode is `constant`, `edge`, `reflect` or `wrap`",
    );
}

#[test]
fn blocks_become_channels_and_back() {
    let depth = |mode: &str| {
        let attributes = [int("blocksize", 2), string("mode", mode)];
        Tiny::new(13).input("x", "1,8,3,5").node("DepthToSpace x -> y", &attributes)
    };
    assert_eq!(
        depth("DCR").nodes(),
        "%y/split: f32[1, 2, 2, 2, 3, 5] = reshape \"depthtospace/split\"(%x)\n\
         %y/turned: f32[1, 2, 3, 2, 5, 2] = transpose \"depthtospace/turned\"(%y/split) perm=[0, 3, 4, 1, 5, 2]\n\
         %y: f32[1, 2, 6, 10] = reshape \"depthtospace\"(%y/turned)\n"
    );
    assert_has(&depth("CRD").nodes(), "perm=[0, 1, 4, 2, 5, 3]");
    assert_has(&depth("RCD").refusal(), "expected DCR or CRD");
    let space = |block| {
        let tiny = Tiny::new(13).input("x", "1,2,6,10");
        tiny.node("SpaceToDepth x -> y", &[int("blocksize", block)])
    };
    assert_has(&space(2).nodes(), "%y: f32[1, 8, 3, 5] = reshape");
    assert_has(&space(2).nodes(), "[1, 2, 3, 2, 5, 2] = reshape \"spacetodepth/split\"(%x)");
    for block in [0, -2, 4, i64::MAX] {
        assert_has(&space(block).refusal(), "a block that divides the extents it rearranges");
    }
}

#[test]
fn nearest_resizing_of_computed_values() {
    let tiny = Tiny::new(13).input("x", "1,2,2,3").float_values("none", &[0], &[]);
    let doubled = tiny.clone().float_values("s", &[4], &[1.0, 1.0, 2.0, 2.0]);
    assert_eq!(
        doubled.node("Resize x none s -> y", &[]).nodes(),
        "%y: f32[1, 2, 4, 6] = gather \"resize\"(%x) axis0=[0:1:0] axis1=[0:2:1] axis2=[0:2:0, 1:2:0] axis3=[0:2:0, 1:2:0, 2:2:0]\n"
    );
    // The region reaches over the operand by one row on either side, which gets the stated value.
    let crop = [
        string("coordinate_transformation_mode", "tf_crop_and_resize"),
        float("extrapolation_value", 7.0),
    ];
    let region = [0.0, 0.0, -1.0, 0.0, 1.0, 1.0, 2.0, 1.0];
    let cropped = tiny.float_values("r", &[8], &region).ints("z", &[1, 2, 4, 3]);
    let cropped = cropped.node("Resize x r none z -> y", &crop).nodes();
    assert_has(&cropped, "[1, 2, 2, 3] = gather \"resize/inside\"(%x)");
    assert_has(
        &cropped,
        "%y: f32[1, 2, 4, 3] = pad \"resize\"(%y/inside) before=[0, 0, 1, 0] after=[0, 0, 1, 0] value=7.0",
    );
}

#[test]
fn constant_indices_pick_from_computed_values() {
    let gather = |dims: &[i64], values: &[i64], axis| {
        let tiny = Tiny::new(13).input("x", "2,5").with(|model| {
            graph(model).initializer.push(ints_tensor("i", dims, values));
        });
        tiny.node("Gather x i -> y", &[int("axis", axis)])
    };
    assert_eq!(
        gather(&[3], &[4, -5, 0], 1).nodes(),
        "%y: f32[2, 3] = gather \"gather\"(%x) axis0=[0:2:1] axis1=[4:2:-4, 0:1:0]\n"
    );
    assert_eq!(
        gather(&[], &[-1], 0).nodes(),
        "%y/taken: f32[1, 5] = gather \"gather/taken\"(%x) axis0=[1:1:0] axis1=[0:5:1]\n\
         %y: f32[5] = reshape \"gather\"(%y/taken)\n"
    );
    assert_has(&gather(&[1, 2], &[0, 1], 1).nodes(), "%y: f32[2, 1, 2] = reshape");
    assert_has(&gather(&[1], &[5], 1).refusal(), "index 5 is outside extent 5");
}

#[test]
fn computed_values_are_repeated() {
    let tiny = Tiny::new(13).input("x", "3,1").ints("s", &[2, 1, 4]).ints("n", &[1, 2]);
    assert_eq!(
        tiny.clone().node("Expand x s -> y", &[]).nodes(),
        "%y/axes: f32[1, 3, 1] = reshape \"expand/axes\"(%x)\n\
         %y: f32[2, 3, 4] = gather \"expand\"(%y/axes) axis0=[0:2:0] axis1=[0:3:1] axis2=[0:4:0]\n"
    );
    let turned = tiny.clone().node("Tile x n -> t", &[]).node("Tile t n -> y", &[]).nodes();
    assert_has(&turned, "%y: f32[3, 4] = gather \"tile_2\"(%t) axis0=[0:3:1] axis1=[0:2:1, 0:2:1]");
    assert_has(
        &tiny.node("Tile x s -> y", &[]).refusal(),
        "operand 1 is 3 counts, expected one per axis",
    );
}
