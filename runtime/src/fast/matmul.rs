//! Products of two computed tensors: one matrix product for each row of matrices, the second operand packed on the way.

use ir::qgraph::Bounds;
use isa::numerics::{Requant, requantize};
use kernels::{Accumulate, PackedWeights, Rows, Sums, qs8_gemm, qs16_gemm};

use super::scratch::Scratch;
use super::stored::{Stored, Sum};
use crate::int8::Target;
use crate::{QData, QTensor};

/// Computes the node into `out`.
pub(super) fn matmul<T: Stored>(
    inputs: &[&QTensor],
    requant: Requant,
    bounds: Bounds,
    target: &Target,
    scratch: &mut Scratch,
    out: &mut [T],
) {
    let &[a, QTensor { shape: b_shape, data: QData::I8(b) }] = inputs else {
        unreachable!("the check before the run proved two operands, the second one of int8");
    };
    let (depth, columns) = (a.shape.c, target.shape.c);
    let matrix = |h: usize| {
        let first = if b_shape.h == 1 { 0 } else { h * columns * depth };
        &b[first..first + columns * depth]
    };
    let shape = [a.shape.w, columns];
    let finish = |sum: i64| {
        let y = requantize(sum, requant, target.zero_point, bounds.lo, bounds.hi, target.rounding);
        T::narrow(y)
    };
    for (h, out) in out.chunks_exact_mut(a.shape.w * columns).enumerate() {
        let rows = h * a.shape.w * depth..(h + 1) * a.shape.w * depth;
        match &a.data {
            QData::I8(data) => {
                let rows = Rows::dense(&data[rows], a.shape.w, depth, depth);
                let weights = PackedWeights::segmented(matrix(h), columns, 1, depth);
                summed(scratch, out, finish, |sums: &mut [i32]| {
                    qs8_gemm(
                        &rows,
                        &weights,
                        &mut Sums::new(sums, shape, columns, Accumulate::Replace),
                    );
                });
            }
            QData::I16(data) => {
                let rows = Rows::dense(&data[rows], a.shape.w, depth, depth);
                summed(scratch, out, finish, |sums: &mut [i64]| {
                    qs16_gemm(
                        &rows,
                        matrix(h),
                        &mut Sums::new(sums, shape, columns, Accumulate::Replace),
                    );
                });
            }
        }
    }
}

/// One matrix of results from its sums.
fn summed<S: Sum, T: Stored>(
    scratch: &mut Scratch,
    out: &mut [T],
    finish: impl Fn(i64) -> T,
    sum: impl FnOnce(&mut [S]),
) {
    let sums = S::buffer(scratch);
    sums.resize(sums.len().max(out.len()), S::default());
    sum(&mut sums[..out.len()]);
    for (out, &sum) in out.iter_mut().zip(&sums[..]) {
        *out = finish(sum.into());
    }
}
