//! The way in: run a graph on one image, plainly or fast.
#![deny(clippy::float_arithmetic)]

use ir::qgraph::QGraph;

use crate::check::{check, check_inputs};
use crate::execute::{Keep, execute};
use crate::{QTensor, RuntimeError, int8};

/// Which loops compute the operators. The results are equal bit for bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// The plain loops that define each operator.
    Plain,
}

/// Runs `graph` on one image and returns its outputs, in the order of `graph.outputs`.
///
/// # Errors
/// If the graph breaks its rules or this runtime's limits, or the inputs do not fit it in number, shape or storage type.
pub fn run(graph: &QGraph, inputs: &[QTensor], path: Path) -> Result<Vec<QTensor>, RuntimeError> {
    run_keeping(graph, inputs, path, Keep::Outputs)
}

/// Runs `graph` on one image and returns every value, in the order of `graph.values`.
///
/// # Errors
/// As [`run`].
pub fn run_all(
    graph: &QGraph,
    inputs: &[QTensor],
    path: Path,
) -> Result<Vec<QTensor>, RuntimeError> {
    run_keeping(graph, inputs, path, Keep::All)
}

fn run_keeping(
    graph: &QGraph,
    inputs: &[QTensor],
    path: Path,
    keep: Keep,
) -> Result<Vec<QTensor>, RuntimeError> {
    match path {
        Path::Plain => {
            check(graph)?;
            check_inputs(graph, inputs)?;
            Ok(execute(graph, inputs, keep, |_, node, operands| {
                int8::execute(graph, node, operands)
            }))
        }
    }
}
