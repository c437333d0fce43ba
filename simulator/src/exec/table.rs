//! Reference for lookup tables and softmax.

use isa::access::Pages;
use isa::instructions::{VpuLut, VpuSoftmax};
use isa::numerics::softmax_row;

use crate::memory::Memory;

use super::Trap;
use super::region::Region;

pub(super) fn lut(op: &VpuLut, pages: &Pages, memory: &mut Memory) -> Result<(), Trap> {
    let regs = pages.vpu_in(op.page)?;
    let operand = Region::operand(op.a, regs);
    let result = Region::result(op.dst, pages.vpu_out(op.page)?);
    for block in 0..op.blocks {
        for y in 0..op.th {
            for x in 0..op.tw {
                for lane in 0..memory.lanes() {
                    let a = memory.element(&operand, operand.row(block, y, x), lane);
                    let value = if regs.wide {
                        interpolate(op.slot, a, memory)
                    } else {
                        entry(op.slot, a, memory)
                    };
                    memory.set_element(&result, result.row(block, y, x), lane, value);
                }
            }
        }
    }
    Ok(())
}

/// Entry of an 8-bit operand.
fn entry(slot: u32, a: i32, memory: &mut Memory) -> i32 {
    memory.table_byte(slot, (a + 128).unsigned_abs()).cast_signed().into()
}

/// Interpolation between the two nodes around a 16-bit operand.
fn interpolate(slot: u32, a: i32, memory: &mut Memory) -> i32 {
    let index = ((a >> 7) + 256).unsigned_abs();
    let mut node = |i| {
        i32::from(i16::from_le_bytes([
            memory.table_byte(slot, 2 * i),
            memory.table_byte(slot, 2 * i + 1),
        ]))
    };
    let (left, right) = (node(index), node(index + 1));
    left + (((right - left) * (a & 127) + 64) >> 7)
}

pub(super) fn softmax(op: &VpuSoftmax, pages: &Pages, memory: &mut Memory) -> Result<(), Trap> {
    let operand = Region::operand(op.a, pages.vpu_in(op.page)?);
    let result = Region::result(op.dst, pages.vpu_out(op.page)?);
    let lanes = memory.lanes();
    let mut exp = [0; 256];
    for (d, value) in (0..).zip(&mut exp) {
        *value =
            u32::from_le_bytes([0, 1, 2, 3].map(|byte| memory.table_byte(op.slot, 4 * d + byte)));
    }
    for y in 0..op.th {
        for x in 0..op.tw {
            let mut values = Vec::new();
            for channel in 0..op.channels {
                values.push(memory.byte(operand.row(channel / lanes, y, x), channel % lanes));
            }
            let mut results = vec![0; values.len()];
            softmax_row(&values, &exp, &mut results);
            for (channel, value) in (0..).zip(results) {
                memory.set_byte(result.row(channel / lanes, y, x), channel % lanes, value);
            }
        }
    }
    Ok(())
}
