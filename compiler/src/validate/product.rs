//! What the array sums: a convolution's constant weights, or a second computed operand in their place.

use std::ops::Range;

use ir::qgraph::{Bounds, QNode, QOp, QWeights, ValueId, Window};
use isa::instructions::MxuConv;
use isa::numerics::Requant;

use super::context::{Context, Tile};
use super::finding::{Problem, expect};
use super::tags::constant;

/// A node of the array.
#[derive(Clone, Copy)]
pub(super) enum ArrayNode<'a> {
    /// Convolution.
    Conv {
        weights: &'a QWeights,
        bias: &'a [i64],
        requant: &'a [Requant],
        window: &'a Window,
        groups: usize,
        bounds: Bounds,
    },
    /// Product with the computed operand `b` over `terms` channels.
    Product { b: ValueId, terms: usize, requant: Requant, bounds: Bounds },
}

impl<'a> ArrayNode<'a> {
    pub(super) fn new(context: &Context<'_>, node: &'a QNode) -> Result<ArrayNode<'a>, Problem> {
        match (&node.op, &node.inputs[..]) {
            (QOp::Conv { weights, bias, requant, window, groups, bounds }, [_]) => {
                let (groups, bounds) = (*groups, *bounds);
                Ok(ArrayNode::Conv { weights, bias, requant, window, groups, bounds })
            }
            (&QOp::MatMul { requant, bounds }, &[_, b]) => {
                Ok(ArrayNode::Product { b, terms: context.tensors.shape(b).c, requant, bounds })
            }
            _ => Err(Problem::Unnamed("sums of no convolution or product".into())),
        }
    }

    /// Geometry of the taps.
    pub(super) fn window(&self) -> Window {
        match *self {
            ArrayNode::Conv { window, .. } => *window,
            ArrayNode::Product { .. } => {
                Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad: [0; 4] }
            }
        }
    }

    /// Whether two weights share a byte.
    pub(super) fn is_packed(&self) -> bool {
        matches!(self, ArrayNode::Conv { weights, .. } if weights.bits <= 4)
    }

    /// Input channels that a channel of the result sums.
    pub(super) fn terms(&self, channel: usize) -> Range<usize> {
        match *self {
            ArrayNode::Conv { weights, groups, .. } => {
                let first = channel / (weights.oc / groups).max(1) * weights.ic;
                first..first + weights.ic
            }
            ArrayNode::Product { terms, .. } => 0..terms,
        }
    }

    /// Bias and multiplier of a channel of the result.
    pub(super) fn entry(&self, channel: usize) -> (i64, Requant) {
        match *self {
            ArrayNode::Conv { bias, requant, .. } => (bias[channel], requant[channel]),
            ArrayNode::Product { requant, .. } => (0, requant),
        }
    }

    /// Saturation.
    pub(super) fn bounds(&self) -> Bounds {
        match *self {
            ArrayNode::Conv { bounds, .. } | ArrayNode::Product { bounds, .. } => bounds,
        }
    }
}

/// Demands that the rows which a pass over the channel blocks from `start` on takes for weights are those of `b`, with zeros in the lanes
/// behind the last channel.
pub(super) fn columns(
    context: &Context<'_>,
    op: &MxuConv,
    tile: &Tile,
    b: ValueId,
    start: usize,
) -> Result<(), Problem> {
    let (lanes, shape) = (context.memory.lanes(), context.tensors.shape(b));
    if shape.h > 1 {
        // Other rows of the result have other columns.
        expect("th", op.th, 1)?;
    }
    let h = if shape.h == 1 { 0 } else { tile.origin[0] };
    let mut row = op.wgt as usize;
    for block in start..start + op.blocks as usize {
        let n = lanes.min(shape.c.saturating_sub(block * lanes));
        for j in tile.origin[2]..tile.origin[2] + tile.extent[2] {
            let at = (b, [h, j, block * lanes], n);
            let element = || context.element(tile, 0, 0, j - tile.origin[2]);
            if n > 0 {
                context.operand("b", row, 0, at, element)?;
            }
            let behind = context.memory.row(row).iter().skip(n);
            if let Some(&tag) = behind.into_iter().find(|&&tag| tag != constant(0)) {
                let (found, input) = (context.tensors.describe(tag), block * lanes + n);
                let (channel, ky, kx, expected) = (j, 0, 0, 0);
                return Err(Problem::Weight { channel, ky, kx, input, found, expected });
            }
            row += 1;
        }
    }
    Ok(())
}
