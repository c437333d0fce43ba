//! The writer: listens to a timing core and puts what it hears in order.

use std::io::{Seek, Write};
use std::ops::Range;

use isa::instructions::Op;
use isa::{Engine, Program};
use timing::{Bucket, Grant, InstRef, Observer, Timing, TrafficClass};

use super::fst::{Fst, SECTION_BYTES};
use super::merge::{Change, EVENTS, KNOWN, Merger, WINDOWS};
use super::signals;
use super::vcd::Vcd;
use super::{Sink, Value, WaveFormat};
use crate::occupancy::Occupancy;
use crate::trace::TraceError;

/// Writes the waves of one run of one program. Give it to a timing core as the observer, then [`finish`](Self::finish).
///
/// Changes are written piecemeal: wrap a file in a [`std::io::BufWriter`]. The first error of the output silences the writer and is
/// returned by `finish`.
pub struct WaveWriter<'a> {
    program: &'a Program,
    merger: Merger<'a>,
    total_cycles: u64,
    /// Cycle up to which each engine's intervals are told.
    told: [u64; 4],
    /// Instruction of each engine's last interval; `None` before the first.
    current: [Option<Option<u32>>; 4],
    /// Cycle of the last event: issues, completions and bursts come in order of time.
    now: u64,
    /// Semaphores, first index producer, second consumer.
    semaphores: [[u32; 4]; 4],
    window: Window,
}

/// DRAM bytes of each class in the current window.
struct Window {
    cycles: u64,
    index: u64,
    bytes: [u32; TrafficClass::ALL.len()],
}

impl<'a> WaveWriter<'a> {
    /// Begins the waves of a run of `program` on its machine. `timing` is the result of such a run; `window_cycles` (at least 1) the cycles
    /// over which DRAM bytes are added up.
    ///
    /// # Errors
    /// A failure of the output; or, if `timing` is not of this program, that.
    pub fn new(
        format: WaveFormat,
        out: impl Write + Seek + 'a,
        program: &'a Program,
        timing: &Timing,
        window_cycles: u64,
    ) -> Result<WaveWriter<'a>, TraceError> {
        let scopes = signals::catalogue(program);
        let sink: Box<dyn Sink + 'a> = match format {
            WaveFormat::Vcd => Box::new(Vcd::new(out, &scopes)?),
            WaveFormat::Fst => Box::new(Fst::new(out, &scopes, SECTION_BYTES)?),
        };
        let merger = Merger::new(sink, &scopes, program.hardware.clock_mhz);
        WaveWriter::with_merger(merger, program, timing, window_cycles)
    }

    /// As [`new`](Self::new), with the file begun.
    pub(super) fn with_merger(
        mut merger: Merger<'a>,
        program: &'a Program,
        timing: &Timing,
        window_cycles: u64,
    ) -> Result<WaveWriter<'a>, TraceError> {
        for change in known(program, timing)? {
            merger.push(KNOWN, change);
        }
        Ok(WaveWriter {
            program,
            merger,
            total_cycles: timing.total_cycles,
            told: [0; 4],
            current: [None; 4],
            now: 0,
            semaphores: [[0; 4]; 4],
            window: Window { cycles: window_cycles.max(1), index: 0, bytes: Default::default() },
        })
    }

    /// Writes what is left and ends the file.
    ///
    /// # Errors
    /// The first error of the output since the beginning.
    pub fn finish(mut self) -> Result<(), TraceError> {
        self.move_window(self.total_cycles.div_ceil(self.window.cycles));
        Ok(self.merger.finish(self.total_cycles)?)
    }

    /// Something happens at `cycle`, and everything before it is known of events.
    fn event(&mut self, cycle: u64) {
        self.now = cycle;
        let index = cycle / self.window.cycles;
        if index != self.window.index {
            self.move_window(index);
        }
    }

    /// Ends the current window and begins the window `index`; those between them are empty.
    fn move_window(&mut self, index: u64) {
        self.push_window();
        self.window.bytes = Default::default();
        if index > self.window.index + 1 {
            self.window.index += 1;
            self.push_window();
        }
        self.window.index = index;
    }

    fn push_window(&mut self) {
        let cycle = self.window.index * self.window.cycles;
        for (class, bytes) in TrafficClass::ALL.into_iter().zip(self.window.bytes) {
            let change = Change { cycle, signal: signals::dram(class), value: Some(bytes) };
            self.merger.push(WINDOWS, change);
        }
    }

    fn count(&mut self, producer: Engine, consumer: Engine, cycle: u64, step: i32) {
        let count = &mut self.semaphores[producer.index()][consumer.index()];
        *count = count.saturating_add_signed(step);
        let signal = signals::semaphore(producer, consumer);
        self.merger.push(EVENTS, Change { cycle, signal, value: Some(*count) });
    }
}

/// What a finished timing tells: scratchpad bytes in use and the lines of the nodes, in order of time.
fn known(program: &Program, timing: &Timing) -> Result<Vec<Change>, TraceError> {
    let row_bytes = program.hardware.row_bytes();
    let steps = Occupancy::of(program, timing)?.steps.into_iter();
    let mut changes: Vec<Change> = steps
        .map(|(cycle, rows)| {
            let value = Some(rows.saturating_mul(row_bytes));
            Change { cycle, signal: signals::SCRATCHPAD, value }
        })
        .collect();
    for (index, layer) in timing.layers.iter().enumerate() {
        let Some(span) = layer.span.filter(|span| span.first_issue < span.finish) else { continue };
        for (cycle, value) in [(span.first_issue, 1), (span.finish, 0)] {
            changes.push(Change { cycle, signal: signals::node(index), value: Some(value) });
        }
    }
    changes.sort_by_key(|change| change.cycle);
    Ok(changes)
}

/// Opcode, position and node of an instruction.
fn identity(program: &Program, inst: InstRef) -> [Value; 3] {
    let section = program.section(inst.engine);
    let opcode = |op: &Op| op.doc().opcode;
    let word = section.words.get(inst.index as usize);
    let note = section.notes.get(inst.index as usize);
    let node = note.map(|note| note.node).filter(|&node| node != u32::MAX);
    [word.map(|word| opcode(&word.op)), Some(inst.index), node]
}

impl Observer for WaveWriter<'_> {
    fn instruction_issued(&mut self, _inst: InstRef, cycle: u64) {
        self.event(cycle);
    }

    fn instruction_completed(&mut self, _inst: InstRef, cycle: u64) {
        self.event(cycle);
    }

    fn semaphore_signalled(&mut self, producer: InstRef, consumer: Engine, cycle: u64) {
        self.count(producer.engine, consumer, cycle, 1);
    }

    fn semaphore_waited(&mut self, consumer: InstRef, producer: InstRef, cycle: u64) {
        self.count(producer.engine, consumer.engine, cycle, -1);
    }

    fn burst_granted(&mut self, burst: Grant) {
        self.event(burst.cycle);
        self.window.bytes[burst.class as usize] += self.program.hardware.dram_burst_bytes;
    }

    fn bucket(&mut self, engine: Engine, inst: Option<u32>, bucket: Bucket, cycles: Range<u64>) {
        let first = signals::engine(engine);
        let mut push = |signal, value| {
            let change = Change { cycle: cycles.start, signal: first + signal, value };
            self.merger.push(engine.index(), change);
        };
        push(signals::STATE, Some(bucket as u32));
        if self.current[engine.index()].replace(inst) != Some(inst) {
            let identity = inst.map(|index| identity(self.program, InstRef { engine, index }));
            let names = [signals::OPCODE, signals::INSTRUCTION, signals::NODE];
            names.into_iter().zip(identity.unwrap_or_default()).for_each(|(n, v)| push(n, v));
        }
        self.told[engine.index()] = cycles.end;
        // The current window is told when it ends, under the cycle of its beginning.
        let window = self.window.index * self.window.cycles;
        let until = self.told.into_iter().chain([self.now, window]).min();
        self.merger.drain(until.unwrap_or(0));
    }
}
