//! `qcc explain` through the binaries: its numbers are those of `qsim`, and what it prints is seen when it changes.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use common::{Folder, network};
use serde_json::Value;

fn compile(folder: &Folder, more: &[&str]) {
    let model = network("fashion_mnist.onnx");
    let output = folder.qcc(&[&[&model, "--no-data", "--quiet", "-o", "p.bin"], more].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn explain(folder: &Folder, args: &[&str]) -> String {
    let output = folder.qcc(&[&["explain", "p.bin"], args].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
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
    let folder = Folder::new("explain-sums");
    let machines: [&[&str]; 4] = [
        &[],
        &["--hw", "tiny8", "--weight-bits", "4"],
        &["--act-bits", "16", "--set", "acc_bits=48"],
        &["--hw", "edge32", "--set", "dram_bytes_per_cycle=1"],
    ];
    for machine in machines {
        compile(&folder, machine);
        let told: Value = serde_json::from_str(&explain(&folder, &["--json"])).unwrap();
        let output = folder.qsim(&["p.bin", "--timing-only", "--format", "json"]);
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
    let folder = Folder::new("explain-names");
    compile(&folder, &[]);
    let page = explain(&folder, &["block2/add"]);
    for name in ["4", "block2/a", "block2/pw/conv"] {
        assert_eq!(explain(&folder, &[name]), page, "{name}");
    }
    let float = network("fashion_mnist.onnx");
    let named = explain(&folder, &["block2/relu", "--float", &float]);
    assert!(named.contains("block2/pw/conv, block2/pw/bn, block2/add, block2/relu"), "{named}");
    let json: Value = serde_json::from_str(&explain(&folder, &["4", "--format", "json"])).unwrap();
    let layers = json["layers"].as_array().unwrap();
    assert_eq!((layers.len(), &layers[0]["report"]["node"]), (1, &Value::from("block2/add")));
    let wrong = ["blok2/add", "block", "15"].map(|name| format!("qcc explain p.bin {name}"));
    insta::assert_snapshot!("names", folder.transcript(&wrong.each_ref().map(String::as_str)));
}

#[test]
fn the_embedded_float_model_names_all_onnx_nodes() {
    let folder = Folder::new("explain-embedded");
    compile(&folder, &["--embed-float"]);
    let json: Value = serde_json::from_str(&explain(&folder, &["--json"])).unwrap();
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
    let folder = Folder::new("explain-prints");
    compile(&folder, &[]);
    insta::assert_snapshot!("layers", explain(&folder, &[]));
    insta::assert_snapshot!("layer_of_the_array", explain(&folder, &["block2/add"]));
    insta::assert_snapshot!("layer_of_the_vector_engine", explain(&folder, &["block1/dw/conv"]));
}
