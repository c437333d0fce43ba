//! Looking through what files put around a mean: sums spelled as products with a count, and axes of one element.

use ir::graph::{Graph, Op, ValueId};

use super::edit::{floats, producer};

/// A value that is a mean times a number.
pub(super) struct ScaledMean {
    /// What the mean is of.
    pub(super) x: ValueId,
    /// Axes of the mean, ascending.
    pub(super) axes: Vec<usize>,
    /// The mean itself, which keeps these axes with one element.
    pub(super) mean: ValueId,
    /// The number.
    pub(super) factor: f64,
}

/// `id` as a mean times a number, seen through reshapes and factors.
pub(super) fn scaled_mean(graph: &Graph, id: ValueId) -> Option<ScaledMean> {
    let mut factor = 1.0;
    let mut at = id;
    loop {
        let node = &graph.nodes[producer(graph, at)?];
        match (&node.op, node.inputs.as_slice()) {
            (Op::Reshape, &[x]) => at = x,
            (Op::Mul, &[a, b]) => {
                let (x, number) = match (number(graph, a), number(graph, b)) {
                    (None, Some(number)) => (a, number),
                    (Some(number), None) => (b, number),
                    _ => return None,
                };
                factor *= number;
                at = x;
            }
            (Op::ReduceMean { axes }, &[x]) => {
                return Some(ScaledMean { x, axes: axes.clone(), mean: at, factor });
            }
            _ => return None,
        }
    }
}

/// The number that a constant of one element holds.
fn number(graph: &Graph, id: ValueId) -> Option<f64> {
    match *floats(graph, id)? {
        [number] => Some(number.into()),
        _ => None,
    }
}
