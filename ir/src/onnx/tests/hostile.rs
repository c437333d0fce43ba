//! Damaged files: every outcome but a panic, a hang or a huge allocation is right.

use super::*;

/// One node of many kinds, so that damage reaches all of them.
fn rich() -> Tiny {
    Tiny::new(13)
        .input("x", "N,2,8,9")
        .floats("w", &[4, 2, 3, 3])
        .floats("b", &[4])
        .ints("flat", &[0, -1])
        .ints("pads", &[0, 0, 1, 1, 0, 0, 1, 1])
        .floats("fc", &[120, 3])
        .float_values("lo", &[], &[0.0])
        .node(
            "Conv x w b -> c",
            &[ints("pads", &[1, 1, 1, 1]), ints("strides", &[2, 2]), int("group", 1)],
        )
        .node("BatchNormalization c b b b b -> n", &[float("epsilon", 1e-5)])
        .node("Clip n lo -> r", &[])
        .node("MaxPool r -> p", &[ints("kernel_shape", &[2, 2]), int("ceil_mode", 1)])
        .node("Pad p pads -> q", &[string("mode", "constant")])
        .node(
            "AveragePool q -> a",
            &[ints("kernel_shape", &[2, 2]), string("auto_pad", "SAME_LOWER")],
        )
        .node("Shape a -> s", &[])
        .node("Slice s flat flat -> empty", &[])
        .node("Concat a a -> k", &[int("axis", 1)])
        .node("Transpose k -> t", &[ints("perm", &[0, 2, 3, 1])])
        .node("ReduceMean t -> m", &[ints("axes", &[1, 2])])
        .node("Reshape a flat -> f", &[])
        .node("Gemm f fc _ -> g", &[float("alpha", 0.5)])
        .node("Constant -> v", &[tensor("value", floats_tensor("", &[3], &[1.0, 2.0, 3.0]))])
        .node("Add g v -> h", &[])
        .node("Softmax h -> y", &[int("axis", -1)])
        .with(|model| graph(model).value_info.push(info("c", DataType::Float, "N,4,4,5")))
}

/// Small limits, so that a damaged extent cannot ask for much.
fn attempt(bytes: Vec<u8>) {
    let options = LoadOptions { max_constant_bytes: 1 << 20, ..LoadOptions::default() };
    if let Ok(model) = load_bytes(bytes.into(), &options) {
        assert_eq!(model.graph.verify(), Ok(()));
        let _ = crate::onnx::save(&model.graph);
    }
}

#[test]
fn the_whole_file_is_taken() {
    rich().nodes();
}

#[test]
fn every_truncation_is_survived() {
    let bytes = rich().bytes();
    for length in 0..bytes.len() {
        attempt(bytes[..length].to_vec());
    }
}

#[test]
fn flipped_bytes_are_survived() {
    let bytes = rich().bytes().to_vec();
    // A multiplicative generator (Park and Miller 1988), so that the damage is the same on every run.
    let mut state = 20_011u64;
    let mut random = || {
        state = state * 48_271 % 0x7fff_ffff;
        state as usize
    };
    for round in 0..2000 {
        let mut damaged = bytes.clone();
        for _ in 0..1 + round % 3 {
            let at = random() % damaged.len();
            damaged[at] = if random() % 2 == 0 {
                random() as u8
            } else {
                damaged[at] ^ (1 << (random() % 8))
            };
        }
        attempt(damaged);
    }
}

#[test]
fn deep_nesting_is_refused() {
    // Messages within messages, far beyond what the decoder allows.
    let mut bytes = vec![0x08, 0x08];
    for _ in 0..200 {
        let mut outer = vec![0x2a];
        let mut length = bytes.len();
        while length >= 0x80 {
            outer.push(length as u8 & 0x7f | 0x80);
            length >>= 7;
        }
        outer.push(length as u8);
        outer.extend_from_slice(&bytes);
        bytes = outer;
    }
    attempt(bytes);
}

#[test]
fn a_long_chain_of_equal_names_takes_linear_time() {
    let mut tiny = Tiny::new(13).input("x", "1,2");
    let mut last = "x".to_owned();
    for index in 0..20_000 {
        let next = if index == 19_999 { "y".to_owned() } else { format!("v{index}") };
        tiny = tiny.node(&format!("Relu {last} -> {next}"), &[]);
        last = next;
    }
    assert_eq!(tiny.nodes().lines().count(), 20_000);
}

#[test]
fn a_shape_of_many_axes_cannot_multiply() {
    // Were it taken, every later value would carry it.
    let wide = Tiny::new(13).input("x", "1").ints("s", &[1; 100_000]).node("Reshape x s -> a", &[]);
    assert_has(&wide.node("Relu a -> y", &[]).refusal(), "100000 axes, expected at most 16");
    let input = Tiny::new(13).input("x", &["1"; 100].join(",")).node("Relu x -> y", &[]);
    assert_has(&input.refusal(), "100 axes, expected at most 16");
}
