//! Constant border.

use super::Target;
use crate::QTensor;

/// The operand with `before[i]` elements of stored integer `value` in front on axis `i` (h, w, c) and as many behind as
/// the result's shape leaves.
pub(crate) fn pad(x: &QTensor, before: [usize; 3], value: i32, target: &Target) -> QTensor {
    let input = x.shape;
    target.fill(|y, x_, c| {
        let inside = |position: usize, before: usize, extent: usize| {
            position.checked_sub(before).filter(|&p| p < extent)
        };
        let row = inside(y, before[0], input.h);
        let column = inside(x_, before[1], input.w);
        let channel = inside(c, before[2], input.c);
        match (row, column, channel) {
            (Some(y), Some(x_), Some(c)) => x.at(y, x_, c),
            _ => value,
        }
    })
}
