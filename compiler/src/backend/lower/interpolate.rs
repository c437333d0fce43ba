//! Linear interpolation: an addition of neighbouring rows or columns, one word for each run of equal weights.

use std::ops::Range;

use ir::qgraph::{Bounds, Point, QOp, ValueId};
use isa::hardware::Hardware;
use isa::inst::Engine;
use isa::instructions::{VpuAdd, VpuIn, VpuOut, VpuQuant, VpuScale, VpuSide};
use isa::program::Class;

use crate::backend::BackendError;
use crate::backend::emitter::Emitter;
use crate::backend::geometry::{Rect, planes};
use crate::backend::operand::{Piece, View};
use crate::backend::plan::Target;
use crate::backend::tiling::Candidate;

use super::tiled::{self, TileRun, Tiled};

/// Most image rows that one word takes in the place of channel blocks.
const MAX_ROWS: usize = 1023;

/// Weight of a point that is an element of the operand.
const ONE: i32 = 128;

struct Interpolation<'a> {
    input: ValueId,
    axis: usize,
    points: &'a [Point],
    in_planes: usize,
    out_planes: usize,
    hw: &'a Hardware,
}

impl<'a> Interpolation<'a> {
    fn new(
        graph: &'a ir::qgraph::QGraph,
        node: &'a ir::qgraph::QNode,
        hw: &'a Hardware,
    ) -> Result<Self, BackendError> {
        let QOp::Interpolate { axis, points, .. } = &node.op else {
            return Err(BackendError::Internal(format!("`{}` does not interpolate", node.name)));
        };
        let input = node.inputs[0];
        let value = |v: ValueId| &graph.values[v.0 as usize];
        Ok(Interpolation {
            input,
            axis: *axis,
            points,
            in_planes: planes(value(input).dtype),
            out_planes: planes(value(node.output).dtype),
            hw,
        })
    }

    /// Indices of the operand that results `range` along the axis need.
    fn source(&self, range: Range<usize>) -> Range<usize> {
        let points = &self.points[range];
        let first = points.iter().map(|point| point.index).min().unwrap_or(0);
        let end = points.iter().map(|point| point.index + 1 + usize::from(point.weight > 0)).max();
        first..end.unwrap_or(1)
    }
}

impl Tiled for Interpolation<'_> {
    fn pieces(&self, tile: Rect, blocks: Range<usize>) -> Vec<Piece> {
        let rect = if self.axis == 0 {
            let rows = self.source(tile.y0..tile.y1);
            Rect { y0: rows.start, y1: rows.end, ..tile }
        } else {
            let columns = self.source(tile.x0..tile.x1);
            Rect { x0: columns.start, x1: columns.end, ..tile }
        };
        vec![Piece { value: self.input, rect, b0: blocks.start, b1: blocks.end }]
    }

    fn work(&self, tile: Rect, n_blocks: usize) -> u64 {
        let per_row = self.hw.array_rows.div_ceil(self.hw.vector_lanes) as usize;
        // Both neighbours come from the same bank.
        let each = per_row.max(2 * self.in_planes).max(self.out_planes);
        (tile.area() * n_blocks * each) as u64
    }
}

/// Ways to cut an interpolation.
pub(super) fn candidates(target: &Target<'_>, step: usize) -> Vec<Candidate> {
    let node = &target.graph.nodes[target.steps[step].node];
    match Interpolation::new(target.graph, node, target.hw) {
        Ok(work) => tiled::candidates(target, &work, node.output, 1),
        Err(_) => Vec::new(),
    }
}

/// Writes the words of an interpolation.
pub(super) fn emit(e: &mut Emitter<'_>) -> Result<(), BackendError> {
    let (graph, plan) = (e.graph, e.plan);
    let node = &graph.nodes[plan.steps[e.step].node];
    let work = Interpolation::new(graph, node, e.hw)?;
    let QOp::Interpolate { shift, bounds, .. } = node.op else {
        return Err(BackendError::Internal(format!("`{}` does not interpolate", node.name)));
    };
    let zero = |v: ValueId| graph.values[v.0 as usize].zero_point;
    let sum = Sum { shift, bounds, zx: zero(work.input), zy: zero(node.output) };
    tiled::emit(e, &work, node.output, |e, run| {
        for word in if work.axis == 0 { work.rows(run) } else { work.columns(run) } {
            let page = e.stream.registers(Engine::Vpu, &sum.registers(&work, &word));
            let op = VpuAdd {
                page,
                a: word.from.row as u32,
                b: if word.weight > 0 { (word.from.row + word.next) as u32 } else { 0 },
                dst: word.to.row as u32,
                th: word.th as u32,
                tw: word.tw as u32,
                blocks: word.blocks as u32,
            };
            let shape = graph.values[node.output.0 as usize].shape;
            let channels = word.channels.start..word.channels.end.min(shape.c);
            let note = e.note(node.output, word.rect, channels, &word.place);
            e.stream.push_noted(Engine::Vpu, op, Class::None, Some(note));
        }
        Ok(())
    })
}

/// One addition: views whose strides are those of its registers.
struct Word {
    from: View,
    /// Scratchpad rows from an element to its neighbour along the axis.
    next: usize,
    to: View,
    weight: u8,
    th: usize,
    tw: usize,
    blocks: usize,
    /// What it computes, and where that lies as a piece of the result.
    rect: Rect,
    channels: Range<usize>,
    place: View,
}

impl Interpolation<'_> {
    /// Along h: the image rows of a run are a word's rows.
    fn rows(&self, run: &TileRun<'_>) -> Vec<Word> {
        let (from, to) = (&run.inputs[0], &run.out);
        let first = run.pieces[0].rect.y0;
        let lanes = self.hw.array_rows as usize;
        let word = |points: Run| {
            let place = to.at(0, points.first - run.rect.y0, 0);
            Word {
                from: View {
                    row_stride: points.step * from.row_stride,
                    ..from.at(0, points.index - first, 0)
                },
                next: from.row_stride,
                to: place,
                weight: points.weight,
                th: points.count,
                tw: run.rect.w(),
                blocks: run.blocks.len(),
                rect: Rect { y0: points.first, y1: points.first + points.count, ..run.rect },
                channels: run.blocks.start * lanes..run.blocks.end * lanes,
                place,
            }
        };
        runs(self.points, run.rect.y0..run.rect.y1).into_iter().map(word).collect()
    }

    /// Along w: the columns of a run are a word's rows, and the image rows take the place of its channel blocks.
    fn columns(&self, run: &TileRun<'_>) -> Vec<Word> {
        let (from, to) = (&run.inputs[0], &run.out);
        let first = run.pieces[0].rect.x0;
        let lanes = self.hw.array_rows as usize;
        let runs = runs(self.points, run.rect.x0..run.rect.x1);
        let mut words = Vec::new();
        for (block, channels) in run.blocks.clone().map(|b| b * lanes).enumerate() {
            for y in (0..run.rect.h()).step_by(MAX_ROWS) {
                let rows = MAX_ROWS.min(run.rect.h() - y);
                let y0 = run.rect.y0 + y;
                words.extend(runs.iter().map(|points| {
                    let place = to.at(block, y, points.first - run.rect.x0);
                    let x0 = points.first;
                    Word {
                        from: View {
                            row_stride: points.step,
                            block_stride: from.row_stride,
                            ..from.at(block, y, points.index - first)
                        },
                        next: 1,
                        to: View { row_stride: 1, block_stride: to.row_stride, ..place },
                        weight: points.weight,
                        th: points.count,
                        tw: 1,
                        blocks: rows,
                        rect: Rect { y0, y1: y0 + rows, x0, x1: x0 + points.count },
                        channels: channels..channels + lanes,
                        place,
                    }
                }));
            }
        }
        words
    }
}

/// What all words of an interpolation have in common.
struct Sum {
    shift: u8,
    bounds: Bounds,
    zx: i32,
    zy: i32,
}

impl Sum {
    fn registers(&self, work: &Interpolation<'_>, word: &Word) -> [isa::inst::Op; 5] {
        let (from, to) = (&word.from, &word.to);
        let wide = work.in_planes == 2;
        let (row_stride, block_stride) = (from.row_stride as u32, from.block_stride as u32);
        let plane_stride = from.plane_stride as u32;
        [
            VpuIn { page: 0, h: 0, w: 0, row_stride, block_stride, plane_stride, wide }.into(),
            VpuSide {
                page: 0,
                row_stride,
                block_stride,
                plane_stride,
                x_stride: 1,
                lane_broadcast: false,
                wide,
            }
            .into(),
            VpuOut {
                page: 0,
                row_stride: to.row_stride as u32,
                block_stride: to.block_stride as u32,
                plane_stride: to.plane_stride as u32,
                wide: work.out_planes == 2,
            }
            .into(),
            VpuScale {
                page: 0,
                ma: ONE - i32::from(word.weight),
                mb: i32::from(word.weight),
                shift: u32::from(self.shift),
                za: self.zx,
                zb: self.zx,
            }
            .into(),
            VpuQuant {
                page: 0,
                zero0: 0,
                lo0: 0,
                hi0: 0,
                zero1: self.zy,
                lo1: self.bounds.lo,
                hi1: self.bounds.hi,
            }
            .into(),
        ]
    }
}

/// Neighbouring results of one weight whose points are at equal distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    weight: u8,
    /// First result.
    first: usize,
    /// Point of the first result and the distance to the next.
    index: usize,
    step: usize,
    count: usize,
}

/// The runs that make up results `range`.
fn runs(points: &[Point], range: Range<usize>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for first in range {
        let Point { index, weight } = points[first];
        if let Some(run) = runs.last_mut()
            && run.weight == weight
            && let Some(step) = index.checked_sub(run.index + (run.count - 1) * run.step)
            && (run.count == 1 || run.step == step)
        {
            run.step = step;
            run.count += 1;
        } else {
            runs.push(Run { weight, first, index, step: 0, count: 1 });
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_one_weight_at_equal_distances_are_one_run() {
        let places = [(0, 0), (0, 32), (0, 96), (1, 5), (3, 5), (5, 5), (6, 5), (2, 5), (2, 5)];
        let points = places.map(|(index, weight)| Point { index, weight });
        let found = runs(&points, 1..9);
        let counts: Vec<_> = found.iter().map(|run| (run.first, run.count, run.step)).collect();
        assert_eq!(counts, [(1, 1, 0), (2, 1, 0), (3, 3, 2), (6, 1, 0), (7, 2, 0)]);
    }
}
