//! Attributes that convolutions and pools share: kernel, strides, dilations and the forms of padding.

use super::Constraint;
use crate::graph::{Op, ValueId, Window};
use crate::infer::{ShapeError, window_extents};
use crate::onnx::error::NodeError;
use crate::onnx::node::{Imported, NodeCtx};

/// The input must be a sequence or an image.
pub(super) const MAP: Constraint = Constraint {
    text: "the input has 3 axes `[n, c, l]` or 4 axes `[n, c, h, w]`",
    suggestion: "three-dimensional convolutions and pools are not supported",
    violation: |node| {
        let other = node.known_shape(0).filter(|shape| !matches!(shape.len(), 3 | 4));
        Ok(other.map(|shape| format!("shape {shape:?}")))
    },
};

/// Explicit pads and automatic ones exclude each other.
pub(super) const ONE_PADDING: Constraint = Constraint {
    text: "`pads` are absent or 0 where `auto_pad` is given",
    suggestion: "remove one of the two attributes",
    violation: |node| {
        let automatic = node.attributes().string("auto_pad")?.is_some_and(|mode| mode != "NOTSET");
        let pads = node.attributes().ints("pads")?.unwrap_or(&[]);
        let both = automatic && pads.iter().any(|&pad| pad != 0);
        Ok(both.then(|| format!("pads {pads:?}")))
    },
};

/// A resolved window and the extents `[h, w]` of the result.
pub(super) struct Resolved {
    pub(super) window: Window,
    pub(super) extents: [usize; 2],
}

/// Reads the attributes for an input `[n, c, h, w]`, or `[n, c, l]` taken as `[n, c, 1, l]`. `kernel` is what the weights
/// say, for convolutions.
pub(super) fn resolve(
    node: &NodeCtx<'_>,
    input: &[usize],
    kernel: Option<&[usize]>,
) -> Result<Resolved, NodeError> {
    let axes = Axes::of(input)?;
    let attributes = node.attributes();
    let kernel = axes.kernel(node, kernel)?;
    let stride = axes.pair(node, "strides")?.unwrap_or([1, 1]);
    let dilation = axes.pair(node, "dilations")?.unwrap_or([1, 1]);
    let unpadded = Window { kernel, stride, dilation, pad: [0; 4] };
    let ceil = attributes.flag("ceil_mode", false)?;
    let (pad, ceil) = match auto_pad(node)? {
        AutoPad::Off => (axes.pads(node)?, ceil),
        AutoPad::Valid => ([0; 4], ceil),
        AutoPad::Same { upper } => (same_pads(&unpadded, axes.extents, upper)?, false),
    };
    let mut window = Window { pad, ..unpadded };
    let extents = window_extents(&window, axes.extents, ceil)?;
    for axis in [0, 1] {
        if extents[axis] == 1 {
            window.stride[axis] = least_stride(&window, axis, axes.extents[axis], ceil);
        }
    }
    Ok(Resolved { window, extents })
}

/// The smallest stride with which a window that has a single place keeps it: no step is taken, so any would do, but a machine
/// has a largest one. In ceil mode a second place would have to lie behind the input, unless the first reaches all.
fn least_stride(window: &Window, axis: usize, extent: usize, ceil: bool) -> usize {
    let [before, after] = [window.pad[axis], window.pad[axis + 2]];
    let padded = extent + before + after;
    let room = window.reach(axis).map_or(0, |reach| padded.saturating_sub(reach));
    let least = if ceil && room > 0 { extent + before } else { room + 1 };
    window.stride[axis].min(least)
}

/// The spatial axes of an input: one or two, the missing one being a height of 1.
pub(super) struct Axes {
    /// Spatial axes that the file knows.
    count: usize,
    /// `[h, w]`.
    pub(super) extents: [usize; 2],
}

impl Axes {
    /// The axes of an input `[n, c, l]` or `[n, c, h, w]`.
    pub(super) fn of(input: &[usize]) -> Result<Axes, NodeError> {
        match *input {
            [_, _, l] => Ok(Axes { count: 1, extents: [1, l] }),
            [_, _, h, w] => Ok(Axes { count: 2, extents: [h, w] }),
            _ => Err(ShapeError::Rank { operand: 0, shape: input.to_vec(), expected: 4 }.into()),
        }
    }

    /// One entry a spatial axis, as `[y, x]`; an axis that the file does not have gets `missing`.
    fn widened(&self, values: &[usize], missing: usize) -> [usize; 2] {
        match *values {
            [x] => [missing, x],
            [y, x, ..] => [y, x],
            [] => [missing; 2],
        }
    }

    /// An attribute with one entry a spatial axis, where 1 is neutral.
    pub(super) fn pair(
        &self,
        node: &NodeCtx<'_>,
        name: &'static str,
    ) -> Result<Option<[usize; 2]>, NodeError> {
        let values = node.attributes().extents(name, self.count)?;
        Ok(values.map(|values| self.widened(&values, 1)))
    }

    /// An attribute with one entry a spatial axis, where 0 is neutral and the default.
    pub(super) fn amounts(
        &self,
        node: &NodeCtx<'_>,
        name: &'static str,
    ) -> Result<[usize; 2], NodeError> {
        let values = node.attributes().extents(name, self.count)?.unwrap_or_default();
        Ok(self.widened(&values, 0))
    }

    /// The attribute `pads`: top, left, bottom, right.
    pub(super) fn pads(&self, node: &NodeCtx<'_>) -> Result<[usize; 4], NodeError> {
        let pads = node.attributes().extents("pads", 2 * self.count)?.unwrap_or_default();
        let (before, after) = pads.split_at(pads.len() / 2);
        let ([top, left], [bottom, right]) = (self.widened(before, 0), self.widened(after, 0));
        Ok([top, left, bottom, right])
    }

    /// The kernel: of the attribute, of the weights, or of both if they agree.
    pub(super) fn kernel(
        &self,
        node: &NodeCtx<'_>,
        weights: Option<&[usize]>,
    ) -> Result<[usize; 2], NodeError> {
        let written = self.pair(node, "kernel_shape")?;
        match (written, weights.map(|kernel| self.widened(kernel, 1))) {
            (Some(written), Some(weights)) if written != weights => {
                Err(NodeError::AttributeValue {
                    attribute: "kernel_shape",
                    found: format!("{written:?}"),
                    expected: "the kernel of the weights",
                })
            }
            (written, weights) => {
                written.or(weights).ok_or(NodeError::MissingAttribute("kernel_shape"))
            }
        }
    }
}

/// The attribute `auto_pad`.
pub(super) enum AutoPad {
    /// The attribute `pads` counts.
    Off,
    /// No padding.
    Valid,
    /// As much padding as makes the extents follow from the stride alone.
    Same {
        /// An odd element goes behind, not in front.
        upper: bool,
    },
}

/// Reads the attribute `auto_pad`.
pub(super) fn auto_pad(node: &NodeCtx<'_>) -> Result<AutoPad, NodeError> {
    let mode = node.attributes().string("auto_pad")?.unwrap_or_else(|| "NOTSET".to_owned());
    match mode.as_str() {
        "NOTSET" => Ok(AutoPad::Off),
        "VALID" => Ok(AutoPad::Valid),
        "SAME_UPPER" | "SAME_LOWER" => Ok(AutoPad::Same { upper: mode == "SAME_UPPER" }),
        _ => Err(NodeError::AttributeValue {
            attribute: "auto_pad",
            found: format!("`{mode}`"),
            expected: "NOTSET, SAME_UPPER, SAME_LOWER or VALID",
        }),
    }
}

/// Lets the node's result be `op` of `inputs`, the first of which is a map; `extents` are the result's, where the operator
/// keeps the channels and leaves them open. A sequence `[n, c, l]` becomes a map of height 1 in front of the operator, and its result one of three axes again.
pub(super) fn emit_on_map(
    node: &mut NodeCtx<'_>,
    op: Op,
    mut inputs: Vec<ValueId>,
    extents: Option<[usize; 2]>,
) -> Imported {
    let input = node.value_shape(inputs[0]).to_vec();
    let shape = extents.map(|[h, w]| vec![input[0], input[1], h, w]);
    let &[n, c, l] = input.as_slice() else {
        return node.emit_shaped(op, inputs, shape);
    };
    let map = vec![n, c, 1, l];
    inputs[0] = node.intermediate("to_map", Op::Reshape, vec![inputs[0]], Some(map))?;
    node.emit_without_height(op, inputs, shape)
}

/// Padding that makes the result `ceil(extent / stride)`; an odd element goes behind (`upper`) or in front.
fn same_pads(window: &Window, extents: [usize; 2], upper: bool) -> Result<[usize; 4], NodeError> {
    let mut pad = [0; 4];
    for axis in [0, 1] {
        let reach = window.reach(axis).ok_or(ShapeError::TooLarge)?;
        let (extent, stride) = (extents[axis], window.stride[axis]);
        let last_start = (extent.div_ceil(stride) - 1) * stride;
        let total =
            last_start.checked_add(reach).ok_or(ShapeError::TooLarge)?.saturating_sub(extent);
        let small = total / 2;
        (pad[axis], pad[axis + 2]) =
            if upper { (small, total - small) } else { (total - small, small) };
    }
    Ok(pad)
}
