//! What passes learn about the network and later stages need.

use std::collections::BTreeMap;

/// Mean and standard deviation of a tensor, per channel (axis 1), as its batch norm was trained to produce them.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Mean per channel: the batch norm's bias.
    pub mean: Vec<f64>,
    /// Standard deviation per channel: the magnitude of the batch norm's scale.
    pub std: Vec<f64>,
}

/// Memory shared by the passes of one network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    /// Statistics by name of the float value that has them. Calibration without data rests on these; they would be
    /// lost once batch norms are folded.
    pub statistics: BTreeMap<String, Statistics>,
}

impl Statistics {
    /// Statistics of `scale[c] * x + shift[c]`.
    pub(super) fn affine(&self, scale: &[f64], shift: &[f64]) -> Statistics {
        let each = self.mean.iter().zip(&self.std).zip(scale.iter().zip(shift));
        let (mean, std) = each.map(|((mean, std), (a, b))| (a * mean + b, a.abs() * std)).unzip();
        Statistics { mean, std }
    }
}
