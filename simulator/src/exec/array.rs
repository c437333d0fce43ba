//! Reference for the systolic array.

use isa::access::WindowAxis;
use isa::instructions::{MxuConv, MxuInput, MxuKernel};

use crate::memory::Memory;

use super::region::Region;
use super::{Trap, checked, tap_position};

/// The two axes of a tile's windows.
pub(super) fn axes(op: &MxuConv, kernel: &MxuKernel, input: &MxuInput) -> [WindowAxis; 2] {
    let &MxuKernel { kh, kw, sy, sx, dy, dx, .. } = kernel;
    [
        WindowAxis {
            origin: op.iy0,
            tile: op.th,
            step: sy,
            kernel: kh,
            dilation: dy,
            extent: input.h,
        },
        WindowAxis {
            origin: op.ix0,
            tile: op.tw,
            step: sx,
            kernel: kw,
            dilation: dx,
            extent: input.w,
        },
    ]
}

/// Sign-extended nibble of a weight byte: the low one for the even input channel, the high one for the odd.
pub(super) fn nibble(byte: i8, channel: u32) -> i8 {
    if channel.is_multiple_of(2) { byte << 4 >> 4 } else { byte >> 4 }
}

pub(super) fn conv(
    op: &MxuConv,
    kernel: &MxuKernel,
    input: &MxuInput,
    memory: &mut Memory,
) -> Result<(), Trap> {
    let unit = Unit {
        op,
        kernel,
        axes: axes(op, kernel, input),
        region: Region::array(op.act, input, kernel.wide),
    };
    for y in 0..op.th {
        for x in 0..op.tw {
            for column in 0..kernel.cols {
                let row = op.acc + y * op.tw + x;
                let start = if op.add { memory.sum(op.bank, row, column) } else { 0 };
                let sum = unit.accumulate([y, x], column, start, memory)?;
                memory.set_sum(op.bank, row, column, sum);
            }
        }
    }
    Ok(())
}

struct Unit<'a> {
    op: &'a MxuConv,
    kernel: &'a MxuKernel,
    axes: [WindowAxis; 2],
    region: Region,
}

impl Unit<'_> {
    /// Adds all folds of one output channel at one pixel to `sum`.
    fn accumulate(
        &self,
        pixel: [u32; 2],
        column: u32,
        mut sum: i64,
        memory: &mut Memory,
    ) -> Result<i64, Trap> {
        let kernel = self.kernel;
        let blocks_per_fold = if kernel.nibbles { 2 } else { 1 };
        let mut fold = 0;
        for block in (0..self.op.blocks).step_by(blocks_per_fold) {
            for ky in 0..kernel.kh {
                for kx in 0..kernel.kw {
                    let weights = self.op.wgt + fold * kernel.cols + column;
                    sum = self.fold(pixel, [ky, kx], block, weights, sum, memory)?;
                    fold += 1;
                }
            }
        }
        Ok(sum)
    }

    /// One fold: the channels of one block, or of two with nibbles, at one tap. 16-bit activations pass twice.
    fn fold(
        &self,
        pixel: [u32; 2],
        tap: [u32; 2],
        block: u32,
        weights: u32,
        mut sum: i64,
        memory: &mut Memory,
    ) -> Result<i64, Trap> {
        let lanes = memory.lanes();
        let [y, x] = [0, 1].map(|axis| tap_position(&self.axes[axis], pixel[axis], tap[axis]));
        let at = y.zip(x);
        for low in if self.kernel.wide { &[false, true][..] } else { &[false] } {
            for k in 0..lanes * if self.kernel.nibbles { 2 } else { 1 } {
                let block = block + k / lanes;
                if block >= self.op.blocks {
                    // An odd last block has no partner.
                    continue;
                }
                let weight = if self.kernel.nibbles {
                    nibble(memory.byte(weights, k / 2), k)
                } else {
                    memory.byte(weights, k)
                };
                let value = match at {
                    Some((y, x)) => {
                        memory.element(&self.region, self.region.row(block, y, x), k % lanes)
                    }
                    None => self.kernel.pad,
                };
                let part = match (self.kernel.wide, low) {
                    (false, _) => value,
                    (true, false) => value & !0xff,
                    (true, true) => value & 0xff,
                };
                sum = checked(sum + i64::from(part) * i64::from(weight), memory)?;
            }
        }
        Ok(sum)
    }
}
