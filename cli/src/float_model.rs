//! The float model beside an integer program: what accuracy is compared with.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use ir::graph::{Graph, ValueId};
use ir::onnx::{LoadOptions, load, load_bytes, save_without_dilated_pools};
use runtime::{FloatModel, FloatTensor};
use sha2::{Digest, Sha256};

use crate::error::{CliError, read_file};

/// A float network ready to run on samples.
pub(crate) struct Reference {
    model: FloatModel,
    inputs: Vec<(String, Vec<usize>)>,
    output: String,
}

impl Reference {
    /// From the bytes of the original ONNX file as a program stores them; `shapes` are the extents fixed when compiling.
    pub(crate) fn embedded(
        onnx: Vec<u8>,
        shapes: &BTreeMap<String, usize>,
    ) -> Result<Reference, CliError> {
        let model = load_bytes(Bytes::from(onnx), &options(shapes)).map_err(CliError::refused)?;
        Reference::new(&model.graph)
    }

    /// Reads the file, with what it refers to, and checks that it is the one the program was compiled from.
    pub(crate) fn open(
        path: &Path,
        sha256: &str,
        shapes: &BTreeMap<String, usize>,
    ) -> Result<Reference, CliError> {
        let found = sha256_hex(&read_file(path)?);
        if found != sha256 {
            return Err(CliError::in_file(
                path,
                format!(
                    "is not the model this program was compiled from (sha256 {}.., expected {}..)",
                    &found[..12],
                    sha256.get(..12).unwrap_or(sha256)
                ),
            ));
        }
        let model = load(path, &options(shapes)).map_err(CliError::refused)?;
        Reference::new(&model.graph).map_err(|e| CliError::in_file(path, e))
    }

    fn new(graph: &Graph) -> Result<Reference, CliError> {
        let value = |v: &ValueId| &graph.values[v.0 as usize];
        let inputs =
            graph.inputs.iter().map(|v| (value(v).name.clone(), value(v).shape.clone())).collect();
        let output = graph
            .outputs
            .first()
            .map(|v| value(v).name.clone())
            .ok_or_else(|| CliError::refused("the float model has no output"))?;
        let model =
            FloatModel::load(&save_without_dilated_pools(graph)).map_err(CliError::refused)?;
        Ok(Reference { model, inputs, output })
    }

    /// The first output's values for one sample.
    pub(crate) fn run(&self, inputs: &[Vec<f32>]) -> Result<Vec<f32>, CliError> {
        let tensors = self.inputs.iter().zip(inputs).map(|((name, shape), data)| {
            (name.as_str(), FloatTensor { shape: shape.clone(), data: data.clone() })
        });
        let tensors: Vec<(&str, FloatTensor)> = tensors.collect();
        let mut out = self.model.run(&tensors, &[&self.output]).map_err(CliError::refused)?;
        out.pop().map(|t| t.data).ok_or_else(|| CliError::refused("the float model gave no output"))
    }
}

/// Whether the bytes alone are the whole model, so that a program can store it.
///
/// # Errors
/// With what is missing: constants that lie in other files.
pub(crate) fn check_embeddable(onnx: &[u8], options: &LoadOptions) -> Result<(), CliError> {
    match load_bytes(Bytes::copy_from_slice(onnx), options) {
        Ok(_) => Ok(()),
        Err(e) => Err(CliError::Refused(format!(
            "--embed-float: {e}\n  hint: without it, give the model to `qsim --float`"
        ))),
    }
}

fn options(shapes: &BTreeMap<String, usize>) -> LoadOptions {
    let shapes = shapes.iter().map(|(name, &extent)| (name.clone(), vec![extent])).collect();
    LoadOptions { shapes, ..LoadOptions::default() }
}

/// sha256 of some bytes, hex.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
