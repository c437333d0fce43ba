//! Accesses of the vector engine.

use crate::hardware::Hardware;
use crate::instructions::{
    VpuAdd, VpuDepthwise, VpuDrain, VpuFill, VpuIn, VpuKernel, VpuLut, VpuMax, VpuMove, VpuMul,
    VpuOut, VpuPool, VpuPrelu, VpuQuant, VpuScale, VpuSide, VpuSoftmax,
};
use crate::numerics::MAX_SHIFT;

use super::transfer::injective;
use super::{
    Access, AccessError, EXP_BYTES, LUT8_BYTES, LUT16_BYTES, Pages, Space, Stream, Strided,
    WindowAxis, expect, positive,
};

/// A tile of pixels and channel blocks.
#[derive(Clone, Copy)]
struct Tile {
    th: u32,
    tw: u32,
    blocks: u32,
}

impl Tile {
    fn new(th: u32, tw: u32, blocks: u32) -> Result<Tile, AccessError> {
        positive([("th", th), ("tw", tw), ("blocks", blocks)])?;
        Ok(Tile { th, tw, blocks })
    }

    /// The rows of a tile whose first one is `first`. Dimensions always come in this order, so equal descriptions mean that pixel
    /// for pixel the rows are the same.
    fn rows(
        self,
        first: u32,
        row_stride: u32,
        block_stride: u32,
        plane_stride: Option<u32>,
    ) -> Strided {
        Strided::run(first.into(), self.tw.into())
            .repeat(self.th, row_stride.into())
            .repeat(self.blocks, block_stride.into())
            .repeat(if plane_stride.is_some() { 2 } else { 1 }, plane_stride.unwrap_or(0).into())
    }

    fn operand(self, a: u32, regs: &VpuIn) -> Access {
        let plane_stride = regs.wide.then_some(regs.plane_stride);
        Access::read(
            Stream::VpuA,
            Space::Spad,
            self.rows(a, regs.row_stride, regs.block_stride, plane_stride),
        )
    }

    /// Operand `b`; in the place of the result it must have a value for every lane of its own, since one lane that serves all
    /// would be overwritten by the first.
    fn side(self, b: u32, regs: &VpuSide, result: &Access) -> Result<Access, AccessError> {
        let tile = Tile {
            tw: if regs.x_stride == 0 { 1 } else { self.tw },
            th: self.th,
            blocks: if regs.lane_broadcast { 1 } else { self.blocks },
        };
        let plane_stride = regs.wide.then_some(regs.plane_stride);
        let rows = tile.rows(b, regs.row_stride, regs.block_stride, plane_stride);
        let side = Access::read(Stream::VpuB, Space::Spad, rows);
        apart(&side, result, !regs.lane_broadcast)?;
        Ok(side)
    }

    fn result(self, dst: u32, regs: &VpuOut) -> Result<Access, AccessError> {
        let plane_stride = regs.wide.then_some(regs.plane_stride);
        let rows = self.rows(dst, regs.row_stride, regs.block_stride, plane_stride);
        injective(Access::write(Stream::VpuWrite, Space::Spad, rows))
    }
}

/// Whether the saturation bounds of a set fit the result.
fn check_range(low: i32, high: i32, out_wide: bool) -> Result<(), AccessError> {
    let bits = bits(out_wide);
    let half = 1 << (bits - 1);
    if -half <= low && low <= high && high < half {
        Ok(())
    } else {
        Err(AccessError::ResultRange { low, high, bits })
    }
}

fn bits(wide: bool) -> u8 {
    if wide { 16 } else { 8 }
}

fn check_set0(quant: &VpuQuant, out: &VpuOut) -> Result<(), AccessError> {
    check_range(quant.lo0, quant.hi0, out.wide)
}

fn check_set1(quant: &VpuQuant, out: &VpuOut) -> Result<(), AccessError> {
    check_range(quant.lo1, quant.hi1, out.wide)
}

fn check_shift(scale: &VpuScale) -> Result<(), AccessError> {
    expect("vpu.scale shift", scale.shift, 0, MAX_SHIFT)
}

/// An operand must be apart from the result, or, if each result is written after the operands of the same pixel were read and
/// only they, exactly in its place.
fn apart(operand: &Access, result: &Access, in_place: bool) -> Result<(), AccessError> {
    if in_place && operand.rows == result.rows || !operand.rows.overlaps(&result.rows) {
        Ok(())
    } else {
        Err(AccessError::Overlap { operand: operand.stream, in_place })
    }
}

fn params(slot: u32, base: u32, first: u32, count: u32) -> Access {
    let entries = Strided::run(i64::from(base) + i64::from(first), count.into());
    Access::read(Stream::VpuParams, Space::Params(slot), entries)
}

fn table(slot: u32, bytes: u32) -> Access {
    Access::read(Stream::VpuTable, Space::Table(slot), Strided::run(0, bytes.into()))
}

pub(super) fn drain(
    op: &VpuDrain,
    pages: &Pages,
    hardware: &Hardware,
) -> Result<Vec<Access>, AccessError> {
    let (out, quant) = (pages.vpu_out(op.page)?, pages.vpu_quant(op.page)?);
    expect("lane", op.lane, 0, hardware.array_rows - 1)?;
    expect("cols", op.cols, 1, hardware.array_cols)?;
    let tile = Tile::new(op.th, op.tw, (op.lane + op.cols).div_ceil(hardware.array_rows))?;
    let result = tile.result(op.dst, out)?;
    let sums = Strided::run(op.acc.into(), i64::from(op.th) * i64::from(op.tw));
    let mut accesses = vec![
        Access::read(Stream::VpuSums, Space::Acc(op.bank), sums),
        params(op.slot, op.base, 0, op.cols),
    ];
    if op.add {
        // The sum before the addition is an inner step and may have 16 bits whatever the result has.
        check_range(quant.lo0, quant.hi0, true)?;
        check_set1(quant, out)?;
        let scale = pages.vpu_scale(op.page)?;
        check_shift(scale)?;
        if scale.mb != 0 {
            accesses.push(tile.side(op.b, pages.vpu_side(op.page)?, &result)?);
        }
    } else {
        check_set0(quant, out)?;
    }
    accesses.push(result);
    Ok(accesses)
}

/// The input of a windowed instruction: the clipped bounding rectangle in every channel block, if it is not empty.
struct Windowed {
    y: WindowAxis,
    x: WindowAxis,
    input: Option<Access>,
}

impl Windowed {
    fn new(
        a: u32,
        origin: [i32; 2],
        tile: Tile,
        kernel: &VpuKernel,
        regs: &VpuIn,
    ) -> Result<Windowed, AccessError> {
        positive([
            ("vpu.kernel kh", kernel.kh),
            ("vpu.kernel kw", kernel.kw),
            ("vpu.kernel sy", kernel.sy),
            ("vpu.kernel sx", kernel.sx),
            ("vpu.kernel dy", kernel.dy),
            ("vpu.kernel dx", kernel.dx),
            ("vpu.in h", regs.h),
            ("vpu.in w", regs.w),
        ])?;
        let &VpuKernel { kh, kw, sy, sx, dy, dx, .. } = kernel;
        let [iy, ix] = origin;
        let y = WindowAxis {
            origin: iy,
            tile: tile.th,
            step: sy,
            kernel: kh,
            dilation: dy,
            extent: regs.h,
        };
        let x = WindowAxis {
            origin: ix,
            tile: tile.tw,
            step: sx,
            kernel: kw,
            dilation: dx,
            extent: regs.w,
        };
        let mut input = None;
        if let (Some((top, th)), Some((left, tw))) = (y.clipped(), x.clipped()) {
            let first =
                i64::from(a) + i64::from(top) * i64::from(regs.row_stride) + i64::from(left);
            let rows = Strided::run(first, tw.into())
                .repeat(th, regs.row_stride.into())
                .repeat(tile.blocks, regs.block_stride.into())
                .repeat(if regs.wide { 2 } else { 1 }, regs.plane_stride.into());
            input = Some(Access::read(Stream::VpuA, Space::Spad, rows));
        }
        Ok(Windowed { y, x, input })
    }
}

pub(super) fn depthwise(
    op: &VpuDepthwise,
    pages: &Pages,
    hardware: &Hardware,
) -> Result<Vec<Access>, AccessError> {
    let (regs, out) = (pages.vpu_in(op.page)?, pages.vpu_out(op.page)?);
    let (kernel, quant) = (pages.vpu_kernel(op.page)?, pages.vpu_quant(op.page)?);
    let tile = Tile::new(op.th, op.tw, op.blocks)?;
    let windows = Windowed::new(op.a, [op.iy0, op.ix0], tile, kernel, regs)?;
    check_set0(quant, out)?;
    if !regs.wide {
        expect("vpu.kernel pad", kernel.pad, -128, 127)?;
    }
    let result = tile.result(op.dst, out)?;
    let weight_rows = i64::from(kernel.kh * kernel.kw) * i64::from(op.blocks);
    let weights = Strided::run(kernel.weights.into(), weight_rows);
    let weights = Access::read(Stream::VpuWeights, Space::Spad, weights);
    apart(&weights, &result, false)?;
    let mut accesses = vec![weights, params(op.slot, op.base, 0, op.blocks * hardware.array_rows)];
    if let Some(input) = windows.input {
        apart(&input, &result, false)?;
        accesses.push(input);
    }
    accesses.push(result);
    Ok(accesses)
}

pub(super) fn pool(op: &VpuPool, pages: &Pages) -> Result<Vec<Access>, AccessError> {
    let (regs, out, kernel) =
        (pages.vpu_in(op.page)?, pages.vpu_out(op.page)?, pages.vpu_kernel(op.page)?);
    let tile = Tile::new(op.th, op.tw, op.blocks)?;
    let windows = Windowed::new(op.a, [op.iy0, op.ix0], tile, kernel, regs)?;
    let ((least_y, most_y), (least_x, most_x)) = (windows.y.tap_range(), windows.x.tap_range());
    let input =
        windows.input.filter(|_| least_y > 0 && least_x > 0).ok_or(AccessError::EmptyWindow)?;
    let result = tile.result(op.dst, out)?;
    apart(&input, &result, false)?;
    let mut accesses = vec![input];
    if op.average {
        check_set0(pages.vpu_quant(op.page)?, out)?;
        let (least, most) =
            if kernel.by_count { (least_y * least_x, most_y * most_x) } else { (1, 1) };
        accesses.push(params(op.slot, op.base, least - 1, most - least + 1));
    } else {
        narrowing("vpu.out wide", regs, out)?;
    }
    accesses.push(result);
    Ok(accesses)
}

/// Refuses a 16-bit operand whose values pass unchanged into an 8-bit result.
fn narrowing(field: &'static str, regs: &VpuIn, out: &VpuOut) -> Result<(), AccessError> {
    if regs.wide && !out.wide {
        Err(AccessError::Width { field, found: 8, expected: 16 })
    } else {
        Ok(())
    }
}

pub(super) fn add(op: &VpuAdd, pages: &Pages) -> Result<Vec<Access>, AccessError> {
    let (regs, out) = (pages.vpu_in(op.page)?, pages.vpu_out(op.page)?);
    let (quant, scale) = (pages.vpu_quant(op.page)?, pages.vpu_scale(op.page)?);
    check_shift(scale)?;
    let side = if scale.mb == 0 { None } else { Some((op.b, pages.vpu_side(op.page)?)) };
    elementwise(Tile::new(op.th, op.tw, op.blocks)?, (op.a, regs), side, (op.dst, out), quant)
}

pub(super) fn mul(op: &VpuMul, pages: &Pages) -> Result<Vec<Access>, AccessError> {
    let (regs, side, out) =
        (pages.vpu_in(op.page)?, pages.vpu_side(op.page)?, pages.vpu_out(op.page)?);
    let (quant, scale) = (pages.vpu_quant(op.page)?, pages.vpu_scale(op.page)?);
    check_shift(scale)?;
    expect("vpu.scale ma", scale.ma, 0, i32::MAX)?;
    elementwise(
        Tile::new(op.th, op.tw, op.blocks)?,
        (op.a, regs),
        Some((op.b, side)),
        (op.dst, out),
        quant,
    )
}

pub(super) fn max(op: &VpuMax, pages: &Pages) -> Result<Vec<Access>, AccessError> {
    let (regs, side, out) =
        (pages.vpu_in(op.page)?, pages.vpu_side(op.page)?, pages.vpu_out(op.page)?);
    let (quant, scale) = (pages.vpu_quant(op.page)?, pages.vpu_scale(op.page)?);
    check_shift(scale)?;
    elementwise(
        Tile::new(op.th, op.tw, op.blocks)?,
        (op.a, regs),
        Some((op.b, side)),
        (op.dst, out),
        quant,
    )
}

pub(super) fn prelu(
    op: &VpuPrelu,
    pages: &Pages,
    hardware: &Hardware,
) -> Result<Vec<Access>, AccessError> {
    let (regs, out, quant) =
        (pages.vpu_in(op.page)?, pages.vpu_out(op.page)?, pages.vpu_quant(op.page)?);
    // Its zero point of `a` is all that is read.
    pages.vpu_scale(op.page)?;
    let tile = Tile::new(op.th, op.tw, op.blocks)?;
    let mut accesses = elementwise(tile, (op.a, regs), None, (op.dst, out), quant)?;
    accesses.insert(1, params(op.slot, op.base, 0, op.blocks * hardware.array_rows));
    Ok(accesses)
}

fn elementwise(
    tile: Tile,
    (a, regs): (u32, &VpuIn),
    side: Option<(u32, &VpuSide)>,
    (dst, out): (u32, &VpuOut),
    quant: &VpuQuant,
) -> Result<Vec<Access>, AccessError> {
    check_set1(quant, out)?;
    let result = tile.result(dst, out)?;
    let operand = tile.operand(a, regs);
    apart(&operand, &result, true)?;
    let mut accesses = vec![operand];
    if let Some((b, regs)) = side {
        accesses.push(tile.side(b, regs, &result)?);
    }
    accesses.push(result);
    Ok(accesses)
}

pub(super) fn lut(op: &VpuLut, pages: &Pages) -> Result<Vec<Access>, AccessError> {
    let (regs, out) = (pages.vpu_in(op.page)?, pages.vpu_out(op.page)?);
    narrowing("vpu.out wide", regs, out)?;
    let tile = Tile::new(op.th, op.tw, op.blocks)?;
    let (operand, result) = (tile.operand(op.a, regs), tile.result(op.dst, out)?);
    apart(&operand, &result, true)?;
    Ok(vec![operand, table(op.slot, if regs.wide { LUT16_BYTES } else { LUT8_BYTES }), result])
}

pub(super) fn softmax(
    op: &VpuSoftmax,
    pages: &Pages,
    hardware: &Hardware,
) -> Result<Vec<Access>, AccessError> {
    let (regs, out) = (pages.vpu_in(op.page)?, pages.vpu_out(op.page)?);
    for (field, wide) in [("vpu.in wide", regs.wide), ("vpu.out wide", out.wide)] {
        if wide {
            return Err(AccessError::Width { field, found: 16, expected: 8 });
        }
    }
    positive([("channels", op.channels)])?;
    let tile = Tile::new(op.th, op.tw, op.channels.div_ceil(hardware.array_rows))?;
    let (operand, result) = (tile.operand(op.a, regs), tile.result(op.dst, out)?);
    apart(&operand, &result, true)?;
    Ok(vec![operand, table(op.slot, EXP_BYTES), result])
}

/// Byte runs of the data mover.
fn bytes(row: u32, lane: u32, hardware: &Hardware, runs: [(u32, i32); 2], len: u32) -> Strided {
    let [(outer, stride0), (inner, stride1)] = runs;
    let first = i64::from(row) * i64::from(hardware.array_rows) + i64::from(lane);
    Strided::run(first, len.into()).repeat(inner, stride1.into()).repeat(outer, stride0.into())
}

pub(super) fn move_bytes(
    op: &VpuMove,
    pages: &Pages,
    hardware: &Hardware,
) -> Result<Vec<Access>, AccessError> {
    let stride = pages.vpu_stride(op.page)?;
    positive([("outer", op.outer), ("inner", op.inner), ("len", op.len)])?;
    expect("src_lane", op.src_lane, 0, hardware.array_rows - 1)?;
    expect("dst_lane", op.dst_lane, 0, hardware.array_rows - 1)?;
    let runs = |outer, inner| [(op.outer, outer), (op.inner, inner)];
    let src = bytes(op.src, op.src_lane, hardware, runs(stride.src0, stride.src1), op.len);
    let dst = bytes(op.dst, op.dst_lane, hardware, runs(stride.dst0, stride.dst1), op.len);
    if src.overlaps(&dst) {
        return Err(AccessError::Overlap { operand: Stream::VpuA, in_place: false });
    }
    Ok(vec![
        Access::read(Stream::VpuA, Space::Spad, src.in_rows_of(hardware.array_rows)),
        Access::write(Stream::VpuWrite, Space::Spad, dst.in_rows_of(hardware.array_rows)),
    ])
}

pub(super) fn fill(
    op: &VpuFill,
    pages: &Pages,
    hardware: &Hardware,
) -> Result<Vec<Access>, AccessError> {
    let stride = pages.vpu_stride(op.page)?;
    positive([("outer", op.outer), ("inner", op.inner), ("len", op.len)])?;
    expect("dst_lane", op.dst_lane, 0, hardware.array_rows - 1)?;
    let runs = [(op.outer, stride.dst0), (op.inner, stride.dst1)];
    let dst = bytes(op.dst, op.dst_lane, hardware, runs, op.len);
    Ok(vec![Access::write(Stream::VpuWrite, Space::Spad, dst.in_rows_of(hardware.array_rows))])
}
