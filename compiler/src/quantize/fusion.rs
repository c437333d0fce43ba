//! Which activation becomes the saturation of which operator, and which values are stored as the file says.

use std::collections::BTreeMap;

use ir::graph::{Graph, Node, Op, ValueId};
use ir::quantized::Encoding;

/// Nodes of a graph grouped with the clip and the rounding that follow them.
pub(super) struct Fusion {
    /// Per node: the value that its group computes, and the bounds of the clip in it.
    groups: Vec<Option<(ValueId, Clip)>>,
    /// How the file stores inputs and results of groups, where it says so.
    decided: BTreeMap<ValueId, Encoding>,
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
    /// Fuses every clip whose operand is computed for it alone by an operator that saturates, and every rounding whose operand
    /// is computed for it alone by an operator whose result may have any scale.
    pub(super) fn of(graph: &Graph) -> Fusion {
        let mut uses = vec![0usize; graph.values.len()];
        for id in graph.nodes.iter().flat_map(|node| &node.inputs).chain(&graph.outputs) {
            uses[id.0 as usize] += 1;
        }
        // Who can take in a clip of the value, and who a rounding.
        let mut clips = vec![None; graph.values.len()];
        let mut rounds = vec![None; graph.values.len()];
        let mut groups: Vec<Option<(ValueId, Clip)>> = Vec::new();
        let mut decided = BTreeMap::new();
        for (index, node) in graph.nodes.iter().enumerate() {
            let x = node.inputs[0].0 as usize;
            let alone = uses[x] == 1;
            match node.op {
                Op::Clip { lo, hi } => {
                    let clip = Clip { lo: f64::from(lo), hi: f64::from(hi) };
                    let host = clips[x].filter(|_| alone && clip != Clip::NONE);
                    groups.push(host.is_none().then_some((node.output, clip)));
                    if let Some(host) = host {
                        groups[host] = Some((node.output, clip));
                    }
                    rounds[node.output.0 as usize] = Some(host.unwrap_or(index));
                }
                Op::FakeQuantize { to } => {
                    let host: Option<usize> = rounds[x].filter(|_| alone);
                    groups.push(host.is_none().then_some((node.output, Clip::NONE)));
                    if let Some(host) = host {
                        let clip = groups[host].map_or(Clip::NONE, |(_, clip)| clip);
                        groups[host] = Some((node.output, clip));
                    } else if graph.inputs.contains(&node.inputs[0]) {
                        // What reads an input first decides how it is stored.
                        decided.entry(node.inputs[0]).or_insert(to);
                    }
                    decided.insert(node.output, to);
                }
                _ => {
                    groups.push(Some((node.output, Clip::NONE)));
                    let y = node.output.0 as usize;
                    clips[y] = saturates(&node.op).then_some(index);
                    rounds[y] = any_scale(&node.op).then_some(index);
                }
            }
        }
        Fusion { groups, decided }
    }

    /// How the file stores the value, an input or a result of a group, if it says so.
    pub(super) fn decided(&self, value: ValueId) -> Option<Encoding> {
        self.decided.get(&value).copied()
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
        | Op::MatMul { .. }
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
        | Op::FakeQuantize { .. }
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

/// Operators whose results may be stored at any scale, without another step.
fn any_scale(op: &Op) -> bool {
    match op {
        Op::Unary { .. } | Op::Concat { .. } => true,
        Op::Pad { value, .. } => *value != 0.0,
        // Interpolation keeps the scale of what it interpolates.
        Op::Interpolate { .. } => false,
        other => saturates(other),
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
