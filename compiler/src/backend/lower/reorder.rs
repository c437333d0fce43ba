//! Reorder: index permutations, tile by tile.
//!
//! Where the axes of both tensors are made of the same factors, a tile of the result needs a box of the operand, and is
//! copied by loops over factors. Where they cross, the operand is needed whole, and elements are copied one by one.

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

use super::copies::{Group, Loop, groups};
use super::factors::{Factor, Factors, Place};
use super::mover::{Mover, plane_view};
use super::tiled::{self, Tiled};
use super::window::channel_note;

struct ReorderWork<'a> {
    input: ValueId,
    dims: &'a [usize],
    perm: &'a [usize],
    from: Hwc,
    to: Hwc,
    factors: Option<Factors>,
    lanes: usize,
    planes: usize,
}

impl<'a> ReorderWork<'a> {
    fn new(graph: &'a QGraph, hw: &Hardware, node: usize) -> Option<ReorderWork<'a>> {
        let node = &graph.nodes[node];
        let QOp::Reorder { dims, perm } = &node.op else { return None };
        let shape = |value: ValueId| graph.values[value.0 as usize].shape;
        let (input, lanes) = (node.inputs[0], hw.array_rows as usize);
        let (from, to) = (shape(input), shape(node.output));
        let factors = Factors::new(dims, perm, (from, to), lanes);
        let planes = planes(dtype(graph, input));
        Some(ReorderWork { input, dims, perm, from, to, factors, lanes, planes })
    }

    /// The result's elements in a tile, a range per axis.
    fn tile_box(&self, tile: Rect, blocks: &Range<usize>) -> [Range<usize>; 3] {
        let channels = blocks.start * self.lanes..(blocks.end * self.lanes).min(self.to.c);
        [tile.y0..tile.y1, tile.x0..tile.x1, channels]
    }

    /// The copies of one plane of a tile, whose operand piece and result lie at `ends`.
    fn copies(&self, ends: (&Addressing, &Addressing), tile: &[Range<usize>; 3]) -> Vec<Group> {
        let Some(factors) = &self.factors else {
            return groups(&self.points(ends, tile), Vec::new());
        };
        let boxes = factors.boxes(tile);
        boxes.iter().flat_map(|ranges| box_copies(factors.all(), ranges, ends)).collect()
    }

    /// Byte addresses of every element of a tile, in the result's order.
    fn points(
        &self,
        (from, to): (&Addressing, &Addressing),
        tile: &[Range<usize>; 3],
    ) -> Vec<(usize, usize)> {
        let mut strides = vec![1; self.dims.len()];
        for axis in (1..self.dims.len()).rev() {
            strides[axis - 1] = strides[axis] * self.dims[axis];
        }
        let point = |at: [usize; 3]| {
            let mut rest = (at[0] * self.to.w + at[1]) * self.to.c + at[2];
            let mut source = 0;
            for &axis in self.perm.iter().rev() {
                source += rest % self.dims[axis] * strides[axis];
                rest /= self.dims[axis];
            }
            let Hwc { w, c, .. } = self.from;
            (from.byte([source / c / w, source / c % w, source % c]), to.byte(at))
        };
        let [rows, columns, channels] = tile;
        let mut points = Vec::with_capacity(rows.len() * columns.len() * channels.len());
        for y in rows.clone() {
            for x in columns.clone() {
                points.extend(channels.clone().map(|c| point([y, x, c])));
            }
        }
        points
    }
}

impl Tiled for ReorderWork<'_> {
    fn pieces(&self, tile: Rect, blocks: Range<usize>) -> Vec<Piece> {
        let [y, x, c] = match &self.factors {
            Some(factors) => factors.source(&self.tile_box(tile, &blocks)),
            None => [0..self.from.h, 0..self.from.w, 0..self.from.c],
        };
        vec![Piece {
            value: self.input,
            rect: Rect { y0: y.start, y1: y.end, x0: x.start, x1: x.end },
            b0: c.start / self.lanes,
            b1: c.end.div_ceil(self.lanes),
        }]
    }

    fn is_uniform(&self) -> bool {
        false
    }

    fn work(&self, tile: Rect, n_blocks: usize) -> u64 {
        let innermost = self.factors.as_ref().and_then(|factors| factors.all().last());
        let channel = Place { axis: 2, stride: 1 };
        let run = match innermost {
            Some(factor) if factor.from == channel && factor.to == channel => {
                factor.extent.min(self.lanes)
            }
            Some(_) | None => 1,
        };
        let channels = (n_blocks * self.lanes).min(self.to.c);
        (tile.area() * channels.div_ceil(run) * self.planes) as u64
    }
}

/// Ways to cut a reorder.
pub(super) fn candidates(target: &Target<'_>, step: usize) -> Vec<Candidate> {
    let index = target.steps[step].node;
    ReorderWork::new(target.graph, target.hw, index).map_or_else(Vec::new, |work| {
        tiled::candidates(target, &work, target.graph.nodes[index].output, 1)
    })
}

/// Writes the words of a reorder.
pub(super) fn emit(e: &mut Emitter<'_>) -> Result<(), BackendError> {
    let index = e.plan.steps[e.step].node;
    let output = e.graph.nodes[index].output;
    let work = ReorderWork::new(e.graph, e.hw, index)
        .ok_or_else(|| BackendError::Internal("not a reorder".into()))?;
    tiled::emit(e, &work, output, |e, run| {
        let mut mover = Mover::new(e.hw);
        let Piece { rect, b0, .. } = run.pieces[0];
        for plane in 0..work.planes {
            let from = Addressing {
                view: plane_view(&run.inputs[0], plane),
                origin: [rect.y0, rect.x0, b0 * work.lanes],
                lanes: work.lanes,
            };
            let to = Addressing {
                view: plane_view(&run.out, plane),
                origin: [run.rect.y0, run.rect.x0, run.blocks.start * work.lanes],
                lanes: work.lanes,
            };
            mover.copy_groups(&work.copies((&from, &to), &work.tile_box(run.rect, &run.blocks)));
        }
        let note = channel_note(e, output, run);
        mover.flush(e, note)
    })
}

/// Byte addresses of a piece of a tensor in the scratchpad.
struct Addressing {
    view: View,
    /// First row, column and channel of the piece.
    origin: [usize; 3],
    lanes: usize,
}

impl Addressing {
    /// Byte address of the element at row, column and channel `at` of the whole tensor.
    fn byte(&self, at: [usize; 3]) -> usize {
        let [y, x, c] = [0, 1, 2].map(|axis| at[axis] - self.origin[axis]);
        self.view.at(c / self.lanes, y, x).row * self.lanes + c % self.lanes
    }

    /// Bytes from one value of a factor of `extent` to the next, if they are the same everywhere: a channel factor must stay
    /// inside a block or consist of whole blocks.
    fn step(&self, place: Place, extent: usize) -> Option<usize> {
        let Place { axis, stride } = place;
        match axis {
            0 => Some(stride * self.view.row_stride * self.lanes),
            1 => Some(stride * self.lanes),
            _ if stride.is_multiple_of(self.lanes) => Some(stride * self.view.block_stride),
            _ => self.lanes.is_multiple_of(stride * extent).then_some(stride),
        }
    }
}

/// The copies of the elements whose factors lie in `ranges`.
fn box_copies(
    factors: &[Factor],
    ranges: &[Range<usize>],
    (from, to): (&Addressing, &Addressing),
) -> Vec<Group> {
    let mut loops = Vec::new();
    let (mut source, mut result) = ([0; 3], [0; 3]);
    let mut scattered: Vec<(&Factor, &Range<usize>)> = Vec::new();
    for (factor, range) in factors.iter().zip(ranges) {
        let steps = from.step(factor.from, factor.extent).zip(to.step(factor.to, factor.extent));
        match steps {
            Some((src, dst)) => {
                loops.push(Loop { count: range.len(), src, dst });
                source[factor.from.axis] += range.start * factor.from.stride;
                result[factor.to.axis] += range.start * factor.to.stride;
            }
            None => scattered.push((factor, range)),
        }
    }
    // Every combination of the factors without constant distances, the innermost of the result running fastest.
    let total: usize = scattered.iter().map(|(_, range)| range.len()).product();
    let point = |mut rest: usize| {
        let (mut source, mut result) = (source, result);
        for (factor, range) in scattered.iter().rev() {
            let value = range.start + rest % range.len();
            rest /= range.len();
            source[factor.from.axis] += value * factor.from.stride;
            result[factor.to.axis] += value * factor.to.stride;
        }
        (from.byte(source), to.byte(result))
    };
    groups(&(0..total).map(point).collect::<Vec<_>>(), loops)
}
