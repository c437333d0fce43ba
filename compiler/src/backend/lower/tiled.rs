//! The tile loop of the vector engine's operators: what differs between them is which input a tile needs, and the word that computes it.

use std::ops::Range;

use ir::qgraph::ValueId;
use isa::hardware::Hardware;
use isa::numerics::param::ParamEntry;

use crate::backend::BackendError;
use crate::backend::emitter::Emitter;
use crate::backend::geometry::{Rect, blocks, cuts, planes, rows, tiles};
use crate::backend::operand::{Piece, Slots, View};
use crate::backend::plan::Target;
use crate::backend::tiling::{Buffer, Candidate, Cost, Order, Role, Tiling};

use super::conv::slot_rows;

/// Largest tile extent a word can hold.
pub(super) const MAX_TILE: usize = 2047;

/// Most channel blocks a word can hold.
pub(super) const MAX_BLOCKS: usize = 1023;

/// An operator as the tile loop sees it.
pub(super) trait Tiled {
    /// Pieces of the operands that `tile` of the result's blocks `blocks` needs, in operand order.
    fn pieces(&self, tile: Rect, blocks: Range<usize>) -> Vec<Piece>;

    /// Cycles of the vector engine for such a tile, without the pipeline's fixed cost.
    fn work(&self, tile: Rect, n_blocks: usize) -> u64;

    /// Cycles of the array for such a tile.
    fn array(&self, _tile: Rect, _n_blocks: usize) -> u64 {
        0
    }

    /// Whether the pieces of two runs of channel blocks of the same length differ in nothing but where they begin.
    fn is_uniform(&self) -> bool {
        true
    }

    /// Widest tile allowed.
    fn max_width(&self) -> usize {
        MAX_TILE
    }

    /// Highest tile allowed.
    fn max_height(&self) -> usize {
        MAX_TILE
    }

    /// Whether a tile must hold all channels.
    fn all_channels(&self) -> bool {
        false
    }

    /// Most channel blocks of a tile.
    fn max_blocks(&self) -> usize {
        MAX_BLOCKS
    }

    /// Scratchpad rows and DRAM bytes of the weights of `n_blocks` blocks.
    fn weights(&self, _n_blocks: usize) -> (usize, usize) {
        (0, 0)
    }
}

/// Most channel blocks of a tile with a parameter entry for each lane: they must fit one slot.
pub(super) fn entry_blocks(hw: &Hardware) -> usize {
    (hw.param_entries as usize / hw.array_rows as usize).clamp(1, MAX_BLOCKS)
}

/// Parameter slot with the entry of each channel of a tile. Lanes beyond the last channel, for which `entry` is `None`, have an entry
/// of zeros.
pub(super) fn lane_entries(
    e: &mut Emitter<'_>,
    run: &TileRun<'_>,
    entry: impl Fn(usize) -> Option<ParamEntry>,
) -> Result<u32, BackendError> {
    let channels = run.blocks.start * e.lanes()..run.blocks.end * e.lanes();
    e.params(channels.start, channels.len(), || {
        channels.clone().map(|c| entry(c).unwrap_or_default()).collect()
    })
}

/// Every way to cut `op`, which computes `output` from `inputs`.
pub(super) fn candidates(
    target: &Target<'_>,
    op: &impl Tiled,
    output: ValueId,
    n_inputs: usize,
) -> Vec<Candidate> {
    let lanes = target.hw.array_rows as usize;
    let value = &target.graph.values[output.0 as usize];
    let shape = value.shape;
    let n_blocks = blocks(shape.c, lanes);
    let widths = cuts(shape.w, op.max_width());
    let heights = cuts(shape.h, op.max_height());
    let depths = if op.all_channels() { vec![n_blocks] } else { cuts(n_blocks, op.max_blocks()) };
    let mut out = Vec::new();
    for &tw in &widths {
        for &th in &heights {
            let cut = tiles(shape.h, shape.w, th, tw);
            for &depth in &depths {
                let whole = Whole::new(target, op, n_inputs, &cut, depth, n_blocks);
                for slots in [2, 1] {
                    out.push(candidate(target, op, output, &whole, (th, tw, depth), slots));
                }
            }
        }
    }
    out
}

/// What all tiles of a cut need together, however many buffers there are.
struct Whole {
    /// Tiles, by channels too.
    units: usize,
    /// Runs of channel blocks.
    chunks: usize,
    /// Cycles of the vector engine.
    cycles: u64,
    /// Cycles of the array.
    array: u64,
    /// DRAM bytes of operands and weights.
    moved: usize,
    /// Most scratchpad rows of a piece of each operand that is not resident.
    input_rows: Vec<usize>,
}

impl Whole {
    fn new(
        target: &Target<'_>,
        op: &impl Tiled,
        n_inputs: usize,
        cut: &[Rect],
        depth: usize,
        n_blocks: usize,
    ) -> Whole {
        let lanes = target.hw.array_rows as usize;
        let chunks: Vec<Range<usize>> =
            (0..n_blocks).step_by(depth).map(|b| b..(b + depth).min(n_blocks)).collect();
        let mut whole = Whole {
            units: cut.len() * chunks.len(),
            chunks: chunks.len(),
            cycles: 0,
            array: 0,
            moved: 0,
            input_rows: vec![0; n_inputs],
        };
        // Each run for itself, or one for all of its length: all but the last are as long as the first.
        let counted: Vec<(Range<usize>, usize)> = match (op.is_uniform(), &chunks[..]) {
            (true, [first, .., last]) if first.len() == last.len() => {
                vec![(first.clone(), chunks.len())]
            }
            (true, [first, .., last]) => {
                vec![(first.clone(), chunks.len() - 1), (last.clone(), 1)]
            }
            _ => chunks.into_iter().map(|chunk| (chunk, 1)).collect(),
        };
        for (chunk, count) in counted {
            for tile in cut {
                whole.cycles += op.work(*tile, chunk.len()) * count as u64;
                whole.array += op.array(*tile, chunk.len()) * count as u64;
                for (i, piece) in op.pieces(*tile, chunk.clone()).iter().enumerate() {
                    if !target.is_resident(piece.value) {
                        let rows = piece.rows(target.graph);
                        whole.input_rows[i] = whole.input_rows[i].max(rows);
                        whole.moved += rows * lanes * count;
                    }
                }
            }
            whole.moved += op.weights(chunk.len()).1 * count;
        }
        whole
    }
}

fn candidate(
    target: &Target<'_>,
    op: &impl Tiled,
    output: ValueId,
    whole: &Whole,
    (th, tw, depth): (usize, usize, usize),
    slots: usize,
) -> Candidate {
    let value = &target.graph.values[output.0 as usize];
    let &Whole { units, chunks, cycles, array, mut moved, .. } = whole;
    let slots = slots.min(units);
    let mut buffers: Vec<Buffer> = Vec::new();
    for (i, &rows) in whole.input_rows.iter().enumerate() {
        if rows > 0 {
            buffers.push(Buffer::new(Role::Input(i), rows, slots));
        }
    }
    let weight_rows = op.weights(depth).0;
    if weight_rows > 0 {
        buffers.push(Buffer::new(Role::Weights, weight_rows, 2.min(chunks)));
    }
    if !target.is_resident(output) {
        buffers.push(Buffer::new(Role::Output, rows(value.dtype, th * tw, depth), slots));
    }
    if target.in_dram(output) {
        moved += value.shape.h * value.shape.w * value.shape.c * planes(value.dtype);
    }
    let mut cost = Cost {
        mxu: array,
        vpu: cycles,
        bytes: moved as u64,
        tiles: units as u64,
        ..Cost::default()
    };
    if slots < 2 && !buffers.is_empty() {
        cost.exposed = units as u64;
        cost.exposed_bytes = moved as u64;
    }
    Candidate {
        tiling: Tiling { th, tw, blocks: depth, order: Order::ChannelsOuter, buffers },
        cost,
    }
}

/// One tile while it is emitted.
pub(super) struct TileRun<'a> {
    /// Pixels of the result.
    pub rect: Rect,
    /// Channel blocks of the result.
    pub blocks: Range<usize>,
    /// Operand pieces.
    pub pieces: &'a [Piece],
    /// Where each operand piece lies.
    pub inputs: &'a [View],
    /// Where the result goes.
    pub out: View,
}

/// Runs the tile loop: channel chunks outside, so that weights and parameters are loaded once; `compute` writes a tile's words.
pub(super) fn emit(
    e: &mut Emitter<'_>,
    op: &impl Tiled,
    output: ValueId,
    mut compute: impl FnMut(&mut Emitter<'_>, &TileRun<'_>) -> Result<(), BackendError>,
) -> Result<(), BackendError> {
    let plan = e.plan;
    let tiling = &plan.tilings[e.step];
    let shape = e.graph.values[output.0 as usize].shape;
    let n_blocks = blocks(shape.c, e.lanes());
    let n_inputs = op.pieces(Rect { y0: 0, y1: 1, x0: 0, x1: 1 }, 0..1).len();
    let mut inputs: Vec<Slots<Piece>> =
        (0..n_inputs).map(|i| Slots::new(slot_rows(tiling, Role::Input(i)))).collect();
    let mut results = Slots::new(slot_rows(tiling, Role::Output));
    for value in plan.steps[e.step].inputs(e.graph) {
        e.bring_in(value);
    }
    for first in (0..n_blocks).step_by(tiling.blocks) {
        let chunk = first..(first + tiling.blocks).min(n_blocks);
        for rect in tiles(shape.h, shape.w, tiling.th, tiling.tw) {
            let pieces = op.pieces(rect, chunk.clone());
            let mut views = Vec::with_capacity(pieces.len());
            for (slots, piece) in inputs.iter_mut().zip(&pieces) {
                views.push(e.operand(slots, *piece)?);
            }
            let piece = Piece { value: output, rect, b0: chunk.start, b1: chunk.end };
            let out = e.result(&mut results, piece);
            compute(
                e,
                &TileRun { rect, blocks: chunk.clone(), pieces: &pieces, inputs: &views, out },
            )?;
            e.finish(&piece, &out);
        }
    }
    Ok(())
}
