//! Mean over a window.

use ir::qgraph::{Bounds, Window};
use isa::numerics::{Requant, requantize};

use super::window::{tap_column, tap_row};
use super::{Operand, Target};
use crate::QTensor;

/// `y = clamp(RQ_n(sum over valid taps of (x - Zx)) + Zy)`, `n` the number of taps inside the input.
///
/// The division by `n` (or by the whole window, if padding counts) is part of `requant[n - 1]`; a single entry serves
/// every window.
pub(crate) fn average_pool(
    x: Operand<'_>,
    window: &Window,
    requant: &[Requant],
    bounds: Bounds,
    target: &Target,
) -> QTensor {
    let input = x.tensor.shape;
    target.fill(|oy, ox, c| {
        let mut sum = 0_i64;
        let mut taps = 0;
        for ky in 0..window.kernel[0] {
            for kx in 0..window.kernel[1] {
                let row = tap_row(window, oy, ky, input.h);
                let column = tap_column(window, ox, kx, input.w);
                if let (Some(y), Some(x_)) = (row, column) {
                    sum += i64::from(x.tensor.at(y, x_, c) - x.zero_point);
                    taps += 1;
                }
            }
        }
        let entry = if requant.len() == 1 { requant[0] } else { requant[taps - 1] };
        requantize(sum, entry, target.zero_point, bounds.lo, bounds.hi, target.rounding)
    })
}
