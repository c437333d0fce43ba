//! Softmax over the channels of each pixel.

use std::ops::Range;

use ir::qgraph::{QOp, ValueId};
use isa::hardware::Hardware;
use isa::inst::Engine;
use isa::instructions::VpuSoftmax;
use isa::program::Class;

use crate::backend::BackendError;
use crate::backend::emitter::Emitter;
use crate::backend::geometry::Rect;
use crate::backend::operand::Piece;
use crate::backend::plan::Target;
use crate::backend::tiling::Candidate;

use super::elementwise::operand_registers;
use super::tiled::{self, Tiled};
use super::window::{channel_note, out_registers};

struct SoftmaxWork<'a> {
    input: ValueId,
    channels: usize,
    hw: &'a Hardware,
}

impl Tiled for SoftmaxWork<'_> {
    fn pieces(&self, tile: Rect, blocks: Range<usize>) -> Vec<Piece> {
        vec![Piece { value: self.input, rect: tile, b0: blocks.start, b1: blocks.end }]
    }

    fn work(&self, tile: Rect, _n_blocks: usize) -> u64 {
        let passes = 3 * self.channels.div_ceil(self.hw.vector_lanes as usize) as u64;
        tile.area() as u64 * (passes + u64::from(self.hw.softmax_divide_cycles))
    }

    fn all_channels(&self) -> bool {
        true
    }
}

/// Ways to cut a softmax.
pub(super) fn candidates(target: &Target<'_>, step: usize) -> Vec<Candidate> {
    let node = &target.graph.nodes[target.steps[step].node];
    let channels = target.graph.values[node.output.0 as usize].shape.c;
    tiled::candidates(
        target,
        &SoftmaxWork { input: node.inputs[0], channels, hw: target.hw },
        node.output,
        1,
    )
}

/// Writes the words of a softmax.
pub(super) fn emit(e: &mut Emitter<'_>) -> Result<(), BackendError> {
    let (graph, plan) = (e.graph, e.plan);
    let node = &graph.nodes[plan.steps[e.step].node];
    let QOp::Softmax { exp } = &node.op else {
        return Err(BackendError::Internal(format!("`{}` is not a softmax", node.name)));
    };
    let channels = graph.values[node.output.0 as usize].shape.c;
    let work = SoftmaxWork { input: node.inputs[0], channels, hw: e.hw };
    tiled::emit(e, &work, node.output, |e, run| {
        let slot = e.table(|| exp.iter().flat_map(|v| v.to_le_bytes()).collect())?;
        let page = e.stream.registers(
            Engine::Vpu,
            &[
                operand_registers(&run.inputs[0], false).into(),
                out_registers(&run.out, false).into(),
            ],
        );
        let note = channel_note(e, node.output, run);
        let op = VpuSoftmax {
            page,
            a: run.inputs[0].row as u32,
            dst: run.out.row as u32,
            th: run.rect.h() as u32,
            tw: run.rect.w() as u32,
            channels: channels as u32,
            slot,
        };
        e.stream.push_noted(Engine::Vpu, op, Class::None, Some(note));
        Ok(())
    })
}
