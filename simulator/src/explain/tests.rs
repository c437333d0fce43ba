//! Sums, keys and text.

use std::collections::BTreeSet;

use isa::{Engine, Program};
use timing::Mode;

use super::*;
use crate::report::{Buckets, ProgramFile, Report};
use crate::sample;

/// Every cycle of every layer is told once, in the window and in the gap.
fn check(program: &Program, hardware: &isa::Hardware) -> Explanation {
    let file = ProgramFile::default();
    let explanation = Explanation::new(program, hardware, &file).unwrap();
    let timing = timing::run_on(program, hardware, Mode::Stepped, &mut timing::NoObserver).unwrap();
    let report = Report::new(program, hardware, &file, &timing).unwrap();
    let cycles: u64 = explanation.layers.iter().map(|layer| layer.report.cycles).sum();
    assert_eq!(cycles, explanation.total_cycles);
    for (layer, expected) in explanation.layers.iter().zip(&report.layers) {
        assert_eq!(&layer.report, expected);
        let told = layer.gap.parts().map(|(_, cycles)| cycles).sum::<i64>();
        assert_eq!(told + layer.gap.lower_bound as i64, expected.cycles as i64);
        assert!(layer.gap.overlapped <= 0 && layer.gap.mapping >= 0, "{:?}", layer.gap);
        for (_, buckets) in layer.window.iter() {
            let sum: u64 = buckets.parts().iter().map(|(_, cycles)| cycles).sum();
            assert_eq!(sum, expected.cycles);
        }
    }
    // Over all layers the windows are what each engine did in the whole run.
    for (i, (name, whole)) in report.cycles.engines.iter().enumerate() {
        for (bucket, (key, cycles)) in whole.parts().into_iter().enumerate() {
            let parts = explanation.layers.iter().map(|layer| {
                let (_, buckets) = layer.window.iter().nth(i).unwrap();
                buckets.parts()[bucket].1
            });
            assert_eq!(parts.sum::<u64>(), cycles, "{name} {key}");
        }
    }
    explanation
}

#[test]
fn parts_sum_to_the_cycles_on_every_machine() {
    let program = sample::program();
    for hardware in sample::machines() {
        let mut program = program.clone();
        program.hardware = hardware.clone();
        check(&program, &hardware);
    }
}

#[test]
fn the_sample_is_explained_by_hand() {
    let program = sample::program();
    let explanation = check(&program, &program.hardware);
    let [conv, lut] = &explanation.layers[..] else { panic!("two layers") };
    assert_eq!((conv.gap.engine.as_str(), conv.gap.lower_bound), ("mxu", 43));
    // Nine folds of 30 rows and two register words, 38 cycles of it at the peak.
    assert_eq!(conv.gap.mapping, 9 * 30 + 2 - 38);
    assert_eq!(conv.words.mxu.count, 3);
    assert_eq!((conv.words.load.first, conv.words.load.last), (Some(0), Some(4)));
    assert_eq!(conv.words.mxu.listing[2], program.section(Engine::Mxu).words[2].to_string());
    assert_eq!((conv.memory.accumulator_rows, conv.memory.accumulator_banks), (30, 1));
    assert_eq!(conv.memory.scratchpad_peak_bytes, 138 * 16);
    assert_eq!(lut.gap.engine, "vpu");
    assert_eq!((lut.memory.accumulator_banks, lut.words.mxu.count), (0, 0));
}

#[test]
fn a_program_without_layers_is_no_error() {
    let mut program = sample::program();
    program.nodes.clear();
    let notes = program.code.iter_mut().flat_map(|section| &mut section.notes);
    notes.for_each(|note| note.node = u32::MAX);
    let explanation = Explanation::new(&program, &program.hardware, &ProgramFile::default());
    assert!(explanation.unwrap().to_text().contains("names no layers"));
}

#[test]
fn waits_that_dram_explains_are_the_bound_and_no_cause() {
    let hardware = isa::Hardware { dram_bytes_per_cycle: 1, ..sample::program().hardware };
    let program = sample::program();
    let explanation = check(&program, &hardware);
    let gap = &explanation.layers[0].gap;
    assert_eq!(gap.lower_bound, 510);
    assert!(gap.wait.weights < explanation.layers[0].window.mxu.wait.weights);
}

#[test]
fn keys_of_the_json_are_the_documented_ones() {
    let program = sample::program();
    let mut explanation = check(&program, &program.hardware);
    let tensor = Tensor::from(&program.tensors[0]);
    for layer in &mut explanation.layers {
        layer.onnx_nodes = vec!["a".to_owned()];
        layer.output = Some(tensor.clone());
        layer.report.utilization = Some(0.5);
        layer.computes = vec![Computed {
            inputs: vec![tensor.clone()],
            output: tensor.clone(),
            weights: Some(Weights { shape: vec![1], bits: 8 }),
            multipliers: Extremes::of([3, 1, 2]),
            shifts: Extremes::of([4]),
            saturation: Extremes::of([-128, 127]),
            accumulator_bits: Some(20),
            ..Computed::default()
        }];
    }
    let text = explanation.to_json();
    assert_eq!(serde_json::from_str::<Explanation>(&text).unwrap(), explanation);
    let mut found = BTreeSet::new();
    crate::report::tests::paths(&serde_json::from_str(&text).unwrap(), "", &mut found);
    let documented: BTreeSet<String> = keys().iter().flat_map(Key::paths).collect();
    assert_eq!(found, documented);
    assert!(keys().iter().all(|key| !key.doc.is_empty() && !key.doc.contains('|')));
    assert_eq!(Extremes::of([3, 1, 2]), Some(Extremes { min: 1, max: 3 }));
    assert_eq!(Extremes::of([]), None);
}

/// The names that text and sums go by are the keys of the JSON.
#[test]
fn parts_have_the_names_of_their_keys() {
    let count = |from: u64| from..;
    let mut next = count(100);
    let mut fill = |_: &str| next.next().unwrap();
    let mut buckets = serde_json::to_value(Buckets::default()).unwrap();
    for (key, _) in Buckets::default().parts() {
        let cell = key.split('.').fold(&mut buckets, |value, name| &mut value[name]);
        assert!(cell.is_u64(), "{key}");
        *cell = fill(key).into();
    }
    let buckets: Buckets = serde_json::from_value(buckets).unwrap();
    let values = buckets.parts().map(|(_, cycles)| cycles);
    assert_eq!(values.to_vec(), (100..115).collect::<Vec<u64>>());
}

#[test]
fn a_hostile_name_steers_no_terminal() {
    let mut program = sample::program();
    program.nodes[0].name = "evil\x1b[31m\n".repeat(30);
    program.nodes[0].tile = "\x07".to_owned();
    let explanation = check(&program, &program.hardware);
    let page = explanation.layers[0].to_text(&program.hardware);
    for line in explanation.to_text().lines().chain(page.lines()) {
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(line.chars().count() <= 140, "{line}");
    }
}

#[test]
fn the_committed_manual_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/generated/explain.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, schema_markdown()).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == schema_markdown(),
        "stale: run this test with UPDATE_DOCS=1 and commit {path}"
    );
}
