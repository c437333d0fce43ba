//! Recognises a softmax that is written out: exponentials over their sum.
//!
//! What is subtracted in front of the exponential, usually the maximum, does not matter if it is the same along the axis.

use ir::function::{Function, Primitive};
use ir::graph::{Graph, Op, ValueId};

use super::edit::{finish, producer, shape};
use super::scaled_mean::{ScaledMean, scaled_mean};
use super::{Changes, Context, Pass, PassError};

/// See the module.
pub(super) const PASS: Pass<Graph> = Pass {
    name: "fuse-softmax",
    about: "merge exponentials that are divided by their sum along an axis into a softmax",
    run,
};

fn run(graph: &mut Graph, _: &mut Context) -> Result<Changes, PassError> {
    let mut changes = 0;
    for index in 0..graph.nodes.len() {
        if let Some((x, axis)) = logits(graph, index) {
            let node = &mut graph.nodes[index];
            (node.op, node.inputs) = (Op::Softmax { axis }, vec![x]);
            changes += 1;
        }
    }
    Ok(finish(graph, changes))
}

/// What node `index` is the softmax of, and along which axis.
fn logits(graph: &Graph, index: usize) -> Option<(ValueId, usize)> {
    let node = &graph.nodes[index];
    let (Op::Mul, &[e, inverse]) = (&node.op, node.inputs.as_slice()) else { return None };
    let sum = argument(graph, inverse, Primitive::Reciprocal)?;
    let ScaledMean { x, axes, factor, .. } = scaled_mean(graph, sum)?;
    let &[axis] = axes.as_slice() else { return None };
    let count = shape(graph, e)[axis] as f64;
    // The sum must meet each exponential of its own axis.
    let same = x == e && (factor / count - 1.0).abs() < 1e-4;
    let shapes = (shape(graph, e), shape(graph, node.output), shape(graph, inverse));
    let mut kept = shapes.0.to_vec();
    kept[axis] = 1;
    let padded = pad(shapes.2, kept.len())?;
    if !same || shapes.0 != shapes.1 || padded != kept {
        return None;
    }
    let z = argument(graph, e, Primitive::Exp)?;
    let shifted = producer(graph, z).map(|i| &graph.nodes[i]).filter(|n| n.op == Op::Sub);
    let x = shifted.map(|sub| (sub.inputs[0], sub.inputs[1])).filter(|&(x, shift)| {
        let shift = pad(shape(graph, shift), kept.len());
        shape(graph, x) == shape(graph, z) && shift.is_some_and(|shift| shift[axis] == 1)
    });
    Some((x.map_or(z, |(x, _)| x), axis))
}

/// What `id` is `primitive` of.
fn argument(graph: &Graph, id: ValueId, primitive: Primitive) -> Option<ValueId> {
    let node = &graph.nodes[producer(graph, id)?];
    let function = Function::of(primitive, &[]).ok()?;
    (node.op == Op::Unary { function }).then(|| node.inputs[0])
}

/// Extents with ones in front.
fn pad(shape: &[usize], rank: usize) -> Option<Vec<usize>> {
    let missing = rank.checked_sub(shape.len())?;
    Some(std::iter::repeat_n(1, missing).chain(shape.iter().copied()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, check_pass};

    fn unary(b: &mut Build, primitive: Primitive, x: ValueId, shape: &[usize]) -> ValueId {
        let function = Function::of(primitive, &[]).unwrap();
        b.op(Op::Unary { function }, &[x], shape)
    }

    #[test]
    fn exponentials_over_their_sum() {
        for (axis, shift, changes) in [(1, false, 1), (2, true, 1), (1, true, 0)] {
            let mut b = Build::new(9);
            let x = b.input(&[1, 3, 5]);
            // A shift along the second axis belongs to no softmax along it.
            let z = if shift {
                let m = b.op(Op::ReduceMean { axes: vec![2] }, &[x], &[1, 3, 1]);
                b.op(Op::Sub, &[x, m], &[1, 3, 5])
            } else {
                x
            };
            let e = unary(&mut b, Primitive::Exp, z, &[1, 3, 5]);
            let mut kept = vec![1, 3, 5];
            kept[axis] = 1;
            let mean = b.op(Op::ReduceMean { axes: vec![axis] }, &[e], &kept);
            let count = b.constant_of(&[1], vec![[1, 3, 5][axis] as f32]);
            let sum = b.op(Op::Mul, &[mean, count], &kept);
            let inverse = unary(&mut b, Primitive::Reciprocal, sum, &kept);
            let y = b.op(Op::Mul, &[e, inverse], &[1, 3, 5]);
            let graph = b.finish(&[y]);
            let (after, found) = check_pass(&PASS, &graph);
            assert_eq!(found, Changes(1));
            let source = after.nodes.iter().find(|n| matches!(n.op, Op::Softmax { .. })).unwrap();
            // The shift along another axis stays.
            assert_eq!(source.inputs[0] == x, changes == 1);
        }
    }
}
