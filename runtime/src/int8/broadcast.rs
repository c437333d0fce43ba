//! Which elements meet in an operator of two tensors.

use super::Target;
use crate::QTensor;

/// Element by element `element(a, b)`; `b` is repeated along every axis where its extent is 1.
pub(crate) fn broadcast(
    a: &QTensor,
    b: &QTensor,
    target: &Target,
    element: impl Fn(i32, i32) -> i32,
) -> QTensor {
    let repeated = |position: usize, extent: usize| if extent == 1 { 0 } else { position };
    target.fill(|y, x, c| {
        let of_b = b.at(repeated(y, b.shape.h), repeated(x, b.shape.w), repeated(c, b.shape.c));
        element(a.at(y, x, c), of_b)
    })
}
