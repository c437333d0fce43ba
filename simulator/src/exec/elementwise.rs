//! Reference for additions, products, extrema and leaky ReLUs.

use isa::access::Pages;
use isa::instructions::{VpuAdd, VpuMax, VpuMul, VpuPrelu, VpuQuant, VpuScale};
use isa::numerics::param::ParamEntry;
use isa::numerics::{self, MulParams, PReluParams, Requant};

use crate::memory::Memory;

use super::Trap;
use super::drain::add_params;
use super::region::Region;

/// The multiplication that the registers describe, saturating by set 1.
pub(super) fn mul_params(scale: &VpuScale, quant: &VpuQuant) -> MulParams {
    let requant = Requant {
        multiplier: scale.ma.unsigned_abs(),
        shift: u8::try_from(scale.shift).unwrap_or(u8::MAX),
    };
    MulParams { requant, za: scale.za, zb: scale.zb, zy: quant.zero1, lo: quant.lo1, hi: quant.hi1 }
}

/// The leaky ReLU of one channel, saturating by set 1.
pub(super) fn prelu_params(entry: &ParamEntry, scale: &VpuScale, quant: &VpuQuant) -> PReluParams {
    PReluParams {
        positive: entry.requant.multiplier,
        negative: entry.bias,
        shift: entry.requant.shift,
        za: scale.za,
        zy: quant.zero1,
        lo: quant.lo1,
        hi: quant.hi1,
    }
}

/// The second operand of a pair.
enum Operand {
    Stored(Region),
    Constant(i32),
}

/// Sets every element of `result`, `[blocks, th, tw]` pixels of all lanes, to `value` of those of `a` and `b` in its place.
fn pairwise(
    memory: &mut Memory,
    [blocks, th, tw]: [u32; 3],
    (a, b, result): (Region, Operand, Region),
    value: impl Fn(i32, i32) -> i32,
) {
    for block in 0..blocks {
        for y in 0..th {
            for x in 0..tw {
                for lane in 0..memory.lanes() {
                    let left = memory.element(&a, a.row(block, y, x), lane);
                    let right = match &b {
                        Operand::Stored(b) => memory.element(b, b.row(block, y, x), b.lane(lane)),
                        Operand::Constant(value) => *value,
                    };
                    memory.set_element(&result, result.row(block, y, x), lane, value(left, right));
                }
            }
        }
    }
}

pub(super) fn add(op: &VpuAdd, pages: &Pages, memory: &mut Memory) -> Result<(), Trap> {
    let params = add_params(pages.vpu_scale(op.page)?, pages.vpu_quant(op.page)?);
    let a = Region::operand(op.a, pages.vpu_in(op.page)?);
    let b = match params.mb {
        0 => Operand::Constant(params.zb),
        _ => Operand::Stored(Region::side(op.b, pages.vpu_side(op.page)?)),
    };
    let result = Region::result(op.dst, pages.vpu_out(op.page)?);
    let mode = memory.hardware.rounding;
    let sum = |left, right| numerics::add(left, right, &params, mode);
    pairwise(memory, [op.blocks, op.th, op.tw], (a, b, result), sum);
    Ok(())
}

pub(super) fn mul(op: &VpuMul, pages: &Pages, memory: &mut Memory) -> Result<(), Trap> {
    let params = mul_params(pages.vpu_scale(op.page)?, pages.vpu_quant(op.page)?);
    let a = Region::operand(op.a, pages.vpu_in(op.page)?);
    let b = Region::side(op.b, pages.vpu_side(op.page)?);
    let result = Region::result(op.dst, pages.vpu_out(op.page)?);
    let mode = memory.hardware.rounding;
    let product = |left, right| numerics::mul(left, right, &params, mode);
    pairwise(memory, [op.blocks, op.th, op.tw], (a, Operand::Stored(b), result), product);
    Ok(())
}

pub(super) fn max(op: &VpuMax, pages: &Pages, memory: &mut Memory) -> Result<(), Trap> {
    let params = add_params(pages.vpu_scale(op.page)?, pages.vpu_quant(op.page)?);
    let a = Region::operand(op.a, pages.vpu_in(op.page)?);
    let b = Region::side(op.b, pages.vpu_side(op.page)?);
    let result = Region::result(op.dst, pages.vpu_out(op.page)?);
    let mode = memory.hardware.rounding;
    let extremum = if op.least { numerics::min } else { numerics::max };
    let value = |left, right| extremum(left, right, &params, mode);
    pairwise(memory, [op.blocks, op.th, op.tw], (a, Operand::Stored(b), result), value);
    Ok(())
}

pub(super) fn prelu(op: &VpuPrelu, pages: &Pages, memory: &mut Memory) -> Result<(), Trap> {
    let (scale, quant) = (pages.vpu_scale(op.page)?, pages.vpu_quant(op.page)?);
    let a = Region::operand(op.a, pages.vpu_in(op.page)?);
    let result = Region::result(op.dst, pages.vpu_out(op.page)?);
    let (mode, lanes) = (memory.hardware.rounding, memory.lanes());
    for block in 0..op.blocks {
        for y in 0..op.th {
            for x in 0..op.tw {
                for lane in 0..lanes {
                    let entry = memory.param(op.slot, op.base + block * lanes + lane);
                    let value = memory.element(&a, a.row(block, y, x), lane);
                    let value = numerics::prelu(value, &prelu_params(&entry, scale, quant), mode);
                    memory.set_element(&result, result.row(block, y, x), lane, value);
                }
            }
        }
    }
    Ok(())
}
