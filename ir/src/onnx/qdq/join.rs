//! Concatenation and padding. Operands and result share their scale, so both conversions are exact.

use super::writer::{Writer, scale_of};
use crate::onnx::write::int;
use crate::qgraph::{Bounds, QNode};

/// Axis of `[1, c, h, w]` for each of h, w, c.
pub(super) const PLANE_AXES: [usize; 3] = [2, 3, 1];

/// Concat along h, w or c.
pub(super) fn concat(writer: &mut Writer<'_>, node: &QNode, axis: usize) {
    let input = (0..node.inputs.len()).map(|index| writer.real(node, index)).collect();
    let real = writer.compute(node, "Concat", input, vec![int("axis", PLANE_AXES[axis])]);
    store_whole(writer, node, real);
}

/// Pad with the real value that the stored border stands for.
pub(super) fn pad(
    writer: &mut Writer<'_>,
    node: &QNode,
    before: &[usize; 3],
    after: &[usize; 3],
    value: i32,
) {
    let mut amounts = [0; 8];
    for (axis, &plane) in PLANE_AXES.iter().enumerate() {
        amounts[plane] = before[axis];
        amounts[4 + plane] = after[axis];
    }
    let y = writer.result(node);
    let border = scale_of(y) * (value - y.zero_point) as f32;
    let input = vec![
        writer.real(node, 0),
        writer.extents(&node.name, "pads", &amounts),
        writer.floats(&node.name, "value", &[], &[border]),
    ];
    let real = writer.compute(node, "Pad", input, Vec::new());
    store_whole(writer, node, real);
}

fn store_whole(writer: &mut Writer<'_>, node: &QNode, real: String) {
    let (lo, hi) = writer.result(node).dtype.range();
    writer.store(node, real, Bounds { lo, hi });
}
