//! `qcc diagnose` finds what was made bad, and `--profile` gives the bytes of the options that it stands for.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use common::{Folder, network};
use serde_json::Value;

const PIXELS: [&str; 2] = ["--preprocess", "mean=0,std=255"];

fn diagnosed(folder: &Folder, args: &[&str]) -> Value {
    let (model, data) = (network("fashion_mnist.onnx"), network("calibration.npz"));
    let own = ["diagnose", &model, "--data", &data, "--samples", "8", "--json"];
    let args = [&own[..], &PIXELS, args].concat();
    serde_json::from_str(&folder.good("qcc", &args).0).unwrap()
}

#[test]
fn a_layer_of_two_bits_is_the_worst_one() {
    let folder = Folder::new("diagnose-bits");
    let found = diagnosed(&folder, &["--layer-bits", "block3/pw/conv=2"]);
    let worst = &found["sources"][0];
    assert_eq!((&worst["name"], &worst["part"]), (&"block3/pw/conv".into(), &"weights".into()));
    assert_eq!(worst["fix"], "--layer-bits block3/pw/conv=8");
    assert!(worst["share"].as_f64().unwrap() > 0.5, "{worst}");
    let better = diagnosed(&folder, &[]);
    let sqnr = |found: &Value| found["sqnr_db"].as_f64().unwrap();
    assert!(sqnr(&better) > sqnr(&found) + 5.0);
    assert_eq!(better["spread"]["subsets"].as_array().unwrap().len(), 4);
}

#[test]
fn text_lists_as_many_sources_as_asked_for() {
    let folder = Folder::new("diagnose-text");
    let (model, data) = (network("fashion_mnist.onnx"), network("calibration.npz"));
    let own = ["diagnose", &model, "--no-data", "--measure", &data, "--samples", "2", "--top", "3"];
    let (text, _) = folder.good("qcc", &[&own[..], &PIXELS].concat());
    assert!(text.contains("\n31 more sources: "), "{text}");
    assert!(!text.contains("disjoint subsets"), "nothing was calibrated on samples: {text}");
}

#[test]
fn noise_needs_samples() {
    let folder = Folder::new("diagnose-none");
    let output = folder.qcc(&["diagnose", &network("fashion_mnist.onnx"), "--no-data"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("noise is measured on samples") && said.contains("--measure"), "{said}");
}

#[test]
fn profiles_are_the_options_they_stand_for() {
    let folder = Folder::new("profiles");
    let (model, data) = (network("fashion_mnist.onnx"), network("calibration.npz"));
    let compiled = |name: &str, args: &[&str]| {
        let own = [&model, "--data", &data, "-o", name];
        folder.good("qcc", &[&own[..], &PIXELS, args].concat());
        folder.read(name)
    };
    let plain = compiled("plain.bin", &[]);
    for (profile, options) in [
        ("fbgemm", &["--act-bits", "7"][..]),
        ("qnnpack", &["--per-tensor"]),
        ("tflite", &["--observer", "minmax"]),
        ("pow2", &["--set", "multiplier_bits=1", "--set", "add_multiplier_bits=1"]),
    ] {
        let of_profile = compiled("profile.bin", &["--profile", profile]);
        assert!(of_profile != plain, "{profile} changes nothing");
        assert!(of_profile == compiled("options.bin", options), "{profile}");
    }
    // What is said goes before the profile.
    let said = compiled("said.bin", &["--profile", "fbgemm", "--act-bits", "8"]);
    assert!(said == plain);
    let args = ["--profile", "pow2", "--set", "multiplier_bits=16", "-o", "no.bin"];
    let output = folder.qcc(&[&[&model, "--data", &data][..], &PIXELS, &args].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--set multiplier_bits=16: --profile pow2"), "{said}");
}
