//! Dense and grouped convolution on the systolic array, with the residual addition that may follow it.

use std::collections::BTreeMap;

use ir::qgraph::QOp;
use isa::inst::{Engine, Op};
use isa::instructions::{
    MxuConv, MxuInput, MxuKernel, VpuDrain, VpuOut, VpuQuant, VpuScale, VpuSide,
};
use isa::program::Class;

use crate::backend::BackendError;
use crate::backend::dram::ConstantKey;
use crate::backend::emitter::{Emitter, entry};
use crate::backend::geometry::{Rect, cuts, planes, rows, tiles, window_input};
use crate::backend::operand::{Piece, Slots, View, load_packed};
use crate::backend::plan::Target;
use crate::backend::steps::dtype;
use crate::backend::tiling::{Buffer, Candidate, Cost, Order, Role, Tiling, slot_choices};
use crate::backend::weights::array_weights;
use crate::backend::work::ConvWork;

/// Largest tile extent a word can hold.
const MAX_TILE: usize = 2047;

/// Ways to cut the convolution.
pub(super) fn candidates(target: &Target<'_>, step: usize) -> Vec<Candidate> {
    let node = &target.graph.nodes[target.steps[step].node];
    let Some(work) = ConvWork::new(target.graph, node, target.hw) else { return Vec::new() };
    let acc_rows = target.hw.acc_rows as usize;
    let chunked: Vec<Chunked> =
        chunk_choices(&work).into_iter().map(|chunk| Chunked::new(&work, chunk)).collect();
    let drained = Drained::new(target, step, &work);
    let mut out = Vec::new();
    for tw in cuts(work.output.w, acc_rows.min(MAX_TILE)) {
        for th in cuts(work.output.h, (acc_rows / tw).clamp(1, MAX_TILE)).into_iter().take(6) {
            let tiled = Tiles::new(&work, &drained, tiles(work.output.h, work.output.w, th, tw));
            for chunked in &chunked {
                let mxu = tiled.array_cycles(chunked, &drained);
                for order in [Order::PixelsOuter, Order::ChannelsOuter] {
                    let cut = Cut {
                        target,
                        step,
                        work: &work,
                        tiled: &tiled,
                        drained: &drained,
                        th,
                        tw,
                        chunked,
                        order,
                    };
                    cut.variants(Cost { mxu, vpu: drained.cycles, ..Cost::default() }, &mut out);
                }
            }
        }
    }
    out
}

/// What depends on nothing but the convolution and the machine.
struct Drained {
    /// Cycles of the vector engine.
    cycles: u64,
    /// Channels of each array tile of each group.
    widths: Vec<Vec<usize>>,
}

impl Drained {
    fn new(target: &Target<'_>, step: usize, work: &ConvWork<'_>) -> Drained {
        let lanes = target.hw.vector_lanes as usize;
        let out_planes = planes(dtype(target.graph, target.steps[step].output));
        let pixels = (work.output.h * work.output.w) as u64;
        let mut cycles = 0;
        let mut widths = Vec::with_capacity(work.n_groups());
        for group in 0..work.n_groups() {
            let array_tiles = work.array_tiles(group);
            for tile in &array_tiles {
                let touched = (tile.start % work.lanes + tile.len() - 1) / work.lanes + 1;
                cycles += pixels * (tile.len().div_ceil(lanes)).max(touched * out_planes) as u64;
            }
            widths.push(array_tiles.iter().map(std::ops::Range::len).collect());
        }
        Drained { cycles, widths }
    }

    /// Number of array tiles of all groups.
    fn array_tiles(&self) -> u64 {
        self.widths.iter().map(|group| group.len() as u64).sum()
    }
}

/// What depends on the chunks of the reduction.
struct Chunked {
    /// Blocks of a chunk.
    chunk: usize,
    /// Chunks of all groups.
    n_chunks: usize,
    /// Most chunks of a group.
    max_chunks: usize,
    /// DRAM bytes of the weights.
    weight_bytes: u64,
    /// Folds of an array tile of each group.
    folds: Vec<u64>,
}

impl Chunked {
    fn new(work: &ConvWork<'_>, chunk: usize) -> Chunked {
        let mut of =
            Chunked { chunk, n_chunks: 0, max_chunks: 1, weight_bytes: 0, folds: Vec::new() };
        for group in 0..work.n_groups() {
            let chunks = work.chunks(group, chunk);
            of.n_chunks += chunks.len();
            of.max_chunks = of.max_chunks.max(chunks.len());
            let rows = chunks.iter().map(|chunk| work.weight_rows(group, chunk.len()));
            of.weight_bytes += (rows.sum::<usize>() * work.weight_row_bytes()) as u64;
            of.folds.push(chunks.iter().map(|chunk| work.folds(chunk.len()) as u64).sum());
        }
        of
    }
}

/// What depends on the tiles of pixels.
struct Tiles {
    count: usize,
    max_pixels: usize,
    max_input: usize,
    /// DRAM bytes of the input of every tile, once.
    input_bytes: u64,
    /// Cycles in which all tiles stream through one fold of an array tile of so many channels.
    streams: BTreeMap<usize, u64>,
}

impl Tiles {
    fn new(work: &ConvWork<'_>, drained: &Drained, tiles: Vec<Rect>) -> Tiles {
        let inputs = || tiles.iter().map(|tile| work.input_rect(*tile).area());
        let stream = |width: usize| -> u64 {
            tiles.iter().map(|tile| (tile.area() * work.passes()).max(width) as u64).sum()
        };
        let mut streams = BTreeMap::new();
        for &width in drained.widths.iter().flatten() {
            streams.entry(width).or_insert_with(|| stream(width));
        }
        let pixel_bytes = work.input.c * planes(work.in_type);
        Tiles {
            count: tiles.len(),
            max_pixels: tiles.iter().map(Rect::area).max().unwrap_or(1),
            max_input: inputs().max().unwrap_or(1),
            input_bytes: inputs().map(|area| (area * pixel_bytes) as u64).sum(),
            streams,
        }
    }

    /// Cycles of the array.
    fn array_cycles(&self, chunked: &Chunked, drained: &Drained) -> u64 {
        let of_group = |(folds, widths): (&u64, &Vec<usize>)| {
            folds * widths.iter().map(|width| self.streams[width]).sum::<u64>()
        };
        chunked.folds.iter().zip(&drained.widths).map(of_group).sum()
    }
}

/// Reduction chunks worth trying, in blocks: even where two blocks share a fold.
fn chunk_choices(work: &ConvWork<'_>) -> Vec<usize> {
    let all = work.max_blocks();
    let mut out: Vec<usize> = cuts(all, all)
        .into_iter()
        .map(|n| if work.nibbles { n.next_multiple_of(2).min(all) } else { n })
        .collect();
    out.dedup();
    out
}

/// One way to cut, before buffers are counted.
struct Cut<'a> {
    target: &'a Target<'a>,
    step: usize,
    work: &'a ConvWork<'a>,
    tiled: &'a Tiles,
    drained: &'a Drained,
    th: usize,
    tw: usize,
    chunked: &'a Chunked,
    order: Order,
}

impl Cut<'_> {
    /// Appends every choice of buffer counts with its cost: `computing` and what its transfers add.
    fn variants(&self, computing: Cost, out: &mut Vec<Candidate>) {
        let (target, work) = (self.target, self.work);
        let step = &target.steps[self.step];
        let node = &target.graph.nodes[step.node];
        let &Tiles { count: n_tiles, max_pixels, max_input, .. } = self.tiled;
        let &Chunked { chunk, n_chunks, .. } = self.chunked;
        let out_type = dtype(target.graph, step.output);
        let group_blocks = work.group_channels().min(work.output.c).div_ceil(work.lanes);
        let widest = (0..work.n_groups()).map(|g| work.channels(g).len()).max().unwrap_or(1);
        let weight_rows = work.folds(chunk) * widest;
        let stage_rows = rows(out_type, max_pixels, group_blocks);

        let input_slots = if target.is_resident(node.inputs[0]) {
            vec![0]
        } else {
            slot_choices_small(n_tiles * n_chunks)
        };
        let side_slots = match step.residual {
            Some(r) if !target.is_resident(r.side) => slot_choices_small(n_tiles * work.n_groups()),
            _ => vec![0],
        };
        let output_slots = if target.is_resident(step.output) {
            vec![0]
        } else {
            slot_choices_small(n_tiles * work.n_groups())
        };
        for &weights in &slot_choices(n_chunks) {
            for &input in &input_slots {
                for &output in &output_slots {
                    for &side in &side_slots {
                        let mut buffers = vec![Buffer::new(Role::Weights, weight_rows, weights)];
                        if input > 0 {
                            buffers.push(Buffer::new(
                                Role::Input(0),
                                rows(work.in_type, max_input, chunk),
                                input,
                            ));
                        }
                        if side > 0 {
                            let side_type =
                                step.residual.map_or(out_type, |r| dtype(target.graph, r.side));
                            buffers.push(Buffer::new(
                                Role::Input(1),
                                rows(side_type, max_pixels, group_blocks),
                                side,
                            ));
                        }
                        if output > 0 {
                            buffers.push(Buffer::new(Role::Output, stage_rows, output));
                        }
                        let cost = self.cost(computing, weights, input, output, side);
                        let tiling = Tiling {
                            th: self.th,
                            tw: self.tw,
                            blocks: chunk,
                            order: self.order,
                            buffers,
                        };
                        out.push(Candidate { tiling, cost });
                    }
                }
            }
        }
    }

    /// Cycles and bytes for the given buffer counts (0: resident).
    fn cost(
        &self,
        computing: Cost,
        weight_slots: usize,
        input_slots: usize,
        output_slots: usize,
        side_slots: usize,
    ) -> Cost {
        let (target, work) = (self.target, self.work);
        let step = &target.steps[self.step];
        let n_tiles = self.tiled.count as u64;
        let pixels = (work.output.h * work.output.w) as u64;
        let out_planes = planes(dtype(target.graph, step.output));
        let &Chunked { n_chunks, max_chunks, weight_bytes, .. } = self.chunked;
        let n_chunks = n_chunks as u64;
        let array_tiles = self.drained.array_tiles();
        let mut cost = Cost { tiles: n_tiles * array_tiles, ..computing };

        // Weights are loaded once if all are kept, if each is used up before the next, or if there is one tile.
        let weights_once = weight_slots as u64 >= n_chunks
            || n_tiles == 1
            || (self.order == Order::ChannelsOuter && weight_slots >= max_chunks);
        let weight_loads = if weights_once { n_chunks } else { n_chunks * n_tiles };
        let weights_moved = if weights_once { weight_bytes } else { weight_bytes * n_tiles };
        cost.bytes += weights_moved;
        if weight_slots < 2 || weight_loads == 1 {
            (cost.exposed, cost.exposed_bytes) = (weight_loads, weights_moved);
        }
        if input_slots > 0 {
            let one_pass = self.tiled.input_bytes;
            let distinct = work.groups == 1 && max_chunks == 1;
            let kept = match self.order {
                Order::PixelsOuter => distinct || input_slots as u64 >= n_chunks,
                Order::ChannelsOuter => {
                    n_tiles == 1 && (distinct || input_slots as u64 >= n_chunks)
                }
            };
            // Several array tiles of one group walk the same chunks again unless all of them stay.
            let walks = if kept {
                1
            } else if work.groups > 1 && max_chunks == 1 {
                // Each group of channels reads its own few blocks.
                1
            } else if max_chunks == 1 || input_slots >= max_chunks {
                work.n_groups() as u64
            } else {
                array_tiles
            };
            let loads = n_tiles * max_chunks as u64 * walks;
            cost.bytes += one_pass * walks;
            if input_slots < 2 || loads == 1 {
                cost.exposed += loads;
                cost.exposed_bytes += one_pass * walks;
            }
        }
        let moved = pixels * work.output.c as u64;
        if side_slots > 0 {
            cost.bytes += moved;
            if side_slots < 2 {
                cost.exposed += n_tiles * work.n_groups() as u64;
                cost.exposed_bytes += moved;
            }
        }
        if target.in_dram(step.output) {
            cost.bytes += moved * out_planes as u64;
            if output_slots == 1 {
                cost.exposed += n_tiles * work.n_groups() as u64;
                cost.exposed_bytes += moved * out_planes as u64;
            }
        }
        cost
    }
}

/// Double or single buffering for pieces that are used one after the other.
fn slot_choices_small(units: usize) -> Vec<usize> {
    if units > 1 { vec![2, 1] } else { vec![1] }
}

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
