//! The same real values at another scale, zero point or width.

use isa::numerics::{RescaleParams, rescale as rescale_one};

use super::Target;
use crate::QTensor;

/// `y = clamp(round((x - Zx) * m / 2^shift) + Zy)`, from and to any storage type.
pub(crate) fn rescale(x: &QTensor, params: &RescaleParams, target: &Target) -> QTensor {
    target.fill_flat(|i| rescale_one(x.get(i), params, target.rounding))
}
