//! Depthwise convolution and pooling on the vector lanes.

use std::ops::Range;

use ir::qgraph::{Bounds, Hwc, QOp, QWeights, ValueId, Window};
use isa::hardware::Hardware;
use isa::inst::Engine;
use isa::instructions::{VpuDepthwise, VpuIn, VpuKernel, VpuOut, VpuPool, VpuQuant};
use isa::program::Class;

use crate::backend::BackendError;
use crate::backend::dram::ConstantKey;
use crate::backend::emitter::{Emitter, entry};
use crate::backend::geometry::{Rect, planes, window_input};
use crate::backend::operand::{Piece, Slots, View, load_packed};
use crate::backend::plan::Target;
use crate::backend::steps::dtype;
use crate::backend::tiling::{Candidate, Role};
use crate::backend::weights::{byte_lane_bits, lane_weights};

use super::conv::slot_rows;
use super::tiled::{self, MAX_BLOCKS, TileRun, Tiled, entry_blocks, lane_entries};

/// A windowed operator of the vector engine.
struct WindowWork<'a> {
    input: ValueId,
    window: Window,
    extents: Hwc,
    weights: Option<&'a QWeights>,
    in_planes: usize,
    out_planes: usize,
    lanes: usize,
    hw: &'a Hardware,
}

impl<'a> WindowWork<'a> {
    fn new(
        graph: &'a ir::qgraph::QGraph,
        node: &'a ir::qgraph::QNode,
        hw: &'a Hardware,
    ) -> Result<Self, BackendError> {
        let (window, weights) = match &node.op {
            QOp::Conv { window, weights, .. } => (*window, Some(weights)),
            QOp::MaxPool { window } | QOp::AveragePool { window, .. } => (*window, None),
            QOp::MatMul { .. }
            | QOp::Add { .. }
            | QOp::Max { .. }
            | QOp::Min { .. }
            | QOp::Mul { .. }
            | QOp::Rescale { .. }
            | QOp::Interpolate { .. }
            | QOp::Lut8 { .. }
            | QOp::Lut16 { .. }
            | QOp::PRelu { .. }
            | QOp::Softmax { .. }
            | QOp::Concat { .. }
            | QOp::Pad { .. }
            | QOp::Gather { .. }
            | QOp::Reorder { .. } => {
                return Err(BackendError::Internal(format!("`{}` has no window", node.name)));
            }
        };
        let input = node.inputs[0];
        Ok(WindowWork {
            input,
            window,
            extents: graph.values[input.0 as usize].shape,
            weights,
            in_planes: planes(dtype(graph, input)),
            out_planes: planes(dtype(graph, node.output)),
            lanes: hw.array_rows as usize,
            hw,
        })
    }

    fn taps(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1]
    }
}

impl Tiled for WindowWork<'_> {
    fn pieces(&self, tile: Rect, blocks: Range<usize>) -> Vec<Piece> {
        let rect = window_input(tile, &self.window, self.extents).rect;
        vec![Piece { value: self.input, rect, b0: blocks.start, b1: blocks.end }]
    }

    fn work(&self, tile: Rect, n_blocks: usize) -> u64 {
        let rect = window_input(tile, &self.window, self.extents).rect;
        let read = if rect.w() > self.hw.line_cols as usize {
            tile.area() * self.taps()
        } else {
            rect.area()
        };
        let compute = tile.area() * self.taps().div_ceil(self.hw.depthwise_taps as usize);
        let per_lane = (read * self.in_planes).max(compute).max(tile.area() * self.out_planes);
        let block = per_lane * self.lanes.div_ceil(self.hw.vector_lanes as usize);
        let weights = if self.weights.is_some() { self.taps() } else { 0 };
        (n_blocks * (weights + block)) as u64
    }

    fn weights(&self, n_blocks: usize) -> (usize, usize) {
        let Some(weights) = self.weights else { return (0, 0) };
        let rows = n_blocks * self.taps();
        (rows, rows * (self.lanes * byte_lane_bits(weights.bits) as usize).div_ceil(8))
    }

    fn max_blocks(&self) -> usize {
        if self.weights.is_some() { entry_blocks(self.hw) } else { MAX_BLOCKS }
    }
}

/// Ways to cut a depthwise convolution or pool.
pub(super) fn candidates(target: &Target<'_>, step: usize) -> Vec<Candidate> {
    let node = &target.graph.nodes[target.steps[step].node];
    match WindowWork::new(target.graph, node, target.hw) {
        Ok(work) => tiled::candidates(target, &work, node.output, 1),
        Err(_) => Vec::new(),
    }
}

/// Writes the words of a depthwise convolution or pool.
pub(super) fn emit(e: &mut Emitter<'_>) -> Result<(), BackendError> {
    let (graph, plan) = (e.graph, e.plan);
    let node = &graph.nodes[plan.steps[e.step].node];
    let work = WindowWork::new(graph, node, e.hw)?;
    let mut weights = Slots::new(slot_rows(&plan.tilings[e.step], Role::Weights));
    let (input, output) =
        (&graph.values[node.inputs[0].0 as usize], &graph.values[node.output.0 as usize]);
    tiled::emit(e, &work, node.output, |e, run| {
        let n_blocks = run.blocks.len() as u32;
        let from = window_input(run.rect, &work.window, work.extents);
        let mut kernel = VpuKernel {
            page: 0,
            kh: work.window.kernel[0] as u32,
            kw: work.window.kernel[1] as u32,
            sy: work.window.stride[0] as u32,
            sx: work.window.stride[1] as u32,
            dy: work.window.dilation[0] as u32,
            dx: work.window.dilation[1] as u32,
            pad: input.zero_point,
            weights: 0,
            by_count: false,
        };
        let view = run.inputs[0];
        let region = VpuIn {
            page: 0,
            h: from.rect.h() as u32,
            w: from.rect.w() as u32,
            row_stride: view.row_stride as u32,
            block_stride: view.block_stride as u32,
            plane_stride: view.plane_stride as u32,
            wide: work.in_planes == 2,
        };
        let quant = |bounds: Bounds| VpuQuant {
            page: 0,
            zero0: output.zero_point,
            lo0: bounds.lo,
            hi0: bounds.hi,
            zero1: 0,
            lo1: 0,
            hi1: 0,
        };
        let geometry = out_registers(&run.out, work.out_planes == 2);
        let note = channel_note(e, node.output, run);
        let (a, dst) = (view.row as u32, run.out.row as u32);
        let (th, tw) = (run.rect.h() as u32, run.rect.w() as u32);
        let (iy0, ix0) = (from.iy0, from.ix0);
        match &node.op {
            QOp::Conv { weights: w, bias, requant, bounds, .. } => {
                let (row, held) = weights.get(run.blocks.start);
                if !held {
                    let key =
                        ConstantKey::Weights { step: e.step, group: 0, block: run.blocks.start };
                    let src = e.constants.get(key, || {
                        Ok::<_, BackendError>(
                            lane_weights(w, work.lanes, run.blocks.start, run.blocks.end).pack(),
                        )
                    })?;
                    load_packed(
                        &mut e.stream,
                        row,
                        src,
                        run.blocks.len() * work.taps(),
                        work.lanes,
                        byte_lane_bits(w.bits),
                    );
                }
                kernel.weights = row as u32;
                let channel = |c: usize| Some(entry(*bias.get(c)?, *requant.get(c)?));
                let slot = lane_entries(e, run, channel)?;
                let page = e.stream.registers(
                    Engine::Vpu,
                    &[kernel.into(), region.into(), geometry.into(), quant(*bounds).into()],
                );
                let op = VpuDepthwise {
                    page,
                    a,
                    dst,
                    th,
                    tw,
                    iy0,
                    ix0,
                    blocks: n_blocks,
                    slot,
                    base: 0,
                };
                e.stream.push_noted(Engine::Vpu, op, Class::None, Some(note));
            }
            QOp::AveragePool { requant, bounds, .. } => {
                if requant.len() > e.hw.param_entries as usize {
                    return Err(BackendError::CountTable {
                        node: node.name.clone(),
                        entries: requant.len(),
                        limit: e.hw.param_entries,
                    });
                }
                kernel.by_count = requant.len() > 1;
                let slot = e.params(0, requant.len(), || {
                    requant.iter().map(|&rq| entry(0, rq)).collect()
                })?;
                let page = e.stream.registers(
                    Engine::Vpu,
                    &[kernel.into(), region.into(), geometry.into(), quant(*bounds).into()],
                );
                let op = VpuPool {
                    page,
                    a,
                    dst,
                    th,
                    tw,
                    iy0,
                    ix0,
                    blocks: n_blocks,
                    slot,
                    base: 0,
                    average: true,
                };
                e.stream.push_noted(Engine::Vpu, op, Class::None, Some(note));
            }
            _ => {
                let page = e
                    .stream
                    .registers(Engine::Vpu, &[kernel.into(), region.into(), geometry.into()]);
                let op = VpuPool {
                    page,
                    a,
                    dst,
                    th,
                    tw,
                    iy0,
                    ix0,
                    blocks: n_blocks,
                    slot: 0,
                    base: 0,
                    average: false,
                };
                e.stream.push_noted(Engine::Vpu, op, Class::None, Some(note));
            }
        }
        Ok(())
    })
}

/// Result registers for a view.
pub(super) fn out_registers(view: &View, wide: bool) -> VpuOut {
    VpuOut {
        page: 0,
        row_stride: view.row_stride as u32,
        block_stride: view.block_stride as u32,
        plane_stride: view.plane_stride as u32,
        wide,
    }
}

/// The note that a tile's channels are complete.
pub(super) fn channel_note(
    e: &Emitter<'_>,
    output: ValueId,
    run: &TileRun<'_>,
) -> isa::program::TileNote {
    let shape = e.graph.values[output.0 as usize].shape;
    let channels = run.blocks.start * e.lanes()..(run.blocks.end * e.lanes()).min(shape.c);
    e.note(output, run.rect, channels, &run.out)
}
