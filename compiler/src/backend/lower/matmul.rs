//! Products of two computed tensors on the array: rows of the second operand take the place of weights.
//!
//! A scratchpad row of weights is one column of the array (`docs/adr/0002-column-wise-weights.md`), and that is how a tensor
//! `[h, j, k]` lies anyway: one row for each `j` and block of `k`. Only the lanes behind the last `k` must be 0, whatever the
//! first operand holds there; what comes from DRAM has zeros, what was computed in place gets them here.

use std::ops::Range;

use ir::qgraph::{Hwc, QGraph, QNode, QOp, ValueId};
use isa::hardware::Hardware;
use isa::inst::Engine;
use isa::instructions::{
    MxuConv, MxuInput, MxuKernel, VpuDrain, VpuFill, VpuOut, VpuQuant, VpuStride,
};
use isa::numerics::Requant;
use isa::program::Class;

use crate::backend::BackendError;
use crate::backend::emitter::{Emitter, entry};
use crate::backend::geometry::{Rect, blocks, planes};
use crate::backend::operand::{Piece, View};
use crate::backend::plan::Target;
use crate::backend::steps::dtype;
use crate::backend::tiling::Candidate;

use super::copies::MAX_STEPS;
use super::tiled::{self, TileRun, Tiled};

/// A product as the array sees it.
struct Product<'a> {
    a: ValueId,
    b: ValueId,
    b_shape: Hwc,
    in_planes: usize,
    out_planes: usize,
    hw: &'a Hardware,
}

impl<'a> Product<'a> {
    fn new(graph: &QGraph, node: &QNode, hw: &'a Hardware) -> Product<'a> {
        let (a, b) = (node.inputs[0], node.inputs[1]);
        Product {
            a,
            b,
            b_shape: graph.values[b.0 as usize].shape,
            in_planes: planes(dtype(graph, a)),
            out_planes: planes(dtype(graph, node.output)),
            hw,
        }
    }

    fn lanes(&self) -> usize {
        self.hw.array_rows as usize
    }

    /// Blocks of the reduction.
    fn folds(&self) -> usize {
        blocks(self.b_shape.c, self.lanes())
    }

    /// Columns of the result in its channel blocks.
    fn columns(&self, blocks: &Range<usize>) -> Range<usize> {
        blocks.start * self.lanes()..(blocks.end * self.lanes()).min(self.b_shape.w)
    }
}

impl Tiled for Product<'_> {
    fn pieces(&self, tile: Rect, blocks: Range<usize>) -> Vec<Piece> {
        let columns = self.columns(&blocks);
        let (y0, y1) = if self.b_shape.h == 1 { (0, 1) } else { (tile.y0, tile.y1) };
        let rect = Rect { y0, y1, x0: columns.start, x1: columns.end };
        vec![
            Piece { value: self.a, rect: tile, b0: 0, b1: self.folds() },
            Piece { value: self.b, rect, b0: 0, b1: self.folds() },
        ]
    }

    fn work(&self, tile: Rect, n_blocks: usize) -> u64 {
        let lanes = self.hw.vector_lanes as usize;
        let columns = (n_blocks * self.lanes()).min(self.b_shape.w);
        (tile.area() * columns.div_ceil(lanes).max(n_blocks * self.out_planes)) as u64
    }

    fn array(&self, tile: Rect, n_blocks: usize) -> u64 {
        let columns = (n_blocks * self.lanes()).min(self.b_shape.w);
        let cols = columns.min(self.hw.array_cols as usize);
        let fold = (tile.area() * self.in_planes).max(cols);
        (columns.div_ceil(cols) * self.folds() * fold) as u64
    }

    /// Weights serve one row of matrices.
    fn max_height(&self) -> usize {
        1
    }

    fn max_width(&self) -> usize {
        tiled::MAX_TILE.min(self.hw.acc_rows as usize)
    }
}

/// Ways to cut a product.
pub(super) fn candidates(target: &Target<'_>, step: usize) -> Vec<Candidate> {
    let node = &target.graph.nodes[target.steps[step].node];
    let work = Product::new(target.graph, node, target.hw);
    tiled::candidates(target, &work, node.output, 2)
}

/// Writes the words of a product.
pub(super) fn emit(e: &mut Emitter<'_>) -> Result<(), BackendError> {
    let (graph, plan) = (e.graph, e.plan);
    let node = &graph.nodes[plan.steps[e.step].node];
    let &QOp::MatMul { requant, bounds } = &node.op else {
        return Err(BackendError::Internal(format!("`{}` is not a product", node.name)));
    };
    let work = Product::new(graph, node, e.hw);
    clear_lanes(e, work.b);
    let quant = VpuQuant {
        page: 0,
        zero0: graph.values[node.output.0 as usize].zero_point,
        lo0: bounds.lo,
        hi0: bounds.hi,
        zero1: 0,
        lo1: 0,
        hi1: 0,
    };
    tiled::emit(e, &work, node.output, |e, run| {
        let columns = work.columns(&run.blocks);
        for first in columns.clone().step_by(e.hw.array_cols as usize) {
            let tile = first..(first + e.hw.array_cols as usize).min(columns.end);
            let bank = e.next_bank();
            multiply(e, &work, run, first - columns.start, tile.len(), bank);
            drain(e, &work, run, (node.output, tile), bank, (quant, requant))?;
        }
        Ok(())
    })
}

/// Sets the lanes behind the last channel of a tensor in the scratchpad to 0.
fn clear_lanes(e: &mut Emitter<'_>, value: ValueId) {
    let (lanes, shape) = (e.lanes(), e.graph.values[value.0 as usize].shape);
    let used = shape.c % lanes;
    let Some(row) = e.plan.resident[value.0 as usize].filter(|_| used > 0) else { return };
    e.bring_in(value);
    let area = shape.h * shape.w;
    let last = row + (blocks(shape.c, lanes) - 1) * area;
    for first in (0..area).step_by(MAX_STEPS) {
        let stride = VpuStride { page: 0, src0: 0, src1: 0, dst0: 0, dst1: lanes as i32 };
        let page = e.stream.registers(Engine::Vpu, &[stride.into()]);
        let fill = VpuFill {
            page,
            dst: (last + first) as u32,
            dst_lane: used as u32,
            outer: 1,
            inner: MAX_STEPS.min(area - first) as u32,
            len: (lanes - used) as u32,
            value: 0,
        };
        e.stream.push(Engine::Vpu, fill, Class::None);
    }
}

/// Streams the first operand through the array, block by block of the reduction, past `cols` rows of the second one from `first` on.
fn multiply(
    e: &mut Emitter<'_>,
    work: &Product<'_>,
    run: &TileRun<'_>,
    first: usize,
    cols: usize,
    bank: u32,
) {
    let [a, b]: [View; 2] = [run.inputs[0], run.inputs[1].at(0, 0, first)];
    let kernel = MxuKernel {
        page: 0,
        kh: 1,
        kw: 1,
        sy: 1,
        sx: 1,
        dy: 1,
        dx: 1,
        cols: cols as u32,
        nibbles: false,
        wide: work.in_planes == 2,
        pad: 0,
    };
    let region = MxuInput {
        page: 0,
        h: run.rect.h() as u32,
        w: run.rect.w() as u32,
        row_stride: a.row_stride as u32,
        block_stride: a.block_stride as u32,
        plane_stride: a.plane_stride as u32,
    };
    let page = e.stream.registers(Engine::Mxu, &[kernel.into(), region.into()]);
    // Where blocks follow each other without a gap, one word takes all.
    let at_once = if b.block_stride == cols { work.folds() } else { 1 };
    for block in (0..work.folds()).step_by(at_once) {
        let product = MxuConv {
            page,
            act: a.at(block, 0, 0).row as u32,
            wgt: b.at(block, 0, 0).row as u32,
            acc: 0,
            bank,
            th: run.rect.h() as u32,
            tw: run.rect.w() as u32,
            iy0: 0,
            ix0: 0,
            blocks: at_once as u32,
            add: block > 0,
        };
        e.stream.push(Engine::Mxu, product, Class::None);
    }
}

/// Requantizes columns of the result.
fn drain(
    e: &mut Emitter<'_>,
    work: &Product<'_>,
    run: &TileRun<'_>,
    (output, columns): (ValueId, Range<usize>),
    bank: u32,
    (quant, requant): (VpuQuant, Requant),
) -> Result<(), BackendError> {
    // One entry a column, all alike.
    let entries = work.b_shape.w.min(e.hw.array_cols as usize);
    let slot = e.params(0, entries, || vec![entry(0, requant); entries])?;
    let dst = run.out.at(columns.start / work.lanes() - run.blocks.start, 0, 0);
    let geometry = VpuOut {
        page: 0,
        row_stride: dst.row_stride as u32,
        block_stride: dst.block_stride as u32,
        plane_stride: dst.plane_stride as u32,
        wide: work.out_planes == 2,
    };
    let page = e.stream.registers(Engine::Vpu, &[geometry.into(), quant.into()]);
    let note = e.note(output, run.rect, columns.clone(), &dst);
    let drain = VpuDrain {
        page,
        acc: 0,
        bank,
        dst: dst.row as u32,
        lane: (columns.start % work.lanes()) as u32,
        th: run.rect.h() as u32,
        tw: run.rect.w() as u32,
        cols: columns.len() as u32,
        slot,
        base: 0,
        b: 0,
        add: false,
    };
    e.stream.push_noted(Engine::Vpu, drain, Class::None, Some(note));
    Ok(())
}
