//! From a path to a [`Model`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message;

use super::error::{ImportError, LoadError, NotOnnx};
use super::external::{External, map_file};
use super::import::import;
use super::proto::ModelProto;
use super::tensor::Budget;
use super::{NEWEST_OPSET, OLDEST_OPSET};
use crate::graph::Graph;

/// What the user decides about an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// Extents of symbolic dimensions: one by symbol or by `INPUT:AXIS`, all by the input's name.
    pub shapes: BTreeMap<String, Vec<usize>>,
    /// Memory that constants may take beside those that stay in the mapped file.
    pub max_constant_bytes: u64,
}

impl Default for LoadOptions {
    fn default() -> LoadOptions {
        LoadOptions { shapes: BTreeMap::new(), max_constant_bytes: 4 << 30 }
    }
}

/// An imported file.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The network.
    pub graph: Graph,
    /// Version of the standard operators.
    pub opset: i64,
    /// Version of the file format.
    pub ir_version: i64,
    /// Tool that wrote the file, and its version.
    pub producer: String,
    /// Extents of all symbolic dimensions, given or assumed.
    pub shapes: BTreeMap<String, usize>,
    /// What was decided without being told; each is one sentence.
    pub warnings: Vec<String>,
}

/// Reads an ONNX file. Weights stay in the mapped file, which must not change while the graph is in use.
///
/// # Errors
/// When the file cannot be read, is not ONNX, contradicts itself, or holds nodes that are not supported (then all of
/// them are named).
pub fn load(path: &Path, options: &LoadOptions) -> Result<Model, LoadError> {
    let not_onnx = |reason| LoadError::NotOnnx { path: path.to_owned(), reason };
    let bytes = map_file(path)
        .map_err(|source| LoadError::Io { path: path.to_owned(), source })?
        .ok_or_else(|| not_onnx(NotOnnx::NotAFile))?;
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    };
    load_from(bytes, path, Some(folder), options)
}

/// Reads an ONNX model from memory. Constants in other files are refused, as there is no folder to look in.
///
/// # Errors
/// As [`load`]; messages call the file `<memory>`.
pub fn load_bytes(bytes: Bytes, options: &LoadOptions) -> Result<Model, LoadError> {
    load_from(bytes, Path::new("<memory>"), None, options)
}

fn load_from(
    bytes: Bytes,
    path: &Path,
    folder: Option<PathBuf>,
    options: &LoadOptions,
) -> Result<Model, LoadError> {
    let not_onnx = |reason| LoadError::NotOnnx { path: path.to_owned(), reason };
    if bytes.is_empty() {
        return Err(not_onnx(NotOnnx::Empty));
    }
    let proto = ModelProto::decode(bytes).map_err(|error| not_onnx(NotOnnx::Decode(error)))?;
    if proto.graph.is_none() {
        return Err(not_onnx(NotOnnx::NoGraph));
    }
    import_model(&proto, folder, options)
        .map_err(|source| LoadError::Import { path: path.to_owned(), source: Box::new(source) })
}

fn import_model(
    proto: &ModelProto,
    folder: Option<PathBuf>,
    options: &LoadOptions,
) -> Result<Model, ImportError> {
    let opset = standard_opset(proto)?;
    let mut warnings = Vec::new();
    let budget = Budget::new(options.max_constant_bytes);
    let (graph, shapes) =
        import(proto, opset, External::new(folder), budget, &options.shapes, &mut warnings)?;
    graph.verify().map_err(ImportError::Verify)?;
    Ok(Model {
        graph,
        opset,
        ir_version: proto.ir_version,
        producer: format!("{} {}", proto.producer_name, proto.producer_version).trim().to_owned(),
        shapes,
        warnings,
    })
}

/// Version of the standard operators; versions of other domains do not matter until a node uses one.
pub(super) fn standard_opset(proto: &ModelProto) -> Result<i64, ImportError> {
    let standard = proto.opset_import.iter().find(|set| is_standard_domain(&set.domain));
    let found = standard.ok_or(ImportError::NoOpset)?.version;
    if (OLDEST_OPSET..=NEWEST_OPSET).contains(&found) {
        Ok(found)
    } else {
        Err(ImportError::Opset { found })
    }
}

/// Whether a domain is that of the standard operators.
pub(super) fn is_standard_domain(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}
