//! Depthwise convolution and pooling, a scratchpad row at a time.

use std::ops::Range;

use isa::access::{Pages, WindowAxis};
use isa::instructions::{VpuDepthwise, VpuPool};
use isa::numerics::requantize;
use kernels::{Accumulate, PackedDepthwise, Rows, Sums, qs8_depthwise};

use super::requant::Requantizer;
use super::{BUFFER, SAFE_PRODUCTS, Scratch};
use crate::exec::region::Region;
use crate::exec::window::axes;
use crate::exec::{Trap, tap_position};
use crate::memory::Memory;

/// A depthwise convolution with its registers.
struct Depthwise<'a> {
    op: &'a VpuDepthwise,
    axes: [WindowAxis; 2],
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
    let unit = Depthwise {
        op,
        axes: axes([op.iy0, op.ix0], [op.th, op.tw], kernel, regs),
        operand: Region::operand(op.a, regs),
        result: Region::result(op.dst, pages.vpu_out(op.page)?),
        pad: kernel.pad,
        weights: kernel.weights,
    };
    let (pixels, lanes) = (op.th * op.tw, memory.lanes() as usize);
    let taps = (kernel.kh * kernel.kw) as usize;
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
    fn taps(&self) -> u32 {
        self.axes[0].kernel * self.axes[1].kernel
    }

    /// Row of the operand under tap `tap` of output `pixel`; `None` in the padding.
    fn row(&self, block: u32, pixel: u32, tap: u32) -> Option<u32> {
        let [rows, columns] = &self.axes;
        let y = tap_position(rows, pixel / columns.tile, tap / columns.kernel)?;
        let x = tap_position(columns, pixel % columns.tile, tap % columns.kernel)?;
        Some(self.operand.row(block, y, x))
    }

    /// First byte of the weights of a block.
    fn weights_start(&self, block: u32, memory: &Memory) -> usize {
        memory.row_start(self.weights + block * self.taps())
    }

    /// Sums `[pixel][lane]` by the kernel, to `scratch.sums`.
    fn multiply(&self, block: u32, pixels: Range<u32>, memory: &mut Memory, scratch: &mut Scratch) {
        let (lanes, taps) = (memory.lanes(), self.taps() as usize);
        let pad_start = memory.spad.len() - lanes as usize;
        let [pad, ..] = self.pad.to_le_bytes();
        memory.spad[pad_start..].fill(pad.cast_signed());
        let pad_start = u32::try_from(pad_start).expect("the scratchpad has fewer than 2^32 bytes");
        let rows = pixels.len();
        scratch.offsets.clear();
        for pixel in pixels {
            let offset = |tap| self.row(block, pixel, tap).map_or(pad_start, |row| row * lanes);
            scratch.offsets.extend((0..self.taps()).map(offset));
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
        memory: &mut Memory,
        scratch: &mut Scratch,
    ) {
        let lanes = memory.lanes();
        let weights = self.weights_start(block, memory);
        scratch.sums.clear();
        scratch.wide_sums.clear();
        for pixel in pixels {
            let first = scratch.wide_sums.len();
            scratch.wide_sums.resize(first + lanes as usize, 0);
            let sums = &mut scratch.wide_sums[first..];
            for tap in 0..self.taps() {
                let row = self.row(block, pixel, tap);
                for (lane, sum) in (0..lanes).zip(sums.iter_mut()) {
                    let value =
                        row.map_or(self.pad, |row| memory.element(&self.operand, row, lane));
                    let weight = memory.spad[weights + (tap * lanes + lane) as usize];
                    *sum += i64::from(value) * i64::from(weight);
                }
            }
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
    let axes = axes([op.iy0, op.ix0], [op.th, op.tw], kernel, regs);
    let operand = Region::operand(op.a, regs);
    let result = Region::result(op.dst, pages.vpu_out(op.page)?);
    let bytes = !op.average && operand.plane_stride.is_none() && result.plane_stride.is_none();
    for block in 0..op.blocks {
        for y in 0..op.th {
            for x in 0..op.tw {
                let window = Window { axes: &axes, pixel: [y, x], operand: &operand, block };
                let to = result.row(block, y, x);
                if bytes {
                    window.maximum(memory, &mut scratch.bytes);
                    let start = memory.row_start(to);
                    memory.spad[start..start + scratch.bytes.len()].copy_from_slice(&scratch.bytes);
                    continue;
                }
                if op.average {
                    window.average(op, pages, memory, &mut scratch.wide_sums)?;
                } else {
                    window.reduce(memory, &mut scratch.wide_sums, i64::MIN, i64::max);
                }
                for (lane, &value) in scratch.wide_sums.iter().enumerate() {
                    // A maximum of elements or a saturated result.
                    memory.set_element(&result, to, lane as u32, value as i32);
                }
            }
        }
    }
    Ok(())
}

/// The valid taps of one pooling window.
struct Window<'a> {
    axes: &'a [WindowAxis; 2],
    pixel: [u32; 2],
    operand: &'a Region,
    block: u32,
}

impl Window<'_> {
    /// Rows of the operand.
    fn rows(&self) -> impl Iterator<Item = u32> {
        let [(y, rows), (x, columns)] = [0, 1].map(|i| {
            let axis = &self.axes[i];
            let (first, count) = axis.valid_taps(self.pixel[i]);
            let position = tap_position(axis, self.pixel[i], first).unwrap_or(0);
            (position, (0..count).map(|tap| tap * axis.dilation))
        });
        rows.flat_map(move |dy| {
            columns.clone().map(move |dx| self.operand.row(self.block, y + dy, x + dx))
        })
    }

    /// Number of valid taps.
    fn count(&self) -> u32 {
        self.axes[0].valid_taps(self.pixel[0]).1 * self.axes[1].valid_taps(self.pixel[1]).1
    }

    /// Largest byte of each lane.
    fn maximum(&self, memory: &Memory, out: &mut Vec<i8>) {
        let lanes = memory.lanes() as usize;
        out.clear();
        out.resize(lanes, i8::MIN);
        for row in self.rows() {
            let start = memory.row_start(row);
            for (best, &byte) in out.iter_mut().zip(&memory.spad[start..start + lanes]) {
                *best = byte.max(*best);
            }
        }
    }

    /// Combines the elements of each lane.
    fn reduce(
        &self,
        memory: &mut Memory,
        out: &mut Vec<i64>,
        start: i64,
        combine: impl Fn(i64, i64) -> i64,
    ) {
        out.clear();
        out.resize(memory.lanes() as usize, start);
        for row in self.rows() {
            for (lane, value) in out.iter_mut().enumerate() {
                *value = combine(*value, memory.element(self.operand, row, lane as u32).into());
            }
        }
    }

    fn average(
        &self,
        op: &VpuPool,
        pages: &Pages,
        memory: &mut Memory,
        out: &mut Vec<i64>,
    ) -> Result<(), Trap> {
        let (kernel, quant) = (pages.vpu_kernel(op.page)?, pages.vpu_quant(op.page)?);
        self.reduce(memory, out, -i64::from(kernel.pad) * i64::from(self.count()), |sum, value| {
            sum + value
        });
        let at = op.base + if kernel.by_count { self.count() - 1 } else { 0 };
        let requant = memory.params[op.slot as usize][at as usize].requant;
        let mode = memory.hardware.rounding;
        for value in out.iter_mut() {
            *value = requantize(*value, requant, quant.zero0, quant.lo0, quant.hi0, mode).into();
        }
        Ok(())
    }
}
