//! Accesses of the systolic array.

use crate::hardware::Hardware;
use crate::instructions::MxuConv;

use super::{Access, AccessError, Pages, Space, Stream, Strided, WindowAxis, expect, positive};

pub(super) fn conv(
    op: &MxuConv,
    pages: &Pages,
    hardware: &Hardware,
) -> Result<Vec<Access>, AccessError> {
    let kernel = pages.mxu_kernel(op.page)?;
    let input = pages.mxu_input(op.page)?;
    positive([
        ("th", op.th),
        ("tw", op.tw),
        ("blocks", op.blocks),
        ("mxu.kernel kh", kernel.kh),
        ("mxu.kernel kw", kernel.kw),
        ("mxu.kernel sy", kernel.sy),
        ("mxu.kernel sx", kernel.sx),
        ("mxu.kernel dy", kernel.dy),
        ("mxu.kernel dx", kernel.dx),
        ("mxu.input h", input.h),
        ("mxu.input w", input.w),
    ])?;
    expect("mxu.kernel cols", kernel.cols, 1, hardware.array_cols)?;
    if !kernel.wide {
        expect("mxu.kernel pad", kernel.pad, -128, 127)?;
    }
    let mut accesses = Vec::with_capacity(4);
    let (oy, kh, h) = (op.iy0, kernel.kh, input.h);
    let y = WindowAxis {
        origin: oy,
        tile: op.th,
        step: kernel.sy,
        kernel: kh,
        dilation: kernel.dy,
        extent: h,
    };
    let (ox, kw, w) = (op.ix0, kernel.kw, input.w);
    let x = WindowAxis {
        origin: ox,
        tile: op.tw,
        step: kernel.sx,
        kernel: kw,
        dilation: kernel.dx,
        extent: w,
    };
    if let (Some((y, height)), Some((x, width))) = (y.clipped(), x.clipped()) {
        let first = i64::from(op.act) + i64::from(y) * i64::from(input.row_stride) + i64::from(x);
        let rows = Strided::run(first, width.into())
            .repeat(height, input.row_stride.into())
            .repeat(op.blocks, input.block_stride.into())
            .repeat(if kernel.wide { 2 } else { 1 }, input.plane_stride.into());
        accesses.push(Access::read(Stream::MxuAct, Space::Spad, rows));
    }
    let fold_blocks = if kernel.nibbles { op.blocks.div_ceil(2) } else { op.blocks };
    let weight_rows =
        i64::from(kernel.kh * kernel.kw) * i64::from(fold_blocks) * i64::from(kernel.cols);
    accesses.push(Access::read(
        Stream::MxuWeights,
        Space::Spad,
        Strided::run(op.wgt.into(), weight_rows),
    ));
    let sums = Strided::run(op.acc.into(), i64::from(op.th) * i64::from(op.tw));
    if op.add {
        accesses.push(Access::read(Stream::MxuSums, Space::Acc(op.bank), sums));
    }
    accesses.push(Access::write(Stream::MxuSums, Space::Acc(op.bank), sums));
    Ok(accesses)
}
