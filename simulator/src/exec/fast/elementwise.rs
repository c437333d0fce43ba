//! Additions, products, extrema, leaky ReLUs and tables, an image row at a time.

use isa::access::Pages;
use isa::instructions::{VpuAdd, VpuLut, VpuMax, VpuMul, VpuPrelu};
use isa::numerics::{self, AddParams, LUT16_NODES, PReluParams, Rounding, lut16};
use kernels::{AddConstants, qs8_add};

use super::{Scratch, rows};
use crate::exec::Trap;
use crate::exec::drain::add_params;
use crate::exec::elementwise::{mul_params, prelu_params};
use crate::exec::region::Region;
use crate::memory::Memory;

/// The constants of the addition kernel, where it applies: everything but the multipliers int8, round half to even.
pub(super) fn add_constants(add: &AddParams, mode: Rounding) -> Option<AddConstants> {
    let bytes = [add.za, add.zb, add.zy, add.lo, add.hi];
    let applies =
        mode == Rounding::HalfEven && bytes.iter().all(|&value| i8::try_from(value).is_ok());
    applies.then_some(AddConstants {
        a_zero: add.za,
        a_multiplier: add.ma,
        b_zero: add.zb,
        b_multiplier: add.mb,
        shift: add.shift,
        zero: add.zy,
        lo: add.lo,
        hi: add.hi,
    })
}

/// Channel blocks, image rows and pixels of an elementwise tile, in order of execution.
#[derive(Clone, Copy)]
struct Tile {
    blocks: u32,
    th: u32,
    tw: u32,
}

impl Tile {
    fn for_each_row(self, mut visit: impl FnMut([u32; 2])) {
        for block in 0..self.blocks {
            for y in 0..self.th {
                visit([block, y]);
            }
        }
    }

    /// `result = f(a, b)`, element by element.
    fn map2(self, [a, b, result]: [&Region; 3], memory: &mut Memory, f: impl Fn(i32, i32) -> i32) {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        self.for_each_row(|place| {
            left.clear();
            right.clear();
            rows::read(memory, a, place, self.tw, &mut left);
            rows::read(memory, b, place, self.tw, &mut right);
            for (left, &right) in left.iter_mut().zip(&right) {
                *left = f(*left, right);
            }
            rows::write(memory, result, place, self.tw, &left);
        });
    }

    /// `result = f(a)`, element by element.
    fn map1(self, [a, result]: [&Region; 2], memory: &mut Memory, f: impl Fn(i32) -> i32) {
        let mut values = Vec::new();
        self.for_each_row(|place| {
            values.clear();
            rows::read(memory, a, place, self.tw, &mut values);
            values.iter_mut().for_each(|value| *value = f(*value));
            rows::write(memory, result, place, self.tw, &values);
        });
    }

    /// `result = f(a)` for an 8-bit operand: 256 calls, then a table.
    fn map_bytes(self, [a, result]: [&Region; 2], memory: &mut Memory, f: impl Fn(i8) -> i32) {
        let table: [i32; 256] = std::array::from_fn(|byte| f((byte as u8).cast_signed()));
        if result.plane_stride.is_some() {
            return self.map1([a, result], memory, |value| {
                table[usize::from((value as i8).cast_unsigned())]
            });
        }
        // The result is within 8 bits.
        let table = table.map(|value| value as i8);
        let mut values = Vec::new();
        self.for_each_row(|[block, y]| {
            let source = rows::bytes(memory, a.row(block, y, 0), self.tw);
            values.clear();
            values.extend(source.iter().map(|byte| table[usize::from(byte.cast_unsigned())]));
            rows::bytes_mut(memory, result.row(block, y, 0), self.tw).copy_from_slice(&values);
        });
    }
}

pub(in super::super) fn add(
    op: &VpuAdd,
    pages: &Pages,
    memory: &mut Memory,
    scratch: &mut Scratch,
) -> Result<(), Trap> {
    let tile = Tile { blocks: op.blocks, th: op.th, tw: op.tw };
    let params = add_params(pages.vpu_scale(op.page)?, pages.vpu_quant(op.page)?);
    let a = Region::operand(op.a, pages.vpu_in(op.page)?);
    let result = Region::result(op.dst, pages.vpu_out(op.page)?);
    let mode = memory.hardware.rounding;
    if params.mb == 0 {
        let rescale = |a| numerics::add(a, params.zb, &params, mode);
        if a.plane_stride.is_none() {
            tile.map_bytes([&a, &result], memory, |a| rescale(a.into()));
        } else {
            tile.map1([&a, &result], memory, rescale);
        }
        return Ok(());
    }
    let b = Region::side(op.b, pages.vpu_side(op.page)?);
    let narrow = [&a, &b, &result].iter().all(|region| region.plane_stride.is_none());
    let constants =
        add_constants(&params, mode).filter(|_| narrow && !b.one_lane && b.x_stride == 1);
    let Some(constants) = constants else {
        tile.map2([&a, &b, &result], memory, |a, b| numerics::add(a, b, &params, mode));
        return Ok(());
    };
    let sums = &mut scratch.bytes;
    tile.for_each_row(|[block, y]| {
        let [left, right] =
            [&a, &b].map(|region| rows::bytes(memory, region.row(block, y, 0), op.tw));
        sums.clear();
        sums.resize(left.len(), 0);
        qs8_add(left, right, &constants, sums);
        rows::bytes_mut(memory, result.row(block, y, 0), op.tw).copy_from_slice(sums);
    });
    Ok(())
}

pub(in super::super) fn mul(op: &VpuMul, pages: &Pages, memory: &mut Memory) -> Result<(), Trap> {
    let tile = Tile { blocks: op.blocks, th: op.th, tw: op.tw };
    let params = mul_params(pages.vpu_scale(op.page)?, pages.vpu_quant(op.page)?);
    let a = Region::operand(op.a, pages.vpu_in(op.page)?);
    let b = Region::side(op.b, pages.vpu_side(op.page)?);
    let result = Region::result(op.dst, pages.vpu_out(op.page)?);
    let mode = memory.hardware.rounding;
    tile.map2([&a, &b, &result], memory, |a, b| numerics::mul(a, b, &params, mode));
    Ok(())
}

pub(in super::super) fn max(op: &VpuMax, pages: &Pages, memory: &mut Memory) -> Result<(), Trap> {
    let tile = Tile { blocks: op.blocks, th: op.th, tw: op.tw };
    let params = add_params(pages.vpu_scale(op.page)?, pages.vpu_quant(op.page)?);
    let a = Region::operand(op.a, pages.vpu_in(op.page)?);
    let b = Region::side(op.b, pages.vpu_side(op.page)?);
    let result = Region::result(op.dst, pages.vpu_out(op.page)?);
    let mode = memory.hardware.rounding;
    let extremum = if op.least { numerics::min } else { numerics::max };
    tile.map2([&a, &b, &result], memory, |a, b| extremum(a, b, &params, mode));
    Ok(())
}

pub(in super::super) fn prelu(
    op: &VpuPrelu,
    pages: &Pages,
    memory: &mut Memory,
) -> Result<(), Trap> {
    let tile = Tile { blocks: op.blocks, th: op.th, tw: op.tw };
    let (scale, quant) = (pages.vpu_scale(op.page)?, pages.vpu_quant(op.page)?);
    let a = Region::operand(op.a, pages.vpu_in(op.page)?);
    let result = Region::result(op.dst, pages.vpu_out(op.page)?);
    let (mode, lanes) = (memory.hardware.rounding, memory.lanes() as usize);
    let first = op.base as usize;
    let entries = &memory.params[op.slot as usize][first..][..op.blocks as usize * lanes];
    let channels: Vec<PReluParams> =
        entries.iter().map(|entry| prelu_params(entry, scale, quant)).collect();
    let mut values = Vec::new();
    tile.for_each_row(|place| {
        values.clear();
        rows::read(memory, &a, place, op.tw, &mut values);
        let channels = &channels[place[0] as usize * lanes..][..lanes];
        for pixel in values.chunks_exact_mut(lanes) {
            for (value, channel) in pixel.iter_mut().zip(channels) {
                *value = numerics::prelu(*value, channel, mode);
            }
        }
        rows::write(memory, &result, place, op.tw, &values);
    });
    Ok(())
}

pub(in super::super) fn lut(op: &VpuLut, pages: &Pages, memory: &mut Memory) -> Result<(), Trap> {
    let tile = Tile { blocks: op.blocks, th: op.th, tw: op.tw };
    let a = Region::operand(op.a, pages.vpu_in(op.page)?);
    let result = Region::result(op.dst, pages.vpu_out(op.page)?);
    let table = &memory.tables[op.slot as usize];
    if a.plane_stride.is_none() {
        let table: Vec<i32> = table[..256].iter().map(|byte| byte.cast_signed().into()).collect();
        tile.map_bytes([&a, &result], memory, |a| {
            table[(i32::from(a) + 128).unsigned_abs() as usize]
        });
    } else {
        let nodes: [i16; LUT16_NODES] =
            std::array::from_fn(|i| i16::from_le_bytes([table[2 * i], table[2 * i + 1]]));
        tile.map1([&a, &result], memory, |a| {
            // An element of a 16-bit tensor.
            lut16(&nodes, a as i16).into()
        });
    }
    Ok(())
}
