//! Reference for draining accumulators.

use isa::access::Pages;
use isa::instructions::{VpuDrain, VpuQuant, VpuScale};
use isa::numerics::{self, AddParams, requantize};

use crate::memory::Memory;

use super::region::Region;
use super::{Trap, checked};

/// The addition that the registers describe, saturating by set 1.
pub(super) fn add_params(scale: &VpuScale, quant: &VpuQuant) -> AddParams {
    AddParams {
        ma: scale.ma,
        mb: scale.mb,
        shift: u8::try_from(scale.shift).unwrap_or(u8::MAX),
        za: scale.za,
        zb: scale.zb,
        zy: quant.zero1,
        lo: quant.lo1,
        hi: quant.hi1,
    }
}

/// The addition of a drain, with operand `b` if it is read.
pub(super) fn addition(
    op: &VpuDrain,
    pages: &Pages,
) -> Result<Option<(AddParams, Option<Region>)>, Trap> {
    if !op.add {
        return Ok(None);
    }
    let add = add_params(pages.vpu_scale(op.page)?, pages.vpu_quant(op.page)?);
    let side = if add.mb == 0 { None } else { Some(Region::side(op.b, pages.vpu_side(op.page)?)) };
    Ok(Some((add, side)))
}

pub(super) fn drain(op: &VpuDrain, pages: &Pages, memory: &mut Memory) -> Result<(), Trap> {
    let quant = pages.vpu_quant(op.page)?;
    let result = Region::result(op.dst, pages.vpu_out(op.page)?);
    let addition = addition(op, pages)?;
    let (mode, lanes) = (memory.hardware.rounding, memory.lanes());
    for y in 0..op.th {
        for x in 0..op.tw {
            for j in 0..op.cols {
                let entry = memory.param(op.slot, op.base + j);
                let sum = memory.sum(op.bank, op.acc + y * op.tw + x, j);
                let sum = checked(sum.saturating_add(entry.bias), memory)?;
                let mut value =
                    requantize(sum, entry.requant, quant.zero0, quant.lo0, quant.hi0, mode);
                let (block, lane) = ((op.lane + j) / lanes, (op.lane + j) % lanes);
                if let Some((add, side)) = &addition {
                    let b = match side {
                        Some(side) => memory.element(side, side.row(block, y, x), side.lane(lane)),
                        None => add.zb,
                    };
                    value = numerics::add(value, b, add, mode);
                }
                memory.set_element(&result, result.row(block, y, x), lane, value);
            }
        }
    }
    Ok(())
}
