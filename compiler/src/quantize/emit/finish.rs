//! The two ends of the integer graph: views of inputs and outputs, and reorders that the host can do for free.

use ir::graph::ValueId;
use ir::qgraph::{QGraph, QOp};

use super::{Emitter, Stored, free_name};
use crate::quantize::layout::Layout;

impl Emitter<'_> {
    pub(super) fn finish(&mut self) {
        for &output in &self.graph.outputs {
            let id = self.output(output);
            self.q.outputs.push(id);
        }
        for (position, &input) in self.graph.inputs.iter().enumerate() {
            let shape = self.shape(input);
            let layout = self.stored(input).layout;
            let id = self.q.inputs[position];
            let layout = absorb_reorder(&mut self.q, id, &layout, shape).unwrap_or(layout);
            // An input that is an output too has got its copy above, so this view is its own.
            self.q.values[id.0 as usize].view =
                layout.view(shape).expect("checked, or a standard layout");
        }
        drop_unmade_values(&mut self.q);
    }

    /// The integer value of a graph output, with its name and view.
    fn output(&mut self, output: ValueId) -> ValueId {
        let shape = self.shape(output);
        let name = self.graph.values[output.0 as usize].name.clone();
        let mut layout = self.stored(output).layout;
        if layout.view(shape).is_none() {
            layout = Layout::standard(shape);
        }
        let made = self.stored(output).id;
        let mut id = self.arrange(&name, output, &layout);
        if id != made && self.q.values[made.0 as usize].name == name {
            // The name belongs to the arranged elements.
            self.q.values[made.0 as usize].name =
                free_name(&mut self.value_names, format!("{name}/made"));
        }
        // Moved elements can be in the same place for several ONNX values; each end of the graph needs its own.
        if self.q.inputs.contains(&id) || self.q.outputs.contains(&id) {
            let hwc = self.hwc(id);
            let copy = self.derived_value(id, &name, "copy", hwc);
            let op = QOp::Reorder { dims: vec![hwc.h * hwc.w * hwc.c], perm: vec![0] };
            self.push_added(&name, "copy", "Identity", op, &[id], copy);
            id = copy;
        }
        self.stored.insert(output, Stored { id, layout: layout.clone() });
        let interface = self.graph.inputs.contains(&output);
        let value = &mut self.q.values[id.0 as usize];
        // An input that is an output too already has the name.
        if !interface {
            value.name = name;
        }
        value.view = layout.view(shape).expect("checked, or a standard layout");
        id
    }
}

/// If input `id` is only ever reordered, in one way, lets the host store it so: removes the reorder and returns the new
/// layout.
fn absorb_reorder(q: &mut QGraph, id: ValueId, layout: &Layout, shape: &[usize]) -> Option<Layout> {
    let mut users = (0..q.nodes.len()).filter(|&node| q.nodes[node].inputs.contains(&id));
    let (user, None) = (users.next()?, users.next()) else {
        return None;
    };
    let QOp::Reorder { dims, perm } = &q.nodes[user].op else {
        return None;
    };
    let reordered = q.nodes[user].output;
    if q.outputs.contains(&reordered) {
        return None;
    }
    // Each dim must be a run of whole axes.
    let mut axes = layout.order.iter().copied();
    let mut runs = Vec::new();
    for &dim in dims {
        let (mut run, mut extent) = (Vec::new(), 1);
        while extent < dim {
            let axis = axes.next()?;
            extent *= shape[axis];
            run.push(axis);
        }
        if extent != dim {
            return None;
        }
        runs.push(run);
    }
    let order = perm.iter().flat_map(|&run| runs[run].iter().copied()).collect();
    let stored = Layout { order, hwc: q.values[reordered.0 as usize].shape };
    stored.view(shape)?;
    q.values[id.0 as usize].shape = stored.hwc;
    q.nodes.remove(user);
    for operand in q
        .nodes
        .iter_mut()
        .flat_map(|node| &mut node.inputs)
        .filter(|operand| **operand == reordered)
    {
        *operand = id;
    }
    Some(stored)
}

/// Drops values whose makers were removed.
fn drop_unmade_values(q: &mut QGraph) {
    let mut made = vec![false; q.values.len()];
    for id in q.nodes.iter().map(|node| &node.output).chain(&q.inputs) {
        made[id.0 as usize] = true;
    }
    let renumbered: Vec<ValueId> = made
        .iter()
        .scan(0, |next, &kept| {
            let id = ValueId(*next);
            *next += u32::from(kept);
            Some(id)
        })
        .collect();
    let mut flags = made.into_iter();
    q.values.retain(|_| flags.next().expect("one flag a value"));
    let of_nodes =
        q.nodes.iter_mut().flat_map(|node| node.inputs.iter_mut().chain([&mut node.output]));
    for id in of_nodes.chain(&mut q.inputs).chain(&mut q.outputs) {
        *id = renumbered[id.0 as usize];
    }
}
