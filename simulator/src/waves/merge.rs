//! Changes from several sources, each in order of time, become one sequence.

use std::collections::VecDeque;
use std::io;

use super::signals::Scope;
use super::{Sink, Value};

/// A signal has a new value from a cycle on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) cycle: u64,
    pub(super) signal: usize,
    pub(super) value: Value,
}

/// Who tells changes; each in order of time. The four engines come first.
pub(super) const EVENTS: usize = 4;
pub(super) const WINDOWS: usize = 5;
pub(super) const KNOWN: usize = 6;

/// Queues of changes, one per source, and the file they go to.
pub(super) struct Merger<'a> {
    queues: [VecDeque<Change>; 7],
    values: Values<'a>,
}

impl<'a> Merger<'a> {
    /// With the initial values of all signals.
    pub(super) fn new(sink: Box<dyn Sink + 'a>, scopes: &[Scope], clock_mhz: u32) -> Merger<'a> {
        let variables = scopes.iter().flat_map(|scope| &scope.variables);
        let next: Vec<Value> = variables.map(|variable| variable.initial).collect();
        let values = Values {
            sink,
            clock_mhz,
            written: vec![None; next.len()],
            touched: (0..next.len()).collect(),
            next,
            cycle: 0,
            error: None,
        };
        Merger { queues: Default::default(), values }
    }

    /// Takes a change; the source has told none later than it.
    pub(super) fn push(&mut self, source: usize, change: Change) {
        self.queues[source].push_back(change);
    }

    /// Writes all changes before cycle `until`, which no source will tell any more.
    pub(super) fn drain(&mut self, until: u64) {
        loop {
            let heads =
                self.queues.iter_mut().filter(|q| q.front().is_some_and(|c| c.cycle < until));
            let first = heads.min_by_key(|queue| queue.front().map(|change| change.cycle));
            let Some(change) = first.and_then(VecDeque::pop_front) else { return };
            self.values.set(change);
        }
    }

    /// Writes everything, and that the run ended at `cycle`.
    pub(super) fn finish(mut self, cycle: u64) -> io::Result<()> {
        self.drain(u64::MAX);
        self.values.finish(cycle)
    }
}

/// The values of all signals: written, and as of the current cycle.
struct Values<'a> {
    sink: Box<dyn Sink + 'a>,
    clock_mhz: u32,
    written: Vec<Value>,
    next: Vec<Value>,
    /// Signals whose values may differ, in the order of their first change.
    touched: Vec<usize>,
    cycle: u64,
    error: Option<io::Error>,
}

impl Values<'_> {
    /// What counts is the last value of a cycle.
    fn set(&mut self, change: Change) {
        if change.cycle != self.cycle {
            self.write();
            self.cycle = change.cycle;
        }
        self.next[change.signal] = change.value;
        self.touched.push(change.signal);
    }

    /// Writes what changed in the current cycle. The first error silences the rest.
    fn write(&mut self) {
        let result = self.try_write();
        self.touched.clear();
        if self.error.is_none() {
            self.error = result.err();
        }
    }

    fn try_write(&mut self) -> io::Result<()> {
        if self.error.is_some() {
            return Ok(());
        }
        let mut dated = false;
        for &signal in &self.touched {
            if self.next[signal] == self.written[signal] {
                continue;
            }
            if !dated {
                self.sink.time(picoseconds(self.cycle, self.clock_mhz))?;
                dated = true;
            }
            self.written[signal] = self.next[signal];
            self.sink.change(signal, self.next[signal])?;
        }
        Ok(())
    }

    fn finish(mut self, cycle: u64) -> io::Result<()> {
        self.write();
        match self.error {
            Some(error) => Err(error),
            None => {
                self.sink.time(picoseconds(cycle, self.clock_mhz))?;
                self.sink.finish()
            }
        }
    }
}

/// When a cycle begins, to the nearest picosecond. The longest run at 1 MHz is 2^40 * 10^6 ps, which fits.
pub(super) fn picoseconds(cycle: u64, clock_mhz: u32) -> u64 {
    let mhz = u128::from(clock_mhz.max(1));
    let ps = (u128::from(cycle) * 1_000_000 + mhz / 2) / mhz;
    u64::try_from(ps).unwrap_or(u64::MAX)
}
