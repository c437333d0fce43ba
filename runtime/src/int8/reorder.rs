//! Index permutation: transposes, channel shuffles, depth-to-space, and reshapes across `[h, w, c]`.

use super::Target;
use crate::QTensor;

/// The operand's elements seen as `dims`, transposed by `perm`, seen as the result's `[h, w, c]`.
///
/// Result position `(p_0, p_1, ...)` over extents `dims[perm[0]], dims[perm[1]], ...` reads the operand at
/// `sum p_i * stride(perm[i])`.
pub(crate) fn reorder(x: &QTensor, dims: &[usize], perm: &[usize], target: &Target) -> QTensor {
    let mut strides = vec![1; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis] * dims[axis];
    }
    target.fill_flat(|i| {
        let mut rest = i;
        let mut source = 0;
        for &axis in perm.iter().rev() {
            source += rest % dims[axis] * strides[axis];
            rest /= dims[axis];
        }
        x.get(source)
    })
}
