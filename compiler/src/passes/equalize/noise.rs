//! What rounding is expected to cost a pair of layers, before there are samples.

use ir::graph::Graph;

use super::{Pair, Reader};
use crate::options::Granularity;
use crate::passes::Context;
use crate::passes::edit::{floats, name};
use crate::quantize::weight_scale;

/// A pair is changed if that lowers some noise by this factor.
const WORTHWHILE: f64 = 0.9;

/// Steps of an activation's range.
const STEPS: f64 = 255.0;

/// Deviations that a range reaches where nothing better is known.
const REACH: f64 = 4.0;

/// Noise over signal behind the second layer of a pair.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise {
    /// From int8 weights of both with a scale per output channel.
    pub(super) per_channel: f64,
    /// From int8 weights of both with a scale per layer.
    pub(super) per_tensor: f64,
    /// From int8 values between the two.
    pub(super) between: f64,
}

impl Noise {
    /// Whether none is larger than in `other`, and one by far smaller.
    pub(super) fn improves_on(&self, other: &Noise) -> bool {
        let parts = |noise: &Noise| [noise.per_channel, noise.per_tensor, noise.between];
        let pairs = || parts(self).into_iter().zip(parts(other));
        pairs().all(|(new, old)| new <= old) && pairs().any(|(new, old)| new < WORTHWHILE * old)
    }
}

/// What rounding costs a pair whose first layer is divided, and whose second is multiplied by `factors`. Channels are taken as independent, what the first layer
/// reads as of equal power everywhere.
pub(super) fn predicted(graph: &Graph, context: &Context, pair: &Pair, factors: &[f64]) -> Noise {
    let weights = |node: usize| floats(graph, graph.nodes[node].inputs[1]).unwrap_or_default();
    let (writer, reader) = (Reader::of(graph, pair.first), Reader::of(graph, pair.second));
    let first = weights(pair.first);
    let first: Vec<f32> = (first.iter().enumerate())
        .map(|(i, w)| (f64::from(*w) / factors[writer.row(i)]) as f32)
        .collect();
    let second = weights(pair.second);
    let second: Vec<f32> = (second.iter().enumerate())
        .map(|(i, w)| (f64::from(*w) * factors[reader.channel(i)]) as f32)
        .collect();
    // What a channel carries, and what becomes of it.
    let mut carried = vec![0.0; factors.len()];
    let mut passed = vec![0.0; factors.len()];
    first
        .iter()
        .enumerate()
        .for_each(|(i, &w)| carried[writer.row(i)] += f64::from(w) * f64::from(w));
    second
        .iter()
        .enumerate()
        .for_each(|(i, &w)| passed[reader.channel(i)] += f64::from(w) * f64::from(w));
    let known = pair.between.iter().find_map(|&value| context.statistics.get(name(graph, value)));
    if let Some(known) = known.filter(|known| known.mean.len() == factors.len()) {
        for (i, power) in carried.iter_mut().enumerate() {
            let (mean, std) = (known.mean[i] / factors[i], known.std[i] / factors[i]);
            *power = mean * mean + std * std;
        }
    }
    let signal: f64 = carried.iter().zip(&passed).map(|(c, p)| c * p).sum();
    let by_weights = |granularity: Granularity| -> f64 {
        let by_first = errors(&first, writer.rows, granularity);
        let by_second = errors(&second, reader.rows, granularity);
        let first = by_first.iter().enumerate().map(|(i, error)| error * passed[writer.row(i)]);
        let second =
            by_second.iter().enumerate().map(|(i, error)| error * carried[reader.channel(i)]);
        (first.sum::<f64>() + second.sum::<f64>()) / signal
    };
    let step = REACH * carried.iter().fold(0.0, |m: f64, power| m.max(power.sqrt())) / STEPS;
    Noise {
        per_channel: by_weights(Granularity::PerChannel),
        per_tensor: by_weights(Granularity::PerTensor),
        between: step * step / 12.0 * passed.iter().sum::<f64>() / signal,
    }
}

/// Squared rounding error of each weight.
fn errors(weights: &[f32], rows: usize, granularity: Granularity) -> Vec<f64> {
    let of_row = |row: &[f32]| -> Vec<f64> {
        let scale = weight_scale(row, 8);
        let squared = |w: &f32| {
            let steps = f64::from(*w) / scale;
            let error = (steps - steps.round_ties_even()) * scale;
            error * error
        };
        row.iter().map(squared).collect()
    };
    match granularity {
        Granularity::PerTensor => of_row(weights),
        Granularity::PerChannel => {
            weights.chunks_exact(weights.len() / rows).flat_map(of_row).collect()
        }
    }
}
