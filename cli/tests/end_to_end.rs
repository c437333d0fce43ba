//! The main job on the embedded network: compiled, simulated and checked through the binaries, as a user would.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Folder, network};
use serde_json::Value;

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn compile(program: &Path, more: &[&str]) {
    run(Command::new(env!("CARGO_BIN_EXE_qcc"))
        .arg(network("fashion_mnist.onnx"))
        .arg("--data")
        .arg(network("calibration.npz"))
        .args(["--preprocess", "mean=0,std=255", "-o"])
        .arg(program)
        .args(more));
}

fn simulate(program: &Path, more: &[&str]) -> Value {
    let text = run(Command::new(env!("CARGO_BIN_EXE_qsim"))
        .arg(program)
        .args(["--format", "json"])
        .args(more));
    serde_json::from_str(&text).unwrap()
}

fn path(p: &Path) -> &str {
    p.to_str().unwrap()
}

#[test]
fn a_thousand_images_are_classified_like_the_float_model_and_checked_in_every_layer() {
    let folder = Folder::new("accuracy");
    let program = folder.file("p.bin");
    compile(&program, &[]);
    let (data, model) = (network("test.npz"), network("fashion_mnist.onnx"));
    let report = simulate(&program, &["--data", &data, "--float", &model, "--check"]);
    let accuracy = |key: &str| report["accuracy"][key].as_f64().unwrap();
    assert_eq!(accuracy("samples"), 1000.0);
    assert!(accuracy("top1") >= accuracy("reference_top1") - 0.004, "{}", report["accuracy"]);
    assert!(accuracy("agreement") >= 0.98, "{}", report["accuracy"]);
    assert_eq!(report["check"]["bit_exact"], true);
    assert!(report["check"]["layers"].as_u64().unwrap() >= 15_000);
}

#[test]
fn other_machines_and_widths_are_bit_exact_too() {
    let folder = Folder::new("machines");
    let cases: [&[&str]; 6] = [
        &["--hw", "tiny8"],
        &["--hw", "edge32"],
        &["--set", "array_rows=4"],
        &["--hw", "tiny8", "--weight-bits", "4"],
        &["--act-bits", "16", "--set", "acc_bits=48"],
        &[
            "--weight-bits",
            "5",
            "--per-tensor",
            "--set",
            "multiplier_bits=1",
            "--set",
            "add_multiplier_bits=1",
        ],
    ];
    for (i, more) in cases.iter().enumerate() {
        let program = folder.file(&format!("{i}.bin"));
        compile(&program, more);
        for seed in ["1", "2"] {
            let report = simulate(&program, &["--check", "--seed", seed]);
            assert_eq!(report["check"]["bit_exact"], true, "{more:?}: {}", report["check"]);
        }
        let verified = run(Command::new(env!("CARGO_BIN_EXE_qsim")).arg("verify").arg(&program));
        assert!(verified.contains("words verified"), "{verified}");
    }
}

#[test]
fn distilled_images_calibrate() {
    let folder = Folder::with_program("distill");
    let (_, said) = folder.good(
        "qcc",
        &[
            "net.onnx",
            "-o",
            "d.bin",
            "--preprocess",
            "mean=0,std=255",
            "--distill=1",
            "--observer",
            "minmax",
        ],
    );
    assert!(said.contains("1 images distilled from 13 batch norms (seed 0)"), "{said}");
    assert!(said.contains("observer minmax"), "{said}");
    let report = simulate(&folder.file("d.bin"), &["--data", &network("test.npz"), "--check"]);
    assert_eq!(report["check"]["bit_exact"], true);
    let top1 = report["accuracy"]["top1"].as_f64().unwrap();
    assert!(top1 > 0.85, "a single image: {top1}");
}

#[test]
fn both_timing_cores_and_both_value_cores_agree() {
    let folder = Folder::new("cores");
    let program = folder.file("p.bin");
    compile(&program, &["--hw", "tiny8"]);
    let plain = simulate(&program, &["--check"]);
    let careful = simulate(&program, &["--check", "--cycle-stepped", "--reference"]);
    assert_eq!(plain, careful);
    for engine in ["load", "mxu", "vpu", "store"] {
        let cycles = &plain["cycles"]["engines"][engine];
        let waits: u64 =
            cycles["wait"].as_object().unwrap().values().map(|v| v.as_u64().unwrap()).sum();
        let sum = waits
            + ["busy", "idle", "done"].map(|k| cycles[k].as_u64().unwrap()).iter().sum::<u64>();
        assert_eq!(sum, plain["cycles"]["total"].as_u64().unwrap(), "{engine}");
    }
}

#[test]
fn the_same_inputs_give_the_same_bytes_on_any_number_of_threads() {
    let folder = Folder::new("threads");
    let mut made = Vec::new();
    for threads in ["1", "2", "5"] {
        let program = folder.file(&format!("{threads}.bin"));
        let calibration = folder.file(&format!("{threads}.json"));
        run(Command::new(env!("CARGO_BIN_EXE_qcc"))
            .env("RAYON_NUM_THREADS", threads)
            .arg(network("fashion_mnist.onnx"))
            .arg("--data")
            .arg(network("calibration.npz"))
            .args(["--preprocess", "mean=0,std=255", "--calib-out"])
            .arg(&calibration)
            .arg("-o")
            .arg(&program));
        made.push(std::fs::read(&program).unwrap());
    }
    assert!(made.windows(2).all(|pair| pair[0] == pair[1]));
    // A saved calibration with the same samples gives the same integers, on a machine with another float runtime too.
    let again = folder.file("again.bin");
    run(Command::new(env!("CARGO_BIN_EXE_qcc"))
        .arg(network("fashion_mnist.onnx"))
        .arg("--calib-in")
        .arg(folder.file("1.json"))
        .arg("--data")
        .arg(network("calibration.npz"))
        .args(["--preprocess", "mean=0,std=255", "-o"])
        .arg(&again));
    let disassemble = |p: &Path| run(Command::new(env!("CARGO_BIN_EXE_qsim")).arg("disasm").arg(p));
    let code = |text: String| text.split(".code").skip(1).collect::<Vec<_>>().join(".code");
    assert_eq!(code(disassemble(&again)), code(disassemble(&folder.file("1.bin"))));
}

#[test]
fn assembly_text_rebuilds_the_same_bytes() {
    let folder = Folder::new("assembly");
    let (program, text, again) =
        (folder.file("p.bin"), folder.file("p.qasm"), folder.file("again.bin"));
    compile(&program, &["--embed-float"]);
    let qsim = || Command::new(env!("CARGO_BIN_EXE_qsim"));
    run(qsim().arg("disasm").arg(&program).arg("-o").arg(&text));
    run(qsim().arg("asm").arg(&text).arg("-o").arg(&again));
    assert!(std::fs::read(&program).unwrap() == std::fs::read(&again).unwrap());
}

#[test]
fn what_was_quantized_is_written_as_onnx_or_refused() {
    let folder = Folder::new("qdq");
    let (program, export) = (folder.file("p.bin"), folder.file("m.qdq.onnx"));
    let emit = format!("qdq={}", path(&export));
    compile(&program, &["--emit", &emit]);
    let file = std::fs::read(&export).unwrap();
    let holds = |text: &str| file.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(
        ["QuantizeLinear", "DequantizeLinear", "image", "logits"].iter().all(|text| holds(text))
    );

    let refused = Command::new(env!("CARGO_BIN_EXE_qcc"))
        .arg(network("fashion_mnist.onnx"))
        .args(["--preprocess", "mean=0,std=255", "--set", "rounding=floor", "--emit", &emit, "-o"])
        .arg(&program)
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1));
    assert!(message.contains("--emit qdq: the machine rounds floor"), "{message}");
}

#[test]
fn what_was_exported_is_taken_back_as_it_is() {
    let folder = Folder::new("again");
    let (program, export, again) =
        (folder.file("p.bin"), folder.file("m.qdq.onnx"), folder.file("again.bin"));
    compile(&program, &["--emit", &format!("qdq={}", path(&export))]);
    let output = Command::new(env!("CARGO_BIN_EXE_qcc"))
        .arg(&export)
        .args(["--preprocess", "mean=0,std=255", "-o"])
        .arg(&again)
        .output()
        .unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    let all = "20 of 20 values keep their scales, and 14 of 14 layers their weights";
    assert!(talk.contains(all), "{talk}");
    assert!(!talk.contains("calibrated here"), "{talk}");
    let (data, model) = (network("test.npz"), path(&export).to_owned());
    let first = simulate(&program, &["--data", &data]);
    let second = simulate(&again, &["--data", &data, "--float", &model, "--check"]);
    assert_eq!(second["check"]["bit_exact"], true);
    assert_eq!(first["accuracy"]["top1"], second["accuracy"]["top1"]);
    // The float reference rounds where the file says.
    assert!(second["accuracy"]["agreement"].as_f64().unwrap() >= 0.995, "{}", second["accuracy"]);
}

#[test]
fn faults_are_the_same_on_any_number_of_threads() {
    let folder = Folder::new("inject");
    let program = folder.file("p.bin");
    compile(&program, &[]);
    let inject = |threads: &str, format: &str| {
        run(Command::new(env!("CARGO_BIN_EXE_qsim"))
            .env("RAYON_NUM_THREADS", threads)
            .arg(&program)
            .args(["--data", &network("test.npz"), "--inject", "all", "--runs", "60"])
            .args(["--inject", "scratchpad:rate=1e-3,live", "--seed", "3", "--format", format]))
    };
    let json = inject("1", "json");
    assert_eq!(json, inject("2", "json"));
    let report: Value = serde_json::from_str(&json).unwrap();
    let campaigns = report["campaigns"].as_array().unwrap();
    let spaces: Vec<&str> = campaigns.iter().map(|c| c["space"].as_str().unwrap()).collect();
    // The network has no lookup table.
    assert_eq!(
        spaces,
        ["weights", "params", "scratchpad", "accumulators", "instructions", "scratchpad"]
    );
    for campaign in campaigns {
        let count = |key: &str| campaign["outcomes"][key].as_u64().unwrap();
        assert_eq!(count("masked") + count("benign") + count("critical") + count("detected"), 60);
        assert!(campaign["accuracy"]["fault_free_top1"].as_f64().unwrap() > 0.8);
    }
    assert!(inject("2", "text").contains("qsim verify"));
    assert!(inject("2", "csv").starts_with("spec,group,name,runs,"));
}

/// Cycles of the signal `machine.ENGINE.state` in each state, by code.
fn state_cycles(waves: &Path, engine: &str) -> Vec<u64> {
    let mut file = wellen::simple::read(waves).unwrap();
    let state = file.hierarchy().lookup_var(&["machine", engine], "state").unwrap();
    let signal = file.hierarchy()[state].signal_ref();
    file.load_signals(&[signal]);
    let times = file.time_table();
    let changes = file.get_signal(signal).unwrap().iter_changes().map(|(at, value)| {
        let code = usize::from_str_radix(&value.to_bit_string().unwrap(), 2).unwrap();
        (times[at as usize], code)
    });
    let changes: Vec<(u64, usize)> = changes.collect();
    let ends = changes.iter().skip(1).map(|change| change.0).chain([*times.last().unwrap()]);
    let mut cycles = vec![0; 15];
    for (&(begin, code), end) in changes.iter().zip(ends) {
        // The clock of the default machine is 1 GHz and times are picoseconds.
        cycles[code] += (end - begin) / 1000;
    }
    cycles
}

#[test]
fn waves_tell_the_cycles_of_the_report() {
    let folder = Folder::new("waves");
    let program = folder.file("p.bin");
    compile(&program, &[]);
    for name in ["p.vcd", "p.fst"] {
        let waves = folder.file(name);
        let trace = format!("--trace={}", path(&waves));
        let report = simulate(&program, &["--timing-only", &trace]);
        for engine in ["load", "mxu", "vpu", "store"] {
            let told = state_cycles(&waves, engine);
            let of = &report["cycles"]["engines"][engine];
            assert_eq!(told[0], of["busy"].as_u64().unwrap(), "{name}, {engine}");
            assert_eq!(told[13], of["idle"].as_u64().unwrap(), "{name}, {engine}");
            assert_eq!(told[14], of["done"].as_u64().unwrap(), "{name}, {engine}");
            let waits: u64 =
                of["wait"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
            assert_eq!(told[1..13].iter().sum::<u64>(), waits, "{name}, {engine}");
            assert_eq!(told.iter().sum::<u64>(), report["cycles"]["total"].as_u64().unwrap());
        }
    }
}
