//! Equal ranges for the channels between two layers.
//!
//! A factor can be moved from an output channel of one layer into the weights of the next that read it, if what lies between scales with its
//! input: with a common scale for all channels, of weights or of activations, the small ones then keep more of their bits (Nagel et al., 2019,
//! "Data-free quantization through weight equalization and bias correction", section 4.1). Factors are powers of two, so that the float function
//! stays what it was to the bit.
//!
//! What a channel almost never falls below can be moved on as well, into the biases of the next layer (section 4.1.3 there, "absorbing high biases"). That
//! changes the function where the channel does fall below it, three deviations under its mean.

mod noise;

use ir::graph::{Graph, Node, Op, ValueId};
use ir::tensor::Tensor;

use super::Context;
use super::edit::{add_constant, floats, name, shape, used_once};
use crate::options::Equalize;
use crate::quantize::keeps_integers;

/// Rounds over all pairs; a chain of layers settles after a few.
const MOST_ROUNDS: usize = 20;

/// Largest factor: 2 to the power of this.
const MOST_LOG2: f64 = 6.0;

/// Deviations below its mean that a channel is taken not to fall.
const ABSORBED_DEVIATIONS: f64 = 3.0;

/// Deviations above its mean that a range reaches.
const REACH: f64 = 6.0;

/// Two layers with nothing but what scales with its input between them.
#[derive(Debug)]
struct Pair {
    /// Node of the first one.
    first: usize,
    /// Node of the second one.
    second: usize,
    /// The first one's result, and so on to what the second one reads.
    between: Vec<ValueId>,
}

/// Equalizes pairs of layers of `graph`, which must have been through the passes: those for which no rounding is predicted to cost more then, and some by far less;
/// with [`Equalize::On`] all there are, and absorbs their high biases. How many were changed.
pub(crate) fn equalize(graph: &mut Graph, context: &mut Context, way: Equalize) -> usize {
    if way == Equalize::Off {
        return 0;
    }
    let pairs = pairs(graph);
    let mut changed = vec![false; pairs.len()];
    for _ in 0..MOST_ROUNDS {
        let mut any = false;
        for (pair, changed) in pairs.iter().zip(&mut changed) {
            let factors = factors(graph, pair);
            let even = factors.iter().all(|&factor| factor == 1.0);
            if !even && (way == Equalize::On || pays(graph, context, pair, &factors)) {
                scale(graph, context, pair, &factors);
                (any, *changed) = (true, true);
            }
        }
        if !any {
            break;
        }
    }
    if way == Equalize::On {
        pairs.iter().for_each(|pair| absorb(graph, context, pair));
    }
    changed.into_iter().filter(|changed| *changed).count()
}

fn pays(graph: &Graph, context: &Context, pair: &Pair, factors: &[f64]) -> bool {
    let noise = |factors: &[f64]| noise::predicted(graph, context, pair, factors);
    noise(factors).improves_on(&noise(&vec![1.0; factors.len()]))
}

/// All pairs, in graph order.
fn pairs(graph: &Graph) -> Vec<Pair> {
    let own = |node: &Node| {
        let constants = &node.inputs[1..];
        matches!(node.op, Op::Conv { .. } | Op::Dense)
            && !keeps_integers(graph, node)
            && constants.iter().all(|&id| floats(graph, id).is_some() && used_once(graph, id))
    };
    let mut pairs = Vec::new();
    for first in (0..graph.nodes.len()).filter(|&index| own(&graph.nodes[index])) {
        let mut between = vec![graph.nodes[first].output];
        while let Some(&value) = between.last().filter(|&&value| used_once(graph, value)) {
            let user = graph.nodes.iter().position(|node| node.inputs.contains(&value));
            let Some(user) = user else {
                break;
            };
            let node = &graph.nodes[user];
            let scales = match node.op {
                Op::Clip { lo, hi } => lo == 0.0 && hi == f32::INFINITY,
                Op::MaxPool { .. } | Op::AveragePool { .. } => true,
                _ => false,
            };
            if scales {
                between.push(node.output);
                continue;
            }
            let channels = shape(graph, graph.nodes[first].inputs[1])[0];
            if own(node)
                && Reader::of(graph, user).channels() == channels
                && same_axis(graph, first, user)
            {
                pairs.push(Pair { first, second: user, between });
            }
            break;
        }
    }
    pairs
}

/// Whether the channels of one layer are those of another: convolutions have them on axis 1, dense layers on the last.
fn same_axis(graph: &Graph, first: usize, second: usize) -> bool {
    let dense = |index: usize| graph.nodes[index].op == Op::Dense;
    dense(first) == dense(second) || shape(graph, graph.nodes[first].output).len() == 2
}

/// Which input channel each weight of a layer reads.
struct Reader {
    rows: usize,
    groups: usize,
    ic: usize,
    taps: usize,
}

impl Reader {
    fn of(graph: &Graph, node: usize) -> Reader {
        let extents = shape(graph, graph.nodes[node].inputs[1]);
        let groups = match graph.nodes[node].op {
            Op::Conv { groups, .. } => groups,
            _ => 1,
        };
        Reader { rows: extents[0], groups, ic: extents[1], taps: extents[2..].iter().product() }
    }

    fn channels(&self) -> usize {
        self.groups * self.ic
    }

    /// Output channel of weight `index`.
    fn row(&self, index: usize) -> usize {
        index / (self.ic * self.taps)
    }

    /// Input channel of weight `index`.
    fn channel(&self, index: usize) -> usize {
        let group = self.row(index) / (self.rows / self.groups);
        group * self.ic + index / self.taps % self.ic
    }
}

/// The factor of each channel by which the first layer's weights are divided and the second one's multiplied: that of equation 11 there, as a
/// power of two.
fn factors(graph: &Graph, pair: &Pair) -> Vec<f64> {
    let weights = |node: usize| floats(graph, graph.nodes[node].inputs[1]).unwrap_or_default();
    let (writer, reader) = (Reader::of(graph, pair.first), Reader::of(graph, pair.second));
    let mut largest = vec![[0f32; 2]; reader.channels()];
    for (index, w) in weights(pair.first).iter().enumerate() {
        let most = &mut largest[writer.row(index)][0];
        *most = most.max(w.abs());
    }
    for (index, w) in weights(pair.second).iter().enumerate() {
        let most = &mut largest[reader.channel(index)][1];
        *most = most.max(w.abs());
    }
    let factor = |&[first, second]: &[f32; 2]| {
        let log2 = libm::log2(f64::from(first) / f64::from(second)) / 2.0;
        // A channel that is never written or never read stays.
        if log2.is_finite() { libm::exp2(log2.round().clamp(-MOST_LOG2, MOST_LOG2)) } else { 1.0 }
    };
    largest.iter().map(factor).collect()
}

/// Divides what the first layer of a pair makes by factors, and has the second one multiply by them.
fn scale(graph: &mut Graph, context: &mut Context, pair: &Pair, factors: &[f64]) {
    let (writer, reader) = (Reader::of(graph, pair.first), Reader::of(graph, pair.second));
    let inverse: Vec<f64> = factors.iter().map(|factor| 1.0 / factor).collect();
    let (first, second) = (graph.nodes[pair.first].inputs[1], graph.nodes[pair.second].inputs[1]);
    change(graph, first, |i, w| w * inverse[writer.row(i)]);
    if let Some(&bias) = graph.nodes[pair.first].inputs.get(2) {
        change(graph, bias, |i, b| b * inverse[i]);
    }
    change(graph, second, |i, w| w * factors[reader.channel(i)]);
    for &value in &pair.between {
        if let Some(statistics) = context.statistics.get_mut(name(graph, value)) {
            *statistics = statistics.affine(&inverse, &vec![0.0; inverse.len()]);
        }
    }
}

/// Moves what the first layer's channels hardly ever fall below, through a ReLU, into the second one's biases, if that narrows what is between them.
fn absorb(graph: &mut Graph, context: &mut Context, pair: &Pair) {
    let &[value, rectified] = pair.between.as_slice() else {
        return;
    };
    let is_relu =
        graph.nodes.iter().any(|n| n.output == rectified && matches!(n.op, Op::Clip { .. }));
    // Padding is zero, whatever the channel.
    let padded =
        matches!(graph.nodes[pair.second].op, Op::Conv { window, .. } if window.pad != [0; 4]);
    let Some(statistics) =
        context.statistics.get(name(graph, value)).filter(|_| is_relu && !padded)
    else {
        return;
    };
    let each = statistics.mean.iter().zip(&statistics.std);
    let moved: Vec<f64> =
        each.clone().map(|(m, s)| (m - ABSORBED_DEVIATIONS * s).max(0.0)).collect();
    let reach = |moved: &[f64]| {
        let ends = each.clone().zip(moved).map(|((m, s), moved)| m - moved + REACH * s);
        ends.fold(0.0, f64::max)
    };
    if moved.len() != Reader::of(graph, pair.second).channels()
        || reach(&moved) >= reach(&vec![0.0; moved.len()])
    {
        return;
    }
    let down: Vec<f64> = moved.iter().map(|c| -c).collect();
    let statistics = statistics.affine(&vec![1.0; down.len()], &down);
    context.statistics.insert(name(graph, value).to_owned(), statistics);
    add_to_bias(graph, pair.first, &down);
    let reader = Reader::of(graph, pair.second);
    let mut up = vec![0.0; reader.rows];
    let weights = floats(graph, graph.nodes[pair.second].inputs[1]).unwrap_or_default();
    for (index, w) in weights.iter().enumerate() {
        up[reader.row(index)] += f64::from(*w) * moved[reader.channel(index)];
    }
    drop(weights);
    add_to_bias(graph, pair.second, &up);
}

/// Adds to the biases of a layer, which need not have any yet.
fn add_to_bias(graph: &mut Graph, node: usize, more: &[f64]) {
    match graph.nodes[node].inputs.get(2) {
        Some(&bias) => change(graph, bias, |i, b| b + more[i]),
        None => {
            let wanted = format!("{}/bias", graph.nodes[node].name);
            let biases = more.iter().map(|&b| b as f32).collect();
            let id = add_constant(graph, wanted, vec![more.len()], biases);
            graph.nodes[node].inputs.push(id);
        }
    }
}

/// Changes every element of a constant of floats.
fn change(graph: &mut Graph, id: ValueId, to: impl Fn(usize, f64) -> f64) {
    let Some(old) = floats(graph, id) else {
        return;
    };
    let new = old.iter().enumerate().map(|(i, &v)| to(i, v.into()) as f32).collect();
    let tensor = Tensor::from_f32(shape(graph, id), new);
    graph.values[id.0 as usize].constant = Some(tensor.expect("as many elements as before"));
}

#[cfg(test)]
mod tests;
