//! Any unary function of a stored integer, by table.

use isa::numerics::{LUT16_NODES, lut16 as interpolate};

use super::Target;
use crate::QTensor;

/// `y = table[x + 128]`.
pub(crate) fn lut8(x: &QTensor, table: &[i8], target: &Target) -> QTensor {
    target.fill_flat(|i| i32::from(table[(x.get(i) + 128) as usize]))
}

/// The line between the two of 513 nodes around `x`.
pub(crate) fn lut16(x: &QTensor, nodes: &[i16], target: &Target) -> QTensor {
    let nodes = node_array(nodes);
    target.fill_flat(|i| interpolate(nodes, x.get(i) as i16).into())
}

/// The nodes of a checked graph.
pub(crate) fn node_array(nodes: &[i16]) -> &[i16; LUT16_NODES] {
    nodes.try_into().expect("the check proved that there are 513 nodes")
}
