//! Larger or smaller one of two tensors.

use isa::numerics::{AddParams, Rounding};

use super::Target;
use super::broadcast::broadcast;
use crate::QTensor;

/// `y = clamp(round(max((a - Za) * ma, (b - Zb) * mb) / 2^shift) + Zy)`, or with the minimum, as `choose` says; `b` is repeated
/// along every axis where its extent is 1.
pub(crate) fn extremum(
    a: &QTensor,
    b: &QTensor,
    choose: fn(i32, i32, &AddParams, Rounding) -> i32,
    params: &AddParams,
    target: &Target,
) -> QTensor {
    broadcast(a, b, target, |a, b| choose(a, b, params, target.rounding))
}
