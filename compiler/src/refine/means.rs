//! What the float network computes on the kept samples, as one mean per output channel of each layer.

use std::collections::BTreeMap;

use ir::graph::{Graph, Node, Op, ValueId};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Probes;
use crate::calibrate::{CalibrateError, FloatRunner, Sample};
use crate::quantize::QuantizeError;

/// Means over samples and positions, before any activation function.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Means {
    /// Samples that they were taken over.
    pub samples: u64,
    /// By ONNX name of a layer's result: one mean per output channel.
    pub channels: BTreeMap<String, Vec<f64>>,
}

/// Means of the results of some layers of `graph`, which `runner` runs, over the probes that are not held out. They do not depend on
/// threads.
///
/// # Errors
/// When a sample does not fit the model or the model fails.
pub fn means(
    graph: &Graph,
    runner: &dyn FloatRunner,
    probes: &Probes,
    layers: &[&Node],
) -> Result<Means, CalibrateError> {
    let samples = probes.fitted();
    let names: Vec<&str> =
        layers.iter().map(|n| graph.values[n.output.0 as usize].name.as_str()).collect();
    if layers.is_empty() {
        return Ok(Means { samples: samples.len() as u64, ..Means::default() });
    }
    let of_sample = |(index, sample): (usize, &&Sample)| {
        let values = runner
            .run(sample, &names)
            .map_err(|message| CalibrateError::Run { sample: index, message })?;
        let layers = layers.iter().zip(&values);
        Ok(layers.map(|(node, values)| channel_means(graph, node, values)).collect::<Vec<_>>())
    };
    let each: Vec<_> = samples.par_iter().enumerate().map(of_sample).collect::<Result<_, _>>()?;
    let mean = |layer: usize| {
        let mut sums = vec![0.0; each.first().map_or(0, |first| first[layer].len())];
        for sample in &each {
            sums.iter_mut().zip(&sample[layer]).for_each(|(sum, mean)| *sum += mean);
        }
        sums.into_iter().map(|sum| sum / each.len() as f64).collect()
    };
    let channels = names.iter().enumerate().map(|(i, name)| ((*name).to_owned(), mean(i)));
    Ok(Means { samples: samples.len() as u64, channels: channels.collect() })
}

/// Mean per output channel: axis 1 of a convolution, the last one of a dense layer.
fn channel_means(graph: &Graph, node: &Node, values: &[f32]) -> Vec<f64> {
    let shape = &graph.values[node.output.0 as usize].shape;
    let axis = if node.op == Op::Dense { shape.len() - 1 } else { 1 };
    let (channels, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
    let mut sums = vec![0.0; channels];
    for (index, run) in values.chunks_exact(inner).enumerate() {
        sums[index % channels] += run.iter().map(|&v| f64::from(v)).sum::<f64>();
    }
    let count = (values.len() / channels) as f64;
    sums.into_iter().map(|sum| sum / count).collect()
}

impl Means {
    /// Means of the layer with result `value`.
    pub(super) fn of(
        &self,
        graph: &Graph,
        value: ValueId,
        channels: usize,
    ) -> Result<&[f64], QuantizeError> {
        let name = &graph.values[value.0 as usize].name;
        let means = self.channels.get(name).filter(|means| means.len() == channels);
        let missing = || QuantizeError::MissingMeans { name: name.clone(), channels };
        means.map(Vec::as_slice).ok_or_else(missing)
    }
}
