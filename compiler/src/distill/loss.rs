//! How far a batch is from the statistics of the batch norms, and the gradient of that.

use ir::graph::Graph;

use super::tape::{State, Tape};
use crate::passes::{Context, Statistics};

/// Statistics to be reached, by value.
pub(super) struct Targets {
    layers: Vec<Layer>,
}

struct Layer {
    value: usize,
    /// Elements of a channel, within which they lie in a row.
    inner: usize,
    statistics: Statistics,
    /// Sum of the squared deviations of all channels: the unit of this layer's distance.
    spread: f64,
}

/// What a batch causes.
pub(super) struct Observed<'a> {
    targets: &'a Targets,
    /// Mean and deviation by layer and channel.
    moments: Vec<Vec<[f64; 2]>>,
    /// Elements of a channel over all images.
    images: f64,
    /// Mean over the layers of the squared distance from the statistics, relative to the deviations.
    pub(super) loss: f64,
}

impl Targets {
    /// All statistics of values that the tape computes.
    pub(super) fn new(graph: &Graph, context: &Context, tape: &Tape<'_>) -> Targets {
        let layer = |(value, v): (usize, &ir::graph::Value)| {
            let statistics = context.statistics.get(&v.name)?;
            let channels = statistics.mean.len();
            let spread: f64 = statistics.std.iter().map(|s| s * s).sum();
            let fits = v.shape.get(..2) == Some(&[1, channels]) && spread > 0.0;
            (fits && spread.is_finite() && tape.computes(value)).then(|| Layer {
                value,
                inner: v.shape[2..].iter().product(),
                statistics: statistics.clone(),
                spread,
            })
        };
        Targets { layers: graph.values.iter().enumerate().filter_map(layer).collect() }
    }

    pub(super) fn layers(&self) -> usize {
        self.layers.len()
    }

    pub(super) fn wants(&self, value: usize) -> bool {
        self.layers.iter().any(|layer| layer.value == value)
    }

    /// Means and deviations over a batch.
    pub(super) fn observe(&self, states: &[State]) -> Observed<'_> {
        let moments: Vec<_> = self.layers.iter().map(|layer| layer.moments(states)).collect();
        let distances = self.layers.iter().zip(&moments).map(|(layer, m)| layer.distance(m));
        let loss = distances.sum::<f64>() / self.layers.len() as f64;
        Observed { targets: self, moments, images: states.len() as f64, loss }
    }
}

impl Layer {
    fn moments(&self, states: &[State]) -> Vec<[f64; 2]> {
        let n = (self.inner * states.len()) as f64;
        let mut sums = vec![[0.0; 2]; self.statistics.mean.len()];
        for state in states {
            for (sum, row) in sums.iter_mut().zip(state.value(self.value).chunks_exact(self.inner))
            {
                for &v in row {
                    let v = f64::from(v);
                    sum[0] += v;
                    sum[1] += v * v;
                }
            }
        }
        let moments = |[sum, squares]: [f64; 2]| {
            let mean = sum / n;
            [mean, (squares / n - mean * mean).max(0.0).sqrt()]
        };
        sums.into_iter().map(moments).collect()
    }

    fn channels<'a>(&'a self, moments: &'a [[f64; 2]]) -> impl Iterator<Item = [f64; 4]> + 'a {
        let targets = self.statistics.mean.iter().zip(&self.statistics.std);
        moments.iter().zip(targets).map(|([m, s], (mean, std))| [*m, *s, m - mean, s - std])
    }

    fn distance(&self, moments: &[[f64; 2]]) -> f64 {
        self.channels(moments).map(|[_, _, m, s]| m * m + s * s).sum::<f64>() / self.spread
    }
}

impl Observed<'_> {
    /// Adds the gradient of the loss with respect to the values of one image to its gradients.
    pub(super) fn gradients(&self, state: &mut State) {
        for (layer, moments) in self.targets.layers.iter().zip(&self.moments) {
            let n = layer.inner as f64 * self.images;
            let scale = 2.0 / (layer.spread * n * self.targets.layers.len() as f64);
            let (values, gradients) = state.value_and_gradient(layer.value);
            let rows =
                values.chunks_exact(layer.inner).zip(gradients.chunks_exact_mut(layer.inner));
            for ((row, out), [mean, std, from_mean, from_std]) in rows.zip(layer.channels(moments))
            {
                // A channel without any deviation has no direction to gain some.
                let slope = if std > 0.0 { from_std / std } else { 0.0 };
                for (v, g) in row.iter().zip(out) {
                    *g += (scale * (from_mean + slope * (f64::from(*v) - mean))) as f32;
                }
            }
        }
    }
}
