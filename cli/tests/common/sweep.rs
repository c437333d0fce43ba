//! Sweeps of the embedded network, each in a folder of its own.
#![allow(dead_code, reason = "each test takes what it needs")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::io::Read;
use std::process::Child;

use serde_json::Value;

use super::common::{Folder, network};

/// A folder with the space, and the arguments of a sweep of it but for `-o`.
pub(crate) struct Sweep {
    pub(crate) folder: Folder,
    pub(crate) args: Vec<String>,
}

impl Sweep {
    pub(crate) fn new(name: &str, space: &str) -> Sweep {
        let folder = Folder::new(name);
        folder.write("space.toml", space.as_bytes());
        let (model, data) = (network("fashion_mnist.onnx"), network("test.npz"));
        let calib = network("calibration.npz");
        let args = [&model, "--space", "space.toml", "--data", &data, "--calib", &calib];
        let rest = ["--preprocess", "mean=0,std=255"];
        let args = args.into_iter().chain(rest).map(str::to_owned).collect();
        Sweep { folder, args }
    }

    pub(crate) fn args<'a>(&'a self, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let few = if more.contains(&"--samples") { &[][..] } else { &["--samples", "200"] };
        let args = self.args.iter().map(String::as_str);
        args.chain(["-o", out]).chain(few.iter().chain(more).copied()).collect()
    }

    /// Runs it to its end; what it printed.
    pub(crate) fn run(&self, out: &str, more: &[&str]) -> String {
        self.folder.good("qdse", &self.args(out, more)).0
    }

    pub(crate) fn start(&self, out: &str, more: &[&str]) -> Child {
        self.folder.command("qdse", &self.args(out, more)).spawn().unwrap()
    }

    /// The bytes of every file it left.
    pub(crate) fn files(&self, out: &str) -> BTreeMap<String, Vec<u8>> {
        let entries = std::fs::read_dir(self.folder.file(out)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.map(|name| (name.clone(), self.folder.read(&format!("{out}/{name}")))).collect()
    }

    pub(crate) fn rows(&self, out: &str) -> Vec<Value> {
        let text = String::from_utf8(self.folder.read(&format!("{out}/points.jsonl"))).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The first images of the calibration set as an `.npy` file.
pub(crate) fn first_images(count: usize) -> Vec<u8> {
    let file = std::fs::File::open(network("calibration.npz")).unwrap();
    let mut archive = zip::ZipArchive::new(file).unwrap();
    let mut whole = Vec::new();
    archive.by_name("x.npy").unwrap().read_to_end(&mut whole).unwrap();
    let pixels = &whole[whole.iter().position(|byte| *byte == b'\n').unwrap() + 1..];
    let header =
        format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({count}, 1, 28, 28), }}\n");
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &pixels[..count * 28 * 28]].concat()
}

/// Makes a point's program with `qcc` from the samples that calibrate and runs it on those that were measured: all numbers are the same.
pub(crate) fn check_rebuilt(sweep: &Sweep, row: &Value) {
    let Sweep { folder, args } = sweep;
    let [model, data, calib] = [0, 4, 6].map(|i| args[i].as_str());
    let flags: Vec<&str> = row["qcc"].as_str().unwrap().split_whitespace().collect();
    let args = [model, "--data", calib, "--preprocess", "mean=0,std=255", "-o", "p.bin"];
    folder.good("qcc", &[&args[..], &flags].concat());
    let args = ["p.bin", "--data", data, "--float", model, "--format", "json"];
    let report: Value = serde_json::from_str(&folder.good("qsim", &args).0).unwrap();
    let mut compared = 0;
    for (key, value) in row.as_object().unwrap() {
        let found = key.split('.').fold(&report, |value, name| &value[name]);
        if key.contains('.') {
            assert_eq!(value, found, "{key} of {row}");
            compared += usize::from(value.is_number());
        }
    }
    assert!(compared >= 23, "{row}");
}
