//! Product of two computed tensors.

use ir::qgraph::Bounds;
use isa::numerics::{Requant, requantize};

use super::Target;
use crate::QTensor;

/// `y[h, i, j] = clamp(RQ(sum over k of a[h, i, k] * b[h, j, k]) + Zy)`; one row of matrices in `b` serves all of `a`.
pub(crate) fn matmul(
    a: &QTensor,
    b: &QTensor,
    requant: Requant,
    bounds: Bounds,
    target: &Target,
) -> QTensor {
    target.fill(|h, i, j| {
        let from = if b.shape.h == 1 { 0 } else { h };
        let products =
            (0..a.shape.c).map(|k| i64::from(a.at(h, i, k)) * i64::from(b.at(from, j, k)));
        let Bounds { lo, hi } = bounds;
        requantize(products.sum(), requant, target.zero_point, lo, hi, target.rounding)
    })
}
