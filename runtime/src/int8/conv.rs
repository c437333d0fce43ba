//! Convolution: grouped, depthwise and dense; a dense layer is the 1x1 case.

use ir::qgraph::{Bounds, QWeights, Window};
use isa::numerics::{Requant, requantize};

use super::window::{tap_column, tap_row};
use super::{Operand, Target};
use crate::QTensor;

/// Constants of one convolution, as they stand in the graph.
#[derive(Clone, Copy)]
pub(crate) struct Conv<'g> {
    pub(crate) weights: &'g QWeights,
    pub(crate) bias: &'g [i64],
    pub(crate) requant: &'g [Requant],
    pub(crate) window: &'g Window,
    pub(crate) groups: usize,
    pub(crate) bounds: Bounds,
}

/// `y[oy, ox, o] = clamp(RQ_o(bias[o] + sum over taps and input channels of x * w) + Zy)`, padding taps reading `Zx`.
///
/// `x` are the stored integers: the graph has folded `-Zx * sum w` into the bias, which is exact at borders because
/// padding injects `Zx` and not 0.
pub(crate) fn conv(x: Operand<'_>, conv: &Conv<'_>, target: &Target) -> QTensor {
    let weights = conv.weights;
    let [kh, kw] = weights.kernel;
    let outputs_per_group = weights.oc / conv.groups;
    let input = x.tensor.shape;

    target.fill(|oy, ox, o| {
        let first_channel = o / outputs_per_group * weights.ic;
        let mut acc = conv.bias[o];
        for ky in 0..kh {
            for kx in 0..kw {
                let row = tap_row(conv.window, oy, ky, input.h);
                let column = tap_column(conv.window, ox, kx, input.w);
                for i in 0..weights.ic {
                    let value = match (row, column) {
                        (Some(y), Some(x_)) => x.tensor.at(y, x_, first_channel + i),
                        _ => x.zero_point,
                    };
                    let weight = weights.data[((o * kh + ky) * kw + kx) * weights.ic + i];
                    acc += i64::from(value) * i64::from(weight);
                }
            }
        }
        let Bounds { lo, hi } = conv.bounds;
        requantize(acc, conv.requant[o], target.zero_point, lo, hi, target.rounding)
    })
}
