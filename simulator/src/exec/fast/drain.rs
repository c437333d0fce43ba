//! Draining accumulators: one requantization and one addition for the whole tile.

use std::ops::Range;

use isa::access::Pages;
use isa::instructions::VpuDrain;
use isa::numerics::{self, AddParams};
use kernels::qs8_add;

use super::Scratch;
use super::elementwise::add_constants;
use super::requant::Requantizer;
use crate::exec::Trap;
use crate::exec::drain::addition;
use crate::exec::region::Region;
use crate::memory::Memory;

pub(in super::super) fn drain(
    op: &VpuDrain,
    pages: &Pages,
    memory: &mut Memory,
    scratch: &mut Scratch,
) -> Result<(), Trap> {
    let result = Region::result(op.dst, pages.vpu_out(op.page)?);
    let base = op.base as usize;
    let entries = memory.params[op.slot as usize][base..base + op.cols as usize].to_vec();
    let requantizer = Requantizer::new(&entries, pages.vpu_quant(op.page)?, &memory.hardware);
    let addition = addition(op, pages)?;
    let mode = memory.hardware.rounding;
    let narrow = requantizer.has_kernel() && result.plane_stride.is_none();
    match &addition {
        None if narrow => {
            requantize(op, &requantizer, memory, scratch);
            scatter(op, &result, &scratch.bytes, memory);
        }
        Some((add, side)) if narrow && side.is_none_or(|side| side.plane_stride.is_none()) => {
            let Some(constants) = add_constants(add, mode) else {
                one_by_one(op, &result, &requantizer, &addition, memory);
                return Ok(());
            };
            requantize(op, &requantizer, memory, scratch);
            // Without b its zero point stands for it: nothing is added.
            let zero = i8::try_from(add.zb).unwrap_or(0);
            let b = side
                .map_or_else(|| vec![zero; scratch.bytes.len()], |side| gather(op, &side, memory));
            let mut sums = vec![0; b.len()];
            qs8_add(&scratch.bytes, &b, &constants, &mut sums);
            scatter(op, &result, &sums, memory);
        }
        _ => one_by_one(op, &result, &requantizer, &addition, memory),
    }
    Ok(())
}

/// Requantizes the tile's accumulators, `[pixel][column]`, to `scratch.bytes`.
fn requantize(
    op: &VpuDrain,
    requantizer: &Requantizer<'_>,
    memory: &Memory,
    scratch: &mut Scratch,
) {
    let (stride, pixels) = (memory.columns(), (op.th * op.tw) as usize);
    scratch.sums.clear();
    let start = op.acc as usize * stride;
    for row in memory.sums[op.bank as usize][start..].chunks_exact(stride).take(pixels) {
        // Accumulators of at most 32 bits, or there would be no kernel.
        scratch.sums.extend(row[..op.cols as usize].iter().map(|&sum| sum as i32));
    }
    requantizer.int8(&scratch.sums, &mut scratch.bytes);
}

/// Where the columns of one pixel lie: channel block, first lane and columns.
fn spans(op: &VpuDrain, lanes: u32) -> impl Iterator<Item = (u32, usize, Range<usize>)> {
    let last = (op.lane + op.cols - 1) / lanes;
    let (first_lane, cols) = (op.lane, op.cols);
    (0..=last).map(move |block| {
        let from = (block * lanes).max(first_lane);
        let to = ((block + 1) * lanes).min(first_lane + cols);
        (block, (from % lanes) as usize, (from - first_lane) as usize..(to - first_lane) as usize)
    })
}

/// Pixels of the tile with their place in its order.
fn pixels(op: &VpuDrain) -> impl Iterator<Item = (usize, u32, u32)> {
    let (th, tw) = (op.th, op.tw);
    (0..th).flat_map(move |y| (0..tw).map(move |x| ((y * tw + x) as usize, y, x)))
}

/// Writes results `[pixel][column]` to the scratchpad.
fn scatter(op: &VpuDrain, result: &Region, values: &[i8], memory: &mut Memory) {
    let columns = op.cols as usize;
    for (pixel, y, x) in pixels(op) {
        for (block, lane, span) in spans(op, memory.lanes()) {
            let start = memory.row_start(result.row(block, y, x)) + lane;
            let source = &values[pixel * columns..][span];
            memory.spad[start..start + source.len()].copy_from_slice(source);
        }
    }
}

/// Operand `b`, `[pixel][column]`.
fn gather(op: &VpuDrain, side: &Region, memory: &Memory) -> Vec<i8> {
    let columns = op.cols as usize;
    let mut values = vec![0; (op.th * op.tw) as usize * columns];
    for (pixel, y, x) in pixels(op) {
        for (block, lane, span) in spans(op, memory.lanes()) {
            let start = memory.row_start(side.row(block, y, x));
            let target = &mut values[pixel * columns..][span];
            if side.one_lane {
                target.fill(memory.spad[start]);
            } else {
                target.copy_from_slice(&memory.spad[start + lane..][..target.len()]);
            }
        }
    }
    values
}

/// The general case.
fn one_by_one(
    op: &VpuDrain,
    result: &Region,
    requantizer: &Requantizer<'_>,
    addition: &Option<(AddParams, Option<Region>)>,
    memory: &mut Memory,
) {
    let (mode, lanes) = (memory.hardware.rounding, memory.lanes());
    for (pixel, y, x) in pixels(op) {
        let mut values = Vec::with_capacity(op.cols as usize);
        for j in 0..op.cols {
            let sum = memory.sum(op.bank, op.acc + pixel as u32, j);
            let mut value = requantizer.one(sum, j as usize);
            if let Some((add, side)) = addition {
                let (block, lane) = ((op.lane + j) / lanes, (op.lane + j) % lanes);
                let b = match side {
                    Some(side) => memory.element(side, side.row(block, y, x), side.lane(lane)),
                    None => add.zb,
                };
                value = numerics::add(value, b, add, mode);
            }
            values.push(value);
        }
        for (j, value) in (op.lane..).zip(values) {
            memory.set_element(result, result.row(j / lanes, y, x), j % lanes, value);
        }
    }
}
