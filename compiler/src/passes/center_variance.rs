//! Rewrites the variance `mean(x^2) - mean(x)^2` as `mean((x - mean(x))^2)`.
//!
//! The two are equal, but the first is the small difference of large numbers, which a few bits do not hold, and may fall below zero. Normalizations
//! subtract the mean from `x` anyway.

use ir::graph::{Graph, Node, Op, ValueId};

use super::edit::{Insertion, finish, producer, replace_uses, shape};
use super::scaled_mean::{ScaledMean, scaled_mean};
use super::{Changes, Context, Pass, PassError};

/// See the module.
pub(super) const PASS: Pass<Graph> = Pass {
    name: "center-variance",
    about: "rewrite variances as means of squared distances from the mean",
    run,
};

fn run(graph: &mut Graph, _: &mut Context) -> Result<Changes, PassError> {
    let mut changes = 0;
    for index in (0..graph.nodes.len()).rev() {
        if let Some(mean) = spread(graph, index) {
            rewrite(graph, index, &mean);
            changes += 1;
        }
    }
    Ok(finish(graph, changes))
}

/// The mean of what node `index` is the variance of.
fn spread(graph: &Graph, index: usize) -> Option<ScaledMean> {
    let node = &graph.nodes[index];
    let (Op::Sub, &[a, b]) = (&node.op, node.inputs.as_slice()) else { return None };
    let squares = scaled_mean(graph, a)?;
    let mean = scaled_mean(graph, squared(graph, b)?)?;
    let is_one = |factor: f64| (factor - 1.0).abs() < 1e-4;
    let same = squared(graph, squares.x) == Some(mean.x) && squares.axes == mean.axes;
    let shapes = shape(graph, a) == shape(graph, b);
    (same && shapes && is_one(squares.factor) && is_one(mean.factor)).then_some(mean)
}

/// What `id` is the square of.
fn squared(graph: &Graph, id: ValueId) -> Option<ValueId> {
    let node = &graph.nodes[producer(graph, id)?];
    match (&node.op, node.inputs.as_slice()) {
        (Op::Mul, &[a, b]) if a == b => Some(a),
        _ => None,
    }
}

fn rewrite(graph: &mut Graph, index: usize, of: &ScaledMean) {
    let Node { name, output, .. } = graph.nodes.remove(index);
    let (all, reduced) = (shape(graph, of.x).to_vec(), shape(graph, of.mean).to_vec());
    let result = shape(graph, output).to_vec();
    let mut row = Insertion { graph, at: index, base: &name };
    let centered = row.many("centered", Op::Sub, vec![of.x, of.mean], &all);
    let squares = row.many("squares", Op::Mul, vec![centered, centered], &all);
    let mean = row.unary("mean", Op::ReduceMean { axes: of.axes.clone() }, squares, &reduced);
    let behind = row.at;
    graph.nodes.insert(behind, Node { name, op: Op::Reshape, inputs: vec![mean], output });
    debug_assert_eq!(result.iter().product::<usize>(), reduced.iter().product::<usize>());
    // Others that subtract the same mean have the centered values at hand.
    let again: Vec<ValueId> = (graph.nodes[behind..].iter())
        .filter(|node| node.op == Op::Sub && node.inputs[0] == of.x)
        .filter(|node| shape(graph, node.output) == all && !graph.outputs.contains(&node.output))
        .filter(|node| is_mean(graph, node.inputs[1], of, &reduced))
        .map(|node| node.output)
        .collect();
    for old in again {
        replace_uses(graph, old, centered);
        graph.nodes.retain(|node| node.output != old);
    }
}

/// Whether `id` is that mean, unscaled and in its place.
fn is_mean(graph: &Graph, id: ValueId, of: &ScaledMean, reduced: &[usize]) -> bool {
    scaled_mean(graph, id).is_some_and(|found| {
        let shape = shape(graph, id);
        found.mean == of.mean
            && (found.factor - 1.0).abs() < 1e-4
            && reduced.ends_with(shape)
            && reduced[..reduced.len() - shape.len()].iter().all(|&extent| extent == 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, check_pass};

    #[test]
    fn differences_of_means_become_means_of_distances() {
        let mut b = Build::new(3);
        let x = b.input(&[1, 6, 4]);
        let squares = b.op(Op::Mul, &[x, x], &[1, 6, 4]);
        let axes = || Op::ReduceMean { axes: vec![1] };
        let six = b.constant_of(&[1], vec![6.0]);
        let sixth = b.constant_of(&[1], vec![1.0 / 6.0]);
        let mean = |b: &mut Build, of| {
            let mean = b.op(axes(), &[of], &[1, 1, 4]);
            let sum = b.op(Op::Mul, &[mean, six], &[1, 1, 4]);
            let sum = b.op(Op::Reshape, &[sum], &[1, 4]);
            b.op(Op::Mul, &[sum, sixth], &[1, 4])
        };
        let (m, s) = (mean(&mut b, x), mean(&mut b, squares));
        let mm = b.op(Op::Mul, &[m, m], &[1, 4]);
        let variance = b.op(Op::Sub, &[s, mm], &[1, 4]);
        let back = b.op(Op::Reshape, &[m], &[1, 1, 4]);
        let centered = b.op(Op::Sub, &[x, back], &[1, 6, 4]);
        let y = b.op(Op::Mul, &[centered, centered], &[1, 6, 4]);
        let (after, changes) = check_pass(&PASS, &b.finish(&[variance, y]));
        assert_eq!(changes, Changes(1));
        let subtractions = after.nodes.iter().filter(|node| node.op == Op::Sub).count();
        assert_eq!(subtractions, 1, "{after}");
    }
}
