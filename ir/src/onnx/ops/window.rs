//! Attributes that convolutions and pools share: kernel, strides, dilations and the forms of padding.

use super::Constraint;
use crate::graph::Window;
use crate::infer::{ShapeError, window_extents};
use crate::onnx::error::NodeError;
use crate::onnx::node::NodeCtx;

/// The input must be an image.
pub(super) const IMAGE: Constraint = Constraint {
    text: "the input has 4 axes `[n, c, h, w]`",
    suggestion: "write a one-dimensional operator as a two-dimensional one of height 1",
    violation: |node| Ok(node.other_rank(0, 4)),
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

/// Reads the attributes for an input `[n, c, h, w]`. `kernel` is what the weights say, for convolutions.
pub(super) fn resolve(
    node: &NodeCtx<'_>,
    input: &[usize],
    kernel: Option<[usize; 2]>,
) -> Result<Resolved, NodeError> {
    let &[_, _, h, w] = input else {
        return Err(ShapeError::Rank { operand: 0, shape: input.to_vec(), expected: 4 }.into());
    };
    let attributes = node.attributes();
    let pair = |name| {
        Ok::<_, NodeError>(attributes.extents(name, 2)?.map(|values| [values[0], values[1]]))
    };
    let written = pair("kernel_shape")?;
    let kernel = match (written, kernel) {
        (Some(written), Some(weights)) if written != weights => {
            return Err(NodeError::AttributeValue {
                attribute: "kernel_shape",
                found: format!("{written:?}"),
                expected: "the kernel of the weights",
            });
        }
        (written, weights) => {
            written.or(weights).ok_or(NodeError::MissingAttribute("kernel_shape"))?
        }
    };
    let stride = pair("strides")?.unwrap_or([1, 1]);
    let dilation = pair("dilations")?.unwrap_or([1, 1]);
    let unpadded = Window { kernel, stride, dilation, pad: [0; 4] };
    let ceil = attributes.flag("ceil_mode", false)?;
    let mode = attributes.string("auto_pad")?.unwrap_or_else(|| "NOTSET".to_owned());
    let (pad, ceil) = match mode.as_str() {
        "NOTSET" => {
            let pads = attributes.extents("pads", 4)?.unwrap_or_else(|| vec![0; 4]);
            ([pads[0], pads[1], pads[2], pads[3]], ceil)
        }
        "VALID" => ([0; 4], ceil),
        "SAME_UPPER" | "SAME_LOWER" => (same_pads(&unpadded, [h, w], mode == "SAME_UPPER")?, false),
        _ => {
            return Err(NodeError::AttributeValue {
                attribute: "auto_pad",
                found: format!("`{mode}`"),
                expected: "NOTSET, SAME_UPPER, SAME_LOWER or VALID",
            });
        }
    };
    let window = Window { pad, ..unpadded };
    let extents = window_extents(&window, [h, w], ceil)?;
    Ok(Resolved { window, extents })
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
