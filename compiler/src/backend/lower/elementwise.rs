//! Add, Mul, Rescale and tables: lane by lane on the vector engine.

use std::ops::Range;

use ir::qgraph::{Bounds, QGraph, QNode, QOp, ValueId};
use isa::hardware::Hardware;
use isa::inst::{Engine, Op};
use isa::instructions::{VpuAdd, VpuIn, VpuLut, VpuMul, VpuQuant, VpuScale, VpuSide};
use isa::program::Class;

use crate::backend::BackendError;
use crate::backend::emitter::Emitter;
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
        match &node.op {
            QOp::Lut8 { table } => {
                let slot = e.table(|| table.iter().map(|&v| v as u8).collect())?;
                let page = e.stream.registers(Engine::Vpu, &registers);
                e.stream.push_noted(
                    Engine::Vpu,
                    VpuLut { page, a, dst, th, tw, blocks, slot },
                    Class::None,
                    Some(note),
                );
            }
            QOp::Mul { requant, bounds } => {
                // Multipliers are below 2^31, so the signed field holds them.
                let scale = VpuScale {
                    page: 0,
                    ma: requant.multiplier as i32,
                    mb: 0,
                    shift: u32::from(requant.shift),
                    za: a_zero,
                    zb: b_zero,
                };
                registers.extend([Op::from(scale), quant(*bounds).into()]);
                let page = e.stream.registers(Engine::Vpu, &registers);
                e.stream.push_noted(
                    Engine::Vpu,
                    VpuMul { page, a, b, dst, th, tw, blocks },
                    Class::None,
                    Some(note),
                );
            }
            QOp::Add { ma, mb, shift, bounds } => {
                let scale = VpuScale {
                    page: 0,
                    ma: *ma,
                    mb: *mb,
                    shift: u32::from(*shift),
                    za: a_zero,
                    zb: b_zero,
                };
                registers.extend([Op::from(scale), quant(*bounds).into()]);
                let page = e.stream.registers(Engine::Vpu, &registers);
                e.stream.push_noted(
                    Engine::Vpu,
                    VpuAdd { page, a, b, dst, th, tw, blocks },
                    Class::None,
                    Some(note),
                );
            }
            QOp::Rescale { m, shift, bounds } => {
                let scale = VpuScale {
                    page: 0,
                    ma: *m,
                    mb: 0,
                    shift: u32::from(*shift),
                    za: a_zero,
                    zb: 0,
                };
                registers.extend([Op::from(scale), quant(*bounds).into()]);
                let page = e.stream.registers(Engine::Vpu, &registers);
                e.stream.push_noted(
                    Engine::Vpu,
                    VpuAdd { page, a, b: 0, dst, th, tw, blocks },
                    Class::None,
                    Some(note),
                );
            }
            _ => return Err(BackendError::Internal(format!("`{}` is not elementwise", node.name))),
        }
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
