//! The float model beside an integer program: what accuracy is compared with.

use std::path::Path;

use bytes::Bytes;
use ir::onnx::{LoadOptions, load_bytes};
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
    /// From the bytes of the original ONNX file, shapes fixed as the program's inputs say.
    pub(crate) fn new(
        onnx: Vec<u8>,
        shapes: &std::collections::BTreeMap<String, usize>,
    ) -> Result<Reference, CliError> {
        let shapes = shapes.iter().map(|(name, &extent)| (name.clone(), vec![extent])).collect();
        let options = LoadOptions { shapes, ..LoadOptions::default() };
        let graph = load_bytes(Bytes::from(onnx), &options).map_err(CliError::refused)?.graph;
        let value = |v: &ir::graph::ValueId| &graph.values[v.0 as usize];
        let inputs =
            graph.inputs.iter().map(|v| (value(v).name.clone(), value(v).shape.clone())).collect();
        let output = graph
            .outputs
            .first()
            .map(|v| value(v).name.clone())
            .ok_or_else(|| CliError::refused("the float model has no output"))?;
        let model = FloatModel::load(&ir::onnx::save_without_dilated_pools(&graph))
            .map_err(CliError::refused)?;
        Ok(Reference { model, inputs, output })
    }

    /// Reads the file and checks that it is the one the program was compiled from.
    pub(crate) fn open(
        path: &Path,
        sha256: &str,
        shapes: &std::collections::BTreeMap<String, usize>,
    ) -> Result<Reference, CliError> {
        let bytes = read_file(path)?;
        let found = sha256_hex(&bytes);
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
        Reference::new(bytes, shapes).map_err(|e| CliError::in_file(path, e))
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

/// sha256 of some bytes, hex.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
