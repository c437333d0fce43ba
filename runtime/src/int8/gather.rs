//! Elements picked by one index list per axis.

use ir::qgraph::Indices;

use super::Target;
use crate::QTensor;

/// The element at `(y, x, c)` is the operand's at `(indices[0][y], indices[1][x], indices[2][c])`; stored integers pass
/// unchanged.
pub(crate) fn gather(x: &QTensor, indices: &[Indices; 3], target: &Target) -> QTensor {
    let [rows, columns, channels]: [Vec<usize>; 3] =
        [0, 1, 2].map(|axis| indices[axis].iter().collect());
    target.fill(|y, x_, c| x.at(rows[y], columns[x_], channels[c]))
}
