//! Merges chains of reshapes and transposes, and turns transposes that keep the order of elements into reshapes.
//!
//! Exporters wrap operators in such chains to change layout; merged, most become identities.

use ir::graph::{Graph, Op};

use super::edit::{finish, producer, shape};
use super::{Changes, Context, Pass, PassError};

/// See the module.
pub(super) const PASS: Pass<Graph> =
    Pass { name: "merge-reshape", about: "merge neighbouring reshapes and transposes", run };

fn run(graph: &mut Graph, _: &mut Context) -> Result<Changes, PassError> {
    let mut changes = 0;
    for index in 0..graph.nodes.len() {
        while merge(graph, index) {
            changes += 1;
        }
    }
    Ok(finish(graph, changes))
}

/// One simplification of node `index`. Its operand's producer stays for other users, or dies later.
fn merge(graph: &mut Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    if let Op::Transpose { perm } = &node.op
        && keeps_order(perm, shape(graph, node.inputs[0]))
    {
        graph.nodes[index].op = Op::Reshape;
        return true;
    }
    let Some(before) = producer(graph, node.inputs[0]) else {
        return false;
    };
    let merged = match (&graph.nodes[before].op, &node.op) {
        (Op::Reshape, Op::Reshape) => Op::Reshape,
        (Op::Transpose { perm: first }, Op::Transpose { perm: second }) => {
            Op::Transpose { perm: second.iter().map(|&axis| first[axis]).collect() }
        }
        _ => return false,
    };
    let x = graph.nodes[before].inputs[0];
    let node = &mut graph.nodes[index];
    (node.op, node.inputs[0]) = (merged, x);
    true
}

/// Whether the axes longer than 1 keep their order.
fn keeps_order(perm: &[usize], x: &[usize]) -> bool {
    let long: Vec<usize> = perm.iter().copied().filter(|&axis| x[axis] != 1).collect();
    long.is_sorted() && !perm.is_sorted()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, check_pass};

    #[test]
    fn chains_become_one() {
        let mut b = Build::new(10);
        let x = b.input(&[1, 3, 4, 5]);
        let p = b.op(Op::Transpose { perm: vec![0, 2, 3, 1] }, &[x], &[1, 4, 5, 3]);
        let q = b.op(Op::Transpose { perm: vec![0, 2, 1, 3] }, &[p], &[1, 5, 4, 3]);
        let r = b.op(Op::Reshape, &[q], &[5, 12]);
        let y = b.op(Op::Reshape, &[r], &[1, 1, 60]);
        let graph = b.finish(&[y]);
        let (after, changes) = check_pass(&PASS, &graph);
        assert_eq!(changes, Changes(2));
        assert_eq!(after.nodes[1].op, Op::Transpose { perm: vec![0, 3, 2, 1] });
        assert_eq!(after.nodes[3].inputs, [q]);
        assert_eq!(check_pass(&PASS, &after).1, Changes(0));
    }

    #[test]
    fn a_transpose_of_unit_axes_is_a_reshape() {
        let mut b = Build::new(11);
        let x = b.input(&[1, 6, 1, 4]);
        let p = b.op(Op::Transpose { perm: vec![0, 2, 1, 3] }, &[x], &[1, 1, 6, 4]);
        let y = b.op(Op::Transpose { perm: vec![0, 1, 3, 2] }, &[p], &[1, 1, 4, 6]);
        let (after, changes) = check_pass(&PASS, &b.finish(&[y]));
        assert_eq!(changes, Changes(1), "the second one moves elements");
        assert_eq!(after.nodes[0].op, Op::Reshape);
    }
}
