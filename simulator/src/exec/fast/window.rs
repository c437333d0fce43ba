//! Depthwise convolution and pooling, a scratchpad row at a time.

use std::ops::Range;

use isa::access::Pages;
use isa::instructions::{VpuDepthwise, VpuPool};
use isa::numerics::requantize;
use kernels::{Accumulate, PackedDepthwise, Rows, Sums, qs8_depthwise};

use super::requant::Requantizer;
use super::taps::TapRows;
use super::{BUFFER, SAFE_PRODUCTS, Scratch, rows};
use crate::exec::Trap;
use crate::exec::region::Region;
use crate::exec::window::axes;
use crate::memory::Memory;

/// A depthwise convolution with its registers.
struct Depthwise<'a> {
    op: &'a VpuDepthwise,
    rows: TapRows,
    operand: Region,
    result: Region,
    pad: i32,
    weights: u32,
}

pub(in super::super) fn depthwise(
    op: &VpuDepthwise,
    pages: &Pages,
    memory: &mut Memory,
    scratch: &mut Scratch,
) -> Result<(), Trap> {
    let (regs, kernel, quant) =
        (pages.vpu_in(op.page)?, pages.vpu_kernel(op.page)?, pages.vpu_quant(op.page)?);
    let operand = Region::operand(op.a, regs);
    let unit = Depthwise {
        op,
        rows: TapRows::new(&axes([op.iy0, op.ix0], [op.th, op.tw], kernel, regs), &operand),
        operand,
        result: Region::result(op.dst, pages.vpu_out(op.page)?),
        pad: kernel.pad,
        weights: kernel.weights,
    };
    let (pixels, lanes) = (op.th * op.tw, memory.lanes() as usize);
    let taps = unit.rows.count() as usize;
    let step = u32::try_from(BUFFER / taps.max(lanes)).unwrap_or(1).max(1);
    let exact = memory.hardware.acc_bits <= 32 || taps <= SAFE_PRODUCTS;
    for block in 0..op.blocks {
        let first = op.base as usize + block as usize * lanes;
        let entries = memory.params[op.slot as usize][first..first + lanes].to_vec();
        let requantizer = Requantizer::new(&entries, quant, &memory.hardware);
        for first in (0..pixels).step_by(step as usize) {
            let pixels = first..pixels.min(first + step);
            if unit.operand.plane_stride.is_none() && exact {
                unit.multiply(block, pixels.clone(), memory, scratch);
            } else {
                unit.multiply_wide(block, pixels.clone(), memory, scratch);
            }
            unit.requantize(block, pixels, &requantizer, memory, scratch);
        }
    }
    Ok(())
}

impl Depthwise<'_> {
    /// Visits the row of the operand in `block` under every tap of output `pixel`; `None` is padding.
    fn for_each_tap(&self, block: u32, pixel: u32, mut visit: impl FnMut(Option<u32>)) {
        let stride = self.operand.block_stride;
        self.rows.for_each(pixel, 0..self.rows.count(), |row| {
            visit(row.map(|row| row + block * stride))
        });
    }

    /// First byte of the weights of a block.
    fn weights_start(&self, block: u32, memory: &Memory) -> usize {
        memory.row_start(self.weights + block * self.rows.count())
    }

    /// Sums `[pixel][lane]` by the kernel, to `scratch.sums`.
    fn multiply(&self, block: u32, pixels: Range<u32>, memory: &mut Memory, scratch: &mut Scratch) {
        let (lanes, taps) = (memory.lanes(), self.rows.count() as usize);
        let pad_start = memory.fill_padding(self.pad);
        let rows = pixels.len();
        scratch.offsets.clear();
        for pixel in pixels {
            self.for_each_tap(block, pixel, |row| {
                scratch.offsets.push(row.map_or(pad_start, |row| row * lanes));
            });
        }
        let lanes = lanes as usize;
        let start = self.weights_start(block, memory);
        let weights = PackedDepthwise::new(&memory.spad[start..start + taps * lanes], taps, lanes);
        scratch.sums.clear();
        scratch.sums.resize(rows * lanes, 0);
        let left = Rows::segmented(&memory.spad, &scratch.offsets, taps, lanes);
        let mut sums = Sums::new(&mut scratch.sums, [rows, lanes], lanes, Accumulate::Replace);
        qs8_depthwise(&left, &weights, &mut sums);
        scratch.wide_sums.clear();
    }

    /// Sums `[pixel][lane]` in 64 bits, to `scratch.wide_sums`.
    fn multiply_wide(
        &self,
        block: u32,
        pixels: Range<u32>,
        memory: &Memory,
        scratch: &mut Scratch,
    ) {
        let lanes = memory.lanes() as usize;
        let weights = self.weights_start(block, memory);
        scratch.sums.clear();
        scratch.wide_sums.clear();
        for pixel in pixels {
            let first = scratch.wide_sums.len();
            scratch.wide_sums.resize(first + lanes, 0);
            let sums = &mut scratch.wide_sums[first..];
            let mut weights = memory.spad[weights..].chunks_exact(lanes);
            self.for_each_tap(block, pixel, |row| {
                let weights = weights.next().unwrap_or_default();
                for ((lane, sum), &weight) in (0..).zip(sums.iter_mut()).zip(weights) {
                    let value = row.map_or(self.pad, |row| memory.peek(&self.operand, row, lane));
                    *sum += i64::from(value) * i64::from(weight);
                }
            });
        }
    }

    /// Requantizes whichever sums there are and writes the results.
    fn requantize(
        &self,
        block: u32,
        pixels: Range<u32>,
        requantizer: &Requantizer<'_>,
        memory: &mut Memory,
        scratch: &mut Scratch,
    ) {
        let lanes = memory.lanes() as usize;
        let row = |pixel| self.result.row(block, pixel / self.op.tw, pixel % self.op.tw);
        let narrow = requantizer.has_kernel() && self.result.plane_stride.is_none();
        if narrow && scratch.wide_sums.is_empty() {
            requantizer.int8(&scratch.sums, &mut scratch.bytes);
            for (pixel, values) in pixels.zip(scratch.bytes.chunks_exact(lanes)) {
                let start = memory.row_start(row(pixel));
                memory.spad[start..start + lanes].copy_from_slice(values);
            }
            return;
        }
        scratch.wide_sums.extend(scratch.sums.iter().map(|&sum| i64::from(sum)));
        for (pixel, sums) in pixels.zip(scratch.wide_sums.chunks_exact(lanes)) {
            for (lane, &sum) in sums.iter().enumerate() {
                memory.set_element(
                    &self.result,
                    row(pixel),
                    lane as u32,
                    requantizer.one(sum, lane),
                );
            }
        }
    }
}

pub(in super::super) fn pool(
    op: &VpuPool,
    pages: &Pages,
    memory: &mut Memory,
    scratch: &mut Scratch,
) -> Result<(), Trap> {
    let (regs, kernel) = (pages.vpu_in(op.page)?, pages.vpu_kernel(op.page)?);
    let operand = Region::operand(op.a, regs);
    let result = Region::result(op.dst, pages.vpu_out(op.page)?);
    let rows = TapRows::new(&axes([op.iy0, op.ix0], [op.th, op.tw], kernel, regs), &operand);
    let bytes = !op.average && operand.plane_stride.is_none() && result.plane_stride.is_none();
    for block in 0..op.blocks {
        for pixel in 0..op.th * op.tw {
            let window = &mut scratch.offsets;
            window.clear();
            rows.for_each(pixel, 0..rows.count(), |row| {
                window.extend(row.map(|row| row + block * operand.block_stride));
            });
            let to = result.row(block, pixel / op.tw, pixel % op.tw);
            if bytes {
                maximum(window, memory, &mut scratch.bytes);
                let start = memory.row_start(to);
                memory.spad[start..start + scratch.bytes.len()].copy_from_slice(&scratch.bytes);
                continue;
            }
            let values = &mut scratch.wide_sums;
            if op.average {
                average(op, pages, window, &operand, memory, values)?;
            } else {
                reduce(window, &operand, memory, values, i64::MIN, i64::max);
            }
            for (lane, &value) in (0..).zip(values.iter()) {
                // A maximum of elements or a saturated result.
                memory.set_element(&result, to, lane, value as i32);
            }
        }
    }
    Ok(())
}

/// Largest byte of each lane over the rows of a window.
fn maximum(window: &[u32], memory: &Memory, out: &mut Vec<i8>) {
    out.clear();
    out.resize(memory.lanes() as usize, i8::MIN);
    for &row in window {
        for (best, &byte) in out.iter_mut().zip(rows::bytes(memory, row, 1)) {
            *best = byte.max(*best);
        }
    }
}

/// Combines the elements of each lane over the rows of a window.
fn reduce(
    window: &[u32],
    operand: &Region,
    memory: &Memory,
    out: &mut Vec<i64>,
    start: i64,
    combine: impl Fn(i64, i64) -> i64,
) {
    out.clear();
    out.resize(memory.lanes() as usize, start);
    for &row in window {
        let high = rows::bytes(memory, row, 1);
        match operand.plane_stride {
            None => {
                for (value, &byte) in out.iter_mut().zip(high) {
                    *value = combine(*value, byte.into());
                }
            }
            Some(plane) => {
                for ((value, &high), &low) in
                    out.iter_mut().zip(high).zip(rows::bytes(memory, row + plane, 1))
                {
                    *value = combine(
                        *value,
                        (i32::from(high) << 8 | i32::from(low.cast_unsigned())).into(),
                    );
                }
            }
        }
    }
}

/// Requantized sums of each lane.
fn average(
    op: &VpuPool,
    pages: &Pages,
    window: &[u32],
    operand: &Region,
    memory: &Memory,
    out: &mut Vec<i64>,
) -> Result<(), Trap> {
    let (kernel, quant) = (pages.vpu_kernel(op.page)?, pages.vpu_quant(op.page)?);
    let start = -i64::from(kernel.pad) * window.len() as i64;
    reduce(window, operand, memory, out, start, |sum, value| sum + value);
    let at = op.base as usize + if kernel.by_count { window.len() - 1 } else { 0 };
    let requant = memory.params[op.slot as usize][at].requant;
    let mode = memory.hardware.rounding;
    for value in out.iter_mut() {
        *value = requantize(*value, requant, quant.zero0, quant.lo0, quant.hi0, mode).into();
    }
    Ok(())
}
