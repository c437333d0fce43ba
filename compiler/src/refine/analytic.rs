//! Bias correction without data.
//!
//! The rounding error of weights times the mean of the inputs is the error of the result's mean (Nagel et al., 2019,
//! "Data-free quantization through weight equalization and bias correction", section 4.2). The means follow from batch
//! norms. Borders are taken to have the mean of the rest.

use ir::graph::Graph;

use super::layer::Layer;
use crate::calibrate::moments::Moments;

/// Mean of the stored integers that each tap of the layer sees, if its input has these moments.
pub(super) fn tap_means(graph: &Graph, layer: &Layer<'_>, input: &Moments) -> Vec<f64> {
    let input = input.for_channels(layer.input_channels(graph));
    layer.tap_means((0..layer.operand_channels()).map(|c| input.mean(c)))
}
