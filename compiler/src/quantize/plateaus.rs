//! Ranges of what only a sigmoid reads: far from zero its stored results are all the same, and need no steps of the operand.
//!
//! A network's logits reach over hundreds where a sigmoid saturates at six: spread over all of them, 255 steps leave it two or
//! three results.

use std::collections::BTreeSet;

use ir::function::Function;
use ir::graph::{Graph, Node, Op, ValueId};
use ir::qgraph::QType;

use super::fusion::Fusion;
use super::params::{Params, ends_in_sigmoid, nearest, sigmoid};
use super::sharing::Sets;
use super::storages::Storages;
use crate::calibrate::Range;

/// Parts of a range that are looked at.
const PARTS: u32 = 1 << 12;

/// For each set that only one function reads that ends in a sigmoid with int8 results: the set, and that function. Values may be moved in between, and
/// saturate there, but not mixed.
pub(super) fn readers<'a>(
    graph: &'a Graph,
    fusion: &'a Fusion,
    sets: &Sets,
    storages: &Storages,
) -> Vec<(usize, &'a Function)> {
    let ends = graph.inputs.iter().chain(&graph.outputs);
    let mut taken: BTreeSet<usize> = ends.map(|&id| sets.find(id)).collect();
    let mut found = Vec::new();
    for (node, result, _) in fusion.nodes(graph) {
        for root in node.inputs.iter().map(|&id| sets.find(id)).collect::<BTreeSet<_>>() {
            match &node.op {
                Op::Unary { function }
                    if ends_in_sigmoid(function) && storages.of(result).dtype == QType::I8 =>
                {
                    if found.iter().any(|&(other, _)| other == root) {
                        taken.insert(root);
                    }
                    found.push((root, function));
                }
                _ if moves(node, result, root, sets) => {}
                _ => {
                    taken.insert(root);
                }
            }
        }
    }
    found.retain(|(root, _)| !taken.contains(root));
    found
}

/// Whether the node only moves elements within the set.
fn moves(node: &Node, result: ValueId, root: usize, sets: &Sets) -> bool {
    sets.find(result) == root && !matches!(node.op, Op::Interpolate { .. })
}

/// `range` without its ends over which the int8 result of `function` stays the same.
pub(super) fn without(range: Range, function: &Function) -> Range {
    let Params { scale, zero_point, dtype } = sigmoid(QType::I8);
    let (lo, hi) = dtype.range();
    let place = |i: u32| range.lo + (range.hi - range.lo) * f64::from(i) / f64::from(PARTS);
    let stored =
        |i: u32| nearest(function.evaluate(place(i)) / scale + f64::from(zero_point), lo, hi);
    let (first, last) = (stored(0), stored(PARTS));
    let below = (1..=PARTS).find(|&i| stored(i) != first);
    let above = (0..PARTS).rev().find(|&i| stored(i) != last);
    match (below, above) {
        (Some(below), Some(above)) => Range { lo: place(below - 1), hi: place(above + 1) },
        _ => range,
    }
}
