//! `qcc explain` through the binaries: its numbers are those of `qsim`, and what it prints is seen when it changes.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

fn network(file: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../programs/fashion_mnist");
    folder.join(file).to_str().unwrap().to_owned()
}

/// A folder of its own for each test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("qcc-explain-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn run(&self, binary: &str, args: &[&str]) -> Output {
        Command::new(binary).current_dir(&self.0).args(args).output().unwrap()
    }

    fn compile(&self, more: &[&str]) {
        let model = network("fashion_mnist.onnx");
        let args = [&[model.as_str(), "--no-data", "--quiet", "-o", "p.bin"], more].concat();
        let output = self.run(env!("CARGO_BIN_EXE_qcc"), &args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn explain(&self, args: &[&str]) -> String {
        let args = [&["explain", "p.bin"], args].concat();
        let output = self.run(env!("CARGO_BIN_EXE_qcc"), &args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn refused(&self, args: &[&str]) -> String {
        let args = [&["explain", "p.bin"], args].concat();
        let output = self.run(env!("CARGO_BIN_EXE_qcc"), &args);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// All whole numbers below a value, added up.
fn total(value: &Value) -> i64 {
    match value {
        Value::Number(number) => number.as_i64().unwrap(),
        Value::Object(members) => members.values().map(total).sum(),
        _ => 0,
    }
}

#[test]
fn the_numbers_are_those_of_qsim_and_sum_to_the_cycles() {
    let folder = Folder::new("sums");
    let machines: [&[&str]; 4] = [
        &[],
        &["--hw", "tiny8", "--weight-bits", "4"],
        &["--act-bits", "16", "--set", "acc_bits=48"],
        &["--hw", "edge32", "--set", "dram_bytes_per_cycle=1"],
    ];
    for machine in machines {
        folder.compile(machine);
        let told: Value = serde_json::from_str(&folder.explain(&["--json"])).unwrap();
        let output =
            folder.run(env!("CARGO_BIN_EXE_qsim"), &["p.bin", "--timing-only", "--format", "json"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["total_cycles"], report["cycles"]["total"]);
        assert_eq!(told["lower_bound"], report["cycles"]["lower_bound"]);
        let (layers, expected) =
            (told["layers"].as_array().unwrap(), report["layers"].as_array().unwrap());
        assert_eq!(layers.len(), expected.len());
        let mut nodes = 0;
        for (layer, expected) in layers.iter().zip(expected) {
            assert_eq!(&layer["report"], expected);
            let cycles = expected["cycles"].as_i64().unwrap();
            assert_eq!(total(&layer["gap"]), cycles, "{}", layer["gap"]);
            for engine in ["load", "mxu", "vpu", "store"] {
                assert_eq!(total(&layer["window"][engine]), cycles, "{engine}");
            }
            nodes += layer["computes"].as_array().unwrap().len();
        }
        // 15 layers, four of which add a residual.
        assert_eq!((layers.len(), nodes), (15, 19));
    }
}

#[test]
fn a_layer_is_found_by_name_number_beginning_and_onnx_node() {
    let folder = Folder::new("names");
    folder.compile(&[]);
    let page = folder.explain(&["block2/add"]);
    for name in ["4", "block2/a", "block2/pw/conv"] {
        assert_eq!(folder.explain(&[name]), page, "{name}");
    }
    let float = network("fashion_mnist.onnx");
    let named = folder.explain(&["block2/relu", "--float", &float]);
    assert!(named.contains("block2/pw/conv, block2/pw/bn, block2/add, block2/relu"), "{named}");
    let json: Value = serde_json::from_str(&folder.explain(&["4", "--format", "json"])).unwrap();
    let layers = json["layers"].as_array().unwrap();
    assert_eq!((layers.len(), &layers[0]["report"]["node"]), (1, &Value::from("block2/add")));
    insta::assert_snapshot!(folder.refused(&["blok2/add"]), @r"
    error: p.bin: no layer is named `blok2/add`
      hint: did you mean `block2/add` or `block3/add` or `block5/add`?
    ");
    insta::assert_snapshot!(folder.refused(&["block"]), @r"
    error: p.bin: `block` may be any of 12 layers: 1 `block1/dw/conv`, 2 `block1/pw/conv`, 3 `block2/dw/conv`, 4 `block2/add`, 5 `block3/dw/conv`, ..
      hint: a number names one
    ");
    insta::assert_snapshot!(folder.refused(&["15"]), @r"
    error: p.bin: no layer is named `15`
      hint: qcc explain PROG.bin lists all 15
    ");
}

#[test]
fn the_embedded_float_model_names_all_onnx_nodes() {
    let folder = Folder::new("embedded");
    folder.compile(&["--embed-float"]);
    let json: Value = serde_json::from_str(&folder.explain(&["--json"])).unwrap();
    let layers = json["layers"].as_array().unwrap().iter();
    let names: Vec<&str> = layers
        .flat_map(|layer| layer["onnx_nodes"].as_array().unwrap())
        .map(|name| name.as_str().unwrap())
        .collect();
    let all: std::collections::BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(all.len(), names.len(), "a node belongs to one layer");
    assert!(all.contains("stem/bn") && all.contains("head/flatten"), "{all:?}");
}

#[test]
fn what_it_prints() {
    let folder = Folder::new("prints");
    folder.compile(&[]);
    insta::assert_snapshot!("layers", folder.explain(&[]));
    insta::assert_snapshot!("layer_of_the_array", folder.explain(&["block2/add"]));
    insta::assert_snapshot!("layer_of_the_vector_engine", folder.explain(&["block1/dw/conv"]));
}
