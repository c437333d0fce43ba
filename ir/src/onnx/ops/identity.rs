//! Identity: another name for the same value.

use super::OpSpec;
use crate::onnx::node::{Imported, NodeCtx};

/// Identity.
pub(super) const IDENTITY: OpSpec = OpSpec {
    name: "Identity",
    versions: &[1, 13, 14, 16, 19, 21, 23, 24, 25],
    attributes: &[],
    constraints: &[],
    fold: Some(forward),
    import: Some(forward),
};

fn forward(node: &mut NodeCtx<'_>) -> Imported {
    node.forward(0)
}
