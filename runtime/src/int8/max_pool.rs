//! Maximum over a window.

use ir::qgraph::Window;

use super::Target;
use super::window::{tap_column, tap_row};
use crate::QTensor;

/// Largest stored integer under each window; padding never wins, as only taps inside the input are looked at.
pub(crate) fn max_pool(x: &QTensor, window: &Window, target: &Target) -> QTensor {
    let input = x.shape;
    target.fill(|oy, ox, c| {
        let mut best = i32::MIN;
        for ky in 0..window.kernel[0] {
            for kx in 0..window.kernel[1] {
                let row = tap_row(window, oy, ky, input.h);
                let column = tap_column(window, ox, kx, input.w);
                if let (Some(y), Some(x_)) = (row, column) {
                    best = best.max(x.at(y, x_, c));
                }
            }
        }
        best
    })
}
