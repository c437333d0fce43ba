//! Convolutions and dense layers.

use isa::numerics::Requant;

use super::scales::{factor, operand_scale, weight_scale};
use super::writer::{Writer, scale_of};
use crate::onnx::proto::DataType;
use crate::onnx::write::{int, ints, window_attributes};
use crate::qgraph::{Bounds, QNode, QWeights, Window};

/// Constants of a convolution.
pub(super) struct Layer<'a> {
    pub(super) weights: &'a QWeights,
    pub(super) bias: &'a [i64],
    pub(super) requant: &'a [Requant],
    pub(super) window: &'a Window,
    pub(super) groups: usize,
}

/// Conv with dequantized weights and bias. Weights of fewer than 8 bits are written as int8 too: their values are the same.
pub(super) fn conv(
    writer: &mut Writer<'_>,
    node: &QNode,
    layer: &Layer<'_>,
    bounds: Bounds,
) -> Result<(), String> {
    let (x, y) = (writer.operand(node, 0), writer.result(node));
    let (sx, sy) = (scale_of(x), scale_of(y));
    let scales = (layer.requant.iter().enumerate())
        .map(|(c, &requant)| {
            weight_scale(factor(requant), sx, sy).ok_or_else(|| {
                format!("the weight scale of output channel {c} is outside the range of float32")
            })
        })
        .collect::<Result<Vec<f32>, String>>()?;
    let bias = unfolded_bias(layer, x.zero_point)?;

    let input = writer.real(node, 0);
    let QWeights { oc, kernel: [kh, kw], ic, .. } = *layer.weights;
    let constants = [
        (
            "weights",
            DataType::Int8,
            vec![oc, ic, kh, kw],
            channels_first(layer.weights),
            scales.clone(),
        ),
        (
            "bias",
            DataType::Int32,
            vec![oc],
            bias.iter().flat_map(|b| b.to_le_bytes()).collect(),
            scales.iter().map(|w| sx * w).collect(),
        ),
    ];
    let [weights, bias] = constants.map(|(what, data_type, shape, bytes, scale)| {
        dequantized(writer, node, what, data_type, &shape, bytes, &scale)
    });
    let mut attributes = window_attributes(layer.window);
    attributes.push(int("group", layer.groups));
    let real = writer.compute(node, "Conv", vec![input, weights, bias], attributes);
    writer.store(node, real, bounds);
    Ok(())
}

/// MatMul of two dequantized operands, heads (h) first; a coarse multiplier goes into the scale of the first one.
pub(super) fn matmul(
    writer: &mut Writer<'_>,
    node: &QNode,
    requant: Requant,
    bounds: Bounds,
) -> Result<(), String> {
    let [a, b] = [0, 1].map(|index| scale_of(writer.operand(node, index)));
    let unit = f64::from(scale_of(writer.result(node))) / f64::from(b);
    let wanted = factor(requant);
    let scale = operand_scale(wanted, wanted, a, unit);
    if !scale.is_finite() {
        return Err("its multiplier is outside the range of float32".to_owned());
    }
    let real = [writer.real_at(node, 0, scale), writer.real(node, 1)];
    // From `[1, c, h, w]` to `[1, h, w, c]`, and for the second operand `[1, h, c, w]`.
    let [a, b] = [[0, 2, 3, 1], [0, 2, 1, 3]].map(|perm| vec![ints("perm", &perm)]);
    let [x, w] = real;
    let x = writer.helper(&node.name, "rows", "Transpose", vec![x], a);
    let w = writer.helper(&node.name, "columns", "Transpose", vec![w], b);
    let product = writer.compute(node, "MatMul", vec![x, w], Vec::new());
    let back = vec![ints("perm", &[0, 3, 1, 2])];
    let planes = writer.helper(&node.name, "planes", "Transpose", vec![product], back);
    writer.store(node, planes, bounds);
    Ok(())
}

/// The bias without the input's zero point: `b = B' + Zx * sum w`, which undoes (N4) of `docs/numerics.md` exactly.
fn unfolded_bias(layer: &Layer<'_>, zero_point: i32) -> Result<Vec<i32>, String> {
    let taps = layer.weights.data.len() / layer.weights.oc;
    let rows = layer.weights.data.chunks_exact(taps);
    (rows.zip(layer.bias).enumerate())
        .map(|(c, (row, &folded))| {
            let sum: i64 = row.iter().map(|&w| i64::from(w)).sum();
            let bias = i128::from(folded) + i128::from(zero_point) * i128::from(sum);
            i32::try_from(bias).map_err(|_| {
                format!("the bias of output channel {c} is {bias}, which does not fit 32 bits")
            })
        })
        .collect()
}

/// `[oc, kh, kw, ic]` as `[oc, ic, kh, kw]`.
fn channels_first(weights: &QWeights) -> Vec<u8> {
    let QWeights { oc, kernel: [kh, kw], ic, ref data, .. } = *weights;
    let taps = kh * kw;
    let kernel = |o: usize| {
        (0..ic).flat_map(move |i| {
            (0..taps).map(move |t| data[(o * taps + t) * ic + i].cast_unsigned())
        })
    };
    (0..oc).flat_map(kernel).collect()
}

/// A constant behind a DequantizeLinear: one scale per output channel, or a single one if all agree. The zero points, all
/// zero, are written out: a transformation of ONNX Runtime puts a scalar in the place of absent ones and then refuses it.
fn dequantized(
    writer: &mut Writer<'_>,
    node: &QNode,
    what: &str,
    data_type: DataType,
    shape: &[usize],
    bytes: Vec<u8>,
    scale: &[f32],
) -> String {
    let element_bytes = bytes.len() / shape.iter().product::<usize>();
    let (extents, scale) = match scale {
        [first, rest @ ..] if rest.iter().all(|s| s == first) => (vec![], &scale[..1]),
        _ => (vec![scale.len()], scale),
    };
    let zeros = vec![0; scale.len() * element_bytes];
    let name = |part: &str| format!("{what}/{part}");
    let input = vec![
        writer.constant(&node.name, &name("stored"), data_type, shape, bytes),
        writer.floats(&node.name, &name("scale"), &extents, scale),
        writer.constant(&node.name, &name("zero_point"), data_type, &extents, zeros),
    ];
    let axis = (!extents.is_empty()).then(|| int("axis", 0)).into_iter().collect();
    writer.helper(&node.name, what, "DequantizeLinear", input, axis)
}
