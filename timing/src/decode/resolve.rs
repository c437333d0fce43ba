//! From an instruction and its register page to what it costs.

use isa::access::{Access, AccessError, Pages, Stream, WindowAxis};
use isa::instructions::{MxuConv, VpuDrain, VpuIn, VpuKernel};
use isa::program::Class;
use isa::{Hardware, Inst, Op};

use super::Work;
use crate::bursts::{Count, Transfer};
use crate::cost::{
    ByteRuns, ConvCost, SideStream, WindowKind, conv_folds, conv_stream, drain_work,
    elementwise_work, move_work, softmax_work, window_work,
};

/// What `inst` does and costs. `accesses` are its own, which also proves it legal.
pub(super) fn work(
    inst: &Inst,
    class: Class,
    pages: &Pages,
    accesses: &[Access],
    hw: &Hardware,
) -> Result<Work, AccessError> {
    let resolver = Resolver { pages, accesses, hw };
    let vector =
        |work: u64| Work::Vector { cycles: work.saturating_add(hw.vpu_pipeline_cycles.into()) };
    let transfer = |transfer: Transfer| Work::Transfer(transfer.merged());
    let tile = |th: u32, tw: u32, blocks: u32| u64::from(th) * u64::from(tw) * u64::from(blocks);
    Ok(match &inst.op {
        Op::Halt(_) => Work::Halt,
        Op::Sync(_) | Op::LoadGeom(_) | Op::StoreGeom(_) | Op::MxuKernel(_) | Op::MxuInput(_) => {
            Work::Word
        }
        Op::VpuIn(_) | Op::VpuSide(_) | Op::VpuOut(_) | Op::VpuKernel(_) => Work::Word,
        Op::VpuQuant(_) | Op::VpuScale(_) | Op::VpuStride(_) => Work::Word,
        Op::Load(op) => {
            let geom = pages.load_geom(op.page)?;
            let row_bytes = (geom.elems * geom.bits).div_ceil(8);
            transfer(Transfer {
                address: op.src,
                run_bytes: u64::from(geom.rows) * u64::from(row_bytes),
                stride: geom.dram_stride,
                runs: op.count.into(),
                unit_bytes: row_bytes,
                count: Count::Ends,
                class: class.into(),
            })
        }
        Op::LoadParams(op) => transfer(Transfer {
            unit_bytes: hw.param_entry_bytes(),
            ..range(op.src, u64::from(op.count) * u64::from(hw.param_entry_bytes()), class)
        }),
        Op::LoadTable(op) => transfer(Transfer {
            unit_bytes: hw.array_rows,
            count: Count::Pieces,
            ..range(op.src, op.bytes.into(), class)
        }),
        Op::Store(op) => {
            let geom = pages.store_geom(op.page)?;
            transfer(Transfer {
                address: op.dst,
                run_bytes: u64::from(geom.rows) * u64::from(geom.bytes),
                stride: geom.dram_stride,
                runs: op.count.into(),
                unit_bytes: geom.bytes,
                count: Count::Starts,
                class: class.into(),
            })
        }
        Op::MxuConv(op) => Work::Conv(resolver.conv(op)?),
        Op::VpuDrain(op) => vector(resolver.drain(op)?),
        Op::VpuDepthwise(op) => {
            let (y, x) = resolver.window(op.page, [op.iy0, op.ix0], [op.th, op.tw])?;
            vector(resolver.windowed(WindowKind::Depthwise, op.page, &y, &x, op.blocks)?)
        }
        Op::VpuPool(op) => {
            let (y, x) = resolver.window(op.page, [op.iy0, op.ix0], [op.th, op.tw])?;
            vector(resolver.windowed(WindowKind::Pool, op.page, &y, &x, op.blocks)?)
        }
        Op::VpuAdd(op) => vector(resolver.elementwise(op.page, tile(op.th, op.tw, op.blocks))?),
        Op::VpuMul(op) => vector(resolver.elementwise(op.page, tile(op.th, op.tw, op.blocks))?),
        Op::VpuMax(op) => vector(resolver.elementwise(op.page, tile(op.th, op.tw, op.blocks))?),
        Op::VpuPrelu(op) => vector(resolver.elementwise(op.page, tile(op.th, op.tw, op.blocks))?),
        Op::VpuLut(op) => vector(resolver.elementwise(op.page, tile(op.th, op.tw, op.blocks))?),
        Op::VpuSoftmax(op) => vector(softmax_work(hw, tile(op.th, op.tw, 1), op.channels.into())),
        Op::VpuMove(op) => {
            let stride = pages.vpu_stride(op.page)?;
            let src = resolver.byte_runs(op.src, op.src_lane, [stride.src0, stride.src1]);
            let dst = resolver.byte_runs(op.dst, op.dst_lane, [stride.dst0, stride.dst1]);
            vector(move_work(hw, &[src, dst], [op.outer.into(), op.inner.into()], op.len.into()))
        }
        Op::VpuFill(op) => {
            let stride = pages.vpu_stride(op.page)?;
            let dst = resolver.byte_runs(op.dst, op.dst_lane, [stride.dst0, stride.dst1]);
            vector(move_work(hw, &[dst], [op.outer.into(), op.inner.into()], op.len.into()))
        }
    })
}

/// One contiguous range; the caller says what its units are.
fn range(address: u64, run_bytes: u64, class: Class) -> Transfer {
    Transfer {
        address,
        run_bytes,
        stride: 0,
        runs: 1,
        unit_bytes: 1,
        count: Count::Ends,
        class: class.into(),
    }
}

/// What costs are computed from.
struct Resolver<'a> {
    pages: &'a Pages,
    accesses: &'a [Access],
    hw: &'a Hardware,
}

impl Resolver<'_> {
    /// Banks of a stream; `None` if the instruction does not read it.
    fn banks(&self, stream: Stream) -> Option<u64> {
        self.accesses
            .iter()
            .find(|access| access.stream == stream)
            .map(|access| access.banks(self.hw))
    }

    fn share_a_bank(&self, a: Stream, b: Stream) -> bool {
        self.banks(a).unwrap_or(0) & self.banks(b).unwrap_or(0) != 0
    }

    fn conv(&self, op: &MxuConv) -> Result<ConvCost, AccessError> {
        let kernel = self.pages.mxu_kernel(op.page)?;
        let pixels = u64::from(op.th) * u64::from(op.tw);
        let taps = u64::from(kernel.kh) * u64::from(kernel.kw);
        let folds = conv_folds(taps, op.blocks.into(), kernel.nibbles);
        let shared_bank = self.share_a_bank(Stream::MxuAct, Stream::MxuWeights);
        Ok(ConvCost::new(folds, conv_stream(pixels, kernel.wide), kernel.cols.into(), shared_bank))
    }

    fn drain(&self, op: &VpuDrain) -> Result<u64, AccessError> {
        let side_wide = match self.banks(Stream::VpuB) {
            Some(_) => Some(self.pages.vpu_side(op.page)?.wide),
            None => None,
        };
        let (pixels, wide) =
            (u64::from(op.th) * u64::from(op.tw), self.pages.vpu_out(op.page)?.wide);
        Ok(drain_work(self.hw, pixels, op.lane.into(), op.cols.into(), wide, side_wide))
    }

    fn elementwise(&self, page: u32, rows: u64) -> Result<u64, AccessError> {
        let side = match self.banks(Stream::VpuB) {
            Some(_) => Some(SideStream {
                wide: self.pages.vpu_side(page)?.wide,
                shared_bank: self.share_a_bank(Stream::VpuA, Stream::VpuB),
            }),
            None => None,
        };
        let (result_wide, a_wide) = (self.pages.vpu_out(page)?.wide, self.pages.vpu_in(page)?.wide);
        Ok(elementwise_work(self.hw, rows, result_wide, a_wide, side))
    }

    /// Both axes of a window.
    fn window(
        &self,
        page: u32,
        origin: [i32; 2],
        tile: [u32; 2],
    ) -> Result<(WindowAxis, WindowAxis), AccessError> {
        let &VpuKernel { kh, kw, sy, sx, dy, dx, .. } = self.pages.vpu_kernel(page)?;
        let &VpuIn { h, w, .. } = self.pages.vpu_in(page)?;
        let axis = |i: usize, step, kernel, dilation, extent| WindowAxis {
            origin: origin[i],
            tile: tile[i],
            step,
            kernel,
            dilation,
            extent,
        };
        Ok((axis(0, sy, kh, dy, h), axis(1, sx, kw, dx, w)))
    }

    fn windowed(
        &self,
        kind: WindowKind,
        page: u32,
        y: &WindowAxis,
        x: &WindowAxis,
        blocks: u32,
    ) -> Result<u64, AccessError> {
        let (result_wide, a_wide) = (self.pages.vpu_out(page)?.wide, self.pages.vpu_in(page)?.wide);
        Ok(window_work(self.hw, kind, y, x, blocks.into(), a_wide, result_wide))
    }

    fn byte_runs(&self, row: u32, lane: u32, strides: [i32; 2]) -> ByteRuns {
        let first = i64::from(row) * i64::from(self.hw.array_rows) + i64::from(lane);
        ByteRuns { first, strides: strides.map(i64::from) }
    }
}
