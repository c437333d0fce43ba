//! Resize and Upsample, shown on constants: an Add keeps the result.

use super::*;

/// The elements of the row 1, 2, 3, 4 after a Resize to `scale` or `size`.
#[track_caller]
fn row(opset: i64, attributes: &[AttributeProto], scale: Option<f32>, size: Option<i64>) -> String {
    let tiny = Tiny::new(opset).input("x", "1").floats("row", &[4]).float_values("none", &[0], &[]);
    let tiny = match (scale, size) {
        (Some(scale), _) => tiny.float_values("s", &[1], &[scale]),
        (None, size) => tiny.ints("s", &[size.unwrap_or(0)]),
    };
    let node = match (opset, scale) {
        (..=10, _) => "Resize row s -> k",
        (_, Some(_)) => "Resize row none s -> k",
        (_, None) => "Resize row none none s -> k",
    };
    let text = tiny.node(node, attributes).node("Add x k -> y", &[]).text();
    let (_, rest) = text.split_once("%k: ").unwrap();
    rest.split_once("data=").unwrap().1.split_once('\n').unwrap().0.replace(".0", "")
}

fn modes(transform: &str, rounding: &str) -> Vec<AttributeProto> {
    vec![string("coordinate_transformation_mode", transform), string("nearest_mode", rounding)]
}

#[test]
fn coordinates_and_roundings() {
    let up = |transform, rounding| row(19, &modes(transform, rounding), None, Some(7));
    // Coordinates of 7 indices over 4 elements, half-pixel: -0.21, 0.36, 0.93, 1.5, 2.07, 2.64, 3.21.
    assert_eq!(up("half_pixel", "round_prefer_floor"), "[1, 1, 2, 2, 3, 4, 4]");
    assert_eq!(up("half_pixel", "round_prefer_ceil"), "[1, 1, 2, 3, 3, 4, 4]");
    assert_eq!(up("half_pixel", "floor"), "[1, 1, 1, 2, 3, 3, 4]");
    assert_eq!(up("half_pixel", "ceil"), "[1, 2, 2, 3, 4, 4, 4]");
    assert_eq!(up("half_pixel_symmetric", "floor"), up("half_pixel", "floor"));
    // 0, 0.57, 1.14, 1.71, 2.29, 2.86, 3.43.
    assert_eq!(up("asymmetric", "floor"), "[1, 1, 2, 2, 3, 3, 4]");
    assert_eq!(up("asymmetric", "ceil"), "[1, 2, 3, 3, 4, 4, 4]");
    // 0.29, 0.86, 1.43, 2, 2.57, 3.14, 3.71.
    assert_eq!(up("tf_half_pixel_for_nn", "floor"), "[1, 1, 2, 3, 3, 4, 4]");
    // 0, 0.5, 1, 1.5, 2, 2.5, 3.
    assert_eq!(up("align_corners", "round_prefer_floor"), "[1, 1, 2, 2, 3, 3, 4]");
    assert_eq!(up("align_corners", "round_prefer_ceil"), "[1, 2, 2, 3, 3, 4, 4]");
    let one = |transform| row(13, &modes(transform, "floor"), None, Some(1));
    assert_eq!(one("half_pixel"), "[2]");
    assert_eq!(one("pytorch_half_pixel"), "[1]");
    assert_eq!(one("align_corners"), "[1]");
    assert_eq!(one("tf_crop_and_resize"), "[2]");
}

#[test]
fn scales_round_extents_down() {
    assert_eq!(row(11, &[], Some(0.6), None), "[1, 3]");
    assert_eq!(row(13, &[], Some(1.5), None), "[1, 1, 2, 3, 3, 4]");
    // The symmetric transformation centres what is left of a fraction: 7.9 elements would fit, 7 are there.
    let symmetric = modes("half_pixel_symmetric", "floor");
    assert_eq!(row(19, &symmetric, Some(1.975), None), "[1, 1, 1, 2, 3, 3, 4]");
    // Before roundings had names: up where the result is smaller, down where it is larger.
    assert_eq!(row(10, &[], Some(0.6), None), "[1, 3]");
    assert_eq!(row(10, &[], Some(1.6), None), "[1, 1, 2, 2, 3, 4]");
}

#[test]
fn sizes_may_keep_the_aspect_ratio_and_name_axes() {
    let image = |attributes: &[AttributeProto], sizes: &[i64]| {
        let tiny = Tiny::new(18).input("x", "1").floats("m", &[2, 4]).ints("s", sizes);
        let tiny =
            tiny.with(|model| graph(model).initializer.push(floats_tensor("none", &[0], &[])));
        let text =
            tiny.node("Resize m none none s -> k", attributes).node("Add x k -> y", &[]).text();
        text.split_once("%k: f32").unwrap().1.split_once(" =").unwrap().0.to_owned()
    };
    let policy = |name| [string("keep_aspect_ratio_policy", name)];
    assert_eq!(image(&policy("stretch"), &[3, 5]), "[3, 5]");
    assert_eq!(image(&policy("not_larger"), &[3, 5]), "[3, 5]");
    assert_eq!(image(&policy("not_smaller"), &[3, 5]), "[3, 6]");
    assert_eq!(image(&policy("not_larger"), &[9, 6]), "[3, 6]");
    assert_eq!(image(&[ints("axes", &[-1])], &[6]), "[2, 6]");
}

#[test]
fn upsample_in_both_versions() {
    let attribute =
        AttributeProto { floats: vec![2.0], ..attribute("scales", AttributeType::Floats) };
    let tiny = |opset| Tiny::new(opset).input("x", "1").floats("row", &[4]);
    let seven = tiny(7).node("Upsample row -> k", &[attribute]).node("Add x k -> y", &[]).text();
    let nine = tiny(9).float_values("s", &[1], &[2.0]).node("Upsample row s -> k", &[]);
    let nine = nine.node("Add x k -> y", &[]).text();
    for text in [seven, nine] {
        assert_has(&text, "%k: f32[8] = const data=[1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]");
    }
}

#[test]
fn contradictions_are_refused() {
    let resize = |node: &str, attributes: &[AttributeProto]| {
        let tiny = Tiny::new(18).input("x", "1").floats("row", &[4]).ints("size", &[2]);
        let tiny = tiny.float_values("half", &[1], &[0.5]).float_values("two", &[2], &[1.0, 1.0]);
        let tiny = tiny.float_values("zero", &[1], &[0.0]).float_values("huge", &[1], &[1e30]);
        tiny.node(&format!("Resize row {node} -> k"), attributes)
            .node("Add x k -> y", &[])
            .refusal()
    };
    assert_has(&resize("half half size", &[]), "a finite start and end per axis");
    assert_has(&resize("two half size", &[]), "expected either scales or sizes");
    assert_has(&resize("two two", &[]), "expected a finite scale above 0 per axis");
    assert_has(&resize("two zero", &[]), "expected a finite scale above 0 per axis");
    assert_has(&resize("two huge", &[]), "larger than the address space");
    assert_has(&resize("two half", &[ints("axes", &[0, 0])]), "not distinct");
    assert_has(
        &resize("two half", &[string("mode", "cubic")]),
        "the mode is `nearest` or `linear`; found `cubic`",
    );
    assert_has(&resize("two half", &[string("nearest_mode", "up")]), "expected round_prefer_floor");
    assert_has(&resize("two half", &modes("corners", "floor")), "one of ONNX's coordinate");
}
