//! Leaky ReLU with a slope per channel.

use ir::qgraph::Bounds;
use isa::numerics::{PReluParams, Requant, prelu as prelu_one};

use super::{Operand, Target};
use crate::QTensor;

/// `y = clamp(round((x - Zx) * (x >= Zx ? M_c : negative[c]) / 2^S_c) + Zy)`.
pub(crate) fn prelu(
    x: Operand<'_>,
    requant: &[Requant],
    negative: &[i32],
    bounds: Bounds,
    target: &Target,
) -> QTensor {
    let channels = channels(x.zero_point, requant, negative, bounds, target);
    let c = target.shape.c;
    target.fill_flat(|i| prelu_one(x.tensor.get(i), &channels[i % c], target.rounding))
}

/// The constants of each channel.
pub(crate) fn channels(
    za: i32,
    requant: &[Requant],
    negative: &[i32],
    Bounds { lo, hi }: Bounds,
    target: &Target,
) -> Vec<PReluParams> {
    let zy = target.zero_point;
    let channel = |(&Requant { multiplier, shift }, &slope): (&Requant, &i32)| PReluParams {
        positive: multiplier,
        negative: slope.into(),
        shift,
        za,
        zy,
        lo,
        hi,
    };
    requant.iter().zip(negative).map(channel).collect()
}
