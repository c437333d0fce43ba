//! Linear interpolation: additions of neighbouring rows or columns of one tensor.

use ir::qgraph::{Bounds, Point, ValueId};
use isa::access::Pages;
use isa::instructions::VpuAdd;

use super::context::{Context, Tile, check_quant1, operand_a, operand_b, result};
use super::elementwise::{Addends, check_scale};
use super::finding::{Problem, expect};
use super::memory::Region;

/// What an interpolating node wants.
pub(super) struct Wanted<'a> {
    pub input: ValueId,
    pub axis: usize,
    pub points: &'a [Point],
    pub shift: u8,
    pub bounds: Bounds,
}

/// Checks one word. Along w, its rows are columns, and image rows take the place of its channel blocks.
pub(super) fn interpolate(
    context: &mut Context<'_>,
    pages: &Pages,
    op: &VpuAdd,
    tile: &Tile,
    wanted: &Wanted<'_>,
) -> Result<(), Problem> {
    let lanes = context.memory.lanes();
    let [h, w, c] = tile.extent.map(|n| n as i64);
    let blocks = tile.extent[2].div_ceil(lanes) as i64;
    let along_h = wanted.axis == 0;
    expect("th", op.th, if along_h { h } else { w })?;
    expect("tw", op.tw, if along_h { w } else { 1 })?;
    expect("blocks", op.blocks, if along_h { blocks } else { h })?;
    expect("lane of the first channel", (tile.origin[2] % lanes) as i64, 0)?;
    if !along_h && c > lanes as i64 {
        return Err(Problem::Unnamed("columns of several channel blocks".into()));
    }
    let first = tile.origin[wanted.axis];
    let points = &wanted.points[first..first + tile.extent[wanted.axis]];
    let weight = points[0].weight;
    for point in points {
        expect("mb", i64::from(point.weight), i64::from(weight))?;
    }
    let (ma, mb) = (128 - i32::from(weight), i32::from(weight));
    let x = wanted.input;
    let addends = Addends { a: (x, ma), b: Some((x, mb)), shift: wanted.shift };
    check_scale(context, pages.vpu_scale(op.page)?, &addends)?;
    let zero_point = context.value(tile.value).zero_point;
    check_quant1(pages.vpu_quant(op.page)?, zero_point, &wanted.bounds)?;
    let turned = |region: Region| {
        if along_h {
            return region;
        }
        let Region { row_stride, block_stride, .. } = region;
        Region { row_stride: block_stride, x_stride: row_stride, block_stride: 0, ..region }
    };
    let a = turned(operand_a(op.a, pages.vpu_in(op.page)?));
    check(context, "a", tile, wanted, &a, 0)?;
    if weight > 0 {
        let regs = pages.vpu_side(op.page)?;
        expect("lane_broadcast", regs.lane_broadcast, false)?;
        check(context, "b", tile, wanted, &turned(operand_b(op.b, regs)), 1)?;
    }
    context.write(tile, &turned(result(op.dst, pages.vpu_out(op.page)?)), 0)
}

/// Demands that an operand holds the elements `neighbour` places behind the points of a tile.
fn check(
    context: &Context<'_>,
    name: &'static str,
    tile: &Tile,
    wanted: &Wanted<'_>,
    region: &Region,
    neighbour: usize,
) -> Result<(), Problem> {
    let lanes = context.memory.lanes();
    context.width(wanted.input, region)?;
    for plane in 0..context.tensors.planes(wanted.input) {
        for block in 0..tile.extent[2].div_ceil(lanes) {
            let n = lanes.min(tile.extent[2] - block * lanes);
            for y in 0..tile.extent[0] {
                for x in 0..tile.extent[1] {
                    let [y0, x0, c0] = tile.origin;
                    let mut at = [y0 + y, x0 + x, c0 + block * lanes];
                    at[wanted.axis] = wanted.points[at[wanted.axis]].index + neighbour;
                    let row = region.row(plane, block, y, x);
                    context.operand(name, row, plane, (wanted.input, at, n), || {
                        context.element(tile, y, x, block * lanes)
                    })?;
                }
            }
        }
    }
    Ok(())
}
