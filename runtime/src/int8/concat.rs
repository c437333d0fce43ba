//! Joining tensors along one axis.

use super::Target;
use crate::QTensor;

/// Places the operands one behind the other along `axis` (0 = h, 1 = w, 2 = c); stored integers pass unchanged.
pub(crate) fn concat(operands: &[&QTensor], axis: usize, target: &Target) -> QTensor {
    target.fill(|y, x, c| {
        let mut position = [y, x, c];
        for operand in operands {
            let shape = operand.shape;
            let extent = [shape.h, shape.w, shape.c][axis];
            if position[axis] < extent {
                return operand.at(position[0], position[1], position[2]);
            }
            position[axis] -= extent;
        }
        unreachable!("the check before the run proved that the operands fill the result")
    })
}
