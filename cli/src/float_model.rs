//! The float model beside an integer program: what accuracy is compared with.

use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use compiler::random_weights::randomize;
use explorer::host::FloatNetwork;
use ir::graph::{Graph, ValueId};
use ir::onnx::{LoadOptions, load, load_bytes};
use isa::program::{Meta, Program};
use sha2::{Digest, Sha256};

use crate::error::{CliError, describe};
use crate::host::ends;
use crate::parts::NetworkOutputs;

/// The float graph that a program holds.
pub(crate) fn embedded_graph(onnx: Vec<u8>, meta: &Meta) -> Result<Graph, CliError> {
    Ok(load_bytes(Bytes::from(onnx), &options(meta)).map_err(CliError::refused)?.graph)
}

/// Reads the float graph of a file, with what it refers to, and checks that it is the one the program was compiled from.
pub(crate) fn open_graph(path: &Path, meta: &Meta) -> Result<Graph, CliError> {
    let sha256 = &meta.model_sha256;
    let found = sha256_of_file(path)?;
    if found != *sha256 {
        return Err(CliError::in_file(
            path,
            format!(
                "is not the model this program was compiled from (sha256 {}.., expected {}..)",
                &found[..12],
                sha256.get(..12).unwrap_or(sha256)
            ),
        ));
    }
    Ok(load(path, &options(meta)).map_err(CliError::refused)?.graph)
}

/// A float network ready to run on samples.
pub(crate) struct Reference {
    network: FloatNetwork,
    back: NetworkOutputs,
}

impl Reference {
    /// From the bytes of the original ONNX file as the program stores them.
    pub(crate) fn embedded(onnx: Vec<u8>, program: &Program) -> Result<Reference, CliError> {
        Reference::new(embedded_graph(onnx, &program.meta)?, program)
    }

    /// Reads the file, with what it refers to, and checks that it is the one the program was compiled from.
    pub(crate) fn open(path: &Path, program: &Program) -> Result<Reference, CliError> {
        let graph = open_graph(path, &program.meta)?;
        Reference::new(graph, program).map_err(|e| CliError::in_file(path, e))
    }

    /// With the weights that the program was compiled with.
    fn new(mut graph: Graph, program: &Program) -> Result<Reference, CliError> {
        if let Some(how) = program.meta.random_weights {
            randomize(&mut graph, how.seed, how.input_range);
        }
        let back = NetworkOutputs::of_program(program)?;
        // Outputs of the model may have been left out of the program.
        let wanted = ends(program, &program.outputs).into_iter().map(|output| output.name);
        // Only a tail needs more than the first.
        let wanted: Vec<String> =
            wanted.take(if back.has_tail() { usize::MAX } else { 1 }).collect();
        let has = |name: &String| {
            graph.outputs.iter().any(|v: &ValueId| graph.values[v.0 as usize].name == *name)
        };
        if wanted.is_empty() || !wanted.iter().all(has) {
            return Err(CliError::refused("the float model lacks the program's outputs"));
        }
        let network = FloatNetwork::with_outputs(&graph, wanted).map_err(CliError::refused)?;
        Ok(Reference { network, back })
    }

    /// The values of the network's first output for one sample, of which the program's inputs are given.
    pub(crate) fn run(&self, inputs: &[Vec<f32>]) -> Result<Vec<f32>, CliError> {
        self.back.first(self.network.run_all(inputs).map_err(CliError::refused)?)
    }
}

/// Whether the bytes alone are the whole model, so that a program can store it.
///
/// # Errors
/// With what is missing: constants that lie in other files.
pub(crate) fn check_embeddable(onnx: Vec<u8>, options: &LoadOptions) -> Result<(), CliError> {
    match load_bytes(Bytes::from(onnx), options) {
        Ok(_) => Ok(()),
        Err(e) => Err(CliError::Refused(format!(
            "--embed-float: {e}\n  hint: without it, give the model to `qsim --float`"
        ))),
    }
}

fn options(meta: &Meta) -> LoadOptions {
    let shapes = meta.shapes.iter().map(|(name, &extent)| (name.clone(), vec![extent])).collect();
    LoadOptions { shapes, ..LoadOptions::default() }
}

/// sha256 of some bytes, hex.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// sha256 of a file, hex, read piece by piece.
pub(crate) fn sha256_of_file(path: &Path) -> Result<String, CliError> {
    if path.is_dir() {
        return Err(CliError::in_file(path, "is a folder, not a file"));
    }
    let failed = |error: std::io::Error| CliError::in_file(path, describe(path, &error));
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece).map_err(failed)? {
            0 => return Ok(hex(&hash.finalize())),
            count => hash.update(&piece[..count]),
        }
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect()
}
