//! What the host computes in front of a program and behind it.
//!
//! `data/lookup.onnx`: rows of a table of 16 looked up by 6 ids (int64), times a matrix, and for each the largest of 5 scores.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::path::PathBuf;

use common::Folder;

/// The folder with the network's program `p.bin`, calibrated on 8 samples in `ids.npy`.
fn folder(name: &str) -> Folder {
    let folder = Folder::new(name);
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/lookup.onnx");
    folder.write("net.onnx", &std::fs::read(data).unwrap());
    let ids: Vec<i64> = (0..48).map(|i| i * 7 % 16).collect();
    folder.write("ids.npy", &npy("<i8", "8, 1, 6", &ids));
    let output = folder.qcc(&["net.onnx", "--data", "ids.npy", "-o", "p.bin"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("the host computes 1 nodes in front of the program: Gather"), "{said}");
    assert!(said.contains("the host computes 1 nodes behind the program: ArgMax"), "{said}");
    folder
}

/// An array of integers as NumPy writes it.
fn npy(kind: &str, shape: &str, values: &[i64]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
    let mut file = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    file.extend(format!("{header:<117}\n").bytes());
    file.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    file
}

#[test]
fn positions_are_those_of_the_scores_and_the_report_says_who_found_them() {
    let folder = folder("host");
    let args = "p.bin -q --data ids.npy --float net.onnx --check --format json --report r.json --output y.npz";
    assert!(folder.qsim(&args.split(' ').collect::<Vec<_>>()).status.success());
    let report: serde_json::Value = serde_json::from_slice(&folder.read("r.json")).unwrap();
    assert_eq!(report["check"]["bit_exact"], true);
    // The first output is positions: as numbers they have a noise, and there is none.
    assert_eq!(report["accuracy"]["sqnr_db"], serde_json::Value::Null);
    let ops: Vec<(&str, &str, u64)> = (report["host"]["ops"].as_array().unwrap().iter())
        .map(|op| {
            (
                op["part"].as_str().unwrap(),
                op["op"].as_str().unwrap(),
                op["elements"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(ops, [("head", "Gather", 48), ("tail", "ArgMax", 30)]);
    assert_eq!(report["host"]["share"], 78.0 / (78.0 + 2.0 * 240.0));
    let text = String::from_utf8(folder.qsim(&["verify", "p.bin"]).stdout).unwrap();
    assert!(text.contains("host head: Gather `lookup`, 48 elements"), "{text}");
    assert!(text.contains("host tail: ArgMax `best`, 30 elements"), "{text}");
    let note = String::from_utf8(
        folder.qcc(&["net.onnx", "-v", "--data", "ids.npy", "-o", "q.bin"]).stderr,
    )
    .unwrap();
    assert!(note.contains("16 bits for values in which the host looks for positions"), "{note}");
}

#[test]
fn ids_outside_the_table_are_refused_with_their_place() {
    let folder = folder("hostile");
    let mut ids: Vec<i64> = (0..18).map(|i| i % 16).collect();
    ids[15] = 16;
    folder.write("bad.npy", &npy("<i8", "3, 1, 6", &ids));
    let said = folder.refused("qsim p.bin -q --data bad.npy");
    assert!(
        said.contains("sample 2: node `lookup` (Gather): input `ids` at [0, 3]: the index 16 is outside an axis of 16"),
        "{said}"
    );
    ids[15] = 3;
    let halves: Vec<i64> = ids.iter().map(|&v| (v as f64 + 0.5).to_bits().cast_signed()).collect();
    folder.write("bad.npy", &npy("<f8", "3, 1, 6", &halves));
    let said = folder.refused("qsim p.bin -q --data bad.npy");
    assert!(said.contains("input `ids` takes integers, found 0.5"), "{said}");
}

#[test]
fn parts_survive_assembly() {
    let folder = folder("asm");
    assert!(folder.qsim(&["disasm", "p.bin", "-o", "p.qasm"]).status.success());
    let text = String::from_utf8(folder.read("p.qasm")).unwrap();
    assert!(text.contains("\n.host_head\n") && text.contains("\n.host_tail\n"));
    assert!(folder.qsim(&["asm", "p.qasm", "-o", "again.bin"]).status.success());
    assert!(folder.read("again.bin") == folder.read("p.bin"));
    // A part that reads what the program does not compute is refused before anything runs.
    let other = text.replace(".tensor \"scores\"", ".tensor \"other\"");
    assert_ne!(other, text);
    folder.write("p.qasm", other.as_bytes());
    assert!(folder.qsim(&["asm", "p.qasm", "-o", "other.bin"]).status.success());
    let said = folder.refused("qsim other.bin -q");
    assert!(
        said.contains("host tail: it reads `scores`, which the program does not compute"),
        "{said}"
    );
}

#[test]
fn an_export_without_the_parts_says_so() {
    let folder = folder("export");
    let args = "net.onnx --data ids.npy -o q.bin --emit qdq=q.onnx";
    let output = folder.qcc(&args.split(' ').collect::<Vec<_>>());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("the host's nodes are not in it"), "{said}");
}
