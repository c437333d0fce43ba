//! Merges the axes along which a constant operand varies into one.
//!
//! `x * c`, `x + c` and `x - c` with `c` constant become weights where `c` varies along one axis (see `fold-affine`). A constant that varies
//! along several, such as a map of weights or a table of positions, does so once these axes are one.

use ir::graph::{Graph, Node, Op, ValueId};
use ir::tensor::{Data, Tensor};

use super::edit::{Insertion, add_tensor, count, finish, shape};
use super::{Changes, Context, Pass, PassError};

/// See the module.
pub(super) const PASS: Pass<Graph> = Pass {
    name: "merge-axes",
    about: "merge the axes along which a constant factor or summand varies, so that it varies along one",
    run,
};

/// Most places of the merged axis: each becomes a channel with parameters of its own.
const MOST_CHANNELS: usize = 1 << 16;

fn run(graph: &mut Graph, _: &mut Context) -> Result<Changes, PassError> {
    let mut changes = 0;
    // Nodes are put in behind, so from the last one.
    for index in (0..graph.nodes.len()).rev() {
        if let Some(found) = found(graph, index) {
            rewrite(graph, index, &found);
            changes += 1;
        }
    }
    Ok(finish(graph, changes))
}

struct Found {
    /// Which operand is constant.
    constant: usize,
    /// Axes of the result along which it varies, ascending.
    varying: Vec<usize>,
}

fn found(graph: &Graph, index: usize) -> Option<Found> {
    let Node { op, inputs, output, .. } = &graph.nodes[index];
    if !matches!(op, Op::Add | Op::Sub | Op::Mul) {
        return None;
    }
    let constant = |id: ValueId| graph.values[id.0 as usize].constant.is_some();
    let at = match (constant(inputs[0]), constant(inputs[1])) {
        (true, false) => 0,
        (false, true) => 1,
        _ => return None,
    };
    let (result, c) = (shape(graph, *output), shape(graph, inputs[at]));
    if shape(graph, inputs[1 - at]) != result {
        return None;
    }
    let missing = result.len() - c.len();
    let varying: Vec<usize> = (0..c.len()).filter(|&i| c[i] > 1).map(|i| i + missing).collect();
    let channels: usize = varying.iter().map(|&axis| result[axis]).product();
    (varying.len() > 1 && channels <= MOST_CHANNELS).then_some(Found { constant: at, varying })
}

/// `[.., a, .., b, ..] -> [a, b, ..] -> [1, a * b, others, 1]`, the node, and back.
fn rewrite(graph: &mut Graph, index: usize, found: &Found) {
    let node = graph.nodes.remove(index);
    let (x, c) = (node.inputs[1 - found.constant], node.inputs[found.constant]);
    let x_shape = shape(graph, x).to_vec();
    let others = (0..x_shape.len()).filter(|axis| !found.varying.contains(axis));
    let perm: Vec<usize> = found.varying.iter().copied().chain(others).collect();
    let turned: Vec<usize> = perm.iter().map(|&axis| x_shape[axis]).collect();
    let mut back = vec![0; perm.len()];
    for (place, &axis) in perm.iter().enumerate() {
        back[axis] = place;
    }
    let channels = found.varying.iter().map(|&axis| x_shape[axis]).product();
    let map = [1, channels, count(&x_shape) / channels, 1];
    // Axes along which it does not vary have extent 1, so that its elements stand in the merged order already.
    let floats = graph.values[c.0 as usize].constant.as_ref().and_then(Tensor::f32_values);
    let floats = floats.expect("operands of sums and products are floats").into_owned();
    let tensor = Tensor { shape: vec![1, channels, 1, 1], data: Data::F32(floats) };
    let c = add_tensor(graph, format!("{}/merged", node.name), tensor);
    let mut row = Insertion { graph, at: index, base: &node.name };
    let v = row.unary("axes_first", Op::Transpose { perm }, x, &turned);
    let v = row.unary("axes_merged", Op::Reshape, v, &map);
    let mut inputs = vec![v; 2];
    inputs[found.constant] = c;
    let output = super::edit::add_value(row.graph, format!("{}/channels", node.name), map.to_vec());
    row.node(Node { name: node.name.clone(), op: node.op.clone(), inputs, output });
    let v = row.unary("axes_split", Op::Reshape, output, &turned);
    row.unary("axes_back", Op::Transpose { perm: back }, v, &x_shape);
    row.end_with(node.output);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::{Check, GRAPH, run as run_passes};
    use crate::testing::{Build, assert_same_function};

    #[test]
    fn what_varies_along_several_axes_becomes_channels() {
        for (constant, first) in [
            (vec![1, 2, 3, 4], false),
            (vec![1, 1, 3, 4], true),
            (vec![2, 1, 4], false),
            (vec![3, 4], true),
        ] {
            for op in [Op::Add, Op::Sub, Op::Mul] {
                let mut b = Build::new(5);
                let x = b.input(&[1, 2, 3, 4]);
                let y = b.relu(x);
                let c = b.constant(&constant);
                let inputs = if first { [c, y] } else { [y, c] };
                let z = b.op(op, &inputs, &[1, 2, 3, 4]);
                let before = b.finish(&[z]);
                let mut after = before.clone();
                let applied =
                    run_passes(GRAPH, &mut after, &mut Context::default(), Check::EachPass)
                        .unwrap();
                assert!(applied.iter().any(|a| a.pass == PASS.name && a.changes == 1));
                assert_same_function(&before, &after);
                assert!(crate::quantize::check(&after).is_empty(), "{after}");
            }
        }
    }

    #[test]
    fn one_axis_is_left_alone() {
        let mut b = Build::new(5);
        let x = b.input(&[1, 2, 3, 4]);
        let c = b.constant(&[1, 2, 1, 1]);
        let y = b.op(Op::Mul, &[x, c], &[1, 2, 3, 4]);
        let mut graph = b.finish(&[y]);
        assert_eq!(run(&mut graph, &mut Context::default()), Ok(Changes(0)));
    }
}
