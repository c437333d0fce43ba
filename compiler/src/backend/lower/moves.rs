//! Concat, Pad and Reorder: data movement inside the scratchpad, byte by byte where lanes change, row by row where they do not.

use std::ops::Range;

use ir::qgraph::{Hwc, QGraph, QOp, ValueId};
use isa::hardware::Hardware;
use isa::inst::{Engine, Op};
use isa::instructions::{VpuFill, VpuMove, VpuStride};
use isa::program::{Class, TileNote};

use crate::backend::BackendError;
use crate::backend::emitter::Emitter;
use crate::backend::geometry::{Rect, planes};
use crate::backend::operand::{Piece, View};
use crate::backend::plan::Target;
use crate::backend::steps::dtype;
use crate::backend::tiling::Candidate;

use super::tiled::{self, TileRun, Tiled};
use super::window::channel_note;

/// Most steps of a mover loop.
const MAX_STEPS: usize = 4095;

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
                    mover.set_in(
                        inset,
                        piece,
                        &plane_view(view, plane),
                        &out,
                        run,
                        work.shifts_channels,
                    );
                }
            }
        }
        let note = channel_note(e, output, run);
        mover.flush(e, note)
    })
}

/// The view of one byte plane.
fn plane_view(view: &View, plane: usize) -> View {
    View { row: view.row + plane * view.plane_stride, ..*view }
}

/// Mover words of one tile, written out together so that the last carries the note.
struct Mover {
    lanes: usize,
    words: Vec<(VpuStride, Op)>,
}

impl Mover {
    fn new(hw: &Hardware) -> Mover {
        Mover { lanes: hw.array_rows as usize, words: Vec::new() }
    }

    /// Sets all channels of a tile to one byte, row by row.
    fn fill_tile(&mut self, out: &View, tile: Rect, channels: usize, value: i8) {
        for block in 0..channels.div_ceil(self.lanes) {
            let stride = VpuStride {
                page: 0,
                src0: 0,
                src1: 0,
                dst0: (out.row_stride * self.lanes) as i32,
                dst1: self.lanes as i32,
            };
            let fill = VpuFill {
                page: 0,
                dst: (out.row + block * out.block_stride) as u32,
                dst_lane: 0,
                outer: tile.h() as u32,
                inner: tile.w() as u32,
                len: self.lanes.min(channels - block * self.lanes) as u32,
                value: i32::from(value),
            };
            self.words.push((stride, fill.into()));
        }
    }

    /// Copies the operand piece at `view` to its place in the tile at `out`.
    fn set_in(
        &mut self,
        inset: &Inset,
        piece: &Piece,
        view: &View,
        out: &View,
        run: &TileRun<'_>,
        shifts_channels: bool,
    ) {
        let oy = piece.rect.y0 + inset.origin[0] - run.rect.y0;
        let ox = piece.rect.x0 + inset.origin[1] - run.rect.x0;
        let shift = if shifts_channels { inset.origin[2] } else { 0 };
        let last = (piece.b1 * self.lanes).min(inset.shape.c) - piece.b0 * self.lanes;
        let mut ch = 0;
        while ch < last {
            // A run stays inside one block on both sides.
            let to = ch + shift;
            let len =
                (self.lanes - ch % self.lanes).min(self.lanes - to % self.lanes).min(last - ch);
            let src = view.at(ch / self.lanes, 0, 0);
            let dst = out.at(to / self.lanes, oy, ox);
            let stride = VpuStride {
                page: 0,
                src0: (src.row_stride * self.lanes) as i32,
                src1: self.lanes as i32,
                dst0: (dst.row_stride * self.lanes) as i32,
                dst1: self.lanes as i32,
            };
            let copy = VpuMove {
                page: 0,
                src: src.row as u32,
                src_lane: (ch % self.lanes) as u32,
                dst: dst.row as u32,
                dst_lane: (to % self.lanes) as u32,
                outer: piece.rect.h() as u32,
                inner: piece.rect.w() as u32,
                len: len as u32,
            };
            self.words.push((stride, copy.into()));
            ch += len;
        }
    }

    /// Copies affine groups of byte runs.
    fn copy_groups(&mut self, groups: &[Group]) {
        for g in groups {
            let stride = VpuStride {
                page: 0,
                src0: g.src0 as i32,
                src1: g.src1 as i32,
                dst0: g.dst0 as i32,
                dst1: g.dst1 as i32,
            };
            let copy = VpuMove {
                page: 0,
                src: (g.src / self.lanes) as u32,
                src_lane: (g.src % self.lanes) as u32,
                dst: (g.dst / self.lanes) as u32,
                dst_lane: (g.dst % self.lanes) as u32,
                outer: g.outer as u32,
                inner: g.inner as u32,
                len: g.len as u32,
            };
            self.words.push((stride, copy.into()));
        }
    }

    fn flush(self, e: &mut Emitter<'_>, note: TileNote) -> Result<(), BackendError> {
        let n = self.words.len();
        for (i, (stride, op)) in self.words.into_iter().enumerate() {
            let page = e.stream.registers(Engine::Vpu, &[stride.into()]);
            let op: Op = match op {
                Op::VpuMove(m) => VpuMove { page, ..m }.into(),
                Op::VpuFill(f) => VpuFill { page, ..f }.into(),
                other => {
                    return Err(BackendError::Internal(format!(
                        "`{}` is not a mover word",
                        other.mnemonic()
                    )));
                }
            };
            e.stream.push_noted(Engine::Vpu, op, Class::None, (i + 1 == n).then_some(note));
        }
        Ok(())
    }
}

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
pub(super) fn reorder_candidates(target: &Target<'_>, step: usize) -> Vec<Candidate> {
    let index = target.steps[step].node;
    tiled::candidates(
        target,
        &reorder_work(target.graph, target.hw, index),
        target.graph.nodes[index].output,
        1,
    )
}

/// Writes the words of a reorder.
pub(super) fn emit_reorder(e: &mut Emitter<'_>) -> Result<(), BackendError> {
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

/// Byte runs at constant distances on two levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    src: usize,
    dst: usize,
    len: usize,
    inner: usize,
    src1: isize,
    dst1: isize,
    outer: usize,
    src0: isize,
    dst0: isize,
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
