//! ConvTranspose, one- and two-dimensional.

use super::conv::groups;
use super::window::{AutoPad, Axes, MAP, ONE_PADDING, auto_pad, emit_on_map};
use super::{Constraint, OpSpec, constant_operand};
use crate::graph::{Op, ValueId, Window};
use crate::infer::ShapeError;
use crate::onnx::error::NodeError;
use crate::onnx::node::{Imported, NodeCtx};
use crate::quantized::Quantized;
use crate::tensor::{Data, Tensor};

/// Largest stride: each step is a phase with a kernel of its own.
const MOST_STRIDE: usize = 64;

/// ConvTranspose.
pub(super) const CONV_TRANSPOSE: OpSpec = OpSpec {
    name: "ConvTranspose",
    versions: &[1, 11, 22],
    attributes: &[
        "auto_pad",
        "dilations",
        "group",
        "kernel_shape",
        "output_padding",
        "output_shape",
        "pads",
        "strides",
    ],
    constraints: &[
        MAP,
        constant_operand::<1>("the weights are constant"),
        constant_operand::<2>("the bias is constant"),
        ONE_PADDING,
        Constraint {
            text: "no stride is above 64",
            suggestion: "",
            violation: |node| {
                let strides = node.attributes().ints("strides")?.unwrap_or(&[]);
                let large = strides.iter().any(|&stride| stride > MOST_STRIDE as i64);
                Ok(large.then(|| format!("{strides:?}")))
            },
        },
    ],
    fold: None,
    import: Some(import),
};

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let (input, weights) = (node.shape(0)?, node.shape(1)?);
    if weights.len() != input.len() {
        return Err(ShapeError::Rank { operand: 1, shape: weights, expected: input.len() }.into());
    }
    let groups = groups(node)?;
    let axes = Axes::of(&input)?;
    let kernel = axes.kernel(node, Some(&weights[2..]))?;
    let stride = axes.pair(node, "strides")?.unwrap_or([1, 1]);
    let dilation = axes.pair(node, "dilations")?.unwrap_or([1, 1]);
    let unpadded = Window { kernel, stride, dilation, pad: [0; 4] };
    let (window, output_padding) = padded(node, &axes, unpadded)?;
    let mut operands = vec![node.operand(0)?, swapped_weights(node, input[1], groups)?];
    if node.has_input(2) {
        operands.push(node.operand(2)?);
    }
    emit_on_map(node, Op::ConvTranspose { window, output_padding, groups }, operands, None)
}

/// The window with its padding, and the output padding. Where the output's extents are given, the padding follows; an odd
/// element goes in front unless `auto_pad` is `SAME_UPPER`, and an output larger than the kernels reach is padded behind.
fn padded(
    node: &NodeCtx<'_>,
    axes: &Axes,
    window: Window,
) -> Result<(Window, [usize; 2]), NodeError> {
    let more = axes.amounts(node, "output_padding")?;
    let automatic = auto_pad(node)?;
    let (extents, upper) = match (axes.pair(node, "output_shape")?, &automatic) {
        (Some(extents), AutoPad::Same { upper: true }) => (extents, true),
        (Some(extents), _) => (extents, false),
        (None, AutoPad::Same { upper }) => {
            let scaled = |axis: usize| axes.extents[axis].checked_mul(window.stride[axis]);
            let extents = scaled(0).zip(scaled(1)).ok_or(ShapeError::TooLarge)?;
            (extents.into(), *upper)
        }
        (None, AutoPad::Off) => return Ok((Window { pad: axes.pads(node)?, ..window }, more)),
        (None, AutoPad::Valid) => return Ok((window, more)),
    };
    let (mut pad, mut output_padding) = ([0; 4], more);
    for axis in [0, 1] {
        let whole = window.transposed_outputs(axis, axes.extents[axis], more[axis]);
        let whole = whole.ok_or(ShapeError::TooLarge)?;
        let total = whole.saturating_sub(extents[axis]);
        output_padding[axis] += extents[axis].saturating_sub(whole);
        let small = total / 2;
        (pad[axis], pad[axis + 2]) =
            if upper { (small, total - small) } else { (total - small, small) };
    }
    Ok((Window { pad, ..window }, output_padding))
}

/// The weights `[c, m/groups, ..]` with the output channels first, as a map kernel.
fn swapped_weights(
    node: &mut NodeCtx<'_>,
    channels: usize,
    groups: usize,
) -> Result<ValueId, NodeError> {
    let shape = node.shape(1)?;
    let [taps_y, taps_x] = match shape[2..] {
        [k] => [1, k],
        [kh, kw] => [kh, kw],
        _ => return Err(ShapeError::Rank { operand: 1, shape, expected: 4 }.into()),
    };
    let (c, m_group) = (shape[0], shape[1]);
    let outputs = m_group.checked_mul(groups).ok_or(ShapeError::TooLarge)?;
    if groups == 0 || c % groups != 0 {
        return Err(ShapeError::Groups { groups, inputs: c, outputs }.into());
    }
    if c != channels {
        let expected = [&[channels], &shape[1..]].concat();
        return Err(ShapeError::Operand { operand: 1, shape, expected }.into());
    }
    let extents = [groups, c / groups, m_group, taps_y * taps_x];
    let shape = vec![outputs, c / groups, taps_y, taps_x];
    let stored = node.required_constant(1)?.quantized();
    let swapped = match stored.and_then(|stored| swapped_integers(stored, extents)) {
        Some(stored) => Tensor::new(shape, Data::Quantized(stored))?,
        None => Tensor::new(shape, Data::F32(swap_channels(&node.floats(1)?, extents)))?,
    };
    Ok(node.new_constant(&format!("{}.swapped", node.proto.input[1]), swapped))
}

/// Stored integers with the channels swapped, if they have one scale, or one for each output channel of a single group.
fn swapped_integers(stored: &Quantized, extents: [usize; 4]) -> Option<Quantized> {
    let [groups, c, m, taps] = extents;
    let inner = match stored.scales().len() {
        1 => 1,
        n if groups == 1 && n == m && stored.inner() == taps => c * taps,
        _ => return None,
    };
    let integers = swap_channels(stored.integers(), extents);
    Quantized::new(integers, stored.scales().to_vec(), inner)
}

/// `[groups, a, b, taps]` as `[groups, b, a, taps]`.
pub(in crate::onnx) fn swap_channels<T: Copy>(
    values: &[T],
    [groups, a, b, taps]: [usize; 4],
) -> Vec<T> {
    let mut swapped = Vec::with_capacity(values.len());
    for group in 0..groups {
        for j in 0..b {
            for i in 0..a {
                let first = ((group * a + i) * b + j) * taps;
                swapped.extend_from_slice(&values[first..first + taps]);
            }
        }
    }
    swapped
}
