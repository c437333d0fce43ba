//! Reorder: index permutations of a whole tensor, as affine copies that a greedy pass finds.

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

use super::mover::{Group, MAX_STEPS, Mover, plane_view};
use super::tiled::{self, Tiled};
use super::window::channel_note;

struct ReorderWork {
    input: ValueId,
    shape: Hwc,
    lanes: usize,
    elements: u64,
}

impl Tiled for ReorderWork {
    fn pieces(&self, _tile: Rect, _blocks: Range<usize>) -> Vec<Piece> {
        vec![Piece {
            value: self.input,
            rect: Rect::whole(self.shape),
            b0: 0,
            b1: self.shape.c.div_ceil(self.lanes),
        }]
    }

    fn work(&self, _tile: Rect, _n_blocks: usize) -> u64 {
        self.elements
    }

    fn whole(&self) -> bool {
        true
    }
}

fn reorder_work(graph: &QGraph, hw: &Hardware, node: usize) -> ReorderWork {
    let input = graph.nodes[node].inputs[0];
    let shape = graph.values[input.0 as usize].shape;
    let elements = (shape.h * shape.w * shape.c * planes(dtype(graph, input))) as u64;
    ReorderWork { input, shape, lanes: hw.array_rows as usize, elements }
}

/// Ways to cut a reorder: whole tensors only.
pub(super) fn candidates(target: &Target<'_>, step: usize) -> Vec<Candidate> {
    let index = target.steps[step].node;
    tiled::candidates(
        target,
        &reorder_work(target.graph, target.hw, index),
        target.graph.nodes[index].output,
        1,
    )
}

/// Writes the words of a reorder.
pub(super) fn emit(e: &mut Emitter<'_>) -> Result<(), BackendError> {
    let index = e.plan.steps[e.step].node;
    let node = &e.graph.nodes[index];
    let QOp::Reorder { dims, perm } = &node.op else {
        return Err(BackendError::Internal("not a reorder".into()));
    };
    let work = reorder_work(e.graph, e.hw, index);
    let out_shape = e.graph.values[node.output.0 as usize].shape;
    let n_planes = planes(dtype(e.graph, node.output));
    tiled::emit(e, &work, node.output, |e, run| {
        let mut mover = Mover::new(e.hw);
        for plane in 0..n_planes {
            let from = Addressing {
                view: plane_view(&run.inputs[0], plane),
                shape: work.shape,
                lanes: work.lanes,
            };
            let to = Addressing {
                view: plane_view(&run.out, plane),
                shape: out_shape,
                lanes: work.lanes,
            };
            mover.copy_groups(&reorder_groups(dims, perm, &from, &to));
        }
        let note = channel_note(e, node.output, run);
        mover.flush(e, note)
    })
}

/// Byte addresses of a tensor in the scratchpad.
struct Addressing {
    view: View,
    shape: Hwc,
    lanes: usize,
}

impl Addressing {
    /// Byte address of the element at row-major `[h, w, c]` index `i`.
    fn byte(&self, i: usize) -> usize {
        let c = i % self.shape.c;
        let x = i / self.shape.c % self.shape.w;
        let y = i / self.shape.c / self.shape.w;
        self.view.at(c / self.lanes, y, x).row * self.lanes + c % self.lanes
    }
}

/// The copies that transpose `dims` by `perm`, in as few mover words as a greedy pass finds: elements are walked in the result's order.
fn reorder_groups(
    dims: &[usize],
    perm: &[usize],
    from: &Addressing,
    to: &Addressing,
) -> Vec<Group> {
    let mut strides = vec![1; dims.len()];
    for i in (0..dims.len().saturating_sub(1)).rev() {
        strides[i] = strides[i + 1] * dims[i + 1];
    }
    let total: usize = dims.iter().product();
    let mut index = vec![0; perm.len()];
    let mut runs: Vec<Group> = Vec::new();
    for out in 0..total {
        let source: usize = perm.iter().zip(&index).map(|(&axis, &i)| i * strides[axis]).sum();
        let (src, dst) = (from.byte(source), to.byte(out));
        match runs.last_mut() {
            Some(run) if src == run.src + run.len && dst == run.dst + run.len => run.len += 1,
            _ => runs.push(Group {
                src,
                dst,
                len: 1,
                inner: 1,
                src1: 0,
                dst1: 0,
                outer: 1,
                src0: 0,
                dst0: 0,
            }),
        }
        for (position, &axis) in perm.iter().enumerate().rev() {
            index[position] += 1;
            if index[position] < dims[axis] {
                break;
            }
            index[position] = 0;
        }
    }
    outer_groups(inner_groups(runs))
}

fn distance(a: usize, b: usize) -> isize {
    b as isize - a as isize
}

/// Joins runs of equal length at constant distances into inner loops.
fn inner_groups(runs: Vec<Group>) -> Vec<Group> {
    let mut out: Vec<Group> = Vec::new();
    for run in runs {
        if let Some(g) = out.last_mut()
            && g.len == run.len
            && g.inner < MAX_STEPS
        {
            let step = g.inner as isize;
            let (ds, dd) = (distance(g.src, run.src), distance(g.dst, run.dst));
            if g.inner == 1 || (ds == g.src1 * step && dd == g.dst1 * step) {
                if g.inner == 1 {
                    (g.src1, g.dst1) = (ds, dd);
                }
                g.inner += 1;
                continue;
            }
        }
        out.push(run);
    }
    out
}

/// Joins equal inner loops at constant distances into outer loops.
fn outer_groups(groups: Vec<Group>) -> Vec<Group> {
    let mut out: Vec<Group> = Vec::new();
    for group in groups {
        if let Some(g) = out.last_mut()
            && (g.len, g.inner, g.src1, g.dst1) == (group.len, group.inner, group.src1, group.dst1)
            && g.outer < MAX_STEPS
        {
            let step = g.outer as isize;
            let (ds, dd) = (distance(g.src, group.src), distance(g.dst, group.dst));
            if g.outer == 1 || (ds == g.src0 * step && dd == g.dst0 * step) {
                if g.outer == 1 {
                    (g.src0, g.dst0) = (ds, dd);
                }
                g.outer += 1;
                continue;
            }
        }
        out.push(group);
    }
    out
}
