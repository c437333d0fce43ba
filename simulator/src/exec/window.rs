//! Reference for depthwise convolution and pooling.

use isa::access::{Pages, WindowAxis};
use isa::instructions::{VpuDepthwise, VpuIn, VpuKernel, VpuPool};
use isa::numerics::requantize;

use crate::memory::Memory;

use super::region::Region;
use super::{Trap, checked, tap_position};

/// The two axes of a tile's windows: `origin`, `tile` and the registers.
pub(super) fn axes(
    origin: [i32; 2],
    tile: [u32; 2],
    kernel: &VpuKernel,
    regs: &VpuIn,
) -> [WindowAxis; 2] {
    let &VpuKernel { kh, kw, sy, sx, dy, dx, .. } = kernel;
    [
        WindowAxis {
            origin: origin[0],
            tile: tile[0],
            step: sy,
            kernel: kh,
            dilation: dy,
            extent: regs.h,
        },
        WindowAxis {
            origin: origin[1],
            tile: tile[1],
            step: sx,
            kernel: kw,
            dilation: dx,
            extent: regs.w,
        },
    ]
}

/// Every tap `(ky, kx)` of output pixel `pixel` in order, with its place in the region if it is not in the padding.
fn taps(axes: [WindowAxis; 2], pixel: [u32; 2]) -> impl Iterator<Item = (u32, Option<(u32, u32)>)> {
    let [rows, columns] = axes;
    (0..rows.kernel).flat_map(move |ky| {
        (0..columns.kernel).map(move |kx| {
            let place = tap_position(&rows, pixel[0], ky).zip(tap_position(&columns, pixel[1], kx));
            (ky * columns.kernel + kx, place)
        })
    })
}

pub(super) fn depthwise(op: &VpuDepthwise, pages: &Pages, memory: &mut Memory) -> Result<(), Trap> {
    let (regs, kernel, quant) =
        (pages.vpu_in(op.page)?, pages.vpu_kernel(op.page)?, pages.vpu_quant(op.page)?);
    let axes = axes([op.iy0, op.ix0], [op.th, op.tw], kernel, regs);
    let operand = Region::operand(op.a, regs);
    let result = Region::result(op.dst, pages.vpu_out(op.page)?);
    let (mode, lanes) = (memory.hardware.rounding, memory.lanes());
    for block in 0..op.blocks {
        for y in 0..op.th {
            for x in 0..op.tw {
                for lane in 0..lanes {
                    let entry = memory.param(op.slot, op.base + block * lanes + lane);
                    let mut sum = checked(entry.bias, memory)?;
                    for (tap, place) in taps(axes, [y, x]) {
                        let weights = kernel.weights + block * kernel.kh * kernel.kw + tap;
                        let weight = i64::from(memory.byte(weights, lane));
                        let value = match place {
                            Some((y, x)) => {
                                memory.element(&operand, operand.row(block, y, x), lane)
                            }
                            None => kernel.pad,
                        };
                        sum = checked(sum + i64::from(value) * weight, memory)?;
                    }
                    let value =
                        requantize(sum, entry.requant, quant.zero0, quant.lo0, quant.hi0, mode);
                    memory.set_element(&result, result.row(block, y, x), lane, value);
                }
            }
        }
    }
    Ok(())
}

pub(super) fn pool(op: &VpuPool, pages: &Pages, memory: &mut Memory) -> Result<(), Trap> {
    let (regs, kernel) = (pages.vpu_in(op.page)?, pages.vpu_kernel(op.page)?);
    let axes = axes([op.iy0, op.ix0], [op.th, op.tw], kernel, regs);
    let operand = Region::operand(op.a, regs);
    let result = Region::result(op.dst, pages.vpu_out(op.page)?);
    for block in 0..op.blocks {
        for y in 0..op.th {
            for x in 0..op.tw {
                for lane in 0..memory.lanes() {
                    let mut values = Vec::new();
                    for (y, x) in taps(axes, [y, x]).filter_map(|(_, place)| place) {
                        values.push(memory.element(&operand, operand.row(block, y, x), lane));
                    }
                    let value = if op.average {
                        average(op, pages, &values, memory)?
                    } else {
                        values.into_iter().max().expect("a legal window has a valid tap")
                    };
                    memory.set_element(&result, result.row(block, y, x), lane, value);
                }
            }
        }
    }
    Ok(())
}

fn average(op: &VpuPool, pages: &Pages, values: &[i32], memory: &mut Memory) -> Result<i32, Trap> {
    let (kernel, quant) = (pages.vpu_kernel(op.page)?, pages.vpu_quant(op.page)?);
    let mut sum = 0;
    for &value in values {
        sum = checked(sum + i64::from(value) - i64::from(kernel.pad), memory)?;
    }
    let count = u32::try_from(values.len()).expect("windows have fewer than 2^24 taps");
    let entry = memory.param(op.slot, op.base + if kernel.by_count { count - 1 } else { 0 });
    Ok(requantize(sum, entry.requant, quant.zero0, quant.lo0, quant.hi0, memory.hardware.rounding))
}
