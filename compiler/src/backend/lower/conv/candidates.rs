//! Ways to cut a convolution into tiles and chunks, and what each costs.

use std::collections::BTreeMap;

use crate::backend::geometry::{Rect, cuts, planes, rows, tiles};
use crate::backend::plan::Target;
use crate::backend::steps::dtype;
use crate::backend::tiling::{Buffer, Candidate, Cost, Order, Role, Tiling, slot_choices};
use crate::backend::work::ConvWork;

/// Largest tile extent a word can hold.
const MAX_TILE: usize = 2047;

/// Ways to cut the convolution.
pub(in crate::backend::lower) fn candidates(target: &Target<'_>, step: usize) -> Vec<Candidate> {
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
