//! Gather: pixels and channels picked by index lists, as copies at constant distances.

use std::ops::Range;

use ir::qgraph::{QGraph, QOp, ValueId};
use isa::hardware::Hardware;

use crate::backend::BackendError;
use crate::backend::emitter::Emitter;
use crate::backend::geometry::{Rect, planes};
use crate::backend::operand::{Piece, View};
use crate::backend::plan::Target;
use crate::backend::steps::dtype;
use crate::backend::tiling::Candidate;

use super::copies::{Group, MAX_STEPS};
use super::mover::{Mover, plane_view};
use super::tiled::{self, Tiled};
use super::window::channel_note;

/// Longest period that [`progressions`] looks for: enlarging by up to this factor takes one word per factor and axis.
const MAX_PERIOD: usize = 8;

struct GatherWork {
    input: ValueId,
    /// Source index of every result index along h, w, c.
    sources: [Vec<usize>; 3],
    lanes: usize,
    planes: usize,
    /// Runs of neighbouring lanes of all result blocks.
    lane_runs: usize,
}

/// Source and result lanes of one run of channels, which stays inside one block on both sides.
struct LaneRun {
    from: usize,
    to: usize,
    len: usize,
}

impl GatherWork {
    fn new(graph: &QGraph, hw: &Hardware, node: usize) -> Option<GatherWork> {
        let node = &graph.nodes[node];
        let QOp::Gather { indices } = &node.op else { return None };
        let mut work = GatherWork {
            input: node.inputs[0],
            sources: [0, 1, 2].map(|axis| indices[axis].iter().collect()),
            lanes: hw.array_rows as usize,
            planes: planes(dtype(graph, node.output)),
            lane_runs: 0,
        };
        work.lane_runs = work.channels(0..work.sources[2].len()).len();
        Some(work)
    }

    /// The runs that make up result channels `channels`.
    fn channels(&self, channels: Range<usize>) -> Vec<LaneRun> {
        let mut runs: Vec<LaneRun> = Vec::new();
        for to in channels {
            let from = self.sources[2][to];
            match runs.last_mut() {
                Some(run)
                    if from == run.from + run.len
                        && !from.is_multiple_of(self.lanes)
                        && !to.is_multiple_of(self.lanes) =>
                {
                    run.len += 1;
                }
                Some(_) | None => runs.push(LaneRun { from, to, len: 1 }),
            }
        }
        runs
    }

    /// Result channels of a range of blocks.
    fn block_channels(&self, blocks: &Range<usize>) -> Range<usize> {
        blocks.start * self.lanes..(blocks.end * self.lanes).min(self.sources[2].len())
    }
}

/// The smallest range that holds some indices.
fn bounds(indices: &[usize]) -> Range<usize> {
    let first = indices.iter().min().copied().unwrap_or(0);
    first..indices.iter().max().map_or(0, |last| last + 1)
}

impl Tiled for GatherWork {
    fn pieces(&self, tile: Rect, blocks: Range<usize>) -> Vec<Piece> {
        let [rows, columns, channels] = &self.sources;
        let (y, x) = (bounds(&rows[tile.y0..tile.y1]), bounds(&columns[tile.x0..tile.x1]));
        let c = bounds(&channels[self.block_channels(&blocks)]);
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
        let all_blocks = self.sources[2].len().div_ceil(self.lanes);
        let runs = (self.lane_runs * n_blocks).div_ceil(all_blocks);
        (tile.area() * runs * self.planes) as u64
    }
}

/// Ways to cut a gather.
pub(super) fn candidates(target: &Target<'_>, step: usize) -> Vec<Candidate> {
    let index = target.steps[step].node;
    GatherWork::new(target.graph, target.hw, index).map_or_else(Vec::new, |work| {
        tiled::candidates(target, &work, target.graph.nodes[index].output, 1)
    })
}

/// Writes the words of a gather.
pub(super) fn emit(e: &mut Emitter<'_>) -> Result<(), BackendError> {
    let index = e.plan.steps[e.step].node;
    let output = e.graph.nodes[index].output;
    let work = GatherWork::new(e.graph, e.hw, index)
        .ok_or_else(|| BackendError::Internal("not a gather".into()))?;
    tiled::emit(e, &work, output, |e, run| {
        let [rows, columns, _] = &work.sources;
        let piece = &run.pieces[0];
        let rows = progressions(&rows[run.rect.y0..run.rect.y1], piece.rect.y0);
        let columns = progressions(&columns[run.rect.x0..run.rect.x1], piece.rect.x0);
        let channels = work.channels(work.block_channels(&run.blocks));
        let mut mover = Mover::new(e.hw);
        let mut groups = Vec::with_capacity(rows.len() * columns.len() * channels.len());
        for plane in 0..work.planes {
            let (from, to) = (plane_view(&run.inputs[0], plane), plane_view(&run.out, plane));
            for lanes in &channels {
                let source = from.at(lanes.from / work.lanes - piece.b0, 0, 0);
                let result = to.at(lanes.to / work.lanes - run.blocks.start, 0, 0);
                for y in &rows {
                    for x in &columns {
                        groups.push(copy((&source, &result), lanes, (y, x), work.lanes));
                    }
                }
            }
        }
        mover.copy_groups(&groups);
        let note = channel_note(e, output, run);
        mover.flush(e, note)
    })
}

/// The copy of one run of lanes for pixels at constant distances.
fn copy(
    (source, result): (&View, &View),
    lanes: &LaneRun,
    (y, x): (&Progression, &Progression),
    row_bytes: usize,
) -> Group {
    let byte = |view: &View, y: usize, x: usize, lane: usize| {
        view.at(0, y, x).row * row_bytes + lane % row_bytes
    };
    let distance = |view: &View, rows: isize, pixels: isize| {
        (rows * view.row_stride.cast_signed() + pixels) * row_bytes.cast_signed()
    };
    Group {
        src: byte(source, y.from, x.from, lanes.from),
        dst: byte(result, y.to, x.to, lanes.to),
        len: lanes.len,
        inner: x.count,
        src1: distance(source, 0, x.from_step),
        dst1: distance(result, 0, x.to_step),
        outer: y.count,
        src0: distance(source, y.from_step, 0),
        dst0: distance(result, y.to_step, 0),
    }
}

/// Result indices at a constant distance whose sources are at a constant distance too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progression {
    to: usize,
    to_step: isize,
    from: usize,
    from_step: isize,
    count: usize,
}

/// Cuts a list of sources, counted from `origin`, into progressions. From front to back, the period is taken that yields the
/// longest ones: an axis enlarged by 2 is two progressions, one for the even and one for the odd indices of the result.
fn progressions(sources: &[usize], origin: usize) -> Vec<Progression> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < sources.len() {
        let rest = &sources[at..];
        let (period, covered) = (1..=MAX_PERIOD.min(rest.len()))
            .map(|period| (period, periodic(rest, period)))
            .max_by_key(|&(period, covered)| (covered / period, std::cmp::Reverse(period)))
            .unwrap_or((1, 1));
        for phase in 0..period {
            let count = (covered - phase).div_ceil(period);
            let from_step = if count > 1 {
                rest[phase + period].cast_signed() - rest[phase].cast_signed()
            } else {
                0
            };
            out.push(Progression {
                to: at + phase,
                to_step: if count > 1 { period.cast_signed() } else { 0 },
                from: rest[phase] - origin,
                from_step,
                count,
            });
        }
        at += covered;
    }
    out
}

/// How many of the first indices repeat with `period`, each time by the same distance; at most what a mover's loop holds.
fn periodic(sources: &[usize], period: usize) -> usize {
    let distance = |i: usize| sources[i].cast_signed() - sources[i - period].cast_signed();
    let limit = sources.len().min(period * MAX_STEPS);
    (period..limit).find(|&i| distance(i) != distance(period)).unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(sources: &[usize]) -> Vec<(usize, isize, usize, isize, usize)> {
        let all = progressions(sources, 0);
        // Every result index is written once, from its source.
        let mut written = vec![None; sources.len()];
        for p in &all {
            for i in 0..p.count {
                let to = p.to.checked_add_signed(i.cast_signed() * p.to_step).unwrap();
                let from = p.from.checked_add_signed(i.cast_signed() * p.from_step).unwrap();
                assert_eq!(written[to].replace(from), None, "index {to} is written twice");
            }
        }
        assert_eq!(written.into_iter().flatten().collect::<Vec<_>>(), sources);
        all.iter().map(|p| (p.to, p.to_step, p.from, p.from_step, p.count)).collect()
    }

    #[test]
    fn slices_and_integer_factors_take_few_words() {
        assert_eq!(steps(&[3, 4, 5, 6]), [(0, 1, 3, 1, 4)]);
        assert_eq!(steps(&[9, 6, 3, 0]), [(0, 1, 9, -3, 4)]);
        assert_eq!(steps(&[0, 0, 1, 1, 2, 2]), [(0, 2, 0, 1, 3), (1, 2, 0, 1, 3)]);
        assert_eq!(steps(&[5]), [(0, 0, 5, 0, 1)]);
        assert_eq!(steps(&[4, 4, 4]), [(0, 1, 4, 0, 3)]);
        let thirds: Vec<usize> = (0..30).map(|i| i * 2 / 3).collect();
        assert_eq!(steps(&thirds).len(), 3);
    }

    #[test]
    fn any_list_is_covered() {
        let mut state = 1usize;
        for n in 1..60 {
            let list: Vec<usize> = (0..n)
                .map(|_| {
                    state =
                        state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    (state >> 33) % 4
                })
                .collect();
            steps(&list);
        }
        let corners: Vec<usize> = (0..64).map(|i| (i * 31 + 31) / 63).collect();
        assert!(steps(&corners).len() <= 8, "{:?}", steps(&corners));
    }
}
