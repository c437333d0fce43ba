//! The whole way from a float graph to a program, in the three stages a user sees: rewrite, calibrate, generate.

use ir::graph::Graph;
use ir::qgraph::QGraph;
use isa::program::{Meta, Program};
use isa::{Hardware, verify};

use crate::backend::{BackendError, generate};
use crate::calibrate::{CalibrateError, Calibration, GraphRunner, Sample, with_data, without_data};
use crate::options::Options;
use crate::passes::{Applied, Check, Context, GRAPH, PassError, run};
use crate::quantize::{QuantizeError, check, quantize};
use crate::validate::validate;

/// Why compilation stopped.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A pass over the float graph failed.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// Ranges could not be found.
    #[error(transparent)]
    Calibrate(#[from] CalibrateError),
    /// Some nodes have no integer form.
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
    /// The machine cannot hold the network.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The program made is not sound: a bug of the compiler, found before anybody ran it.
    #[error("internal error of the compiler: the program fails verification: {0}")]
    Unsound(String),
}

/// A float network after the passes, ready to be calibrated and quantized any number of times.
#[derive(Clone, Debug)]
pub struct Network {
    /// The rewritten graph.
    pub graph: Graph,
    /// What each pass did.
    pub applied: Vec<Applied>,
    context: Context,
}

impl Network {
    /// Runs the passes and checks that every node has an integer form, before anybody spends time on calibration.
    ///
    /// # Errors
    /// [`CompileError::Pass`]; [`CompileError::Quantize`] with all nodes that have none.
    pub fn new(mut graph: Graph) -> Result<Network, CompileError> {
        let mut context = Context::default();
        let applied = run(GRAPH, &mut graph, &mut context, Check::EachPass)?;
        let refusals = check(&graph);
        if !refusals.is_empty() {
            return Err(QuantizeError::Refused { refusals }.into());
        }
        Ok(Network { graph, applied, context })
    }

    /// Ranges observed on samples: one tensor per network input, elements in ONNX order.
    ///
    /// # Errors
    /// [`CompileError::Calibrate`].
    pub fn calibrate(
        &self,
        samples: impl IntoIterator<Item = Result<Sample, String>>,
        options: &Options,
    ) -> Result<Calibration, CompileError> {
        Ok(with_data(&self.graph, &GraphRunner::new(&self.graph), samples, options)?)
    }

    /// Ranges from batch-norm statistics and, where there are none, synthetic inputs.
    ///
    /// # Errors
    /// [`CompileError::Calibrate`].
    pub fn calibrate_without_data(&self, options: &Options) -> Result<Calibration, CompileError> {
        Ok(without_data(&self.graph, &self.context, &GraphRunner::new(&self.graph), options)?)
    }

    /// The integer graph for a machine.
    ///
    /// # Errors
    /// [`CompileError::Quantize`].
    pub fn quantize(
        &self,
        calibration: &Calibration,
        options: &Options,
        hw: &Hardware,
    ) -> Result<QGraph, CompileError> {
        Ok(quantize(&self.graph, calibration, options, hw)?)
    }
}

/// The program for an integer graph, verified to be sound and validated to compute the graph.
///
/// # Errors
/// [`CompileError::Backend`]; [`CompileError::Unsound`] is a bug.
pub fn program(graph: &QGraph, hw: &Hardware, meta: Meta) -> Result<Program, CompileError> {
    let program = generate(graph, hw, meta)?;
    if let Some(finding) = verify::verify(&program).first() {
        return Err(CompileError::Unsound(finding.to_string()));
    }
    if let Some(finding) = validate(&program, graph).first() {
        return Err(CompileError::Unsound(finding.to_string()));
    }
    Ok(program)
}
