//! Addition, multiplication, extrema, rescaling, leaky ReLUs, tables and softmax.

use ir::qgraph::{Bounds, Hwc, QOp, ValueId};
use isa::access::Pages;
use isa::instructions::{VpuAdd, VpuLut, VpuMax, VpuMul, VpuPrelu, VpuScale, VpuSoftmax};
use isa::program::Note;

use super::context::{Computed, Context, Tile, check_quant1, operand_a, operand_b, result};
use super::finding::{Problem, expect};
use super::interpolate::{Wanted, interpolate};
use super::memory::Region;

/// A word's tile must have the extents of its note, in whole blocks.
fn extents(
    context: &Context<'_>,
    tile: &Tile,
    th: u32,
    tw: u32,
    blocks: u32,
) -> Result<(), Problem> {
    let lanes = context.memory.lanes();
    expect("th", th, tile.extent[0] as i64)?;
    expect("tw", tw, tile.extent[1] as i64)?;
    expect("blocks", blocks, tile.extent[2].div_ceil(lanes) as i64)?;
    expect("lane of the first channel", (tile.origin[2] % lanes) as i64, 0)
}

/// Demands that an operand holds the elements of a tile, repeated along the axes on which it has extent 1.
fn check(
    context: &Context<'_>,
    name: &'static str,
    value: ValueId,
    tile: &Tile,
    region: &Region,
    one_lane: bool,
) -> Result<(), Problem> {
    let (lanes, shape) = (context.memory.lanes(), context.tensors.shape(value));
    let Hwc { h, w, c } = shape;
    let of = |at: usize, extent: usize| if extent == 1 { 0 } else { at };
    context.width(value, region)?;
    // Of a single channel, lane 0 serves all; where the result has one too, both ways are the same.
    let all = context.tensors.shape(tile.value).c;
    if all > 1 {
        expect("lane_broadcast", one_lane, c == 1)?;
    }
    for plane in 0..context.tensors.planes(value) {
        for block in 0..tile.extent[2].div_ceil(lanes) {
            let n = if c == 1 { 1 } else { lanes.min(tile.extent[2] - block * lanes) };
            for y in 0..tile.extent[0] {
                for x in 0..tile.extent[1] {
                    let at = [
                        of(tile.origin[0] + y, h),
                        of(tile.origin[1] + x, w),
                        of(tile.origin[2] + block * lanes, c),
                    ];
                    let row = region.row(plane, if one_lane { 0 } else { block }, y, x);
                    context.operand(name, row, plane, (value, at, n), || {
                        context.element(tile, y, x, block * lanes)
                    })?;
                }
            }
        }
    }
    Ok(())
}

/// The multipliers of an addition.
pub(super) struct Addends {
    pub a: (ValueId, i32),
    pub b: Option<(ValueId, i32)>,
    pub shift: u8,
}

/// Compares the elementwise registers with an addition.
pub(super) fn check_scale(
    context: &Context<'_>,
    scale: &VpuScale,
    addends: &Addends,
) -> Result<(), Problem> {
    expect("ma", scale.ma, addends.a.1)?;
    expect("za", scale.za, context.value(addends.a.0).zero_point)?;
    expect("mb", scale.mb, addends.b.map_or(0, |(_, m)| m))?;
    if let Some((b, m)) = addends.b
        && m != 0
    {
        expect("zb", scale.zb, context.value(b).zero_point)?;
    }
    expect("shift", scale.shift, addends.shift)
}

fn wrong(node: &Computed<'_>, what: &str) -> Problem {
    Problem::Unnamed(format!("{what}, but its node is `{}`", node.last.op.name()))
}

pub(super) fn add(
    context: &mut Context<'_>,
    pages: &Pages,
    op: &VpuAdd,
    note: &Note,
) -> Result<(), Problem> {
    let (node, tile) = context.named(note)?;
    let (addends, bounds) = match (&node.last.op, &node.last.inputs[..]) {
        (&QOp::Add { ma, mb, shift, bounds }, &[a, b]) => {
            (Addends { a: (a, ma), b: Some((b, mb)), shift }, bounds)
        }
        (&QOp::Rescale { m, shift, bounds }, &[a]) => {
            (Addends { a: (a, m), b: None, shift }, bounds)
        }
        (QOp::Interpolate { axis, points, shift, bounds }, &[input]) => {
            let (axis, shift, bounds) = (*axis, *shift, *bounds);
            let wanted = Wanted { input, axis, points, shift, bounds };
            return interpolate(context, pages, op, &tile, &wanted);
        }
        _ => return Err(wrong(&node, "a sum")),
    };
    extents(context, &tile, op.th, op.tw, op.blocks)?;
    let scale = pages.vpu_scale(op.page)?;
    check_scale(context, scale, &addends)?;
    check_quant1(pages.vpu_quant(op.page)?, context.value(tile.value).zero_point, &bounds)?;
    let a = operand_a(op.a, pages.vpu_in(op.page)?);
    check(context, "a", addends.a.0, &tile, &a, false)?;
    if scale.mb != 0
        && let Some((value, _)) = addends.b
    {
        let regs = pages.vpu_side(op.page)?;
        check(context, "b", value, &tile, &operand_b(op.b, regs), regs.lane_broadcast)?;
    }
    context.write(&tile, &result(op.dst, pages.vpu_out(op.page)?), 0)
}

/// What a product and an extremum share: two operands with their zero points, each where its first row says, and the saturation of set 1.
fn pair(
    context: &Context<'_>,
    pages: &Pages,
    page: u32,
    [(a, a_row), (b, b_row)]: [(ValueId, u32); 2],
    tile: &Tile,
    bounds: &Bounds,
) -> Result<(), Problem> {
    let (scale, regs) = (pages.vpu_scale(page)?, pages.vpu_side(page)?);
    expect("za", scale.za, context.value(a).zero_point)?;
    expect("zb", scale.zb, context.value(b).zero_point)?;
    check_quant1(pages.vpu_quant(page)?, context.value(tile.value).zero_point, bounds)?;
    check(context, "a", a, tile, &operand_a(a_row, pages.vpu_in(page)?), false)?;
    check(context, "b", b, tile, &operand_b(b_row, regs), regs.lane_broadcast)
}

pub(super) fn mul(
    context: &mut Context<'_>,
    pages: &Pages,
    op: &VpuMul,
    note: &Note,
) -> Result<(), Problem> {
    let (node, tile) = context.named(note)?;
    let (&QOp::Mul { requant, bounds }, &[a, b]) = (&node.last.op, &node.last.inputs[..]) else {
        return Err(wrong(&node, "a product"));
    };
    extents(context, &tile, op.th, op.tw, op.blocks)?;
    let scale = pages.vpu_scale(op.page)?;
    expect("multiplier", scale.ma, requant.multiplier)?;
    expect("shift", scale.shift, requant.shift)?;
    pair(context, pages, op.page, [(a, op.a), (b, op.b)], &tile, &bounds)?;
    context.write(&tile, &result(op.dst, pages.vpu_out(op.page)?), 0)
}

pub(super) fn max(
    context: &mut Context<'_>,
    pages: &Pages,
    op: &VpuMax,
    note: &Note,
) -> Result<(), Problem> {
    let (node, tile) = context.named(note)?;
    let (least, ma, mb, shift, bounds) = match node.last.op {
        QOp::Max { ma, mb, shift, bounds } => (false, ma, mb, shift, bounds),
        QOp::Min { ma, mb, shift, bounds } => (true, ma, mb, shift, bounds),
        _ => return Err(wrong(&node, "a maximum or minimum")),
    };
    let &[a, b] = &node.last.inputs[..] else {
        return Err(wrong(&node, "a maximum or minimum"));
    };
    extents(context, &tile, op.th, op.tw, op.blocks)?;
    expect("least", op.least, least)?;
    let scale = pages.vpu_scale(op.page)?;
    expect("ma", scale.ma, ma)?;
    expect("mb", scale.mb, mb)?;
    expect("shift", scale.shift, shift)?;
    pair(context, pages, op.page, [(a, op.a), (b, op.b)], &tile, &bounds)?;
    context.write(&tile, &result(op.dst, pages.vpu_out(op.page)?), 0)
}

pub(super) fn prelu(
    context: &mut Context<'_>,
    pages: &Pages,
    op: &VpuPrelu,
    note: &Note,
) -> Result<(), Problem> {
    let (node, tile) = context.named(note)?;
    let (QOp::PRelu { requant, negative, bounds }, &[a]) = (&node.last.op, &node.last.inputs[..])
    else {
        return Err(wrong(&node, "a leaky ReLU"));
    };
    extents(context, &tile, op.th, op.tw, op.blocks)?;
    expect("za", pages.vpu_scale(op.page)?.za, context.value(a).zero_point)?;
    check_quant1(pages.vpu_quant(op.page)?, context.value(tile.value).zero_point, bounds)?;
    for c in 0..tile.extent[2] {
        let channel = tile.origin[2] + c;
        let below = i64::from(negative[channel]);
        context.param(op.slot, op.base as usize + c, Some(below), requant[channel])?;
    }
    check(context, "a", a, &tile, &operand_a(op.a, pages.vpu_in(op.page)?), false)?;
    context.write(&tile, &result(op.dst, pages.vpu_out(op.page)?), 0)
}

pub(super) fn lut(
    context: &mut Context<'_>,
    pages: &Pages,
    op: &VpuLut,
    note: &Note,
) -> Result<(), Problem> {
    let (node, tile) = context.named(note)?;
    let (bytes, a): (Vec<u8>, _) = match (&node.last.op, &node.last.inputs[..]) {
        (QOp::Lut8 { table }, &[a]) => (table.iter().map(|v| v.cast_unsigned()).collect(), a),
        (QOp::Lut16 { nodes }, &[a]) => (nodes.iter().flat_map(|v| v.to_le_bytes()).collect(), a),
        _ => return Err(wrong(&node, "a table's results")),
    };
    extents(context, &tile, op.th, op.tw, op.blocks)?;
    check_table(context, op.slot, &bytes)?;
    check(context, "a", a, &tile, &operand_a(op.a, pages.vpu_in(op.page)?), false)?;
    context.write(&tile, &result(op.dst, pages.vpu_out(op.page)?), 0)
}

pub(super) fn softmax(
    context: &mut Context<'_>,
    pages: &Pages,
    op: &VpuSoftmax,
    note: &Note,
) -> Result<(), Problem> {
    let (node, tile) = context.named(note)?;
    let (QOp::Softmax { exp }, &[a]) = (&node.last.op, &node.last.inputs[..]) else {
        return Err(wrong(&node, "a softmax"));
    };
    let all = context.tensors.shape(a).c;
    expect("channels", op.channels, all as i64)?;
    extents(context, &tile, op.th, op.tw, all.div_ceil(context.memory.lanes()) as u32)?;
    let bytes: Vec<u8> = exp.iter().flat_map(|v| v.to_le_bytes()).collect();
    check_table(context, op.slot, &bytes)?;
    check(context, "a", a, &tile, &operand_a(op.a, pages.vpu_in(op.page)?), false)?;
    context.write(&tile, &result(op.dst, pages.vpu_out(op.page)?), 0)
}

fn check_table(context: &Context<'_>, slot: u32, wanted: &[u8]) -> Result<(), Problem> {
    if context.memory.table(slot).get(..wanted.len()) == Some(wanted) {
        Ok(())
    } else {
        Err(Problem::Table { slot })
    }
}
