//! Random weights for networks that come without.
//!
//! Files that publish the structure of a network alone fill every weight with one number. Such a network computes the
//! same everywhere, so a swapped channel or a wrong address shows nowhere. [`randomize`] gives it weights under which
//! activations stay of order one however deep the network is: each layer's weights are uniform (He et al., 2015,
//! "Delving deep into rectifiers", section 2.2) with the deviation that the second moment of its input asks for, and
//! batch norms get the mean and variance of what flows into them. Means and deviations are followed through the graph
//! as for calibration without data. What this leaves out (correlation between neighbours, rare values) must not add up
//! over the layers. The second moment of a sum with independent weights does not depend on it; but a mean that all
//! channels share, as rectifiers make it, would be most of that moment, and batch norms would blow up the error of its
//! estimate. So the weights of a filter add up to zero over the channels, and a shared mean cancels.
//!
//! PCG64 and libm make the weights the same on every machine.

use std::collections::BTreeSet;

use ir::graph::{Graph, Node, Op, ValueId, Window};
use ir::tensor::{Tensor, element_count};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::calibrate::moments::{Moments, result};

/// Half the width of the uniform distribution of biases and shifts, in deviations of what they are added to.
const SHIFT: f64 = 0.25;

/// Half the width of the uniform distribution of factors around 1.
const FACTOR: f64 = 0.25;

/// Mean slope of a leaky rectifier below zero.
const SLOPE: f64 = 0.125;

/// Input channels from which the weights of a filter add up to zero.
const BALANCED_CHANNELS: usize = 8;

/// Share of the average variance that every channel of a batch norm is given at least: without it, a channel that
/// hardly varies would be blown up.
const LEAST_VARIANCE: f64 = 0.05;

/// What was replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replaced {
    /// Constant tensors.
    pub tensors: usize,
    /// Elements in them.
    pub elements: usize,
    /// Tensors among them that held more than one value, so were real weights.
    pub real: usize,
}

/// Replaces every weight, bias and statistic of `graph`, which must be well formed and come from import, before any
/// pass. Constants with one element stay, as they belong to the structure (divisors, exponents), and so do operands
/// that are no weights (shapes, bounds). `input_range` is where inputs lie; without, they are taken as standardised.
pub fn randomize(graph: &mut Graph, seed: u64, input_range: Option<(f32, f32)>) -> Replaced {
    let input = match input_range {
        None => Moments::normal(vec![0.0], vec![1.0]),
        Some((lo, hi)) => {
            let (lo, hi) = (f64::from(lo), f64::from(hi));
            Moments::normal(vec![(lo + hi) / 2.0], vec![(hi - lo) / 12f64.sqrt()])
        }
    };
    let mut known = vec![None; graph.values.len()];
    for id in &graph.inputs {
        known[id.0 as usize] = Some(input.clone());
    }
    let rng = Pcg64::seed_from_u64(seed);
    let mut fill = Fill { graph, rng, known, done: BTreeSet::new(), replaced: Replaced::default() };
    for index in 0..fill.graph.nodes.len() {
        let node = fill.graph.nodes[index].clone();
        fill.weights(&node);
        fill.follow(&node);
    }
    fill.replaced
}

struct Fill<'a> {
    graph: &'a mut Graph,
    rng: Pcg64,
    /// Moments of the values met so far, indexed like the graph's.
    known: Vec<Option<Moments>>,
    /// Constants replaced; several nodes may share one.
    done: BTreeSet<ValueId>,
    replaced: Replaced,
}

impl Fill<'_> {
    fn shape(&self, id: ValueId) -> &[usize] {
        &self.graph.values[id.0 as usize].shape
    }

    fn moments(&self, id: ValueId) -> Moments {
        // Of a value that nothing is known about, order one is the best guess.
        let unknown = || Moments::normal(vec![0.0], vec![1.0]);
        self.known[id.0 as usize].clone().unwrap_or_else(unknown)
    }

    /// Replaces the constants of one node.
    fn weights(&mut self, node: &Node) {
        let x = self.moments(node.inputs[0]);
        match &node.op {
            Op::Conv { window, .. } => {
                let input = self.shape(node.inputs[0]).to_vec();
                let taps: usize = self.shape(node.inputs[1])[1..].iter().product();
                let inside = covered(window, &[input[2], input[3]]);
                self.linear(node, &x, taps as f64 * inside);
            }
            Op::ConvTranspose { window, .. } => {
                // Of the taps that a result has room for, one in as many steps meets an input element.
                let taps: usize = self.shape(node.inputs[1])[1..].iter().product();
                let steps = window.stride[0] * window.stride[1];
                self.linear(node, &x, taps as f64 / steps as f64);
            }
            Op::Dense => {
                let taps = self.shape(node.inputs[1])[1];
                self.linear(node, &x, taps as f64);
            }
            Op::BatchNorm { .. } => self.batch_norm(node, &x),
            Op::Add | Op::Sub => {
                for (id, other) in [(0, 1), (1, 0)].map(|(i, j)| (node.inputs[i], node.inputs[j])) {
                    let width = SHIFT * self.moments(other).square().sqrt();
                    self.fill(id, |rng| uniform(rng, 0.0, width));
                }
            }
            Op::Mul => {
                for &id in &node.inputs {
                    self.fill(id, |rng| uniform(rng, 1.0, FACTOR));
                }
            }
            Op::PRelu => {
                self.fill(node.inputs[1], |rng| uniform(rng, SLOPE, SLOPE));
            }
            Op::MatMul { .. }
            | Op::Lrn { .. }
            | Op::Clip { .. }
            | Op::FakeQuantize { .. }
            | Op::Max
            | Op::Min
            | Op::Unary { .. }
            | Op::MaxPool { .. }
            | Op::AveragePool { .. }
            | Op::ReduceMean { .. }
            | Op::Concat { .. }
            | Op::Reshape
            | Op::Transpose { .. }
            | Op::Pad { .. }
            | Op::Gather { .. }
            | Op::Interpolate { .. }
            | Op::Softmax { .. } => {}
        }
    }

    /// Weights whose sums over `taps` inputs have a second moment of 1, and a bias.
    fn linear(&mut self, node: &Node, x: &Moments, taps: f64) {
        let weights = node.inputs[1];
        let is_balanced = self.shape(weights)[1] >= BALANCED_CHANNELS;
        let square = if is_balanced { x.spread() } else { x.square() };
        // A uniform distribution of half width `a` has variance `a^2 / 3`.
        let width = (3.0 / (taps * square)).sqrt();
        if self.fill(weights, |rng| uniform(rng, 0.0, width)) && is_balanced {
            self.balance(weights);
        }
        if let Some(&bias) = node.inputs.get(2) {
            self.fill(bias, |rng| uniform(rng, 0.0, SHIFT));
        }
    }

    /// Makes the weights of every filter add up to zero over the input channels, with the same deviation.
    fn balance(&mut self, id: ValueId) {
        let value = &mut self.graph.values[id.0 as usize];
        let (channels, taps) = (value.shape[1], value.shape[2..].iter().product::<usize>());
        let Some(weights) = value.constant.as_mut().and_then(Tensor::f32_mut) else { return };
        let scale = (channels as f64 / (channels - 1) as f64).sqrt();
        for filter in weights.chunks_exact_mut(channels * taps) {
            for tap in 0..taps {
                let of_tap = filter.iter().skip(tap).step_by(taps);
                let mean = of_tap.map(|&w| f64::from(w)).sum::<f64>() / channels as f64;
                for w in filter.iter_mut().skip(tap).step_by(taps) {
                    *w = ((f64::from(*w) - mean) * scale) as f32;
                }
            }
        }
    }

    fn batch_norm(&mut self, node: &Node, x: &Moments) {
        let channels = self.shape(node.inputs[1])[0];
        let x = x.for_channels(Some(channels));
        let variances: Vec<f64> = (0..channels).map(|c| x.variance(c)).collect();
        let least = LEAST_VARIANCE * variances.iter().sum::<f64>() / channels as f64;
        let least = if least > 0.0 { least } else { 1.0 };
        self.fill(node.inputs[1], |rng| uniform(rng, 1.0, FACTOR));
        self.fill(node.inputs[2], |rng| uniform(rng, 0.0, SHIFT));
        let mut channel = 0..channels;
        self.fill(node.inputs[3], |_| channel.next().map_or(0.0, |c| x.mean(c)) as f32);
        let mut variance = variances.into_iter();
        self.fill(node.inputs[4], |_| variance.next().unwrap_or(0.0).max(least) as f32);
    }

    /// Replaces the elements of a constant that has more than one; whether it did.
    fn fill(&mut self, id: ValueId, mut element: impl FnMut(&mut Pcg64) -> f32) -> bool {
        let value = &mut self.graph.values[id.0 as usize];
        let Some(old) = &value.constant else { return false };
        let count = element_count(&value.shape).unwrap_or(0);
        if count < 2 || !self.done.insert(id) {
            return false;
        }
        let mut floats = old.f32_iter().into_iter().flatten();
        let first = floats.next();
        let is_real = floats.any(|v| Some(v) != first);
        drop(floats);
        // The old elements go before the new ones come.
        value.constant = None;
        let elements = (0..count).map(|_| element(&mut self.rng)).collect();
        value.constant = Tensor::from_f32(&value.shape, elements).ok();
        self.replaced.tensors += 1;
        self.replaced.elements += count;
        self.replaced.real += usize::from(is_real);
        true
    }

    /// Notes the moments of the node's result.
    fn follow(&mut self, node: &Node) {
        if node.op.constant_operands_from().is_none() {
            for &id in &node.inputs {
                if let Some(moments) = constant_moments(self.graph, id, node.output) {
                    self.known[id.0 as usize] = Some(moments);
                }
            }
        }
        let followed = match &node.op {
            Op::BatchNorm { .. } => self.normalized(node),
            _ => result(self.graph, node, &self.known),
        };
        let input = node.inputs.first().map_or(&[][..], |&id| self.shape(id));
        let corrected = followed.map(|moments| match (&node.op, input) {
            (Op::Conv { window, .. }, &[_, _, h, w]) => {
                // Taps in the padding add nothing.
                let inside = covered(window, &[h, w]);
                moments.scaled(inside, inside.sqrt())
            }
            (Op::MaxPool { window }, _) => {
                largest_of(&moments, (window.kernel[0] * window.kernel[1]) as f64)
            }
            (Op::AveragePool { window, .. }, _) => {
                averaged(&moments, (window.kernel[0] * window.kernel[1]) as f64)
            }
            (Op::ReduceMean { axes }, shape) => {
                averaged(&moments, axes.iter().map(|&axis| shape[axis] as f64).product())
            }
            _ => moments,
        });
        self.known[node.output.0 as usize] = corrected;
    }

    /// The result of a batch norm whose statistics are those of its input.
    fn normalized(&self, node: &Node) -> Option<Moments> {
        let of = |operand: usize| {
            let floats = self.graph.values[node.inputs[operand].0 as usize].constant.as_ref();
            Some(floats?.f32_iter()?.map(f64::from).collect::<Vec<f64>>())
        };
        let (scale, bias, variance) = (of(1)?, of(2)?, of(4)?);
        let x = self.moments(node.inputs[0]).for_channels(Some(scale.len()));
        let std = |c: usize| scale[c].abs() * (x.variance(c) / variance[c].max(1e-12)).sqrt();
        Some(Moments::normal(bias, (0..scale.len()).map(std).collect()))
    }
}

/// Uniform in `center - width .. center + width`.
fn uniform(rng: &mut Pcg64, center: f64, width: f64) -> f32 {
    let position: f32 = rng.random();
    (center + width * f64::from(2.0 * position - 1.0)) as f32
}

/// What a constant contributes: each channel's number where it has one for each, else the spread of all.
fn constant_moments(graph: &Graph, id: ValueId, result: ValueId) -> Option<Moments> {
    let value = &graph.values[id.0 as usize];
    let rank = graph.values[result.0 as usize].shape.len();
    let floats = value.constant.as_ref()?.f32_iter()?;
    let count = floats.len() as f64;
    let extent =
        |axis: usize| (axis + value.shape.len()).checked_sub(rank).map_or(1, |i| value.shape[i]);
    if rank > 1 && extent(1) == floats.len() {
        let means: Vec<f64> = floats.map(f64::from).collect();
        let std = vec![0.0; means.len()];
        return Some(Moments::normal(means, std));
    }
    let (sum, squares) = floats.map(f64::from).fold((0.0, 0.0), |(s, q), v| (s + v, q + v * v));
    let mean = sum / count;
    Some(Moments::normal(vec![mean], vec![(squares / count - mean * mean).max(0.0).sqrt()]))
}

/// Share of the taps of all windows that lie inside a map of extents `[h, w]`.
fn covered(window: &Window, extents: &[usize; 2]) -> f64 {
    let along = |axis: usize| {
        let (kernel, extent) = (window.kernel[axis], extents[axis]);
        let outputs = window.outputs(axis, extent, false).unwrap_or(1);
        let is_inside = |output: usize, tap: usize| {
            let position = output * window.stride[axis] + tap * window.dilation[axis];
            position >= window.pad[axis] && position - window.pad[axis] < extent
        };
        let inside = (0..kernel)
            .map(|tap| (0..outputs).filter(|&output| is_inside(output, tap)).count())
            .sum::<usize>();
        inside as f64 / (outputs * kernel) as f64
    };
    along(0) * along(1)
}

/// The largest of `n` normal values. The two fits lie within a tenth of the exact mean and deviation of independent ones
/// for `n` up to 25 (tables in Harter, 1961, "Expected values of normal order statistics"); the deviation is halfway
/// between that and the one of equal values, which does not shrink.
fn largest_of(x: &Moments, n: f64) -> Moments {
    let log = libm::log(n.max(1.0));
    x.shifted(0.75 * libm::pow(log, 0.9)).scaled(1.0, (1.0 + 0.27 * log).sqrt().recip())
}

/// The mean of `n` values: halfway between independent ones, whose deviation shrinks by `sqrt(n)`, and equal ones.
fn averaged(x: &Moments, n: f64) -> Moments {
    x.scaled(1.0, n.max(1.0).sqrt().sqrt().recip())
}

#[cfg(test)]
mod tests;
