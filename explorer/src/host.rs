//! Networks that the host runs: float ones through the library, integer ones through the host runtime.

use ir::graph::{Graph, ValueId};
use ir::onnx::save_in_common_operators;
use ir::qgraph::QGraph;
use runtime::{FloatError, FloatModel, FloatTensor, Prepared, RuntimeError};

/// A float network ready to run on samples.
#[derive(Debug)]
pub struct FloatNetwork {
    model: FloatModel,
    inputs: Vec<(String, Vec<usize>)>,
    outputs: Vec<String>,
}

impl FloatNetwork {
    /// A graph, of whose outputs one is wanted.
    ///
    /// # Errors
    /// [`FloatError::Load`].
    pub fn new(graph: &Graph, output: &str) -> Result<FloatNetwork, FloatError> {
        FloatNetwork::from_onnx(graph, save_in_common_operators(graph), output)
    }

    /// A graph, of whose outputs some are wanted.
    ///
    /// # Errors
    /// [`FloatError::Load`].
    pub fn with_outputs(graph: &Graph, outputs: Vec<String>) -> Result<FloatNetwork, FloatError> {
        let network = FloatNetwork::from_onnx(graph, save_in_common_operators(graph), "")?;
        Ok(FloatNetwork { outputs, ..network })
    }

    /// A graph in another spelling: an ONNX file with its inputs and its output.
    ///
    /// # Errors
    /// [`FloatError::Load`].
    pub fn from_onnx(
        graph: &Graph,
        onnx: Vec<u8>,
        output: &str,
    ) -> Result<FloatNetwork, FloatError> {
        let value = |v: &ValueId| &graph.values[v.0 as usize];
        let inputs =
            graph.inputs.iter().map(|v| (value(v).name.clone(), value(v).shape.clone())).collect();
        Ok(FloatNetwork {
            model: FloatModel::load(onnx)?,
            inputs,
            outputs: vec![output.to_owned()],
        })
    }

    /// The first output's elements for one sample, which gives the elements of each input; all in ONNX order.
    ///
    /// # Errors
    /// [`FloatError`] if the inputs do not suit the network.
    pub fn run(&self, inputs: &[Vec<f32>]) -> Result<Vec<f32>, FloatError> {
        Ok(self.run_all(inputs)?.into_iter().next().unwrap_or_default())
    }

    /// The elements of every output that is wanted, as [`run`](Self::run).
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_all(&self, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, FloatError> {
        let tensors = self.inputs.iter().zip(inputs).map(|((name, shape), data)| {
            (name.as_str(), FloatTensor { shape: shape.clone(), data: data.clone() })
        });
        let tensors: Vec<(&str, FloatTensor)> = tensors.collect();
        let wanted: Vec<&str> = self.outputs.iter().map(String::as_str).collect();
        let out = self.model.run(&tensors, &wanted)?;
        Ok(out.into_iter().map(|tensor| tensor.data).collect())
    }
}

/// An integer network ready to run on samples of real values.
#[derive(Debug)]
pub(crate) struct IntegerNetwork<'g>(Prepared<'g>);

impl<'g> IntegerNetwork<'g> {
    pub(crate) fn new(graph: &'g QGraph) -> Result<IntegerNetwork<'g>, RuntimeError> {
        Prepared::new(graph).map(IntegerNetwork)
    }

    /// The first output's real values, as [`FloatNetwork::run`].
    pub(crate) fn run(&self, inputs: &[Vec<f32>]) -> Result<Vec<f32>, RuntimeError> {
        Ok(self.outputs(inputs)?.into_iter().next().unwrap_or_default())
    }

    /// The real values of every output.
    pub(crate) fn outputs(&self, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, RuntimeError> {
        let graph = self.0.graph();
        let value = |id: ir::qgraph::ValueId| &graph.values[id.0 as usize];
        let stored: Result<Vec<_>, _> = (graph.inputs.iter().zip(inputs))
            .map(|(&id, real)| runtime::quantize(real, value(id)))
            .collect();
        let outputs = self.0.run(&stored?)?;
        let real = |(tensor, &id)| runtime::dequantize(tensor, value(id));
        outputs.iter().zip(&graph.outputs).map(real).collect()
    }
}
