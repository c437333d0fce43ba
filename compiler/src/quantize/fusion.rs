//! Which activation becomes the saturation of which operator.

use ir::graph::{Graph, Node, Op, ValueId};

/// Nodes of a graph grouped with the clip that follows them.
pub(super) struct Fusion {
    /// Per node: the value that its group computes, and the bounds of the clip in it.
    groups: Vec<Option<(ValueId, Clip)>>,
}

/// Real bounds of a result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Clip {
    /// Lower bound, may be -inf.
    pub(super) lo: f64,
    /// Upper bound, may be +inf.
    pub(super) hi: f64,
}

impl Clip {
    /// No bounds.
    pub(super) const NONE: Clip = Clip { lo: f64::NEG_INFINITY, hi: f64::INFINITY };
}

impl Fusion {
    /// Fuses every clip whose operand is computed for it alone by an operator that saturates.
    pub(super) fn of(graph: &Graph) -> Fusion {
        let mut uses = vec![0usize; graph.values.len()];
        for id in graph.nodes.iter().flat_map(|node| &node.inputs).chain(&graph.outputs) {
            uses[id.0 as usize] += 1;
        }
        let mut maker = vec![None; graph.values.len()];
        let mut groups: Vec<Option<(ValueId, Clip)>> = Vec::new();
        for (index, node) in graph.nodes.iter().enumerate() {
            let clip = match node.op {
                Op::Clip { lo, hi } => Clip { lo: f64::from(lo), hi: f64::from(hi) },
                _ => Clip::NONE,
            };
            let x = node.inputs[0].0 as usize;
            let host = maker[x].filter(|_| clip != Clip::NONE && uses[x] == 1);
            match host {
                Some(host) => {
                    groups.push(None);
                    groups[host] = Some((node.output, clip));
                }
                None => groups.push(Some((node.output, clip))),
            }
            maker[node.output.0 as usize] = saturates(&node.op).then_some(index);
        }
        Fusion { groups }
    }

    /// Nodes that remain, with the value each computes and its bounds.
    pub(super) fn nodes<'a>(
        &'a self,
        graph: &'a Graph,
    ) -> impl Iterator<Item = (&'a Node, ValueId, Clip)> {
        let pairs = graph.nodes.iter().zip(&self.groups);
        pairs.filter_map(|(node, group)| group.map(|(result, clip)| (node, result, clip)))
    }
}

/// Operators that end in a saturation of their own.
fn saturates(op: &Op) -> bool {
    match op {
        Op::Conv { .. }
        | Op::Dense
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Interpolate { .. }
        | Op::Max
        | Op::Min
        | Op::PRelu
        | Op::Lrn { .. }
        | Op::AveragePool { .. } => true,
        Op::Unary { .. }
        | Op::BatchNorm { .. }
        | Op::ConvTranspose { .. }
        | Op::Clip { .. }
        | Op::MaxPool { .. }
        | Op::ReduceMean { .. }
        | Op::Concat { .. }
        | Op::Reshape
        | Op::Transpose { .. }
        | Op::Pad { .. }
        | Op::Gather { .. }
        | Op::Softmax { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Build;

    #[test]
    fn only_a_private_saturating_producer_takes_the_clip() {
        let mut b = Build::new(1);
        let x = b.input(&[1, 2, 3, 3]);
        let conv = b.conv(x, 2, [1, 1], 1);
        let relu = b.relu(conv);
        let shared = b.conv(relu, 2, [1, 1], 1);
        let p = b.relu(shared);
        let q = b.clip(p, 0.0, 1.0);
        let sum = b.op(Op::Add, &[shared, q], &[1, 2, 3, 3]);
        let graph = b.finish(&[sum]);
        let fusion = Fusion::of(&graph);
        let nodes: Vec<_> =
            fusion.nodes(&graph).map(|(node, y, clip)| (node.name.as_str(), y, clip.lo)).collect();
        let none = f64::NEG_INFINITY;
        // A clip behind a clip is left to the passes.
        let expected = [
            ("n0", relu, 0.0),
            ("n2", shared, none),
            ("n3", p, 0.0),
            ("n4", q, 0.0),
            ("n5", sum, none),
        ];
        assert_eq!(nodes, expected);
    }
}
