//! Sums, products, extrema, rescalings, leaky ReLUs and tables: lane by lane on the vector engine.

use std::ops::Range;

use ir::qgraph::{Bounds, QGraph, QNode, QOp, ValueId};
use isa::hardware::Hardware;
use isa::inst::{Engine, Op};
use isa::instructions::{
    VpuAdd, VpuIn, VpuLut, VpuMax, VpuMul, VpuPrelu, VpuQuant, VpuScale, VpuSide,
};
use isa::program::Class;

use crate::backend::BackendError;
use crate::backend::emitter::{Emitter, entry};
use crate::backend::geometry::{Rect, planes};
use crate::backend::operand::{Piece, View};
use crate::backend::plan::Target;
use crate::backend::tiling::Candidate;

use super::tiled::{self, Tiled};
use super::window::{channel_note, out_registers};

/// An elementwise operator.
struct Elementwise<'a> {
    graph: &'a QGraph,
    node: &'a QNode,
    hw: &'a Hardware,
}

/// How the second operand repeats along each axis.
#[derive(Clone, Copy)]
struct Broadcast {
    h: bool,
    w: bool,
    c: bool,
}

impl Elementwise<'_> {
    fn planes(&self, value: ValueId) -> u64 {
        planes(self.graph.values[value.0 as usize].dtype) as u64
    }

    fn broadcast(&self, operand: ValueId) -> Broadcast {
        let (from, to) = (
            self.graph.values[operand.0 as usize].shape,
            self.graph.values[self.node.output.0 as usize].shape,
        );
        Broadcast { h: from.h < to.h, w: from.w < to.w, c: from.c < to.c }
    }
}

impl Tiled for Elementwise<'_> {
    fn pieces(&self, tile: Rect, blocks: Range<usize>) -> Vec<Piece> {
        let mut out = Vec::with_capacity(2);
        for &value in &self.node.inputs {
            let repeat = self.broadcast(value);
            let (y0, y1) = if repeat.h { (0, 1) } else { (tile.y0, tile.y1) };
            let (x0, x1) = if repeat.w { (0, 1) } else { (tile.x0, tile.x1) };
            let (b0, b1) = if repeat.c { (0, 1) } else { (blocks.start, blocks.end) };
            out.push(Piece { value, rect: Rect { y0, y1, x0, x1 }, b0, b1 });
        }
        out
    }

    fn work(&self, tile: Rect, n_blocks: usize) -> u64 {
        let per_row = u64::from(self.hw.array_rows.div_ceil(self.hw.vector_lanes));
        let read = self.node.inputs.iter().map(|&v| self.planes(v)).max().unwrap_or(1);
        (tile.area() * n_blocks) as u64 * per_row.max(read).max(self.planes(self.node.output))
    }

    fn max_blocks(&self) -> usize {
        if matches!(self.node.op, QOp::PRelu { .. }) {
            tiled::entry_blocks(self.hw)
        } else {
            tiled::MAX_BLOCKS
        }
    }
}

/// Ways to cut an elementwise operator.
pub(super) fn candidates(target: &Target<'_>, step: usize) -> Vec<Candidate> {
    let node = &target.graph.nodes[target.steps[step].node];
    let work = Elementwise { graph: target.graph, node, hw: target.hw };
    tiled::candidates(target, &work, node.output, node.inputs.len())
}

/// Writes the words of an elementwise operator.
pub(super) fn emit(e: &mut Emitter<'_>) -> Result<(), BackendError> {
    let (graph, plan) = (e.graph, e.plan);
    let node = &graph.nodes[plan.steps[e.step].node];
    let work = Elementwise { graph, node, hw: e.hw };
    let value = |v: ValueId| &graph.values[v.0 as usize];
    let output = value(node.output);
    let a_zero = value(node.inputs[0]).zero_point;
    let b_zero = node.inputs.get(1).map_or(0, |&b| value(b).zero_point);
    let quant = |bounds: Bounds| VpuQuant {
        page: 0,
        zero0: 0,
        lo0: 0,
        hi0: 0,
        zero1: output.zero_point,
        lo1: bounds.lo,
        hi1: bounds.hi,
    };
    tiled::emit(e, &work, node.output, |e, run| {
        let wide = |v: ValueId| planes(value(v).dtype) == 2;
        let mut registers = vec![
            operand_registers(&run.inputs[0], wide(node.inputs[0])).into(),
            out_registers(&run.out, wide(node.output)).into(),
        ];
        if let (Some(&side), Some(view)) = (node.inputs.get(1), run.inputs.get(1)) {
            registers.push(side_registers(view, work.broadcast(side), wide(side)).into());
        }
        let note = channel_note(e, node.output, run);
        let (a, dst) = (run.inputs[0].row as u32, run.out.row as u32);
        let b = run.inputs.get(1).map_or(0, |v| v.row as u32);
        let (th, tw, blocks) = (run.rect.h() as u32, run.rect.w() as u32, run.blocks.len() as u32);
        // Multipliers of products are below 2^31, so the signed field holds them.
        let scale = |ma: i32, mb: i32, shift: u8| VpuScale {
            page: 0,
            ma,
            mb,
            shift: u32::from(shift),
            za: a_zero,
            zb: b_zero,
        };
        let arithmetic = match &node.op {
            QOp::Lut8 { .. } | QOp::Lut16 { .. } => None,
            QOp::Mul { requant, bounds } => {
                Some((scale(requant.multiplier as i32, 0, requant.shift), *bounds))
            }
            QOp::Add { ma, mb, shift, bounds }
            | QOp::Max { ma, mb, shift, bounds }
            | QOp::Min { ma, mb, shift, bounds } => Some((scale(*ma, *mb, *shift), *bounds)),
            QOp::Rescale { m, shift, bounds } => Some((scale(*m, 0, *shift), *bounds)),
            QOp::PRelu { bounds, .. } => Some((scale(0, 0, 0), *bounds)),
            _ => return Err(BackendError::Internal(format!("`{}` is not elementwise", node.name))),
        };
        if let Some((scale, bounds)) = arithmetic {
            registers.extend([Op::from(scale), quant(bounds).into()]);
        }
        let slot = match &node.op {
            QOp::Lut8 { table } => e.table(|| table.iter().map(|&v| v as u8).collect())?,
            QOp::Lut16 { nodes } => {
                e.table(|| nodes.iter().flat_map(|v| v.to_le_bytes()).collect())?
            }
            QOp::PRelu { requant, negative, .. } => {
                let channel =
                    |c: usize| Some(entry(i64::from(*negative.get(c)?), *requant.get(c)?));
                tiled::lane_entries(e, run, channel)?
            }
            _ => 0,
        };
        let page = e.stream.registers(Engine::Vpu, &registers);
        let op: Op = match &node.op {
            QOp::Lut8 { .. } | QOp::Lut16 { .. } => {
                VpuLut { page, a, dst, th, tw, blocks, slot }.into()
            }
            QOp::Mul { .. } => VpuMul { page, a, b, dst, th, tw, blocks }.into(),
            QOp::Max { .. } => VpuMax { page, a, b, dst, th, tw, blocks, least: false }.into(),
            QOp::Min { .. } => VpuMax { page, a, b, dst, th, tw, blocks, least: true }.into(),
            QOp::PRelu { .. } => VpuPrelu { page, a, dst, th, tw, blocks, slot, base: 0 }.into(),
            // A rescaling has no operand `b`, and its multiplier is 0.
            _ => VpuAdd { page, a, b, dst, th, tw, blocks }.into(),
        };
        e.stream.push_noted(Engine::Vpu, op, Class::None, Some(note));
        Ok(())
    })
}

/// Registers of operand `a` for a view without a window.
pub(super) fn operand_registers(view: &View, wide: bool) -> VpuIn {
    VpuIn {
        page: 0,
        h: 0,
        w: 0,
        row_stride: view.row_stride as u32,
        block_stride: view.block_stride as u32,
        plane_stride: view.plane_stride as u32,
        wide,
    }
}

fn side_registers(view: &View, repeat: Broadcast, wide: bool) -> VpuSide {
    VpuSide {
        page: 0,
        row_stride: if repeat.h { 0 } else { view.row_stride as u32 },
        block_stride: if repeat.c { 0 } else { view.block_stride as u32 },
        plane_stride: view.plane_stride as u32,
        x_stride: u32::from(!repeat.w),
        lane_broadcast: repeat.c,
        wide,
    }
}
