//! Dense and grouped convolution on the systolic array, with the residual addition that may follow it.

mod candidates;

use ir::qgraph::QOp;
use isa::inst::{Engine, Op};
use isa::instructions::{
    MxuConv, MxuInput, MxuKernel, VpuDrain, VpuOut, VpuQuant, VpuScale, VpuSide,
};
use isa::program::Class;

use crate::backend::BackendError;
use crate::backend::dram::ConstantKey;
use crate::backend::emitter::{Emitter, entry};
use crate::backend::geometry::{Rect, planes, tiles, window_input};
use crate::backend::operand::{Piece, Slots, View, load_packed};
use crate::backend::tiling::{Order, Role, Tiling};
use crate::backend::weights::array_weights;
use crate::backend::work::ConvWork;

pub(super) use candidates::candidates;

/// Writes the words of the convolution.
pub(super) fn emit(e: &mut Emitter<'_>) -> Result<(), BackendError> {
    let (graph, plan) = (e.graph, e.plan);
    let step = &plan.steps[e.step];
    let node = &graph.nodes[step.node];
    let tiling = &plan.tilings[e.step];
    let work = ConvWork::new(graph, node, e.hw)
        .ok_or_else(|| BackendError::Internal(format!("`{}` is not a convolution", node.name)))?;
    let mut run = ConvRun {
        weights: Slots::new(slot_rows(tiling, Role::Weights)),
        input: Slots::new(slot_rows(tiling, Role::Input(0))),
        side: Slots::new(slot_rows(tiling, Role::Input(1))),
        output: Slots::new(slot_rows(tiling, Role::Output)),
        work,
    };
    e.bring_in(node.inputs[0]);
    if let Some(residual) = step.residual {
        e.bring_in(residual.side);
    }
    let cut = tiles(run.work.output.h, run.work.output.w, tiling.th, tiling.tw);
    match tiling.order {
        Order::PixelsOuter => {
            for &tile in &cut {
                for group in 0..run.work.n_groups() {
                    run.tile(e, tile, group, tiling.blocks)?;
                }
            }
        }
        Order::ChannelsOuter => {
            for group in 0..run.work.n_groups() {
                for &tile in &cut {
                    run.tile(e, tile, group, tiling.blocks)?;
                }
            }
        }
    }
    Ok(())
}

/// Rows of the slots of a role; empty if the tiling has no such buffer.
pub(super) fn slot_rows(tiling: &Tiling, role: Role) -> &[usize] {
    tiling.buffers.iter().find(|b| b.role == role).map_or(&[], |b| &b.at)
}

/// Buffers of a convolution while it is emitted.
struct ConvRun<'a> {
    work: ConvWork<'a>,
    weights: Slots<(usize, usize)>,
    input: Slots<Piece>,
    side: Slots<Piece>,
    output: Slots<Piece>,
}

impl ConvRun<'_> {
    /// One pixel tile of one output channel group.
    fn tile(
        &mut self,
        e: &mut Emitter<'_>,
        tile: Rect,
        group: usize,
        chunk: usize,
    ) -> Result<(), BackendError> {
        let step = &e.plan.steps[e.step];
        let channels = self.work.channels(group);
        let b0 = channels.start / self.work.lanes;
        let b1 = channels.end.div_ceil(self.work.lanes);
        let piece = Piece { value: step.output, rect: tile, b0, b1 };
        let side = match step.residual {
            Some(residual) => {
                Some(e.operand(&mut self.side, Piece { value: residual.side, ..piece })?)
            }
            None => None,
        };
        let out = e.result(&mut self.output, piece);
        for array_tile in self.work.array_tiles(group) {
            let bank = e.next_bank();
            for (i, blocks) in self.work.chunks(group, chunk).into_iter().enumerate() {
                self.multiply(e, tile, group, array_tile.clone(), blocks, bank, i > 0)?;
            }
            self.drain(e, tile, array_tile, &out.at(0, 0, 0), b0, side.as_ref(), bank)?;
        }
        e.finish(&piece, &out);
        Ok(())
    }

    /// Streams one input chunk through the array.
    #[expect(clippy::too_many_arguments, reason = "the coordinates of one pass through the array")]
    fn multiply(
        &mut self,
        e: &mut Emitter<'_>,
        tile: Rect,
        group: usize,
        array_tile: std::ops::Range<usize>,
        blocks: std::ops::Range<usize>,
        bank: u32,
        add: bool,
    ) -> Result<(), BackendError> {
        let step = &e.plan.steps[e.step];
        let input = e.graph.nodes[step.node].inputs[0];
        let work = &self.work;
        let first = work.channels(group).start;
        let from = window_input(tile, &work.window, work.input);
        let view = e.operand(
            &mut self.input,
            Piece { value: input, rect: from.rect, b0: blocks.start, b1: blocks.end },
        )?;
        let (row, held) = self.weights.get((group, blocks.start));
        if !held {
            let n_rows = work.weight_rows(group, blocks.len());
            let key = ConstantKey::Weights { step: e.step, group, block: blocks.start };
            let src = e.constants.get(key, || {
                Ok::<_, BackendError>(array_weights(work, group, blocks.start, blocks.end).pack())
            })?;
            load_packed(&mut e.stream, row, src, n_rows, work.weight_elems(), work.weights.bits);
        }
        let kernel = MxuKernel {
            page: 0,
            kh: work.weights.kernel[0] as u32,
            kw: work.weights.kernel[1] as u32,
            sy: work.window.stride[0] as u32,
            sx: work.window.stride[1] as u32,
            dy: work.window.dilation[0] as u32,
            dx: work.window.dilation[1] as u32,
            cols: array_tile.len() as u32,
            nibbles: work.nibbles,
            wide: work.passes() == 2,
            pad: e.graph.values[input.0 as usize].zero_point,
        };
        let region = MxuInput {
            page: 0,
            h: from.rect.h() as u32,
            w: from.rect.w() as u32,
            row_stride: view.row_stride as u32,
            block_stride: view.block_stride as u32,
            plane_stride: view.plane_stride as u32,
        };
        let page = e.stream.registers(Engine::Mxu, &[kernel.into(), region.into()]);
        let weights_before = work.folds(blocks.len()) * (array_tile.start - first);
        let conv = MxuConv {
            page,
            act: view.row as u32,
            wgt: (row + weights_before) as u32,
            acc: 0,
            bank,
            th: tile.h() as u32,
            tw: tile.w() as u32,
            iy0: from.iy0,
            ix0: from.ix0,
            blocks: blocks.len() as u32,
            add,
        };
        e.stream.push(Engine::Mxu, conv, Class::None);
        Ok(())
    }

    /// Requantizes one array tile into `out`, a view that begins at channel block `b0`.
    #[expect(clippy::too_many_arguments, reason = "the coordinates of one drain")]
    fn drain(
        &mut self,
        e: &mut Emitter<'_>,
        tile: Rect,
        channels: std::ops::Range<usize>,
        out: &View,
        b0: usize,
        side: Option<&View>,
        bank: u32,
    ) -> Result<(), BackendError> {
        let (graph, step) = (e.graph, &e.plan.steps[e.step]);
        let node = &graph.nodes[step.node];
        let QOp::Conv { bias, requant, bounds, .. } = &node.op else {
            return Err(BackendError::Internal(format!("`{}` is not a convolution", node.name)));
        };
        let group_channels = self.work.group_channels();
        let per_slot = (e.hw.param_entries as usize / group_channels).max(1) * group_channels;
        let first = channels.start / per_slot * per_slot;
        let held = first..(first + per_slot).min(bias.len());
        let slot =
            e.params(first, held.len(), || held.map(|c| entry(bias[c], requant[c])).collect())?;

        let block = channels.start / self.work.lanes - b0;
        let dst = out.at(block, 0, 0);
        let conv_value = &graph.values[node.output.0 as usize];
        let result = &graph.values[step.output.0 as usize];
        let wide = planes(result.dtype) == 2;
        let mut quant = VpuQuant {
            page: 0,
            zero0: conv_value.zero_point,
            lo0: bounds.lo,
            hi0: bounds.hi,
            zero1: 0,
            lo1: 0,
            hi1: 0,
        };
        let geometry = VpuOut {
            page: 0,
            row_stride: dst.row_stride as u32,
            block_stride: dst.block_stride as u32,
            plane_stride: dst.plane_stride as u32,
            wide,
        };
        let mut registers = vec![geometry.into()];
        let mut b = 0;
        if let (Some(residual), Some(side)) = (step.residual, side) {
            let QOp::Add { shift, bounds, .. } = graph.nodes[residual.node].op else {
                return Err(BackendError::Internal(format!(
                    "`{}` is not an addition",
                    graph.nodes[residual.node].name
                )));
            };
            let side_value = &graph.values[residual.side.0 as usize];
            (quant.zero1, quant.lo1, quant.hi1) = (result.zero_point, bounds.lo, bounds.hi);
            let scale = VpuScale {
                page: 0,
                ma: residual.m_conv,
                mb: residual.m_side,
                shift: u32::from(shift),
                za: conv_value.zero_point,
                zb: side_value.zero_point,
            };
            let side = side.at(block, 0, 0);
            let side_geometry = VpuSide {
                page: 0,
                row_stride: side.row_stride as u32,
                block_stride: side.block_stride as u32,
                plane_stride: side.plane_stride as u32,
                x_stride: 1,
                lane_broadcast: false,
                wide: planes(side_value.dtype) == 2,
            };
            registers.extend([Op::from(scale), side_geometry.into()]);
            b = side.row as u32;
        }
        registers.push(quant.into());
        let page = e.stream.registers(Engine::Vpu, &registers);
        let note = e.note(step.output, tile, channels.clone(), &dst);
        let drain = VpuDrain {
            page,
            acc: 0,
            bank,
            dst: dst.row as u32,
            lane: (channels.start % self.work.lanes) as u32,
            th: tile.h() as u32,
            tw: tile.w() as u32,
            cols: channels.len() as u32,
            slot,
            base: (channels.start - first) as u32,
            b,
            add: step.residual.is_some(),
        };
        e.stream.push_noted(Engine::Vpu, drain, Class::None, Some(note));
        Ok(())
    }
}
