//! Moves activations in front of data movement, next to the operator that computes their operand, and merges two in a
//! row.
//!
//! A clip right behind a convolution, dense layer, addition or average pool costs nothing in the integer graph: it is
//! that operator's saturation. A maximum pool commutes with it because clipping is monotonic; a concatenation does if each
//! part gets its own clip, which pays where every part can take it in.

use ir::graph::{Graph, Op, ValueId};

use super::edit::{Insertion, add_value, finish, is_arithmetic, name, private_producer, shape};
use super::{Changes, Context, Pass, PassError};

/// See the module.
pub(super) const PASS: Pass<Graph> = Pass {
    name: "hoist-clip",
    about: "move activations in front of reshapes, transposes, maximum pools and concatenations; merge two in a row",
    run,
};

fn run(graph: &mut Graph, _: &mut Context) -> Result<Changes, PassError> {
    let mut changes = 0;
    let mut index = 0;
    while index < graph.nodes.len() {
        let mut at = index;
        while let Some(next) = hoist(graph, at) {
            changes += 1;
            at = next;
        }
        index += 1;
    }
    Ok(finish(graph, changes))
}

/// Moves or merges the clip at `index` by one step; its new place, or `None` if there is nothing to do.
fn hoist(graph: &mut Graph, index: usize) -> Option<usize> {
    let Op::Clip { lo, hi } = graph.nodes[index].op else {
        return None;
    };
    let x = graph.nodes[index].inputs[0];
    let before = private_producer(graph, x)?;
    let source = graph.nodes[before].inputs[0];
    match graph.nodes[before].op {
        Op::Clip { lo: inner_lo, hi: inner_hi } => {
            // min(max(min(max(x, a), b), lo), hi) is one clip to both bounds of `lo..=hi` clipped.
            let op = Op::Clip { lo: inner_lo.max(lo).min(hi), hi: inner_hi.max(lo).min(hi) };
            let node = &mut graph.nodes[index];
            (node.op, node.inputs[0]) = (op, source);
            graph.nodes.remove(before);
            Some(index - 1)
        }
        Op::Reshape | Op::Transpose { .. } | Op::Gather { .. } | Op::MaxPool { .. } => {
            let output = graph.nodes[index].output;
            let wanted = format!("{}/before_{}", name(graph, output), graph.nodes[before].name);
            let clipped = add_value(graph, wanted, shape(graph, source).to_vec());
            graph.nodes[before].output = output;
            graph.nodes[before].inputs[0] = clipped;
            let mut clip = graph.nodes.remove(index);
            (clip.inputs[0], clip.output) = (source, clipped);
            graph.nodes.insert(before, clip);
            Some(before)
        }
        Op::Concat { .. } => distribute(graph, index, before),
        Op::Conv { .. }
        | Op::ConvTranspose { .. }
        | Op::Dense
        | Op::MatMul { .. }
        | Op::BatchNorm { .. }
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Interpolate { .. }
        | Op::Lrn { .. }
        | Op::Max
        | Op::Min
        | Op::PRelu
        // A clip behind a function becomes part of it.
        | Op::Unary { .. }
        | Op::AveragePool { .. }
        | Op::ReduceMean { .. }
        | Op::FakeQuantize { .. }
        | Op::Pad { .. }
        | Op::Softmax { .. } => None,
    }
}

/// Replaces the clip at `index` by one on each operand of the concatenation at `concat`, if all of them are computed for
/// it alone by arithmetic; the concatenation's new place is not a clip's, so the answer is the last new clip's.
fn distribute(graph: &mut Graph, index: usize, concat: usize) -> Option<usize> {
    let parts = graph.nodes[concat].inputs.clone();
    let fusable = |&part: &ValueId| {
        private_producer(graph, part).is_some_and(|maker| is_arithmetic(&graph.nodes[maker].op))
    };
    if !parts.iter().all(fusable) {
        return None;
    }
    let clip = graph.nodes.remove(index);
    graph.nodes[concat].output = clip.output;
    let base = clip.name.clone();
    let mut row = Insertion { graph, at: concat, base: &base };
    let clipped = parts.iter().enumerate().map(|(position, &part)| {
        let extents = shape(row.graph, part).to_vec();
        row.unary(&format!("part{position}"), clip.op.clone(), part, &extents)
    });
    let clipped: Vec<ValueId> = clipped.collect();
    let concat = row.at;
    graph.nodes[concat].inputs = clipped;
    Some(concat - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, check_pass};
    use ir::graph::Window;

    #[test]
    fn reaches_the_convolution() {
        let mut b = Build::new(12);
        let x = b.input(&[1, 2, 6, 5]);
        let y = b.conv(x, 3, [3, 3], 1);
        let window = Window { kernel: [2, 2], stride: [2, 1], dilation: [1, 1], pad: [1, 0, 0, 1] };
        let y = b.op(Op::MaxPool { window }, &[y], &[1, 3, 2, 3]);
        let y = b.op(Op::Transpose { perm: vec![0, 2, 3, 1] }, &[y], &[1, 2, 3, 3]);
        let y = b.op(Op::Reshape, &[y], &[1, 18]);
        let y = b.clip(y, -1.0, f32::INFINITY);
        let y = b.clip(y, 0.0, 0.5);
        let (after, changes) = check_pass(&PASS, &b.finish(&[y]));
        assert_eq!(changes, Changes(7), "three moves each, one merge");
        assert_eq!(after.nodes.len(), 5);
        assert_eq!(after.nodes[1].op, Op::Clip { lo: 0.0, hi: 0.5 });
        assert_eq!(check_pass(&PASS, &after).1, Changes(0));
    }

    #[test]
    fn stays_behind_a_value_with_other_users_and_behind_arithmetic() {
        let mut b = Build::new(13);
        let x = b.input(&[1, 8]);
        let r = b.op(Op::Reshape, &[x], &[1, 2, 4]);
        let p = b.clip(r, 0.0, 1.0);
        let soft = b.op(Op::Softmax { axis: 2 }, &[r], &[1, 2, 4]);
        let q = b.clip(soft, 0.1, 0.5);
        let graph = b.finish(&[p, q]);
        assert_eq!(check_pass(&PASS, &graph).1, Changes(0));
    }

    #[test]
    fn a_concatenation_of_arithmetic_is_clipped_part_by_part() {
        let concat = |moved: bool| {
            let mut b = Build::new(15);
            let x = b.input(&[1, 2, 4, 4]);
            let p = b.conv(x, 3, [1, 1], 1);
            let q = if moved { b.op(Op::Reshape, &[x], &[1, 2, 4, 4]) } else { b.batch_norm(x) };
            let y = b.op(Op::Concat { axis: 1 }, &[p, q], &[1, 5, 4, 4]);
            let y = b.relu(y);
            check_pass(&PASS, &b.finish(&[y]))
        };
        let (after, changes) = concat(false);
        assert_eq!(changes, Changes(1));
        let clips = after.nodes.iter().filter(|n| matches!(n.op, Op::Clip { .. })).count();
        assert_eq!((clips, after.nodes.len()), (2, 5));
        assert!(matches!(after.nodes[4].op, Op::Concat { .. }));
        assert_eq!(check_pass(&PASS, &after).1, Changes(0));
        assert_eq!(concat(true).1, Changes(0));
    }

    #[test]
    fn disjoint_clips_merge_to_a_constant() {
        let mut b = Build::new(14);
        let x = b.input(&[1, 9]);
        let p = b.clip(x, -3.0, -1.0);
        let q = b.clip(p, 0.5, 2.0);
        let (after, _) = check_pass(&PASS, &b.finish(&[q]));
        assert_eq!(after.nodes[0].op, Op::Clip { lo: 0.5, hi: 0.5 });
    }
}
