use super::*;

const GOOD: &str = r#"
[axes]
weight_bits = [4, 8]
array_rows = { from = 4, to = 16, step = "x2" }
array_cols = [4, 8, 16]
scratchpad_kib = { from = 64, to = 128, step = 64 }
per_tensor = [false, true]
observer = ["mse", "percentile"]
percentile = [99.9]
layer_bits.conv1 = [6]
layer_act_bits.conv2 = [16]

[objectives]
accuracy.top1 = "max"
"cycles.total" = "min"

[constraints]
array_cols = "== array_rows"
"area.lut4" = ["<= 40_000", "> 0"]

[search]
strategy = "nsga2"
budget = 20
"#;

fn space(text: &str) -> Space {
    Space::parse(text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

#[test]
fn a_space_is_the_combinations_that_its_rules_allow() {
    let space = space(GOOD);
    assert_eq!(space.count(), 2 * 3 * 2 * 2 * 2);
    assert_eq!(space.alleles(), [2, 3, 2, 2, 2, 1, 1, 1]);
    assert_eq!(space.search, Search { strategy: Strategy::Nsga2, budget: 20, seed: 0 });
    let texts = |point: u64| -> Vec<String> {
        space.values(point).into_iter().map(ToString::to_string).collect()
    };
    assert_eq!(texts(0), ["4", "4", "4", "64", "false", "mse", "99.9", "6", "16"]);
    // The last axis varies fastest.
    assert_eq!(texts(1), ["4", "4", "4", "64", "false", "percentile", "99.9", "6", "16"]);
    assert_eq!(texts(47), ["8", "16", "16", "128", "true", "percentile", "99.9", "6", "16"]);
    for point in 0..space.count() {
        assert_eq!(space.number(&space.genome(point)), point);
        assert_eq!(texts(point)[1], texts(point)[2]);
    }
}

#[test]
fn points_become_options_and_machines() {
    let space = space(GOOD);
    let (options, hardware) = (Options::default(), Hardware::default());
    let settings = space.settings(47, &options, &hardware).unwrap();
    assert_eq!(settings.options.layer_bits["conv1"], 6);
    assert_eq!(settings.options.layer_act_bits["conv2"], 16);
    assert_eq!((settings.options.weight_bits, settings.options.percentile), (8, 99.9));
    assert_eq!((settings.hardware.array_rows, settings.hardware.scratchpad_kib), (16, 128));
    assert_eq!(
        space.flags(47, &options),
        "--weight-bits 8 --set array_rows=16 --set array_cols=16 --set scratchpad_kib=128 --per-tensor --observer percentile --percentile 99.9 --layer-bits conv1=6 --layer-act-bits conv2=16"
    );
    assert!(!space.flags(46, &options).contains("percentile"));
    let other = Space::parse(
        "[axes]\narray_cols = [8, 256]\nhw = \"tpu128\"\n[objectives]\ncycles.total = \"min\"\n",
    );
    let other = other.unwrap();
    let settings = other.settings(0, &options, &hardware).unwrap();
    assert_eq!((settings.hardware.array_rows, settings.hardware.array_cols), (128, 8));
    let banks = "[axes]\nscratchpad_banks = 7\n[objectives]\ncycles.total = \"min\"\n";
    let error = Space::parse(banks).unwrap().settings(0, &options, &hardware).unwrap_err();
    assert!(error.contains("must divide into"), "{error}");
}

#[test]
fn rows_have_the_keys_that_the_space_names() {
    let text = "[axes]\nweight_bits = [4]\n[objectives]\ncycles.engines.mxu.busy = \"max\"\n";
    let space = space(text);
    let keys = space.keys();
    assert_eq!(&keys[..ALWAYS.len()], ALWAYS);
    assert_eq!(&keys[ALWAYS.len()..], ["cycles.engines.mxu.busy"]);
    let known = report_keys();
    assert!(keys.iter().all(|key| known.contains_key(*key)));
    assert!(!known.keys().any(|key| key.contains("layers") || key.starts_with("hardware")));
}

/// Mistakes as lines.
fn mistakes(text: &str) -> Vec<String> {
    Space::parse(text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn every_mistake_is_reported_with_its_line() {
    let text = r#"[axes]
weight_bits = [4, 9, 4]
array_rowz = [8]
array_cols = [12]
observer = ["best"]
percentile = []
per_tensor = 1
scratchpad_kib = { from = 64, to = 32 }
dram_latency_cycles = { from = 1, until = 3 }

[objectives]
"accuracy.top2" = "max"
cycles.total = "less"

[constraints]
accuracy.top1 = ">= 1.5"
traffic.lower_bound_bytes = ["> 10", "< 5"]
cycles.total = "about 5"
energy.total_pj = "< many"
act_bits = "== weight_bits"
weight_bits = "== per_tensor"

[search]
strategy = "guess"
budget = 0

[goals]
"#;
    let found = mistakes(text);
    let expected = [
        "line 2: `weight_bits` = 9: expected one of 2, 3, 4, 5, 6, 7, 8",
        "line 2: `weight_bits`: 4 stands there twice",
        "line 3: `array_rowz`: no such axis; did you mean `array_rows` or `array_cols`?",
        "line 4: `array_cols` = 12: must be a power of two",
        "line 5: `observer` = best: expected one of \"minmax\", \"moving-average\", \"percentile\", \"entropy\", \"mse\"",
        "line 6: `percentile`: 0 values; an axis has 1 to 4096",
        "line 7: `per_tensor` = 1: expected true or false",
        "line 8: `scratchpad_kib`: no value from 64 to 32; a range is { from = 64, to = 512, step = \"x2\" } or { from = 2, to = 8, step = 1 }",
        "line 9: `dram_latency_cycles`: `until` is not understood; a range is { from = 64, to = 512, step = \"x2\" } or { from = 2, to = 8, step = 1 }",
        "line 9: `dram_latency_cycles`: a range without both ends or a step; a range is { from = 64, to = 512, step = \"x2\" } or { from = 2, to = 8, step = 1 }",
        "line 12: `accuracy.top2`: no number of the report; did you mean `accuracy.top1` or `accuracy.top5`?",
        "line 13: `cycles.total`: expected \"max\" or \"min\"",
        "line 16: no value satisfies accuracy.top1 >= 1.5",
        "line 17: no value satisfies traffic.lower_bound_bytes > 10 and traffic.lower_bound_bytes < 5",
        "line 18: `cycles.total`: expected a comparison; a comparison is a text such as \">= 0.88\" or \"== array_cols\"",
        "line 19: `energy.total_pj`: `many` is no number",
        "line 20: `act_bits`: no number of the report and no axis; docs/generated/report.md lists the keys of the report",
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, expected);
    }
    let rest: Vec<&str> = found[expected.len()..].iter().map(String::as_str).collect();
    assert_eq!(
        rest,
        [
            "line 24: `guess`: no such strategy; one of grid, random, nsga2, mixed",
            "line 25: `budget` is not understood; strategy = \"grid\", \"random\", \"nsga2\" or \"mixed\"; budget = points, above 0; seed = a number",
            "line 27: `goals`: no such table; a space has [axes], [objectives], [constraints] and [search]",
        ]
    );
}

#[test]
fn what_no_point_can_satisfy_is_a_mistake() {
    let rest = "[objectives]\ncycles.total = \"min\"\n";
    assert_eq!(
        mistakes(&format!(
            "[axes]\narray_rows = [4]\narray_cols = [8]\n{rest}[constraints]\narray_rows = \"== array_cols\"\n"
        )),
        [
            "line 2: `array_rows`, `array_cols`: no combination of their values keeps to the constraints"
        ]
    );
    assert_eq!(
        mistakes(&format!(
            "[axes]\nweight_bits = [4]\nobserver = [\"mse\"]\n{rest}[constraints]\nweight_bits = \"== observer\"\n"
        )),
        [
            "line 7: `weight_bits`: 4 cannot be compared with mse; the right side is an axis or a value of the same kind"
        ]
    );
    assert_eq!(
        mistakes(rest),
        ["line 1: no axis; [axes] needs at least one, such as `weight_bits = [4, 8]`"]
    );
    assert_eq!(
        mistakes("[axes]\nweight_bits = [4]\n"),
        [
            "line 1: no objective; [objectives] needs at least one, such as `\"cycles.total\" = \"min\"`"
        ]
    );
    let found = mistakes("[axes\nweight_bits = 4\n");
    assert!(found[0].starts_with("line 1: "), "{found:?}");
    // Sixteen axes of 4,096 values each.
    let wide: String = Hardware::PARAMS
        .iter()
        .filter(|info| info.max >= 4096 && !info.pow2)
        .chain(Hardware::PARAMS.iter().filter(|info| info.max >= 1000 && info.max < 4096))
        .map(|info| {
            let most = info.max.min(info.min + 4095);
            format!("{} = {{ from = {}, to = {most} }}\n", info.name, info.min)
        })
        .collect();
    let found = mistakes(&format!("[axes]\n{wide}{rest}"));
    assert_eq!(found, ["line 2: the axes have more than 2^64 combinations"]);
}

#[test]
fn assignments_take_the_place_of_widths() {
    let text = "[axes]\nscratchpad_kib = [64, 128]\nact_bits = [8, 16]\nweight_bits = [4, 8]\narray_rows = [8, 16]\narray_cols = [8, 16]\n[objectives]\ncycles.total = \"min\"\n[constraints]\narray_rows = \"== array_cols\"\n";
    let space = space(text);
    assert_eq!(space.widths(&Options::default()), [vec![4, 8], vec![8, 16]]);
    assert_eq!((space.machines(), space.count()), (4, 16));
    let assignment = |name: &str, weight_bits, layer: &str| Assignment {
        name: name.into(),
        weight_bits,
        weight_bits_everywhere: true,
        act_bits: 8,
        layer_bits: [(layer.to_owned(), 3)].into(),
        layer_act_bits: [("b".to_owned(), 16)].into(),
        layers: "43".into(),
    };
    let both = vec![assignment("one", 4, "a"), assignment("two", 8, "it's")];
    let chosen = space.with_assignments(both.clone()).unwrap();
    let names: Vec<&str> = chosen.axes.iter().map(|axis| axis.name.as_str()).collect();
    assert_eq!(names, ["widths", "scratchpad_kib", "array_rows", "array_cols"]);
    assert_eq!((chosen.count(), &chosen.assignments), (8, &both));
    let (options, hardware) = (Options::default(), Hardware::default());
    let settings = chosen.settings(1, &options, &hardware).unwrap();
    assert_eq!((settings.hardware.array_rows, settings.hardware.array_cols), (16, 16));
    assert_eq!((settings.options.weight_bits, settings.options.layer_bits["a"]), (4, 3));
    assert_eq!(settings.options.layer_act_bits["b"], 16);
    assert_eq!(
        chosen.flags(0, &options),
        "--weight-bits 4 --weight-bits-everywhere --act-bits 8 --layer-bits a=3 --layer-act-bits b=16 --set scratchpad_kib=64 --set array_rows=8 --set array_cols=8"
    );
    let quoted = r"--weight-bits 8 --act-bits 8 --layer-bits 'it'\''s=3' --layer-act-bits b=16 ";
    assert!(chosen.flags(4, &options).starts_with(quoted), "{}", chosen.flags(4, &options));

    // Files may say anything.
    let refused = |assignments: Vec<Assignment>| space.with_assignments(assignments).unwrap_err();
    assert_eq!(refused(Vec::new()), "no assignment of widths");
    let twice = vec![both[0].clone(), both[0].clone()];
    assert_eq!(refused(twice), "two assignments of widths are called one");
    for (wrong, axis) in [
        (Assignment { weight_bits: 9, ..both[0].clone() }, "`weight_bits` = 9"),
        (Assignment { act_bits: 0, ..both[0].clone() }, "`act_bits` = 0"),
        (
            Assignment { layer_bits: [("a".into(), 1)].into(), ..both[0].clone() },
            "`layer_bits.a` = 1",
        ),
        (
            Assignment { layer_act_bits: [("a".into(), 9)].into(), ..both[0].clone() },
            "`layer_act_bits.a` = 9",
        ),
    ] {
        let said = refused(vec![wrong]);
        assert!(said.starts_with(axis), "{said}");
    }
}
