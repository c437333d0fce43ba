//! Operands of a step while it is emitted: a tensor that stays in the scratchpad is addressed in place, any other comes through working buffers.

use ir::qgraph::{QGraph, ValueId};
use isa::hardware::Hardware;
use isa::inst::Engine;
use isa::instructions::{Load, LoadGeom, Store, StoreGeom};
use isa::program::Class;

use super::dram::pixel_offset;
use super::geometry::{Rect, planes};
use super::stream::Stream;

/// Longest run one transfer word can describe, in rows.
const MAX_RUN_ROWS: usize = 65_535;

/// A rectangle of a tensor in the scratchpad.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// Row of the first pixel of the first channel block.
    pub row: usize,
    /// Rows from one image row to the next.
    pub row_stride: usize,
    /// Rows from one channel block to the next.
    pub block_stride: usize,
    /// Rows from high to low bytes.
    pub plane_stride: usize,
}

impl View {
    /// A piece of `n_blocks` blocks and `h x w` pixels stored densely from `row`.
    pub(crate) fn dense(row: usize, h: usize, w: usize, n_blocks: usize) -> View {
        View { row, row_stride: w, block_stride: h * w, plane_stride: n_blocks * h * w }
    }

    /// The same tensor seen from another pixel and block on.
    pub(crate) fn at(&self, block: usize, y: usize, x: usize) -> View {
        View { row: self.row + block * self.block_stride + y * self.row_stride + x, ..*self }
    }
}

/// Buffers of one role with what they hold, replaced in order of first use.
#[derive(Clone, Debug)]
pub(crate) struct Slots<K> {
    at: Vec<usize>,
    keys: Vec<Option<K>>,
    next: usize,
}

impl<K: PartialEq> Slots<K> {
    /// Empty slots at the given rows.
    pub(crate) fn new(at: &[usize]) -> Slots<K> {
        Slots { at: at.to_vec(), keys: at.iter().map(|_| None).collect(), next: 0 }
    }

    /// Row of the slot that holds `key`, and whether it held it already; the oldest slot is given up if not.
    pub(crate) fn get(&mut self, key: K) -> (usize, bool) {
        if let Some(i) = self.keys.iter().position(|k| k.as_ref() == Some(&key)) {
            return (self.at[i], true);
        }
        let i = self.next;
        self.next = (i + 1) % self.at.len();
        self.keys[i] = Some(key);
        (self.at[i], false)
    }
}

/// A rectangle of channel blocks `b0..b1` of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The value.
    pub value: ValueId,
    /// Pixels.
    pub rect: Rect,
    /// First channel block.
    pub b0: usize,
    /// Block behind the last.
    pub b1: usize,
}

impl Piece {
    /// Scratchpad rows it takes.
    pub(crate) fn rows(&self, graph: &QGraph) -> usize {
        planes(graph.values[self.value.0 as usize].dtype) * self.rect.area() * (self.b1 - self.b0)
    }
}

/// A transfer between DRAM and the scratchpad, cut into words.
struct Transfer {
    spad: usize,
    dram: u64,
    /// Rows per run and runs.
    rows: usize,
    runs: usize,
    width: usize,
    spad_stride: usize,
    dram_stride: usize,
}

/// The transfers that move a piece between its place in DRAM (`base`) and `view`.
fn transfers(graph: &QGraph, lanes: usize, piece: &Piece, base: u64, view: &View) -> Vec<Transfer> {
    let value = &graph.values[piece.value.0 as usize];
    let (rect, shape) = (piece.rect, value.shape);
    if rect.area() == 0 {
        return Vec::new();
    }
    let full_width = rect.w() == shape.w && view.row_stride == shape.w;
    let mut out = Vec::new();
    for plane in 0..planes(value.dtype) {
        for block in piece.b0..piece.b1 {
            let (offset, width) =
                pixel_offset(graph, piece.value, lanes, plane, block, rect.y0, rect.x0);
            let spad =
                view.row + plane * view.plane_stride + (block - piece.b0) * view.block_stride;
            let dram = base + offset;
            let one = Transfer {
                spad,
                dram,
                rows: rect.w(),
                runs: rect.h(),
                width,
                spad_stride: view.row_stride,
                dram_stride: shape.w * width,
            };
            if full_width {
                // Rows follow each other on both sides: one run.
                out.push(Transfer {
                    rows: rect.area(),
                    runs: 1,
                    spad_stride: 0,
                    dram_stride: 0,
                    ..one
                });
            } else {
                out.push(one);
            }
        }
    }
    merge_blocks(out)
}

/// Joins transfers of one run each that repeat at constant distances (equal channel blocks) into one word.
fn merge_blocks(transfers: Vec<Transfer>) -> Vec<Transfer> {
    let mut out: Vec<Transfer> = Vec::new();
    for t in transfers {
        if let Some(last) = out.last_mut()
            && t.runs == 1
            && t.rows == last.rows
            && t.width == last.width
            && t.rows <= MAX_RUN_ROWS
            && t.spad > last.spad
            && t.dram > last.dram
        {
            let (spad_step, dram_step) = (t.spad - last.spad, (t.dram - last.dram) as usize);
            let follows = spad_step == last.spad_stride * last.runs
                && dram_step == last.dram_stride * last.runs;
            if last.runs == 1 && dram_step <= u32::MAX as usize || last.runs > 1 && follows {
                if last.runs == 1 {
                    (last.spad_stride, last.dram_stride) = (spad_step, dram_step);
                }
                last.runs += 1;
                continue;
            }
        }
        out.push(t);
    }
    out
}

/// Emits the loads of a piece.
pub(crate) fn load_piece(
    stream: &mut Stream,
    graph: &QGraph,
    hw: &Hardware,
    piece: &Piece,
    base: u64,
    view: &View,
    class: Class,
) {
    for t in transfers(graph, hw.array_rows as usize, piece, base, view) {
        for t in split(t) {
            load_rows(stream, &t, 8, t.width, class);
        }
    }
}

/// Emits the load of `rows` packed rows (weights) that lie one behind the other on both sides.
pub(crate) fn load_packed(
    stream: &mut Stream,
    spad: usize,
    dram: u64,
    rows: usize,
    elems: usize,
    bits: u8,
) {
    let width = (elems * bits as usize).div_ceil(8);
    let whole = Transfer { spad, dram, rows, runs: 1, width, spad_stride: 0, dram_stride: 0 };
    for t in split(whole) {
        load_rows(stream, &t, bits, elems, Class::Weights);
    }
}

fn load_rows(stream: &mut Stream, t: &Transfer, bits: u8, elems: usize, class: Class) {
    let geom = LoadGeom {
        page: 0,
        rows: t.rows as u32,
        elems: elems as u32,
        bits: u32::from(bits),
        spad_stride: t.spad_stride as u32,
        dram_stride: t.dram_stride as u64,
    };
    let page = stream.registers(Engine::Load, &[geom.into()]);
    stream.push(
        Engine::Load,
        Load { page, dst: t.spad as u32, src: t.dram, count: t.runs as u32 },
        class,
    );
}

/// Emits the stores of a piece.
pub(crate) fn store_piece(
    stream: &mut Stream,
    graph: &QGraph,
    hw: &Hardware,
    piece: &Piece,
    base: u64,
    view: &View,
    class: Class,
) {
    for t in transfers(graph, hw.array_rows as usize, piece, base, view) {
        for t in split(t) {
            let geom = StoreGeom {
                page: 0,
                rows: t.rows as u32,
                bytes: t.width as u32,
                spad_stride: t.spad_stride as u32,
                dram_stride: t.dram_stride as u64,
            };
            let page = stream.registers(Engine::Store, &[geom.into()]);
            stream.push(
                Engine::Store,
                Store { page, src: t.spad as u32, dst: t.dram, count: t.runs as u32 },
                class,
            );
        }
    }
}

/// Cuts a transfer so that every field fits its word.
fn split(t: Transfer) -> Vec<Transfer> {
    let mut out = Vec::new();
    let max_runs = MAX_RUN_ROWS;
    for run in (0..t.runs).step_by(max_runs) {
        let runs = max_runs.min(t.runs - run);
        for row in (0..t.rows).step_by(MAX_RUN_ROWS) {
            out.push(Transfer {
                spad: t.spad + run * t.spad_stride + row,
                dram: t.dram + (run * t.dram_stride + row * t.width) as u64,
                rows: MAX_RUN_ROWS.min(t.rows - row),
                runs,
                ..t
            });
        }
    }
    out
}
