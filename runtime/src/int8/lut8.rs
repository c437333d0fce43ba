//! Any unary function of an int8 value, by table.

use super::Target;
use crate::QTensor;

/// `y = table[x + 128]`.
pub(crate) fn lut8(x: &QTensor, table: &[i8], target: &Target) -> QTensor {
    target.fill_flat(|i| i32::from(table[(x.get(i) + 128) as usize]))
}
