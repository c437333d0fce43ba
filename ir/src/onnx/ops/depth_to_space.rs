//! DepthToSpace and SpaceToDepth: blocks of pixels become channels and back, as a transpose between two reshapes.

use super::{Constraint, OpSpec};
use crate::graph::Op;
use crate::onnx::error::NodeError;
use crate::onnx::node::{Imported, NodeCtx};

const IMAGE: Constraint = Constraint {
    text: "the input has 4 axes `[n, c, h, w]`",
    suggestion: "",
    violation: |node| Ok(node.other_rank(0, 4)),
};

/// DepthToSpace.
pub(super) const DEPTH_TO_SPACE: OpSpec = OpSpec {
    name: "DepthToSpace",
    versions: &[1, 11, 13],
    attributes: &["blocksize", "mode"],
    constraints: &[IMAGE],
    fold: None,
    import: Some(depth_to_space),
};

/// SpaceToDepth.
pub(super) const SPACE_TO_DEPTH: OpSpec = OpSpec {
    name: "SpaceToDepth",
    versions: &[1, 13],
    attributes: &["blocksize"],
    constraints: &[IMAGE],
    fold: None,
    import: Some(space_to_depth),
};

/// The extents `[n, c, h, w]` and the block, which must divide what `divided` picks.
fn extents(
    node: &NodeCtx<'_>,
    divided: fn([usize; 4], usize) -> bool,
) -> Result<([usize; 4], usize), NodeError> {
    let shape = node.shape(0)?;
    let &[n, c, h, w] = shape.as_slice() else {
        return Err(NodeError::Rank { found: shape.len(), most: 4 });
    };
    let block = node.attributes().int("blocksize")?;
    let block = block.ok_or(NodeError::MissingAttribute("blocksize"))?;
    let fits = |&b: &usize| b > 0 && b <= c.max(h).max(w) && divided([n, c, h, w], b);
    let known = usize::try_from(block).ok().filter(fits);
    let found = format!("{block} for shape {shape:?}");
    let wrong = NodeError::AttributeValue {
        attribute: "blocksize",
        found,
        expected: "a block that divides the extents it rearranges",
    };
    known.map(|block| ([n, c, h, w], block)).ok_or(wrong)
}

/// Reshape to `split`, transpose by `perm`, reshape to `joined`.
fn rearrange(
    node: &mut NodeCtx<'_>,
    split: Vec<usize>,
    perm: Vec<usize>,
    joined: Vec<usize>,
) -> Imported {
    let input = node.operand(0)?;
    let split = node.intermediate("split", Op::Reshape, vec![input], Some(split))?;
    let turned = node.intermediate("turned", Op::Transpose { perm }, vec![split], None)?;
    node.emit_shaped(Op::Reshape, vec![turned], Some(joined))
}

fn depth_to_space(node: &mut NodeCtx<'_>) -> Imported {
    // A block is at most an extent, so its square does not overflow where it divides the channels.
    let divided =
        |[_, c, _, _]: [usize; 4], b: usize| c.is_multiple_of(b) && (c / b).is_multiple_of(b);
    let ([n, c, h, w], b) = extents(node, divided)?;
    let depth = c / b / b;
    let joined = vec![n, depth, h * b, w * b];
    match node.attributes().string("mode")?.as_deref() {
        None | Some("DCR") => {
            rearrange(node, vec![n, b, b, depth, h, w], vec![0, 3, 4, 1, 5, 2], joined)
        }
        Some("CRD") => rearrange(node, vec![n, depth, b, b, h, w], vec![0, 1, 4, 2, 5, 3], joined),
        Some(other) => Err(NodeError::AttributeValue {
            attribute: "mode",
            found: format!("`{other}`"),
            expected: "DCR or CRD",
        }
        .into()),
    }
}

fn space_to_depth(node: &mut NodeCtx<'_>) -> Imported {
    let divided = |[_, _, h, w]: [usize; 4], b: usize| h.is_multiple_of(b) && w.is_multiple_of(b);
    let ([n, c, h, w], b) = extents(node, divided)?;
    let split = vec![n, c, h / b, b, w / b, b];
    rearrange(node, split, vec![0, 3, 5, 1, 2, 4], vec![n, c * b * b, h / b, w / b])
}
