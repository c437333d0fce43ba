//! The writer: listens to a timing core and writes one event a line.

use std::io::{self, Write};
use std::ops::Range;

use isa::access::{Pages, access};
use isa::program::NodeInfo;
use isa::{Engine, Program};
use serde_json::{Map, Value};
use timing::{Bucket, Grant, InstRef, Observer, Timing, TrafficClass};

use super::event::{Args, ENGINES, Event, INSTRUCTIONS, MEMORY};
use super::flight::{Flights, InFlight, note};
use super::slices::{Joiner, Slice, colour};
use super::{TraceError, TraceOptions};
use crate::occupancy::Occupancy;
use crate::work;

/// Lanes of instructions of an engine have the track numbers from `engine * LANES` on.
const LANES: u32 = 10_000;

/// Writes the trace of one run of one program. Give it to a timing core as the observer, then [`finish`](Self::finish).
///
/// Events are written piecemeal: wrap a file in a [`std::io::BufWriter`]. The first error of `out` silences the writer and is
/// returned by `finish`.
#[derive(Debug)]
pub struct TraceWriter<'a, W: Write> {
    out: Output<W>,
    program: &'a Program,
    options: TraceOptions,
    pages: Pages,
    joiners: [Joiner; 4],
    flights: [Flights; 4],
    /// Signals and waits so far of each ordered pair of engines: the k-th wait takes the k-th signal.
    signals: [[u64; 4]; 4],
    waits: [[u64; 4]; 4],
    window: Window,
}

/// DRAM bytes of one class each in the current window.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    index: u64,
    bytes: [u64; TrafficClass::ALL.len()],
}

/// The JSON document so far.
#[derive(Debug)]
struct Output<W: Write> {
    out: W,
    /// Whether no event has been written yet.
    empty: bool,
    error: Option<io::Error>,
}

impl<W: Write> Output<W> {
    fn attempt(&mut self, write: impl FnOnce(&mut W) -> io::Result<()>) {
        if self.error.is_none() {
            self.error = write(&mut self.out).err();
        }
    }

    /// Writes an event on a line of its own.
    fn event(&mut self, event: &Event<'_>) {
        let separator: &[u8] = if self.empty { b"\n" } else { b",\n" };
        self.empty = false;
        self.attempt(|out| {
            out.write_all(separator)?;
            Ok(serde_json::to_writer(out, event)?)
        });
    }
}

impl<'a, W: Write> TraceWriter<'a, W> {
    /// Begins a trace of a run of `program` at `clock_mhz`, which is noted for people.
    pub fn new(
        out: W,
        program: &'a Program,
        clock_mhz: u32,
        options: TraceOptions,
    ) -> TraceWriter<'a, W> {
        let window_cycles = options.window_cycles.max(1);
        let mut writer = TraceWriter {
            out: Output { out, empty: true, error: None },
            program,
            options: TraceOptions { window_cycles, ..options },
            pages: Pages::default(),
            joiners: Default::default(),
            flights: Default::default(),
            signals: [[0; 4]; 4],
            waits: [[0; 4]; 4],
            window: Window::default(),
        };
        writer.begin(clock_mhz);
        writer
    }

    fn begin(&mut self, clock_mhz: u32) {
        let about = serde_json::json!({
            "model": self.program.meta.model,
            "clock_mhz": clock_mhz,
            "time": "1 us shown = 1 cycle",
        });
        self.out.attempt(|out| {
            write!(out, "{{\"displayTimeUnit\":\"ms\",\"otherData\":{about},\"traceEvents\":[")
        });
        for (pid, name) in
            [(ENGINES, "engines"), (INSTRUCTIONS, "instructions"), (MEMORY, "memory")]
        {
            self.out.event(&Event::meta("process_name", pid, 0, name));
            self.out.event(&Event::meta("process_sort_index", pid, 0, pid));
        }
        for engine in Engine::ALL {
            self.name_track(ENGINES, engine.index() as u32, engine.name());
        }
    }

    fn name_track(&mut self, pid: u32, tid: u32, name: &str) {
        self.out.event(&Event::meta("thread_name", pid, tid, name));
        self.out.event(&Event::meta("thread_sort_index", pid, tid, tid));
    }

    /// Writes what is left, the scratchpad curve and the end of the document. Returns the output.
    ///
    /// # Errors
    /// The first error of the output since the beginning; or, if `timing` is not of this program, that.
    pub fn finish(mut self, timing: &Timing) -> Result<W, TraceError> {
        for engine in Engine::ALL {
            if let Some(slice) = self.joiners[engine.index()].finish() {
                self.draw(engine, &slice);
            }
        }
        self.move_window(u64::MAX);
        let row_bytes = u64::from(self.program.hardware.row_bytes());
        for (cycle, rows) in Occupancy::of(self.program, timing)?.steps {
            let args =
                Map::from_iter([("bytes".to_owned(), Value::from(u64::from(rows) * row_bytes))]);
            self.out.event(&Event::counter("scratchpad in use", cycle, args));
        }
        self.out.attempt(|out| {
            out.write_all(b"\n]}\n")?;
            out.flush()
        });
        match self.out.error {
            Some(error) => Err(error.into()),
            None => Ok(self.out.out),
        }
    }

    fn node(&self, inst: InstRef) -> Option<&'a NodeInfo> {
        let note = self.program.section(inst.engine).notes.get(inst.index as usize)?;
        self.program.nodes.get(note.node as usize)
    }

    /// What a slice of an instruction is called: its node, or its mnemonic if it has none.
    fn label(&self, inst: InstRef) -> &'a str {
        match (self.node(inst), self.program.section(inst.engine).words.get(inst.index as usize)) {
            (Some(node), _) => &node.name,
            (None, Some(word)) => word.op.mnemonic(),
            (None, None) => "?",
        }
    }

    /// Draws a slice of an engine's track.
    fn draw(&mut self, engine: Engine, slice: &Slice) {
        let inst = slice.inst.map(|index| InstRef { engine, index });
        let bucket = slice.bucket();
        let name = match inst {
            Some(inst) if bucket == Bucket::Busy => self.label(inst),
            _ => bucket.name(),
        };
        let mut args = Args::new();
        if let Some(inst) = inst {
            self.identify(inst, &mut args);
        }
        for &bucket in Bucket::ALL {
            note(&mut args, bucket.name(), slice.buckets[bucket]);
        }
        let event = Event::slice(name, ENGINES, engine.index() as u32, slice.cycles.clone());
        self.out.event(&Event { cname: Some(colour(bucket)), args, ..event });
    }

    fn identify(&self, inst: InstRef, args: &mut Args) {
        args.insert("index".to_owned(), Value::from(inst.index));
        if let Some(word) = self.program.section(inst.engine).words.get(inst.index as usize) {
            args.insert("instruction".to_owned(), Value::from(word.op.mnemonic()));
        }
        if let Some(node) = self.node(inst) {
            args.insert("node".to_owned(), Value::from(node.name.as_str()));
        }
    }

    /// The arguments of an instruction's slice: which it is and how much it does.
    fn describe(&mut self, inst: InstRef) -> Args {
        let mut args = Args::new();
        self.identify(inst, &mut args);
        let program = self.program;
        if let Some(word) = program.section(inst.engine).words.get(inst.index as usize) {
            if let Some(page) = word.op.page() {
                args.insert("page".to_owned(), Value::from(page));
            }
            // Words are told in program order, so the pages are those that this one finds. A timing core has refused illegal words.
            if let Ok(accesses) = access(word, &self.pages, &program.hardware) {
                let work = work::count(word, &self.pages, &accesses, &program.hardware);
                note(&mut args, "macs", work.macs());
                note(&mut args, "vector_ops", work.vector_ops);
                note(&mut args, "dram_bytes", work.dram.useful_bytes);
                note(&mut args, "scratchpad_read_bytes", work.scratchpad.read_bytes());
                note(&mut args, "scratchpad_write_bytes", work.scratchpad.write_bytes());
            }
            self.pages.apply(word);
        }
        args
    }

    /// The instruction's place among those under way, with its lane named if it is the first on it.
    fn enter(&mut self, inst: InstRef, cycle: u64) -> Option<&mut InFlight> {
        if let Some(lane) = self.flights[inst.engine.index()].enter(inst.index, cycle) {
            let name = format!("{} {}", inst.engine.name(), lane + 1);
            self.name_track(INSTRUCTIONS, track(inst.engine, lane), &name);
        }
        self.flights[inst.engine.index()].find(inst.index)
    }

    fn write_window(&mut self) {
        let classes = TrafficClass::ALL.iter().zip(self.window.bytes);
        let args =
            classes.map(|(class, bytes)| (class.name().to_owned(), Value::from(bytes))).collect();
        let cycle = self.window.index.saturating_mul(self.options.window_cycles);
        self.out.event(&Event::counter("DRAM bytes", cycle, args));
    }

    /// Begins the window `index`. A counter keeps its value until the next event, so a gap begins with a zero.
    fn move_window(&mut self, index: u64) {
        self.write_window();
        let next = self.window.index + 1;
        if index > next {
            self.window = Window { index: next, ..Window::default() };
            self.write_window();
        }
        self.window = Window { index, ..Window::default() };
    }
}

/// Track number of an instruction lane.
fn track(engine: Engine, lane: u32) -> u32 {
    engine.index() as u32 * LANES + lane
}

/// The number of an arrow: pair of engines and count.
fn arrow(producer: Engine, consumer: Engine, count: u64) -> u64 {
    count * 16 + (producer.index() * 4 + consumer.index()) as u64
}

impl<W: Write> Observer for TraceWriter<'_, W> {
    fn instruction_issued(&mut self, inst: InstRef, cycle: u64) {
        let args = self.describe(inst);
        if let Some(flight) = self.enter(inst, cycle) {
            flight.args = args;
        }
    }

    fn instruction_completed(&mut self, inst: InstRef, cycle: u64) {
        let Some(flight) = self.flights[inst.engine.index()].leave(inst.index) else { return };
        let track = track(inst.engine, flight.lane);
        let name = self.label(inst);
        let end = end_of_slice(flight.issue, cycle);
        let slice = Event::slice(name, INSTRUCTIONS, track, flight.issue..end);
        self.out.event(&Event { args: flight.args, ..slice });
        // Behind the slice, so that a viewer that reads in order finds it open.
        for id in flight.arrows_in {
            self.out.event(&Event::flow("f", track, flight.issue, id));
        }
        for id in flight.arrows_out {
            self.out.event(&Event::flow("s", track, last_cycle(flight.issue, cycle), id));
        }
    }

    fn semaphore_signalled(&mut self, producer: InstRef, consumer: Engine, cycle: u64) {
        let count = &mut self.signals[producer.engine.index()][consumer.index()];
        let id = arrow(producer.engine, consumer, *count);
        *count += 1;
        if let Some((lane, issue)) =
            self.flights[producer.engine.index()].signal(producer.index, id)
        {
            let track = track(producer.engine, lane);
            self.out.event(&Event::flow("s", track, last_cycle(issue, cycle), id));
        }
    }

    fn semaphore_waited(&mut self, consumer: InstRef, producer: InstRef, cycle: u64) {
        let count = &mut self.waits[producer.engine.index()][consumer.engine.index()];
        let id = arrow(producer.engine, consumer.engine, *count);
        *count += 1;
        if let Some(flight) = self.enter(consumer, cycle) {
            flight.arrows_in.push(id);
        }
    }

    fn burst_granted(&mut self, burst: Grant) {
        let index = burst.cycle / self.options.window_cycles;
        if index != self.window.index {
            self.move_window(index);
        }
        self.window.bytes[burst.class as usize] +=
            u64::from(self.program.hardware.dram_burst_bytes);
    }

    fn bucket(&mut self, engine: Engine, inst: Option<u32>, bucket: Bucket, cycles: Range<u64>) {
        let wait_cycles = self.options.wait_cycles;
        let complete = self.joiners[engine.index()].push(inst, bucket, cycles, wait_cycles);
        for slice in complete.iter().flatten() {
            self.draw(engine, slice);
        }
    }
}

/// Where an instruction's slice ends. `halt` completes when it issues; it is drawn in that cycle, as viewers lay an empty slice inside the one
/// before it and hang no arrow on it.
fn end_of_slice(issue: u64, complete: u64) -> u64 {
    complete.max(issue + 1)
}

/// The last cycle of an instruction, which an arrow leaves from: inside its slice.
fn last_cycle(issue: u64, complete: u64) -> u64 {
    end_of_slice(issue, complete) - 1
}
