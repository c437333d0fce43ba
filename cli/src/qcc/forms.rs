//! `--emit`: what the compiler made, in its intermediate forms.

use std::path::{Path, PathBuf};

use ir::graph::Graph;
use ir::onnx::save_qdq;
use ir::qgraph::QGraph;
use isa::program::Program;

use super::args::Emit;
use crate::error::CliError;
use crate::output::Output;

/// Where an intermediate form goes.
pub(super) fn open_form((_, file): &(Emit, Option<PathBuf>)) -> Result<Output, CliError> {
    Output::open(file.as_deref().unwrap_or(Path::new("-")))
}

/// An intermediate form.
pub(super) fn emitted(
    kind: Emit,
    graph: &Graph,
    qgraph: &QGraph,
    made: &Program,
) -> Result<Vec<u8>, CliError> {
    Ok(match kind {
        Emit::Asm => isa::disasm::disassemble(made).into_bytes(),
        Emit::Graph => graph.to_string().into_bytes(),
        Emit::Qgraph => qgraph.to_string().into_bytes(),
        Emit::Dot => qgraph.to_dot().into_bytes(),
        Emit::Tiles => {
            let line = |n: &isa::program::NodeInfo| format!("{}\t{}\t{}\n", n.name, n.op, n.tile);
            made.nodes.iter().map(line).collect::<String>().into_bytes()
        }
        Emit::Qdq => save_qdq(qgraph).map_err(|e| CliError::Refused(format!("--emit qdq: {e}")))?,
    })
}
