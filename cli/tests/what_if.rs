//! `qdse what-if` and `qsim diff`: the numbers are those of `qsim`, and the same program does not differ from itself.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use common::Folder;
use serde_json::Value;

fn json(folder: &Folder, program: &str, args: &[&str]) -> Value {
    let args = [args, &["--format", "json"]].concat();
    serde_json::from_str(&folder.good(program, &args).0).unwrap()
}

#[test]
fn a_change_of_machine_is_what_qsim_says_of_both_programs() {
    let folder = Folder::with_program("what-if");
    let how = ["--no-data", "--preprocess", "mean=0,std=255,color=gray", "-q", "-o", "q.bin"];
    let changes = ["--set", "scratchpad_kib=32", "--set", "dram_bytes_per_cycle=4"];
    folder.good("qcc", &[&["net.onnx"], &how[..], &changes].concat());
    let found = json(&folder, "qdse", &[&["what-if", "p.bin"], &changes[..]].concat());
    let same = json(&folder, "qsim", &["diff", "p.bin", "q.bin"]);
    assert_eq!(found["layers"], same["layers"]);
    assert_eq!(found["totals"], same["totals"]);
    let reports = ["p.bin", "q.bin"].map(|p| json(&folder, "qsim", &[p, "--timing-only"]));
    let total = |i: usize| reports[i]["cycles"]["total"].as_f64().unwrap();
    assert_eq!(found["totals"][0][1], serde_json::json!([total(0), total(1)]));
    let machine = found["machine"].as_array().unwrap();
    assert_eq!(machine.len(), 2, "{machine:?}");
    let layers = found["layers"].as_array().unwrap();
    for (i, layer) in layers.iter().enumerate() {
        for (side, report) in reports.iter().enumerate() {
            assert_eq!(layer["cycles"][side], report["layers"][i]["cycles"], "{layer}");
        }
    }
    let (text, _) = folder.good("qdse", &[&["what-if", "p.bin"], &changes[..]].concat());
    assert!(text.contains("scratchpad_kib") && text.contains("384 ->"), "{text}");
    assert!(text.contains("  most of it ") && text.contains("  tile "), "{text}");
}

#[test]
fn a_program_does_not_differ_from_itself() {
    let folder = Folder::with_program("diff-same");
    let (text, said) = folder.good("qsim", &["diff", "p.bin", "p.bin"]);
    assert!(text.contains("\n0 layers changed, 15 did not\n") && said.is_empty(), "{text}{said}");
}

#[test]
fn sensitivities_are_the_cycles_of_other_machines() {
    let folder = Folder::with_program("sensitivity");
    let found = json(&folder, "qdse", &["what-if", "p.bin"]);
    let report = json(&folder, "qsim", &["p.bin", "--timing-only"]);
    assert_eq!(found["cycles"], report["cycles"]["total"]);
    let parameters = found["parameters"].as_array().unwrap();
    let of = |name: &str| parameters.iter().find(|p| p["name"] == name).unwrap();
    // The latency is timing-only, but the compiler reads it too: what-if compiles anew.
    let set = ["what-if", "p.bin", "--set", "dram_latency_cycles=200"];
    let with = json(&folder, "qdse", &set);
    assert_eq!(of("dram_latency_cycles")["double"].as_f64(), with["totals"][0][1][1].as_f64());
    assert!(of("array_cols")["half"].as_u64() > report["cycles"]["total"].as_u64());
    assert!(parameters.iter().all(|p| p["name"] != "acc_bits" && p["name"] != "clock_mhz"));
    let (text, _) = folder.good("qdse", &["what-if", "p.bin"]);
    assert_eq!(text.lines().count(), 3 + parameters.len(), "{text}");
    let said = folder.refused("qdse what-if p.bin --set acc_bits=24");
    assert!(said.contains("`acc_bits` decides the integers of the program"), "{said}");
}
