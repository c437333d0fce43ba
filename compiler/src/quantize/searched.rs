//! Values that get 16 bits wherever nobody says otherwise.
//!
//! Those in which the host looks for positions, or reads what stands there, as few results hang on single elements of them; and the values
//! that they are made of element by element. The sums behind these stay as they are.

use std::collections::BTreeSet;

use ir::graph::{Graph, Op, ValueId};
use ir::onnx::host::Part;

use super::fusion::Fusion;

/// Results of groups of `fusion` that deserve 16 bits because the tail reads them.
pub(super) fn searched(graph: &Graph, fusion: &Fusion) -> BTreeSet<ValueId> {
    let part = graph.tail.clone().and_then(|bytes| Part::from_bytes(bytes).ok());
    let Some(part) = part else { return BTreeSet::new() };
    let read = part.read();
    let name = |id: ValueId| graph.values[id.0 as usize].name.as_str();
    let mut open: Vec<ValueId> =
        graph.outputs.iter().copied().filter(|&id| read.contains(name(id))).collect();
    let mut found = BTreeSet::new();
    while let Some(value) = open.pop() {
        if !found.insert(value) {
            continue;
        }
        let maker = fusion.nodes(graph).find(|(_, result, _)| *result == value);
        let Some((node, ..)) = maker else { continue };
        match &node.op {
            Op::Unary { .. }
            | Op::Reshape
            | Op::Transpose { .. }
            | Op::Gather { .. }
            | Op::Clip { .. } => {
                open.push(node.inputs[0]);
            }
            // A factor for each element.
            Op::Conv { window, groups }
                if window.kernel == [1, 1]
                    && graph.values[node.inputs[1].0 as usize].shape[..2] == [*groups, 1] =>
            {
                open.push(node.inputs[0]);
            }
            _ => {}
        }
    }
    found
}
