//! `qdse study`: every scheme gives sane numbers, and those that `qcc` compiles the very numbers of `qcc` and `qsim`.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use common::{Folder, network};
use serde_json::Value;

const PIXELS: [&str; 2] = ["--preprocess", "mean=0,std=255"];

fn study(folder: &Folder, args: &[&str]) -> (Vec<Value>, String) {
    let (model, data) = (network("fashion_mnist.onnx"), network("calibration.npz"));
    let args =
        [&["study", &model, "--data", &data, "--format", "json"], &PIXELS[..], args].concat();
    let (text, said) = folder.good("qdse", &args);
    let study: Value = serde_json::from_str(&text).unwrap();
    (study["rows"].as_array().unwrap().clone(), said)
}

#[test]
fn rows_with_cycles_are_what_qcc_and_qsim_say() {
    let folder = Folder::new("study-static");
    let (model, data) = (network("fashion_mnist.onnx"), network("calibration.npz"));
    let (rows, said) = study(&folder, &["--calib", &data]);
    assert!(said.contains("256 of 256 samples were used for calibration"), "{said}");
    let mut compared = 0;
    for row in rows.iter().filter(|row| !row["cycles"].is_null()) {
        let options: Vec<&str> = row["options"].as_str().unwrap().split_whitespace().collect();
        let args = [&[&model, "--data", &data, "-o", "p.bin"], &PIXELS[..], &options].concat();
        folder.good("qcc", &args);
        let args = ["p.bin", "--data", &data, "--float", &model, "--format", "json"];
        let report: Value = serde_json::from_str(&folder.good("qsim", &args).0).unwrap();
        let dram = &report["traffic"]["dram"]["total"];
        let bytes = ["read_bytes", "write_bytes"].map(|key| dram[key].as_u64().unwrap());
        assert_eq!(row["cycles"], report["cycles"]["total"], "{row}");
        assert_eq!(row["dram_bytes"], bytes[0] + bytes[1], "{row}");
        for key in ["top1", "agreement", "sqnr_db"] {
            assert_eq!(row[key], report["accuracy"][key], "{key} of {row}");
        }
        compared += 1;
    }
    assert_eq!(compared, 9);
}

#[test]
fn every_scheme_gives_sane_numbers_on_the_other_half_of_the_samples() {
    let folder = Folder::new("study-all");
    let (rows, said) = study(&folder, &[]);
    assert!(said.contains("128 of 256 samples calibrate, 128 are measured"), "{said}");
    let number = |scheme: &str, key: &str| -> f64 {
        let row = rows.iter().find(|row| row["scheme"] == scheme).unwrap();
        let found = row[key].as_f64().unwrap_or_else(|| panic!("{key} of {row}"));
        assert!(found.is_finite() && found > 0.0, "{key} of {row}");
        found
    };
    // Least and most of the bytes over float32's, least agreement, least and most SQNR in dB.
    for (scheme, bytes, agreement, sqnr) in [
        ("float16 weights", (0.5, 0.5), 0.99, (50.0, 90.0)),
        ("int8 weights only", (0.25, 0.30), 0.98, (25.0, 50.0)),
        ("int4 weights only", (0.12, 0.18), 0.85, (8.0, 25.0)),
        ("W8A8", (0.25, 0.30), 0.97, (25.0, 45.0)),
        ("W8A16", (0.25, 0.35), 0.98, (28.0, 50.0)),
        ("W4A8", (0.12, 0.20), 0.85, (8.0, 25.0)),
        ("W4A4", (0.12, 0.20), 0.50, (2.0, 15.0)),
        ("W8A8, shifts only", (0.25, 0.30), 0.95, (20.0, 40.0)),
        ("W8A8, 8-bit multipliers", (0.25, 0.30), 0.97, (22.0, 45.0)),
        ("W8A8, 12-bit multipliers", (0.25, 0.30), 0.97, (25.0, 45.0)),
        ("W8A8, 16-bit multipliers", (0.25, 0.30), 0.97, (25.0, 45.0)),
        ("W8A8, 24-bit multipliers", (0.25, 0.30), 0.97, (25.0, 45.0)),
    ] {
        let of_float = number(scheme, "of_float");
        assert!(bytes.0 <= of_float && of_float <= bytes.1, "{scheme}: {of_float} of the bytes");
        assert!(number(scheme, "agreement") >= agreement, "{scheme}");
        let found = number(scheme, "sqnr_db");
        assert!(sqnr.0 <= found && found <= sqnr.1, "{scheme}: {found} dB");
        assert!(number(scheme, "top1") > 0.5 * agreement, "{scheme}");
        number(scheme, "host_time");
    }
    assert_eq!(number("float32", "agreement"), 1.0);
    assert_eq!(number("float32", "host_time"), 1.0);
    // Where the float library cannot compute it exactly, its row says so instead.
    let dynamic = rows.iter().find(|row| row["scheme"] == "dynamic int8").unwrap();
    if dynamic["refused"].is_null() {
        assert!(number("dynamic int8", "agreement") >= 0.97);
        assert!((22.0..50.0).contains(&number("dynamic int8", "sqnr_db")));
    }
    for row in &rows {
        assert_eq!(row["host_only"].as_bool().unwrap(), row["cycles"].is_null(), "{row}");
    }
}

#[test]
fn the_same_study_as_a_table_and_as_lines() {
    let folder = Folder::new("study-forms");
    let (model, data) = (network("fashion_mnist.onnx"), network("calibration.npz"));
    let args = [&["study", &model, "--data", &data, "--no-data", "-q"], &PIXELS[..]].concat();
    let (text, said) = folder.good("qdse", &args);
    assert_eq!(said, "");
    assert!(text.starts_with("fashion_mnist: 256 samples\n\nscheme "), "{text}");
    assert!(text.lines().all(|line| line.len() <= 110), "{text}");
    let (csv, _) = folder.good("qdse", &[&args[..], &["--format", "csv", "-o", "-"]].concat());
    assert_eq!(csv.lines().count(), 15, "{csv}");
    assert!(csv.contains("\"W4A8\",\"--weight-bits 4\",false,"), "{csv}");
}
