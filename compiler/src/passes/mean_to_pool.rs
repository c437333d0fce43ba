//! Rewrites means over axes as average pools over the whole map, and those over the channels as dense layers.
//!
//! Means that cut through channels or reduce axes of other tensors are reshaped first, so that the reduced axes become
//! the width of a map.

use ir::graph::{Graph, Node, Op, ValueId, Window};

use super::affine::POINT;
use super::edit::{Insertion, add_constant, add_value, count, finish, shape};
use super::{Changes, Context, Pass, PassError};

/// See the module.
pub(super) const PASS: Pass<Graph> = Pass {
    name: "mean-to-pool",
    about: "rewrite means over axes as average pools, those over channels as dense layers",
    run,
};

fn run(graph: &mut Graph, _: &mut Context) -> Result<Changes, PassError> {
    let mut changes = 0;
    while let Some(index) = graph.nodes.iter().position(|n| matches!(n.op, Op::ReduceMean { .. })) {
        rewrite(graph, index);
        changes += 1;
    }
    Ok(finish(graph, changes))
}

fn rewrite(graph: &mut Graph, index: usize) {
    let node = graph.nodes.remove(index);
    let Op::ReduceMean { axes } = &node.op else {
        unreachable!("the caller found a mean here");
    };
    let x_shape = shape(graph, node.inputs[0]).to_vec();
    let spatial = x_shape.len() == 4 && axes.iter().all(|&axis| axis >= 2);
    if spatial {
        let extent = |axis: usize| if axes.contains(&axis) { x_shape[axis] } else { 1 };
        let op = pool([extent(2), extent(3)]);
        graph.nodes.insert(index, Node { op, ..node });
        return;
    }
    let kept: Vec<usize> = (0..x_shape.len()).filter(|axis| !axes.contains(axis)).collect();
    let perm: Vec<usize> = kept.iter().chain(axes).copied().collect();
    let turned: Vec<usize> = perm.iter().map(|&axis| x_shape[axis]).collect();
    let reduced: usize = axes.iter().map(|&axis| x_shape[axis]).product();
    let rest = count(&x_shape) / reduced;
    // What is stored innermost, the channels, is either reduced, then everything else becomes rows of one channel, or
    // kept, then everything kept becomes channels.
    let innermost = if x_shape.len() == 4 { 1 } else { x_shape.len().saturating_sub(1) };
    if *axes == [innermost] {
        return weigh(graph, index, node, &perm, &turned);
    }
    let (map, pooled) = if axes.contains(&innermost) {
        ([1, 1, rest, reduced], [1, 1, rest, 1])
    } else {
        ([1, rest, 1, reduced], [1, rest, 1, 1])
    };
    let result_shape = shape(graph, node.output).to_vec();
    let mean: ValueId = add_value(graph, format!("{}/mean", node.name), pooled.to_vec());
    let mut row = Insertion { graph, at: index, base: &node.name };
    let v = row.unary("reduced_last", Op::Transpose { perm }, node.inputs[0], &turned);
    let v = row.unary("to_map", Op::Reshape, v, &map);
    row.node(Node {
        name: node.name.clone(),
        op: pool([1, reduced]),
        inputs: vec![v],
        output: mean,
    });
    row.unary("from_map", Op::Reshape, mean, &result_shape);
    row.end_with(node.output);
}

/// A mean over the channels alone is a dense layer of equal weights, which rounds once and moves nothing.
fn weigh(graph: &mut Graph, index: usize, node: Node, perm: &[usize], turned: &[usize]) {
    let Some((&channels, kept)) = turned.split_last() else {
        unreachable!("a mean over channels has channels");
    };
    let wanted = format!("{}/shares", node.name);
    let weights =
        add_constant(graph, wanted, vec![1, channels], vec![1.0 / channels as f32; channels]);
    let (result, result_shape) = (node.output, shape(graph, node.output).to_vec());
    let pooled = [kept, &[1]].concat();
    let mean = if pooled == result_shape {
        result
    } else {
        add_value(graph, format!("{}/mean", node.name), pooled)
    };
    let mut row = Insertion { graph, at: index, base: &node.name };
    let mut v = node.inputs[0];
    if !perm.is_sorted() {
        v = row.unary("reduced_last", Op::Transpose { perm: perm.to_vec() }, v, turned);
    }
    let (name, op, inputs) = (node.name.clone(), Op::Dense, vec![v, weights]);
    row.node(Node { name, op, inputs, output: mean });
    if mean != result {
        row.unary("from_mean", Op::Reshape, mean, &result_shape);
        row.end_with(result);
    }
}

fn pool(kernel: [usize; 2]) -> Op {
    Op::AveragePool { window: Window { kernel, ..POINT }, count_include_pad: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, check_pass};

    #[test]
    fn any_axes_of_any_shape() {
        for (shape, axes, nodes) in [
            (&[1, 3, 4, 5][..], &[2, 3][..], 1),
            (&[1, 3, 4, 5], &[3], 1),
            (&[1, 3, 4, 5], &[2], 1),
            (&[1, 3, 4, 5], &[1], 3),
            (&[1, 3, 4, 5], &[1, 3], 4),
            (&[2, 3, 4], &[1], 4),
            (&[2, 3, 4], &[2], 1),
            (&[2, 3, 4], &[0, 1, 2], 4),
            (&[5], &[0], 1),
        ] {
            let mut b = Build::new(50);
            let x = b.input(shape);
            let op = Op::ReduceMean { axes: axes.to_vec() };
            let reduced: Vec<usize> =
                (0..shape.len()).map(|i| if axes.contains(&i) { 1 } else { shape[i] }).collect();
            let y = b.op(op, &[x], &reduced);
            let (after, changes) = check_pass(&PASS, &b.finish(&[y]));
            assert_eq!((changes, after.nodes.len()), (Changes(1), nodes), "{shape:?} {axes:?}");
            assert_eq!(check_pass(&PASS, &after).1, Changes(0));
        }
    }
}
