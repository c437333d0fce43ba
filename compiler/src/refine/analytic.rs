//! Bias correction without data.
//!
//! The rounding error of weights times the mean of the inputs is the error of the result's mean (Nagel et al., 2019,
//! "Data-free quantization through weight equalization and bias correction", section 4.2). The means follow from batch
//! norms. Borders are taken to have the mean of the rest.

use ir::graph::Graph;
use ir::qgraph::QGraph;

use super::layer::Layer;
use crate::calibrate::moments::Moments;

/// Biases for which the mean of each output channel is what the float layer makes of `input`.
pub(super) fn biases(graph: &Graph, q: &QGraph, layer: &Layer<'_>, input: &Moments) -> Vec<i64> {
    let input = input.for_channels(layer.input_channels(graph));
    let taps = layer.tap_means((0..layer.operand_channels()).map(|c| input.mean(c)));
    layer.biases(q, &taps, &layer.real_means(&taps))
}
