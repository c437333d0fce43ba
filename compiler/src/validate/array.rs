//! Convolution on the systolic array and the drain that ends it.
//!
//! An `mxu.conv` does not say what it computes; the drain of its accumulators does. So a first walk over the words finds the drain of each, and the second one
//! checks activations and weights when they are read, against the piece that the drain's note names.

use ir::qgraph::{QNode, QOp, QType, QWeights, ValueId, Window};
use isa::access::Pages;
use isa::inst::Op;
use isa::instructions::{MxuConv, MxuInput, MxuKernel, VpuDrain};
use isa::program::{Note, Program};
use isa::verify;

use super::context::{Context, Tile, check_quant0, check_quant1, operand_b, result};
use super::elementwise::{Addends, check_scale};
use super::finding::{Problem, expect};
use super::memory::Region;
use super::product::{self, ArrayNode};
use super::tags::constant;

/// The accumulators: which convolution words sum into them, and which channel blocks they have covered.
pub(super) struct Sums {
    /// Index of the drain of each `mxu.conv`, by the index of its word.
    drained_by: Vec<Option<usize>>,
    /// Drain words and notes by index of the word.
    drains: Vec<Option<(VpuDrain, Note)>>,
    banks: [Option<Covered>; 2],
}

/// What one bank holds so far: `blocks` consecutive channel blocks of the reduction, for one drain.
struct Covered {
    drain: usize,
    /// Where they may begin. A word does not say; usually what it reads leaves one answer, but padding and zero weights look alike everywhere.
    starts: Vec<usize>,
    blocks: usize,
}

impl Sums {
    /// Finds the drain of every convolution word.
    pub(super) fn new(program: &Program) -> Sums {
        let [_, array, vector, _] = &program.code;
        let mut drained_by = vec![None; array.words.len()];
        let mut drains = vec![None; vector.words.len()];
        let mut held: [Vec<usize>; 2] = Default::default();
        verify::walk(program, |_, index, inst| match &inst.op {
            Op::MxuConv(op) => {
                if let Some(bank) = held.get_mut(op.bank as usize) {
                    if !op.add {
                        bank.clear();
                    }
                    bank.push(index);
                }
            }
            Op::VpuDrain(op) => {
                let note = vector.notes.get(index).copied().unwrap_or_default();
                drains[index] = Some((*op, note));
                for &conv in held.get(op.bank as usize).into_iter().flatten() {
                    drained_by[conv].get_or_insert(index);
                }
            }
            _ => {}
        });
        Sums { drained_by, drains, banks: [None, None] }
    }

    /// Checks one pass through the array.
    pub(super) fn multiply(
        &mut self,
        context: &Context<'_>,
        pages: &Pages,
        op: &MxuConv,
        index: usize,
    ) -> Result<(), Problem> {
        let drain = self.drained_by[index].ok_or(Problem::Sums("its sums are never drained"))?;
        let (drained, note) = self.drains[drain].ok_or(Problem::Sums("its drain is lost"))?;
        let (node, tile) = context.named(&note)?;
        let conv = node.conv.ok_or_else(|| Problem::Unnamed("sums for no convolution".into()))?;
        let pass = Pass::new(context, pages, op, conv, &tile)?;
        expect("th", op.th, drained.th)?;
        expect("tw", op.tw, drained.tw)?;
        expect("acc", op.acc, drained.acc)?;
        let bank = self.banks.get_mut(op.bank as usize).ok_or(Problem::Sums("no such bank"))?;
        let before = bank.take().filter(|b| op.add && b.drain == drain);
        if op.add && before.is_none() {
            return Err(Problem::Sums("adds to sums of something else"));
        }
        let all = context.tensors.shape(pass.input).c.div_ceil(context.memory.lanes());
        let (mut starts, blocks) = match before {
            Some(before) => (before.starts, before.blocks),
            None => ((0..all).collect(), 0),
        };
        let mut problem = None;
        starts.retain(|&start| match pass.check(start + blocks) {
            Ok(()) => true,
            Err(found) => {
                problem.get_or_insert(found);
                false
            }
        });
        if let (true, Some(problem)) = (starts.is_empty(), problem) {
            return Err(problem);
        }
        *bank = Some(Covered { drain, starts, blocks: blocks + op.blocks as usize });
        Ok(())
    }

    /// Checks a drain and tags its result.
    pub(super) fn drain(
        &mut self,
        context: &mut Context<'_>,
        pages: &Pages,
        op: &VpuDrain,
        index: usize,
        note: &Note,
    ) -> Result<(), Problem> {
        let (node, tile) = context.named(note)?;
        let conv = node.conv.ok_or_else(|| Problem::Unnamed("sums of no convolution".into()))?;
        let array = ArrayNode::new(context, conv)?;
        let held = self.banks.get(op.bank as usize).and_then(Option::as_ref);
        let held = held
            .filter(|h| h.drain == index)
            .ok_or(Problem::Sums("drains sums that are not its own"))?;
        let lanes = context.memory.lanes();
        expect("th", op.th, tile.extent[0] as i64)?;
        expect("tw", op.tw, tile.extent[1] as i64)?;
        expect("cols", op.cols, tile.extent[2] as i64)?;
        expect("lane", op.lane, (tile.origin[2] % lanes) as i64)?;
        for j in 0..tile.extent[2] {
            let channel = tile.origin[2] + j;
            let expected = array.terms(channel);
            let found = |start: &usize| start * lanes..(start + held.blocks) * lanes;
            let covers = |start: &usize| {
                let found = found(start);
                found.start <= expected.start && expected.end <= found.end
            };
            if !held.starts.iter().any(covers) {
                let found = held.starts.first().map(found).unwrap_or_default();
                return Err(Problem::Reduction { channel, found, expected });
            }
            let entry = op.base as usize + j;
            let (bias, requant) = array.entry(channel);
            context.param(op.slot, entry, Some(bias), requant)?;
        }
        let quant = pages.vpu_quant(op.page)?;
        check_quant0(quant, context.value(conv.output).zero_point, &array.bounds())?;
        let fused = !std::ptr::eq(conv, node.last);
        expect("add", op.add, fused)?;
        if fused {
            let (&QOp::Add { ma, mb, shift, bounds }, &[a, b]) =
                (&node.last.op, &node.last.inputs[..])
            else {
                return Err(Problem::Unnamed("something other than a sum in a drain".into()));
            };
            let (own, side) =
                if a == conv.output { ((a, ma), (b, mb)) } else { ((b, mb), (a, ma)) };
            let scale = pages.vpu_scale(op.page)?;
            check_scale(context, scale, &Addends { a: own, b: Some(side), shift })?;
            check_quant1(quant, context.value(tile.value).zero_point, &bounds)?;
            if scale.mb != 0 {
                let regs = pages.vpu_side(op.page)?;
                expect("lane_broadcast", regs.lane_broadcast, false)?;
                let region = operand_b(op.b, regs);
                residual(context, &tile, side.0, &region)?;
            }
        }
        context.write(&tile, &result(op.dst, pages.vpu_out(op.page)?), op.lane as usize)
    }
}

/// The operand of a fused addition: channel `lane + j` beside column `j`.
fn residual(
    context: &Context<'_>,
    tile: &Tile,
    value: ValueId,
    region: &Region,
) -> Result<(), Problem> {
    let lanes = context.memory.lanes();
    let first = tile.origin[2] % lanes;
    context.width(value, region)?;
    for plane in 0..context.tensors.planes(value) {
        for y in 0..tile.extent[0] {
            for x in 0..tile.extent[1] {
                for c in 0..tile.extent[2] {
                    let at = [tile.origin[0] + y, tile.origin[1] + x, tile.origin[2] + c];
                    let row = region.row(plane, (first + c) / lanes, y, x);
                    let found = context.memory.get(row, (first + c) % lanes);
                    let wanted = context.tensors.tag(value, plane, at);
                    if found != wanted {
                        return Err(Problem::Operand {
                            operand: "b",
                            result: context.element(tile, y, x, c),
                            found: context.tensors.describe(found),
                            expected: context.tensors.describe(wanted),
                        });
                    }
                }
            }
        }
    }
    Ok(())
}

/// One `mxu.conv` with its registers and the piece it sums for.
struct Pass<'a, 'c> {
    context: &'c Context<'a>,
    op: &'c MxuConv,
    kernel: &'c MxuKernel,
    region: Region,
    extent: [u32; 2],
    array: ArrayNode<'c>,
    window: Window,
    input: ValueId,
    tile: &'c Tile,
}

impl<'a, 'c> Pass<'a, 'c> {
    fn new(
        context: &'c Context<'a>,
        pages: &'c Pages,
        op: &'c MxuConv,
        conv: &'c QNode,
        tile: &'c Tile,
    ) -> Result<Pass<'a, 'c>, Problem> {
        let array = ArrayNode::new(context, conv)?;
        let (window, input) = (array.window(), conv.inputs[0]);
        let kernel = pages.mxu_kernel(op.page)?;
        let regs: &MxuInput = pages.mxu_input(op.page)?;
        let wide = context.value(input).dtype == QType::I16;
        for (name, found, expected) in [
            ("kh", kernel.kh, window.kernel[0]),
            ("kw", kernel.kw, window.kernel[1]),
            ("cols", kernel.cols, tile.extent[2]),
        ] {
            expect(name, found, expected as i64)?;
        }
        expect("wide", kernel.wide, wide)?;
        expect("nibbles", kernel.nibbles, array.is_packed())?;
        let region = Region {
            first: op.act,
            row_stride: regs.row_stride,
            block_stride: regs.block_stride,
            x_stride: 1,
            plane_stride: regs.plane_stride,
            wide: kernel.wide,
        };
        let extent = [regs.h, regs.w];
        Ok(Pass { context, op, kernel, region, extent, array, window, input, tile })
    }

    /// Checks the pass as one over channel blocks `start..`.
    fn check(&self, start: usize) -> Result<(), Problem> {
        self.activations(start)?;
        match self.array {
            ArrayNode::Conv { weights, groups, .. } => self.weights(start, weights, groups),
            ArrayNode::Product { b, .. } => {
                product::columns(self.context, self.op, self.tile, b, start)
            }
        }
    }

    fn activations(&self, start: usize) -> Result<(), Problem> {
        let (context, kernel) = (self.context, self.kernel);
        let (lanes, shape) = (context.memory.lanes(), context.tensors.shape(self.input));
        let rows = Taps::new(&self.window, 0, self.tile.origin[0], shape.h).beside(
            self.op.iy0,
            kernel.sy,
            kernel.dy,
            self.extent[0],
        );
        let columns = Taps::new(&self.window, 1, self.tile.origin[1], shape.w).beside(
            self.op.ix0,
            kernel.sx,
            kernel.dx,
            self.extent[1],
        );
        for plane in 0..context.tensors.planes(self.input) {
            for block in 0..self.op.blocks as usize {
                let channel = (start + block) * lanes;
                let n = lanes.min(shape.c.saturating_sub(channel));
                for [y, ky] in pairs(self.tile.extent[0], self.window.kernel[0]) {
                    for [x, kx] in pairs(self.tile.extent[1], self.window.kernel[1]) {
                        let taps = (rows.tap(y, ky), columns.tap(x, kx));
                        let element = || context.element(self.tile, y, x, 0);
                        match place(taps, element)? {
                            None => {
                                expect("pad", kernel.pad, context.value(self.input).zero_point)?
                            }
                            Some(([iy, ix], [ry, rx])) => {
                                let row = self.region.row(plane, block, ry, rx);
                                let at = (self.input, [iy, ix, channel], n);
                                if n > 0 {
                                    context.operand("x", row, plane, at, element)?;
                                }
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn weights(&self, start: usize, w: &QWeights, groups: usize) -> Result<(), Problem> {
        let lanes = self.context.memory.lanes();
        let (per_fold, per_lane) = if self.kernel.nibbles { (2, 2) } else { (1, 1) };
        let mut row = self.op.wgt as usize;
        for block in (0..self.op.blocks as usize).step_by(per_fold) {
            // The partner of an odd last block takes no part, whatever the tensor holds there.
            let limit = (start + self.op.blocks as usize) * lanes;
            for [ky, kx] in pairs(w.kernel[0], w.kernel[1]) {
                for j in 0..self.tile.extent[2] {
                    let channel = self.tile.origin[2] + j;
                    let found = self.context.memory.row(row);
                    row += 1;
                    for lane in 0..lanes {
                        let input = (start + block) * lanes + lane * per_lane;
                        let of = |input: usize| {
                            let inside = input < limit;
                            if inside { weight(w, groups, [channel, ky, kx, input]) } else { 0 }
                        };
                        let expected = if per_lane == 2 {
                            of(input) & 0xf | of(input + 1) << 4
                        } else {
                            of(input)
                        };
                        if found.get(lane) != Some(&constant(expected)) {
                            let tag = found.get(lane).copied().unwrap_or(0);
                            let found = self.context.tensors.describe(tag);
                            return Err(Problem::Weight {
                                channel,
                                ky,
                                kx,
                                input,
                                found,
                                expected,
                            });
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// The weight between an output channel and a channel of the whole input; 0 between groups and beyond the last.
fn weight(w: &QWeights, groups: usize, [channel, ky, kx, input]: [usize; 4]) -> i8 {
    let first = channel / (w.oc / groups).max(1) * w.ic;
    match input.checked_sub(first) {
        Some(k) if k < w.ic => w.data[((channel * w.kernel[0] + ky) * w.kernel[1] + kx) * w.ic + k],
        _ => 0,
    }
}

/// One axis of a window, as the graph says.
pub(super) struct Taps {
    first: i64,
    stride: i64,
    dilation: i64,
    extent: i64,
}

impl Taps {
    /// The window of output `origin + 0` on an axis of an input with `extent` elements.
    pub(super) fn new(window: &Window, axis: usize, origin: usize, extent: usize) -> Taps {
        let stride = window.stride[axis] as i64;
        Taps {
            first: origin as i64 * stride - window.pad[axis] as i64,
            stride,
            dilation: window.dilation[axis] as i64,
            extent: extent as i64,
        }
    }

    /// Pairs the axis with the same one as a word has it: relative to a region in the scratchpad.
    pub(super) fn beside(self, first: i32, stride: u32, dilation: u32, extent: u32) -> TapPair {
        let word = Taps {
            first: first.into(),
            stride: stride.into(),
            dilation: dilation.into(),
            extent: extent.into(),
        };
        TapPair { graph: self, word }
    }

    fn at(&self, output: usize, tap: usize) -> Option<usize> {
        let at = self.first + output as i64 * self.stride + tap as i64 * self.dilation;
        usize::try_from(at).ok().filter(|_| at < self.extent)
    }
}

/// An axis as the graph and as a word have it.
pub(super) struct TapPair {
    graph: Taps,
    word: Taps,
}

impl TapPair {
    /// Position of a tap in the tensor and in the region; `None` in the padding.
    pub(super) fn tap(&self, output: usize, tap: usize) -> [Option<usize>; 2] {
        [self.graph.at(output, tap), self.word.at(output, tap)]
    }
}

/// Positions of a tap in the tensor and in the region, if it is in both; `None` if it is padding for both.
#[expect(clippy::type_complexity, reason = "two points, or none")]
pub(super) fn place(
    ([gy, wy], [gx, wx]): ([Option<usize>; 2], [Option<usize>; 2]),
    element: impl FnOnce() -> String,
) -> Result<Option<([usize; 2], [usize; 2])>, Problem> {
    match (gy.zip(gx), wy.zip(wx)) {
        (None, None) => Ok(None),
        (Some((gy, gx)), Some((wy, wx))) => Ok(Some(([gy, gx], [wy, wx]))),
        (graph, _) => {
            let words = |inside| if inside { "inside the tensor" } else { "padding" };
            let inside = graph.is_some();
            Err(Problem::Padding {
                result: element(),
                found: words(!inside),
                expected: words(inside),
            })
        }
    }
}

/// All pairs of `0..a` and `0..b`, the second innermost.
pub(super) fn pairs(a: usize, b: usize) -> impl Iterator<Item = [usize; 2]> {
    (0..a).flat_map(move |i| (0..b).map(move |j| [i, j]))
}
