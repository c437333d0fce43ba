//! Product of two tensors.

use isa::numerics::{MulParams, mul as mul_one};

use super::Target;
use super::broadcast::broadcast;
use crate::QTensor;

/// `y = clamp(RQ((a - Za) * (b - Zb)) + Zy)`; `b` is repeated along every axis where its extent is 1.
pub(crate) fn mul(a: &QTensor, b: &QTensor, params: &MulParams, target: &Target) -> QTensor {
    broadcast(a, b, target, |a, b| mul_one(a, b, params, target.rounding))
}
