//! Depthwise convolution and pooling.

use ir::qgraph::{QOp, QType, ValueId, Window};
use isa::access::Pages;
use isa::instructions::{VpuDepthwise, VpuIn, VpuKernel, VpuPool};
use isa::program::Note;

use super::array::{Taps, pairs, place};
use super::context::{Context, Tile, check_quant0, operand_a, result};
use super::finding::{Problem, expect};
use super::tags::constant;

/// A word of either kind, as far as they are alike.
struct Words<'a> {
    a: u32,
    tile: [u32; 2],
    origin: [i32; 2],
    blocks: u32,
    regs: &'a VpuIn,
    kernel: &'a VpuKernel,
}

/// Checks geometry and operands. Taps in the padding call `padding`; every pixel then calls `pixel` with the number of its valid taps.
fn check(
    context: &Context<'_>,
    words: &Words<'_>,
    window: &Window,
    input: ValueId,
    tile: &Tile,
    mut padding: impl FnMut() -> Result<(), Problem>,
    mut pixel: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let (lanes, shape) = (context.memory.lanes(), context.tensors.shape(input));
    let Words { kernel, regs, .. } = words;
    expect("kh", kernel.kh, window.kernel[0] as i64)?;
    expect("kw", kernel.kw, window.kernel[1] as i64)?;
    expect("th", words.tile[0], tile.extent[0] as i64)?;
    expect("tw", words.tile[1], tile.extent[1] as i64)?;
    expect("blocks", words.blocks, tile.extent[2].div_ceil(lanes) as i64)?;
    expect("lane of the first channel", (tile.origin[2] % lanes) as i64, 0)?;
    expect("wide", regs.wide, context.value(input).dtype == QType::I16)?;
    let region = operand_a(words.a, regs);
    let rows = Taps::new(window, 0, tile.origin[0], shape.h).beside(
        words.origin[0],
        kernel.sy,
        kernel.dy,
        regs.h,
    );
    let columns = Taps::new(window, 1, tile.origin[1], shape.w).beside(
        words.origin[1],
        kernel.sx,
        kernel.dx,
        regs.w,
    );
    for [y, x] in pairs(tile.extent[0], tile.extent[1]) {
        let mut valid = 0;
        for [ky, kx] in pairs(window.kernel[0], window.kernel[1]) {
            let element = || context.element(tile, y, x, 0);
            let Some(([iy, ix], [ry, rx])) = place((rows.tap(y, ky), columns.tap(x, kx)), element)?
            else {
                padding()?;
                continue;
            };
            valid += 1;
            for block in 0..words.blocks as usize {
                let channel = tile.origin[2] + block * lanes;
                let n = lanes.min(tile.extent[2] - block * lanes);
                for plane in 0..context.tensors.planes(input) {
                    let row = region.row(plane, block, ry, rx);
                    context.operand("x", row, plane, (input, [iy, ix, channel], n), || {
                        context.element(tile, y, x, block * lanes)
                    })?;
                }
            }
        }
        pixel(valid)?;
    }
    Ok(())
}

pub(super) fn depthwise(
    context: &mut Context<'_>,
    pages: &Pages,
    op: &VpuDepthwise,
    note: &Note,
) -> Result<(), Problem> {
    let (node, tile) = context.named(note)?;
    let (QOp::Conv { weights, bias, requant, window, groups, bounds }, &[input]) =
        (&node.last.op, &node.last.inputs[..])
    else {
        return Err(Problem::Unnamed("a depthwise convolution".into()));
    };
    expect("groups", *groups as i64, weights.oc as i64)?;
    expect("input channels of a group", weights.ic as i64, 1)?;
    let (kernel, lanes) = (pages.vpu_kernel(op.page)?, context.memory.lanes());
    let words = Words {
        a: op.a,
        tile: [op.th, op.tw],
        origin: [op.iy0, op.ix0],
        blocks: op.blocks,
        regs: pages.vpu_in(op.page)?,
        kernel,
    };
    let zero_point = context.value(input).zero_point;
    let padding = || expect("pad", kernel.pad, zero_point);
    check(context, &words, window, input, &tile, padding, |_| Ok(()))?;
    let taps = weights.kernel[0] * weights.kernel[1];
    for c in 0..tile.extent[2] {
        let (block, lane, channel) = (c / lanes, c % lanes, tile.origin[2] + c);
        for tap in 0..taps {
            let found = context.memory.get(kernel.weights as usize + block * taps + tap, lane);
            let expected = weights.data[channel * taps + tap];
            if found != constant(expected) {
                return Err(Problem::Weight {
                    channel,
                    ky: tap / weights.kernel[1],
                    kx: tap % weights.kernel[1],
                    input: channel,
                    found: context.tensors.describe(found),
                    expected,
                });
            }
        }
        context.param(op.slot, op.base as usize + c, Some(bias[channel]), requant[channel])?;
    }
    check_quant0(pages.vpu_quant(op.page)?, context.value(tile.value).zero_point, bounds)?;
    context.write(&tile, &result(op.dst, pages.vpu_out(op.page)?), 0)
}

pub(super) fn pool(
    context: &mut Context<'_>,
    pages: &Pages,
    op: &VpuPool,
    note: &Note,
) -> Result<(), Problem> {
    let (node, tile) = context.named(note)?;
    let &[input] = &node.last.inputs[..] else {
        return Err(Problem::Unnamed("a pool of several tensors".into()));
    };
    let kernel = pages.vpu_kernel(op.page)?;
    let words = Words {
        a: op.a,
        tile: [op.th, op.tw],
        origin: [op.iy0, op.ix0],
        blocks: op.blocks,
        regs: pages.vpu_in(op.page)?,
        kernel,
    };
    match &node.last.op {
        QOp::MaxPool { window } => {
            expect("average", op.average, false)?;
            check(context, &words, window, input, &tile, || Ok(()), |_| Ok(()))?;
        }
        QOp::AveragePool { window, requant, bounds } => {
            expect("average", op.average, true)?;
            expect("pad", kernel.pad, context.value(input).zero_point)?;
            let by_count = requant.len() > 1;
            expect("by_count", kernel.by_count, by_count)?;
            let entry = |valid: usize| {
                let index = if by_count { valid - 1 } else { 0 };
                context.param(op.slot, op.base as usize + index, None, requant[index])
            };
            check(context, &words, window, input, &tile, || Ok(()), entry)?;
            check_quant0(pages.vpu_quant(op.page)?, context.value(tile.value).zero_point, bounds)?;
        }
        other => {
            return Err(Problem::Unnamed(format!("a pool, but its node is `{}`", other.name())));
        }
    }
    context.write(&tile, &result(op.dst, pages.vpu_out(op.page)?), 0)
}
