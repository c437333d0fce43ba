//! How much each instruction does: multiply-accumulates, vector operations, accumulator words, scratchpad and DRAM bytes.
//!
//! Counted from the words and the register pages alone, so a count costs nothing and never depends on a value or a cycle. The
//! energy estimate, the scratchpad traffic, the DRAM bytes of each layer and the figures in a trace all come from here.
//!
//! Scratchpad traffic counts whole rows of `array_rows` bytes: each row of an operand once per instruction, because a line
//! buffer or a broadcast register serves its other uses. Two operands have no such buffer and count every read: the
//! activations of the systolic array (one row per pixel, tap and channel block; padding is injected and read from nowhere) and a
//! window wider than the line buffer (rule T17 of `docs/timing.md`).

mod transfer;

#[cfg(test)]
mod tests;

use std::ops::AddAssign;

use isa::access::{Access, Pages, Space, Stream, Strided, WindowAxis, access};
use isa::instructions::{MxuConv, VpuDepthwise, VpuKernel, VpuPool};
use isa::program::Note;
use isa::{Engine, Hardware, Inst, Op, Program};
use timing::{InstRef, Traffic, TrafficClass};

use crate::report::ReportError;
use transfer::transferred;

/// What instructions do, added up. Sums saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// 8-bit multiply-accumulates of the systolic array, lanes and columns as mapped; a 16-bit activation counts two.
    pub mac8: u64,
    /// Multiply-accumulates of the systolic array with weights of at most 4 bits; a 16-bit activation counts two.
    pub mac4: u64,
    /// Window taps of the vector lanes (depthwise and pooling); a 16-bit activation counts two.
    pub lane_taps: u64,
    /// Requantizations, elementwise operations and table lookups, one per element; three per element of a softmax.
    pub vector_ops: u64,
    /// Accumulator words read or written.
    pub acc_words: u64,
    /// Cycles in which activation rows stream through the array (rule T12): the least this mapping takes there.
    pub array_cycles: u64,
    /// Scratchpad bytes by stream.
    pub scratchpad: ScratchpadBytes,
    /// DRAM bytes of transfers, whole bursts (rule T20); instruction fetch is not the work of an instruction.
    pub dram: Traffic,
}

impl Work {
    /// Multiply-accumulates of the array and taps of the lanes.
    #[must_use]
    pub fn macs(&self) -> u64 {
        self.mac8.saturating_add(self.mac4).saturating_add(self.lane_taps)
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Work) {
        add(&mut self.mac8, other.mac8);
        add(&mut self.mac4, other.mac4);
        add(&mut self.lane_taps, other.lane_taps);
        add(&mut self.vector_ops, other.vector_ops);
        add(&mut self.acc_words, other.acc_words);
        add(&mut self.array_cycles, other.array_cycles);
        self.scratchpad += other.scratchpad;
        add(&mut self.dram.read_bytes, other.dram.read_bytes);
        add(&mut self.dram.write_bytes, other.dram.write_bytes);
        add(&mut self.dram.useful_bytes, other.dram.useful_bytes);
    }
}

/// Scratchpad bytes by the stream that moves them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScratchpadBytes {
    /// Written by the load engine.
    pub load: u64,
    /// Read as activations of the systolic array.
    pub mxu_activations: u64,
    /// Read as weights of the systolic array.
    pub mxu_weights: u64,
    /// Read as operand `a` of the vector engine.
    pub vpu_a: u64,
    /// Read as operand `b` of the vector engine.
    pub vpu_b: u64,
    /// Read as depthwise weights.
    pub vpu_weights: u64,
    /// Written by the vector engine.
    pub vpu_result: u64,
    /// Read by the store engine.
    pub store: u64,
}

impl ScratchpadBytes {
    /// Bytes read.
    #[must_use]
    pub fn read_bytes(&self) -> u64 {
        let vector = self.vpu_a.saturating_add(self.vpu_b).saturating_add(self.vpu_weights);
        let array = self.mxu_activations.saturating_add(self.mxu_weights);
        vector.saturating_add(array).saturating_add(self.store)
    }

    /// Bytes written.
    #[must_use]
    pub fn write_bytes(&self) -> u64 {
        self.load.saturating_add(self.vpu_result)
    }

    /// Where a stream is counted; `None` for streams of other memories.
    fn slot(&mut self, stream: Stream) -> Option<&mut u64> {
        match stream {
            Stream::LoadWrite => Some(&mut self.load),
            Stream::MxuAct => Some(&mut self.mxu_activations),
            Stream::MxuWeights => Some(&mut self.mxu_weights),
            Stream::VpuA => Some(&mut self.vpu_a),
            Stream::VpuB => Some(&mut self.vpu_b),
            Stream::VpuWeights => Some(&mut self.vpu_weights),
            Stream::VpuWrite => Some(&mut self.vpu_result),
            Stream::StoreRead => Some(&mut self.store),
            Stream::LoadRead | Stream::StoreWrite | Stream::MxuSums | Stream::VpuSums => None,
            Stream::VpuParams | Stream::VpuTable => None,
        }
    }
}

impl AddAssign for ScratchpadBytes {
    fn add_assign(&mut self, other: ScratchpadBytes) {
        add(&mut self.load, other.load);
        add(&mut self.mxu_activations, other.mxu_activations);
        add(&mut self.mxu_weights, other.mxu_weights);
        add(&mut self.vpu_a, other.vpu_a);
        add(&mut self.vpu_b, other.vpu_b);
        add(&mut self.vpu_weights, other.vpu_weights);
        add(&mut self.vpu_result, other.vpu_result);
        add(&mut self.store, other.store);
    }
}

/// Work of a whole program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramWork {
    /// Of all instructions.
    pub total: Work,
    /// Of the instructions of each node, indexed as [`Program::nodes`].
    pub nodes: Vec<Work>,
    /// DRAM bytes of each node's transfers, whole bursts read and written, by [`TrafficClass`].
    pub classes: Vec<[u64; TrafficClass::ALL.len()]>,
}

impl ProgramWork {
    /// Counts a program.
    ///
    /// # Errors
    /// [`ReportError::Illegal`] for a word that the machine cannot execute.
    pub fn count(program: &Program) -> Result<ProgramWork, ReportError> {
        let mut sums = ProgramWork {
            total: Work::default(),
            nodes: vec![Work::default(); program.nodes.len()],
            classes: vec![Default::default(); program.nodes.len()],
        };
        for_each(program, |step| {
            let work = count(step.inst, step.pages, step.accesses, &program.hardware);
            sums.total += work;
            let node = step.note.node as usize;
            if let (Some(sum), Some(classes)) =
                (sums.nodes.get_mut(node), sums.classes.get_mut(node))
            {
                *sum += work;
                let class = &mut classes[TrafficClass::from(step.note.class) as usize];
                add(class, work.dram.read_bytes.saturating_add(work.dram.write_bytes));
            }
        })?;
        Ok(sums)
    }
}

/// One instruction with all that is known of it before the run.
pub(crate) struct Step<'a> {
    pub(crate) inst: &'a Inst,
    pub(crate) note: Note,
    /// Register pages as the earlier words of its engine left them.
    pub(crate) pages: &'a Pages,
    pub(crate) accesses: &'a [Access],
}

/// Visits every instruction of a program, engine by engine, in program order.
pub(crate) fn for_each(
    program: &Program,
    mut visit: impl FnMut(Step<'_>),
) -> Result<(), ReportError> {
    for engine in Engine::ALL {
        let section = program.section(engine);
        let mut pages = Pages::default();
        for (index, inst) in section.words.iter().enumerate() {
            let accesses = legal_access(
                InstRef { engine, index: index as u32 },
                inst,
                &pages,
                &program.hardware,
            )?;
            let note = section.notes.get(index).copied().unwrap_or(NO_NOTE);
            visit(Step { inst, note, pages: &pages, accesses: &accesses });
            pages.apply(inst);
        }
    }
    Ok(())
}

/// The note of a word that has none.
const NO_NOTE: Note = Note { node: u32::MAX, class: isa::program::Class::None, tile: None };

/// [`access`] with the place of the word in its error.
pub(crate) fn legal_access(
    at: InstRef,
    inst: &Inst,
    pages: &Pages,
    hardware: &Hardware,
) -> Result<Vec<Access>, ReportError> {
    access(inst, pages, hardware).map_err(|source| ReportError::Illegal { inst: at, source })
}

/// The work of one word, whose accesses [`access`] has found legal.
pub(crate) fn count(inst: &Inst, pages: &Pages, accesses: &[Access], hardware: &Hardware) -> Work {
    let mut work = Work::default();
    let row_bytes = u64::from(hardware.row_bytes());
    for access in accesses.iter().filter(|access| access.space == Space::Spad) {
        if let Some(bytes) = work.scratchpad.slot(access.stream) {
            add(bytes, addresses(&access.rows).saturating_mul(row_bytes));
        }
    }
    work.dram = transferred(&inst.op, pages, hardware);
    operate(&inst.op, pages, hardware, &mut work);
    work
}

/// Fills in what the arithmetic units do. A register page that was never written, which `access` refuses, counts nothing.
fn operate(op: &Op, pages: &Pages, hardware: &Hardware, work: &mut Work) {
    let lanes = u64::from(hardware.array_rows);
    let tile = |th: u32, tw: u32, blocks: u32| product([th, tw, blocks]).saturating_mul(lanes);
    match op {
        Op::MxuConv(op) => convolve(op, pages, lanes, work),
        Op::VpuDrain(op) => {
            let elements = product([op.th, op.tw, op.cols]);
            work.acc_words = elements;
            work.vector_ops = elements.saturating_mul(if op.add { 2 } else { 1 });
        }
        Op::VpuDepthwise(op) => {
            work.vector_ops = tile(op.th, op.tw, op.blocks);
            let &VpuDepthwise { page, th, tw, ix0, blocks, .. } = op;
            slide(&Window { page, th, tw, ix0, blocks }, pages, hardware, work);
        }
        Op::VpuPool(op) => {
            work.vector_ops = if op.average { tile(op.th, op.tw, op.blocks) } else { 0 };
            let &VpuPool { page, th, tw, ix0, blocks, .. } = op;
            slide(&Window { page, th, tw, ix0, blocks }, pages, hardware, work);
        }
        Op::VpuAdd(op) => work.vector_ops = tile(op.th, op.tw, op.blocks),
        Op::VpuMul(op) => work.vector_ops = tile(op.th, op.tw, op.blocks),
        Op::VpuMax(op) => work.vector_ops = tile(op.th, op.tw, op.blocks),
        Op::VpuPrelu(op) => work.vector_ops = tile(op.th, op.tw, op.blocks),
        Op::VpuLut(op) => work.vector_ops = tile(op.th, op.tw, op.blocks),
        // Maximum, sum of exponentials, quotient: three passes over the channels (rule T18).
        Op::VpuSoftmax(op) => work.vector_ops = product([3, op.th, op.tw, op.channels]),
        Op::VpuMove(_) | Op::VpuFill(_) | Op::Load(_) | Op::LoadParams(_) | Op::LoadTable(_) => {}
        Op::Store(_) | Op::Halt(_) | Op::Sync(_) | Op::LoadGeom(_) | Op::StoreGeom(_) => {}
        Op::MxuKernel(_) | Op::MxuInput(_) | Op::VpuIn(_) | Op::VpuSide(_) | Op::VpuOut(_) => {}
        Op::VpuKernel(_) | Op::VpuQuant(_) | Op::VpuScale(_) | Op::VpuStride(_) => {}
    }
}

fn convolve(op: &MxuConv, pages: &Pages, lanes: u64, work: &mut Work) {
    let (Ok(kernel), Ok(input)) = (pages.mxu_kernel(op.page), pages.mxu_input(op.page)) else {
        return;
    };
    let passes = if kernel.wide { 2 } else { 1 };
    let fold_blocks = if kernel.nibbles { op.blocks.div_ceil(2) } else { op.blocks };
    let folds = product([kernel.kh, kernel.kw, fold_blocks]);
    work.array_cycles = product([op.th, op.tw, passes]).saturating_mul(folds);
    let columns = work.array_cycles.saturating_mul(kernel.cols.into());
    let macs = columns.saturating_mul(lanes);
    if kernel.nibbles {
        work.mac4 = macs.saturating_mul(2);
    } else {
        work.mac8 = macs;
    }
    // Every pass of every fold reads and writes its sums, except that the first one overwrites unless told to add.
    let overwritten = if op.add { 0 } else { product([op.th, op.tw, kernel.cols]) };
    work.acc_words = columns.saturating_mul(2).saturating_sub(overwritten);
    let y = WindowAxis {
        origin: op.iy0,
        tile: op.th,
        step: kernel.sy,
        kernel: kernel.kh,
        dilation: kernel.dy,
        extent: input.h,
    };
    let x = WindowAxis {
        origin: op.ix0,
        tile: op.tw,
        step: kernel.sx,
        kernel: kernel.kw,
        dilation: kernel.dx,
        extent: input.w,
    };
    let taps =
        |axis: &WindowAxis| (0..axis.tile).map(|i| u64::from(axis.valid_taps(i).1)).sum::<u64>();
    let rows = taps(&y).saturating_mul(taps(&x)).saturating_mul(product([op.blocks, passes]));
    work.scratchpad.mxu_activations = rows.saturating_mul(lanes);
}

/// A windowed vector instruction.
struct Window {
    page: u32,
    th: u32,
    tw: u32,
    ix0: i32,
    blocks: u32,
}

fn slide(window: &Window, pages: &Pages, hardware: &Hardware, work: &mut Work) {
    let (Ok(kernel), Ok(input)) = (pages.vpu_kernel(window.page), pages.vpu_in(window.page)) else {
        return;
    };
    let &Window { th, tw, ix0, blocks, .. } = window;
    let &VpuKernel { kh, kw, sx, dx, .. } = kernel;
    let lanes = u64::from(hardware.array_rows);
    let width = if input.wide { 2 } else { 1 };
    let every_tap = product([th, tw, kh, kw]).saturating_mul(product([blocks, width]));
    work.lane_taps = every_tap.saturating_mul(lanes);
    let x =
        WindowAxis { origin: ix0, tile: tw, step: sx, kernel: kw, dilation: dx, extent: input.w };
    let touches_input = work.scratchpad.vpu_a > 0;
    if touches_input && x.clipped().is_some_and(|(_, columns)| columns > hardware.line_cols) {
        work.scratchpad.vpu_a = every_tap.saturating_mul(lanes);
    }
}

/// Intervals that make up a set of addresses. A set whose runs overlap so much that there are more of them than addresses
/// (no tile of a tensor is like that) is widened to its bounds, so that a damaged program cannot cost unbounded time.
pub(crate) fn intervals(set: &Strided) -> impl Iterator<Item = std::ops::Range<i64>> {
    let bounds = set.bounds();
    let most = usize::try_from(bounds.end - bounds.start).unwrap_or(0);
    let crowded = set.intervals().nth(most).is_some();
    let whole = crowded.then_some(bounds);
    let runs = (!crowded).then(|| set.intervals());
    whole.into_iter().chain(runs.into_iter().flatten())
}

/// Number of addresses in a set.
fn addresses(set: &Strided) -> u64 {
    intervals(set)
        .map(|run| (run.end - run.start).max(0).unsigned_abs())
        .fold(0, u64::saturating_add)
}

fn add(sum: &mut u64, amount: u64) {
    *sum = sum.saturating_add(amount);
}

fn product<const N: usize>(factors: [u32; N]) -> u64 {
    factors.into_iter().fold(1, |product, factor| product.saturating_mul(factor.into()))
}
