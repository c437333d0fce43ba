//! Concat and Pad: operands set into the result.

use std::ops::Range;

use ir::qgraph::{Hwc, QGraph, QOp, ValueId};
use isa::hardware::Hardware;

use crate::backend::BackendError;
use crate::backend::emitter::Emitter;
use crate::backend::geometry::{Rect, planes};
use crate::backend::operand::{Piece, View};
use crate::backend::plan::Target;
use crate::backend::steps::dtype;
use crate::backend::tiling::Candidate;

use super::mover::{Mover, plane_view};
use super::tiled::{self, Tiled};
use super::window::channel_note;

/// An operand's box inside the result: `result[y + oy, x + ox, c + oc] = operand[y, x, c]`.
#[derive(Clone, Copy)]
struct Inset {
    value: ValueId,
    shape: Hwc,
    origin: [usize; 3],
}

impl Inset {
    /// The operand's pixels that fall into a tile of the result, in operand coordinates; possibly empty.
    fn rect(&self, tile: Rect) -> Rect {
        let axis = |lo: usize, hi: usize, origin: usize, extent: usize| {
            let first = lo.max(origin).min(hi);
            let last = hi.min(origin + extent).max(first);
            if last > first { (first - origin, last - origin) } else { (0, 0) }
        };
        let (y0, y1) = axis(tile.y0, tile.y1, self.origin[0], self.shape.h);
        let (x0, x1) = axis(tile.x0, tile.x1, self.origin[1], self.shape.w);
        if y1 > y0 && x1 > x0 {
            Rect { y0, y1, x0, x1 }
        } else {
            Rect { y0: 0, y1: 0, x0: 0, x1: 0 }
        }
    }
}

/// Concat or Pad: operands set into the result.
struct InsetWork {
    insets: Vec<Inset>,
    lanes: usize,
    planes: usize,
    /// Channels shift, so a tile holds all of them.
    shifts_channels: bool,
    /// The tile is filled before the operands are set in.
    fill: bool,
}

impl InsetWork {
    /// Copies an operand's piece from view `ends.0` to its place in the tile at view `ends.1`.
    fn set_in(
        &self,
        mover: &mut Mover,
        inset: &Inset,
        piece: &Piece,
        ends: (&View, &View),
        tile: Rect,
    ) {
        let (view, out) = ends;
        let oy = piece.rect.y0 + inset.origin[0] - tile.y0;
        let ox = piece.rect.x0 + inset.origin[1] - tile.x0;
        let shift = if self.shifts_channels { inset.origin[2] } else { 0 };
        let last = (piece.b1 * self.lanes).min(inset.shape.c) - piece.b0 * self.lanes;
        let mut ch = 0;
        while ch < last {
            // A run stays inside one block on both sides.
            let to = ch + shift;
            let left = |c: usize| self.lanes - c % self.lanes;
            let len = left(ch).min(left(to)).min(last - ch);
            let (src, dst) = (view.at(ch / self.lanes, 0, 0), out.at(to / self.lanes, oy, ox));
            mover.copy_lanes((&src, ch % self.lanes), (&dst, to % self.lanes), piece.rect, len);
            ch += len;
        }
    }
}

impl Tiled for InsetWork {
    fn pieces(&self, tile: Rect, blocks: Range<usize>) -> Vec<Piece> {
        let piece = |inset: &Inset| {
            let n = inset.shape.c.div_ceil(self.lanes);
            let (b0, b1) = if self.shifts_channels { (0, n) } else { (blocks.start, blocks.end) };
            Piece { value: inset.value, rect: inset.rect(tile), b0, b1 }
        };
        self.insets.iter().map(piece).collect()
    }

    fn work(&self, tile: Rect, n_blocks: usize) -> u64 {
        let passes = if self.fill { 2 } else { 1 };
        (tile.area() * n_blocks * self.planes * passes) as u64
    }

    fn all_channels(&self) -> bool {
        self.shifts_channels
    }
}

fn concat_work(graph: &QGraph, hw: &Hardware, node: usize) -> Option<InsetWork> {
    let node = &graph.nodes[node];
    let QOp::Concat { axis } = node.op else { return None };
    let mut at = 0;
    let mut insets = Vec::with_capacity(node.inputs.len());
    for &value in &node.inputs {
        let shape = graph.values[value.0 as usize].shape;
        let mut origin = [0; 3];
        origin[axis] = at;
        at += [shape.h, shape.w, shape.c][axis];
        insets.push(Inset { value, shape, origin });
    }
    let planes = planes(dtype(graph, node.output));
    Some(InsetWork {
        insets,
        lanes: hw.array_rows as usize,
        planes,
        shifts_channels: axis == 2,
        fill: false,
    })
}

fn pad_work(graph: &QGraph, hw: &Hardware, node: usize) -> Option<InsetWork> {
    let node = &graph.nodes[node];
    let QOp::Pad { before, after, .. } = node.op else { return None };
    let value = node.inputs[0];
    let shape = graph.values[value.0 as usize].shape;
    let planes = planes(dtype(graph, node.output));
    let shifts_channels = before[2] + after[2] > 0;
    Some(InsetWork {
        insets: vec![Inset { value, shape, origin: before }],
        lanes: hw.array_rows as usize,
        planes,
        shifts_channels,
        fill: true,
    })
}

/// Ways to cut a concatenation.
pub(super) fn concat_candidates(target: &Target<'_>, step: usize) -> Vec<Candidate> {
    let index = target.steps[step].node;
    concat_work(target.graph, target.hw, index).map_or_else(Vec::new, |work| {
        tiled::candidates(target, &work, target.graph.nodes[index].output, work.insets.len())
    })
}

/// Ways to cut a padding.
pub(super) fn pad_candidates(target: &Target<'_>, step: usize) -> Vec<Candidate> {
    let index = target.steps[step].node;
    pad_work(target.graph, target.hw, index).map_or_else(Vec::new, |work| {
        tiled::candidates(target, &work, target.graph.nodes[index].output, 1)
    })
}

/// Writes the words of a concatenation.
pub(super) fn emit_concat(e: &mut Emitter<'_>) -> Result<(), BackendError> {
    let index = e.plan.steps[e.step].node;
    let work = concat_work(e.graph, e.hw, index)
        .ok_or_else(|| BackendError::Internal("not a concatenation".into()))?;
    emit_insets(e, &work, e.graph.nodes[index].output, 0)
}

/// Writes the words of a padding.
pub(super) fn emit_pad(e: &mut Emitter<'_>) -> Result<(), BackendError> {
    let index = e.plan.steps[e.step].node;
    let QOp::Pad { value, .. } = e.graph.nodes[index].op else {
        return Err(BackendError::Internal("not a padding".into()));
    };
    let work = pad_work(e.graph, e.hw, index)
        .ok_or_else(|| BackendError::Internal("not a padding".into()))?;
    emit_insets(e, &work, e.graph.nodes[index].output, value)
}

fn emit_insets(
    e: &mut Emitter<'_>,
    work: &InsetWork,
    output: ValueId,
    border: i32,
) -> Result<(), BackendError> {
    let channels = e.graph.values[output.0 as usize].shape.c;
    tiled::emit(e, work, output, |e, run| {
        let mut mover = Mover::new(e.hw);
        let tile_channels =
            run.blocks.start * work.lanes..(run.blocks.end * work.lanes).min(channels);
        for plane in 0..work.planes {
            let out = plane_view(&run.out, plane);
            if work.fill {
                let byte =
                    if work.planes == 1 || plane == 1 { border as i8 } else { (border >> 8) as i8 };
                mover.fill_tile(&out, run.rect, tile_channels.len(), byte);
            }
            for (inset, (piece, view)) in work.insets.iter().zip(run.pieces.iter().zip(run.inputs))
            {
                if piece.rect.area() > 0 {
                    work.set_in(
                        &mut mover,
                        inset,
                        piece,
                        (&plane_view(view, plane), &out),
                        run.rect,
                    );
                }
            }
        }
        let note = channel_note(e, output, run);
        mover.flush(e, note)
    })
}
