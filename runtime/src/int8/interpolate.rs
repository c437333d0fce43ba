//! Linear interpolation along one axis.

use ir::qgraph::{Bounds, Point};
use isa::numerics::{AddParams, add};

use super::{Operand, Target};
use crate::QTensor;

/// `y[j] = clamp(round(((x[i] - Zx) * (128 - w) + (x[i+1] - Zx) * w) / 2^shift) + Zy)` along `axis` (0 = h, 1 = w), where
/// `(i, w)` is point `j`; `x[i+1]` is not read where `w` is 0.
pub(crate) fn interpolate(
    x: Operand<'_>,
    axis: usize,
    points: &[Point],
    shift: u8,
    bounds: Bounds,
    target: &Target,
) -> QTensor {
    let Operand { tensor, zero_point: zero } = x;
    target.fill(|y, x_, c| {
        let Point { index, weight } = points[if axis == 0 { y } else { x_ }];
        let at = |index: usize| {
            if axis == 0 { tensor.at(index, x_, c) } else { tensor.at(y, index, c) }
        };
        let next = if weight > 0 { at(index + 1) } else { zero };
        let (ma, mb) = (128 - i32::from(weight), i32::from(weight));
        let (za, zb, zy) = (zero, zero, target.zero_point);
        let params = AddParams { ma, mb, shift, za, zb, zy, lo: bounds.lo, hi: bounds.hi };
        add(at(index), next, &params, target.rounding)
    })
}
