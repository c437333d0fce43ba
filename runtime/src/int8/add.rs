//! Sum or difference of two tensors.

use isa::numerics::{AddParams, add as add_one};

use super::Target;
use super::broadcast::broadcast;
use crate::QTensor;

/// `y = clamp(round(((a - Za) * ma + (b - Zb) * mb) / 2^shift) + Zy)`, one rounding; `b` is repeated along every axis
/// where its extent is 1.
pub(crate) fn add(a: &QTensor, b: &QTensor, params: &AddParams, target: &Target) -> QTensor {
    broadcast(a, b, target, |a, b| add_one(a, b, params, target.rounding))
}
