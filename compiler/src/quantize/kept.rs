//! What of a network that was quantized before is kept, and what is decided here.

use std::collections::BTreeSet;

use ir::graph::{Graph, Node, Op};
use ir::quantized::Encoding;

use super::fusion::Fusion;
use super::sharing::{Sets, stored, wanted};
use super::weights::given::{Given, counts_in, keep, row_scales};

/// How much of a network's integer form its file decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Tensors that the network stores, those that share integers counted once.
    pub values: usize,
    /// Those among them whose scale and zero point the file decides.
    pub values_kept: usize,
    /// Names of the others whose range must be found: all but those that follow from their operator.
    pub open: Vec<String>,
    /// Layers with weights.
    pub layers: usize,
    /// Those among them whose integers and scales the file decides.
    pub layers_kept: usize,
    /// Layers with something that is quantized anew, one sentence each.
    pub notes: Vec<String>,
}

/// What of `graph`, which must have been through the passes, is kept on a machine with accumulators of `acc_bits`; `None` if its
/// file decides nothing.
#[must_use]
pub fn kept(graph: &Graph, acc_bits: u8) -> Option<Kept> {
    let fusion = Fusion::of(graph);
    let sets = Sets::of(graph, &fusion);
    let encodings = sets.encodings(graph, &fusion);
    let tensors: BTreeSet<usize> = stored(graph, &fusion).map(|value| sets.find(value)).collect();
    let mut kept = Kept {
        values: tensors.len(),
        values_kept: tensors.iter().filter(|root| encodings.contains_key(root)).count(),
        open: wanted(graph).into_iter().map(|wanted| wanted.name).collect(),
        ..Kept::default()
    };
    let layers = graph.nodes.iter().filter(|n| matches!(n.op, Op::Conv { .. } | Op::Dense));
    for node in layers {
        kept.layers += 1;
        let encoding = encodings.get(&sets.find(node.inputs[0]));
        match layer(graph, node, encoding, acc_bits) {
            None => kept.notes.push(format!("`{}`: its weights are quantized here", node.name)),
            Some(notes) => {
                kept.layers_kept += 1;
                kept.notes.extend(notes.iter().map(|note| format!("`{}`: {note}", node.name)));
            }
        }
    }
    (kept.values_kept + kept.layers_kept > 0).then_some(kept)
}

/// Whether the integers of a layer's weights are the file's.
pub(crate) fn keeps_integers(graph: &Graph, node: &Node) -> bool {
    let weights = &graph.values[node.inputs[1].0 as usize];
    let stored = weights.constant.as_ref();
    stored.is_some_and(|stored| row_scales(stored, weights.shape[0]).is_some())
}

/// What is not as the file has it in a layer whose weights it decides.
fn layer(
    graph: &Graph,
    node: &Node,
    input: Option<&Encoding>,
    acc_bits: u8,
) -> Option<Vec<String>> {
    let constant = |index: usize| {
        let id = node.inputs.get(index)?;
        graph.values[id.0 as usize].constant.as_ref()
    };
    let shape = &graph.values[node.inputs[1].0 as usize].shape;
    let rows = shape[0];
    let (stored, scales) = constant(1).and_then(|weights| row_scales(weights, rows))?;
    let mut notes = Vec::new();
    let Some(&input) = input else {
        return Some(notes);
    };
    let bias = constant(2);
    let off = bias.and_then(|bias| bias.quantized()).is_some_and(|bias| {
        (0..rows).any(|c| !counts_in(bias, c, rows, (input.scale * scales[c]).into()))
    });
    if off {
        notes.push("its bias counts in other steps than its sums and is rounded to theirs".into());
    }
    let taps = shape[2..].iter().product();
    let integers = stored.integers();
    let given = Given { node: &node.name, integers, scales, bias, taps, input: input.into() };
    if let Ok(kept) = keep(&given, acc_bits)
        && !kept.coarsened.is_empty()
    {
        notes.push(format!(
            "sums of channels {:?} might leave {acc_bits} bits, so their weights and biases count in coarser steps",
            kept.coarsened
        ));
    }
    Some(notes)
}

impl Kept {
    /// One sentence: how much is kept.
    #[must_use]
    pub fn summary(&self) -> String {
        let Kept { values, values_kept, layers, layers_kept, .. } = self;
        format!(
            "already quantized: {values_kept} of {values} values keep their scales, and {layers_kept} of {layers} layers their weights"
        )
    }
}
