//! Elements picked by index lists.

use ir::indices::Indices;
use ir::qgraph::QOp;

use super::join::with_grown;
use super::{Emitter, Group};
use crate::quantize::QuantizeError;
use crate::quantize::layout::Layout;

impl Emitter<'_> {
    /// Index lists per ONNX axis become lists along h, w and c, in whatever layout the operand has: an extent made of
    /// several axes takes every combination of their indices.
    pub(super) fn gather(
        &mut self,
        group: Group<'_>,
        lists: &[Indices],
    ) -> Result<(), QuantizeError> {
        let x = group.node.inputs[0];
        let (from, y) = (self.shape(x), self.shape(group.result));
        let at_hand = self.stored(x).layout.groups(from);
        let groups = match at_hand {
            Some(groups) => with_grown(groups, from, y),
            None => Layout::standard_groups(from.len()),
        };
        let id = self.arrange(&group.node.name, x, &Layout::of_groups(from, &groups));
        let indices = std::array::from_fn(|i| combined(&groups[i], lists, from));
        self.push(group, QOp::Gather { indices }, &[id], Layout::of_groups(y, &groups));
        Ok(())
    }
}

/// Index list of an extent made of `axes`, outermost first.
fn combined(axes: &[usize], lists: &[Indices], shape: &[usize]) -> Indices {
    axes.iter().fold(Indices::all(1), |outer, &axis| {
        let inner = || lists[axis].iter();
        outer.iter().flat_map(|o| inner().map(move |i| o * shape[axis] + i)).collect()
    })
}
