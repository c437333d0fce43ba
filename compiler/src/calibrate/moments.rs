//! Means and deviations of activations, followed through the graph from the batch norms.
//!
//! Elements of a channel are taken as normally distributed and channels as independent (Nagel et al., 2019, "Data-free
//! quantization through weight equalization and bias correction", section 4.2 and appendix C for the clipped normal
//! distribution). This is crude for tails, so ranges reach six deviations.

use ir::graph::{Graph, Node, Op, ValueId, lrn_window};

use super::Range;
use crate::passes::{Context, Statistics};
use crate::quantize::slope_axis;

/// Deviations from the mean that a range covers.
const REACH: f64 = 6.0;

/// What is known of a value's elements.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Moments {
    /// Mean per channel (axis 1), or one for all.
    mean: Vec<f64>,
    /// Standard deviation, likewise.
    std: Vec<f64>,
    /// Real values taken.
    pub(crate) range: Range,
}

/// Moments of every value that rests on batch norms only, indexed like `graph.values`.
pub(crate) fn propagate(graph: &Graph, context: &Context) -> Vec<Option<Moments>> {
    let mut known: Vec<Option<Moments>> = vec![None; graph.values.len()];
    for node in &graph.nodes {
        let name = &graph.values[node.output.0 as usize].name;
        known[node.output.0 as usize] = match context.statistics.get(name) {
            Some(Statistics { mean, std }) => Some(Moments::normal(mean.clone(), std.clone())),
            None => result(graph, node, &known),
        };
    }
    known
}

impl Moments {
    /// Normal distributions, one per channel or one for all.
    pub(crate) fn normal(mean: Vec<f64>, std: Vec<f64>) -> Moments {
        let ends = |sign: f64| mean.iter().zip(&std).map(move |(m, s)| m + sign * REACH * s);
        let range = Range {
            lo: ends(-1.0).fold(f64::INFINITY, f64::min),
            hi: ends(1.0).fold(f64::NEG_INFINITY, f64::max),
        };
        Moments { mean, std, range }
    }

    /// As a normal distribution, but known to stay within `limit`.
    fn within(self, limit: Range) -> Moments {
        let Range { lo, hi } = self.range;
        let range =
            Range { lo: lo.max(limit.lo).min(limit.hi), hi: hi.min(limit.hi).max(limit.lo) };
        Moments { range, ..self }
    }

    /// Mean of a channel.
    pub(crate) fn mean(&self, channel: usize) -> f64 {
        self.mean[if self.mean.len() == 1 { 0 } else { channel }]
    }

    /// Variance of a channel.
    pub(crate) fn variance(&self, channel: usize) -> f64 {
        let std = self.std[if self.std.len() == 1 { 0 } else { channel }];
        std * std
    }

    /// Mean of the squares of all elements; 1 where that is no positive number.
    pub(crate) fn square(&self) -> f64 {
        let squares = self.mean.iter().zip(&self.std).map(|(m, s)| m * m + s * s);
        let square = squares.sum::<f64>() / self.mean.len() as f64;
        if square > 0.0 && square.is_finite() { square } else { 1.0 }
    }

    /// Mean of the squared distances of all elements from their mean; 1 where that is no positive number.
    pub(crate) fn spread(&self) -> f64 {
        let variance = self.mixed().variance(0);
        if variance > 0.0 && variance.is_finite() { variance } else { 1.0 }
    }

    /// With other means and deviations.
    pub(crate) fn scaled(&self, mean: f64, std: f64) -> Moments {
        let scale = |values: &[f64], by: f64| values.iter().map(|v| v * by).collect();
        Moments { mean: scale(&self.mean, mean), std: scale(&self.std, std), range: self.range }
    }

    /// With means moved by that many deviations.
    pub(crate) fn shifted(&self, deviations: f64) -> Moments {
        let mean = self.mean.iter().zip(&self.std).map(|(m, s)| m + deviations * s).collect();
        Moments { mean, ..self.clone() }
    }

    /// The mixture of all channels.
    fn mixed(&self) -> Moments {
        let n = self.mean.len() as f64;
        let mean = self.mean.iter().sum::<f64>() / n;
        let squares: f64 = self.mean.iter().zip(&self.std).map(|(m, s)| m * m + s * s).sum();
        let variance = (squares / n - mean * mean).max(0.0);
        Moments { mean: vec![mean], std: vec![variance.sqrt()], range: self.range }
    }

    /// The moments if they are those of `channels` channels or of all alike; else the mixture.
    pub(crate) fn for_channels(&self, channels: Option<usize>) -> Moments {
        if self.mean.len() == 1 || Some(self.mean.len()) == channels {
            self.clone()
        } else {
            self.mixed()
        }
    }
}

/// Moments of a node's result, if those of its computed operands are known.
pub(crate) fn result(graph: &Graph, node: &Node, known: &[Option<Moments>]) -> Option<Moments> {
    let shape = |id: ValueId| graph.values[id.0 as usize].shape.as_slice();
    let operand = |i: usize| known[node.inputs[i].0 as usize].as_ref();
    let constant =
        |i: usize| graph.values[node.inputs.get(i)?.0 as usize].constant.as_ref()?.f32_values();
    let x = operand(0)?;
    let y_channels = shape(node.output).get(1).copied();
    Some(match &node.op {
        Op::Conv { groups, .. } => {
            let w = constant(1)?;
            let &[oc, ic, kh, kw] = shape(node.inputs[1]) else {
                return None;
            };
            let inputs = x.for_channels(Some(ic * groups));
            let first = |o: usize| o / (oc / groups) * ic;
            weighted(&inputs, &w, constant(2).as_deref(), oc, |o, k| first(o) + k / (kh * kw))
        }
        Op::Dense => {
            let w = constant(1)?;
            let rows = shape(node.inputs[0]);
            let channels = (rows.len() == 2).then(|| rows[1]);
            let m = shape(node.inputs[1])[0];
            let y = weighted(&x.for_channels(channels), &w, constant(2).as_deref(), m, |_, k| k);
            if rows.len() == 2 { y } else { y.mixed() }
        }
        Op::MatMul { scale } => {
            let (p, q) = (x.mixed(), operand(1)?.mixed());
            let (m, n, v, w) = (p.mean(0), q.mean(0), p.variance(0), q.variance(0));
            let (terms, scale) = (*shape(node.inputs[0]).last()? as f64, f64::from(*scale));
            let std = scale * (terms * (v * w + v * n * n + w * m * m)).sqrt();
            let ends = [p.range.lo, p.range.hi]
                .into_iter()
                .flat_map(|a| [q.range.lo, q.range.hi].map(|b| scale * terms * a * b));
            let limit = ends.map(|v| Range { lo: v, hi: v }).reduce(Range::union)?;
            Moments::normal(vec![scale * terms * m * n], vec![std]).within(limit)
        }
        Op::Add | Op::Sub => {
            let sign = if node.op == Op::Add { 1.0 } else { -1.0 };
            let b = operand(1)?;
            let second =
                if sign > 0.0 { b.range } else { Range { lo: -b.range.hi, hi: -b.range.lo } };
            let limit = Range { lo: x.range.lo + second.lo, hi: x.range.hi + second.hi };
            let moments = |p: &Moments, q: &Moments, c| {
                (p.mean(c) + sign * q.mean(c), p.variance(c) + q.variance(c))
            };
            combined(x, b, y_channels, moments).within(limit)
        }
        Op::Mul => {
            let b = operand(1)?;
            let ends =
                [x.range.lo, x.range.hi].into_iter().flat_map(|p| [p * b.range.lo, p * b.range.hi]);
            let limit = ends.map(|v| Range { lo: v, hi: v }).reduce(Range::union)?;
            let moments = |p: &Moments, q: &Moments, c| {
                let (m, n) = (p.mean(c), q.mean(c));
                (
                    m * n,
                    p.variance(c) * q.variance(c) + p.variance(c) * n * n + q.variance(c) * m * m,
                )
            };
            combined(x, b, y_channels, moments).within(limit)
        }
        Op::Max | Op::Min => {
            let (sign, b) = (if node.op == Op::Max { 1.0 } else { -1.0 }, operand(1)?);
            let end = |p: f64, q: f64| sign * (sign * p).max(sign * q);
            let limit = Range { lo: end(x.range.lo, b.range.lo), hi: end(x.range.hi, b.range.hi) };
            combined(x, b, y_channels, |p, q, c| extremum(p, q, c, sign)).within(limit)
        }
        Op::Unary { function } => mapped(x, x.mean.len(), |_, v| function.evaluate(v)),
        Op::PRelu => {
            let slopes = constant(1)?;
            let leaky = |slope: f64, v: f64| if v < 0.0 { slope * v } else { v };
            if slope_axis(shape(node.inputs[0]), shape(node.inputs[1])) == Some(1) {
                mapped(&x.for_channels(y_channels), slopes.len(), |c, v| leaky(slopes[c].into(), v))
            } else {
                let sum: f64 = slopes.iter().map(|&slope| f64::from(slope)).sum();
                let mean = sum / slopes.len() as f64;
                mapped(x, x.mean.len(), |_, v| leaky(mean, v))
            }
        }
        Op::Clip { lo, hi } => clipped(x, f64::from(*lo), f64::from(*hi)),
        Op::FakeQuantize { to } => {
            let (lo, hi) = to.dtype.range();
            let end = |q: i32| f64::from(to.scale) * f64::from(q - to.zero_point);
            clipped(x, end(lo), end(hi))
        }
        // Means of neighbours vary less, but calm regions not at all.
        Op::Interpolate { .. }
        | Op::MaxPool { .. }
        | Op::AveragePool { .. }
        | Op::ReduceMean { .. } => x.for_channels(y_channels),
        Op::Reshape => {
            let kept = shape(node.inputs[0]).get(..2) == shape(node.output).get(..2);
            if kept { x.clone() } else { x.mixed() }
        }
        Op::Transpose { perm } => {
            if perm.get(1) == Some(&1) {
                x.clone()
            } else {
                x.mixed()
            }
        }
        Op::Gather { indices } => match indices.get(1) {
            Some(channels) if x.mean.len() > 1 => {
                let pick = |of: &[f64]| -> Vec<f64> {
                    channels.iter().map(|c| of[if of.len() == 1 { 0 } else { c }]).collect()
                };
                let (mean, std) = (pick(&x.mean), pick(&x.std));
                Moments { mean, std, range: x.range }
            }
            Some(_) | None => x.clone(),
        },
        Op::Pad { value, .. } => {
            let border = Range { lo: f64::from(*value), hi: f64::from(*value) };
            let x = x.for_channels(y_channels);
            Moments { range: x.range.union(border), ..x }
        }
        Op::Concat { axis } => {
            let parts: Option<Vec<&Moments>> = (0..node.inputs.len()).map(operand).collect();
            concatenated(
                &parts?,
                &node.inputs.iter().map(|&id| shape(id)).collect::<Vec<_>>(),
                *axis,
            )
        }
        Op::Softmax { axis } => {
            let share = 1.0 / shape(node.inputs[0])[*axis] as f64;
            Moments { mean: vec![share], std: vec![share], range: Range { lo: 0.0, hi: 1.0 } }
        }
        &Op::Lrn { size, alpha, beta, bias } => {
            let (x, channels) = (x.for_channels(y_channels), y_channels?);
            let [share, beta, bias] = [alpha / size as f32, beta, bias].map(f64::from);
            let square = |c: usize| x.mean(c) * x.mean(c) + x.variance(c);
            let sum = |c: usize| -> f64 { lrn_window(c, size, channels).map(square).sum() };
            // The neighbours take their mean.
            let others: Vec<f64> = (0..channels).map(|c| sum(c) - square(c)).collect();
            mapped(&x, channels, |c, v| v * libm::pow(bias + share * (others[c] + v * v), -beta))
        }
        // Statistics are in the context while a batch norm stands; the passes have rewritten both.
        Op::BatchNorm { .. } | Op::ConvTranspose { .. } => return None,
    })
}

/// Sums of independent inputs: `channel(o, k)` is the input channel of weight `k` of output `o`.
fn weighted(
    x: &Moments,
    weights: &[f32],
    bias: Option<&[f32]>,
    outputs: usize,
    channel: impl Fn(usize, usize) -> usize,
) -> Moments {
    let taps = weights.len() / outputs;
    let (mut mean, mut std) = (Vec::new(), Vec::new());
    for o in 0..outputs {
        let (mut m, mut v) = (bias.map_or(0.0, |b| f64::from(b[o])), 0.0);
        for (k, w) in weights[o * taps..(o + 1) * taps].iter().enumerate() {
            let (w, c) = (f64::from(*w), channel(o, k));
            m += w * x.mean(c);
            v += w * w * x.variance(c);
        }
        mean.push(m);
        std.push(v.sqrt());
    }
    Moments::normal(mean, std)
}

/// Channel by channel where both sides have them.
fn combined(
    a: &Moments,
    b: &Moments,
    channels: Option<usize>,
    moments: impl Fn(&Moments, &Moments, usize) -> (f64, f64),
) -> Moments {
    let (a, b) = (a.for_channels(channels), b.for_channels(channels));
    let each = (0..a.mean.len().max(b.mean.len())).map(|c| moments(&a, &b, c));
    let (mean, std) = each.map(|(mean, variance)| (mean, variance.max(0.0).sqrt())).unzip();
    Moments::normal(mean, std)
}

fn concatenated(parts: &[&Moments], shapes: &[&[usize]], axis: usize) -> Moments {
    let range = parts
        .iter()
        .map(|part| part.range)
        .reduce(Range::union)
        .unwrap_or(Range { lo: 0.0, hi: 0.0 });
    let (mut mean, mut std) = (Vec::new(), Vec::new());
    for (part, shape) in parts.iter().zip(shapes) {
        // Along another axis than the channels, what is known is the mixture of the parts.
        let (part, copies) = if axis == 1 {
            (part.for_channels(Some(shape[1])), shape[1])
        } else {
            (part.mixed(), 1)
        };
        let copies = if part.mean.len() == 1 { copies } else { 1 };
        mean.extend(part.mean.repeat(copies));
        std.extend(part.std.repeat(copies));
    }
    let all = Moments { mean, std, range };
    if axis == 1 { all } else { all.mixed() }
}

/// Mean and variance of the larger (`sign` 1) or smaller (-1) one of two independent normal variables (Clark, 1961, "The
/// greatest of a finite set of random variables", section 1).
fn extremum(p: &Moments, q: &Moments, c: usize, sign: f64) -> (f64, f64) {
    let (m, n) = (sign * p.mean(c), sign * q.mean(c));
    let (v, w) = (p.variance(c), q.variance(c));
    let spread = (v + w).sqrt();
    if spread == 0.0 {
        return (sign * m.max(n), 0.0);
    }
    let z = (m - n) / spread;
    let first = m * cumulative(z) + n * cumulative(-z) + spread * density(z);
    let second =
        (m * m + v) * cumulative(z) + (n * n + w) * cumulative(-z) + (m + n) * spread * density(z);
    (sign * first, second - first * first)
}

/// Moments of `f(channel, v)` for normally distributed `v`, by the midpoint rule. Where `f` is not finite it does not count.
fn mapped(x: &Moments, channels: usize, f: impl Fn(usize, f64) -> f64) -> Moments {
    const POINTS: u32 = 128;
    let Range { lo, hi } = x.range;
    // Midpoints of as many parts of -1..1.
    let points = || (0..POINTS).map(|i| (2.0 * f64::from(i) + 1.0) / f64::from(POINTS) - 1.0);
    let ends = [lo, hi].into_iter().chain(points().map(|t| lo + (t + 1.0) / 2.0 * (hi - lo)));
    let mut range: Option<Range> = None;
    let (mut mean, mut std) = (Vec::new(), Vec::new());
    for c in 0..channels {
        let values = ends.clone().map(|v| f(c, v)).filter(|y| y.is_finite());
        range = values.map(|y| Range { lo: y, hi: y }).chain(range).reduce(Range::union);
        let (mut weight, mut first, mut second) = (0.0, 0.0, 0.0);
        for t in points() {
            let p = density(REACH * t);
            let y = f(c, (x.mean(c) + REACH * t * x.variance(c).sqrt()).max(lo).min(hi));
            if y.is_finite() {
                weight += p;
                first += p * y;
                second += p * y * y;
            }
        }
        let (first, second) =
            if weight > 0.0 { (first / weight, second / weight) } else { (0.0, 0.0) };
        mean.push(first);
        std.push((second - first * first).max(0.0).sqrt());
    }
    Moments { mean, std, range: range.unwrap_or(Range { lo: 0.0, hi: 0.0 }) }
}

/// Moments of a clipped normal distribution.
fn clipped(x: &Moments, lo: f64, hi: f64) -> Moments {
    let (mut mean, mut std) = (Vec::new(), Vec::new());
    for (&m, &s) in x.mean.iter().zip(&x.std) {
        if s == 0.0 {
            mean.push(m.max(lo).min(hi));
            std.push(0.0);
            continue;
        }
        let (a, b) = ((lo - m) / s, (hi - m) / s);
        let (below, above, inside) =
            (cumulative(a), 1.0 - cumulative(b), cumulative(b) - cumulative(a));
        // An infinite end is never reached: its terms vanish.
        let end = |end: f64, share: f64| if end.is_finite() { end * share } else { 0.0 };
        let times = |z: f64| if z.is_finite() { z * density(z) } else { 0.0 };
        let slope = density(a) - density(b);
        let first = end(lo, below) + end(hi, above) + m * inside + s * slope;
        let second = end(lo * lo, below)
            + end(hi * hi, above)
            + (m * m + s * s) * inside
            + s * s * (times(a) - times(b))
            + 2.0 * m * s * slope;
        mean.push(first);
        std.push((second - first * first).max(0.0).sqrt());
    }
    Moments { mean, std, range: x.range }.within(Range { lo, hi })
}

/// Density of the standard normal distribution.
fn density(z: f64) -> f64 {
    libm::exp(-0.5 * z * z) / std::f64::consts::TAU.sqrt()
}

/// Distribution function of the standard normal distribution.
fn cumulative(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Build;

    fn sampled(m: f64, s: f64, lo: f64, hi: f64) -> (f64, f64) {
        // Midpoint rule over eight deviations.
        let n = 40_000;
        let (mut first, mut second) = (0.0, 0.0);
        for i in 0..n {
            let z = (f64::from(i) + 0.5) / f64::from(n) * 16.0 - 8.0;
            let (v, p) = ((m + s * z).max(lo).min(hi), density(z) * 16.0 / f64::from(n));
            first += v * p;
            second += v * v * p;
        }
        (first, (second - first * first).sqrt())
    }

    #[test]
    fn clipped_moments_match_integration() {
        for (m, s, lo, hi) in [
            (0.5, 1.0, 0.0, f64::INFINITY),
            (-2.0, 1.5, 0.0, 6.0),
            (4.0, 3.0, f64::NEG_INFINITY, 1.0),
        ] {
            let x = Moments::normal(vec![m], vec![s]);
            let y = clipped(&x, lo, hi);
            let (mean, std) = sampled(m, s, lo, hi);
            assert!(
                (y.mean[0] - mean).abs() < 1e-4 && (y.std[0] - std).abs() < 1e-3,
                "{y:?} {mean} {std}"
            );
            assert!(y.range.lo >= lo && y.range.hi <= hi);
        }
        let constant = clipped(&Moments::normal(vec![-1.0], vec![0.0]), 0.0, 6.0);
        assert_eq!((constant.mean[0], constant.range), (0.0, Range { lo: 0.0, hi: 0.0 }));
    }

    #[test]
    fn only_values_behind_batch_norms_are_known() {
        let mut b = Build::new(1);
        let x = b.input(&[1, 2, 6, 6]);
        let p = b.conv(x, 3, [3, 3], 1);
        let relu = b.relu(p);
        let q = b.conv(relu, 3, [1, 1], 1);
        let sum = b.op(Op::Add, &[q, relu], &[1, 3, 4, 4]);
        let mean = b.op(Op::ReduceMean { axes: vec![2, 3] }, &[sum], &[1, 3, 1, 1]);
        let flat = b.op(Op::Reshape, &[mean], &[1, 3]);
        let y = b.dense(flat, 4);
        let graph = b.finish(&[y]);
        let mut context = Context::default();
        assert!(propagate(&graph, &context).iter().all(Option::is_none));
        let statistics = Statistics { mean: vec![1.0, 0.0, -1.0], std: vec![1.0, 2.0, 0.5] };
        context.statistics.insert(graph.values[p.0 as usize].name.clone(), statistics);
        let known = propagate(&graph, &context);
        let of = |id: ValueId| known[id.0 as usize].clone().unwrap();
        assert_eq!(of(p).range, Range { lo: -12.0, hi: 12.0 });
        assert_eq!(of(relu).range, Range { lo: 0.0, hi: 12.0 });
        assert!(known[x.0 as usize].is_none() && of(y).mean.len() == 4);
        assert!(of(sum).range.hi <= of(q).range.hi + 12.0);
    }

    #[test]
    fn functions_and_extrema_agree_with_the_clipped_normal_distribution() {
        let x = Moments::normal(vec![0.5, -1.0], vec![1.0, 2.0]);
        let relu = clipped(&x, 0.0, f64::INFINITY);
        let zero = Moments::normal(vec![0.0], vec![0.0]);
        let close = |a: f64, b: f64| (a - b).abs() < 2e-3;
        let other = mapped(&x, 2, |_, v| v.max(0.0));
        assert_eq!(other.range, relu.range);
        for c in 0..2 {
            assert!(close(other.mean[c], relu.mean[c]) && close(other.std[c], relu.std[c]));
            let (mean, variance) = extremum(&x, &zero, c, 1.0);
            assert!(close(mean, relu.mean[c]) && close(variance.sqrt(), relu.std[c]));
            let (smaller, _) = extremum(&x, &zero, c, -1.0);
            assert!(close(smaller + mean, x.mean[c]), "min + max = sum");
        }
        assert_eq!(extremum(&zero, &zero, 0, -1.0), (0.0, 0.0));
        let partial = mapped(&Moments::normal(vec![0.0], vec![1.0]), 1, |_, v| v.ln());
        assert!(partial.mean[0].is_finite() && partial.range.hi <= 6f64.ln());
    }

    #[test]
    fn weighted_sums_add_means_and_variances() {
        let x = Moments::normal(vec![1.0, -2.0], vec![3.0, 4.0]);
        let y = weighted(&x, &[1.0, 1.0, 0.5, 0.0], Some(&[10.0, 0.0]), 2, |_, k| k);
        assert_eq!((y.mean, y.std), (vec![9.0, 0.5], vec![5.0, 1.5]));
    }
}
