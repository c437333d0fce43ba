//! The waves of a run, as VCD or FST: what a hardware engineer's wave viewer opens.
//!
//! One top scope, `machine`, with these scopes below it (`docs/traces.md` is the user's page):
//!
//! - `load`, `mxu`, `vpu`, `store`: `state` (the bucket of the cycle, T40 of `docs/timing.md`; codes as in [`timing::Bucket::ALL`]), and of the
//!   instruction on whose account the cycle is (T49) the `opcode`, its position `instruction` in the engine's code, and its `node`; unknown
//!   (`x`) where there is none.
//! - `semaphores`: the counter of each ordered pair of engines.
//! - `memory`: `scratchpad_bytes` in use ([`crate::occupancy`]), and `dram_<class>`: bytes granted in the window that begins here.
//! - `nodes`: one line for each node of the network, high from its first issue to its last completion.
//! - `states`, `opcodes`: constants, so that a viewer shows which code is which.
//!
//! A signal's value at a time is that of the cycle which begins then, as phase 4 of the cycle sees it. The unit of time is 1 ps; cycle `t`
//! begins at `t * 10^6 / clock_mhz` ps, rounded to nearest.
//!
//! Everything a timing core tells comes in order of time for itself, but not for all engines together; changes wait in queues until
//! nothing earlier can come, so memory holds what one engine is ahead of another. The scratchpad curve must know the last reader of each value
//! and the node lines their ends: the writer takes a finished timing, and listens to a second run.
//!
//! Formats: VCD is IEEE 1364-2005, clause 18. FST is GTKWave's, written by the `fst-writer` crate.

mod fst;
mod merge;
mod signals;
mod vcd;
mod writer;

#[cfg(test)]
mod tests;

use std::io;

pub use writer::WaveWriter;

/// File format of waves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaveFormat {
    /// Value change dump: text, read by every viewer.
    Vcd,
    /// Fast signal trace: compressed, a seventh to a sixtieth of the size.
    Fst,
}

/// A signal's value: an unsigned number, or unknown.
type Value = Option<u32>;

/// A wave file in the making.
trait Sink {
    /// What follows happens at `ps`; times strictly increase, but the first, which is 0, may be left out.
    fn time(&mut self, ps: u64) -> io::Result<()>;

    /// A signal, by its position in the catalogue, has a new value.
    fn change(&mut self, signal: usize, value: Value) -> io::Result<()>;

    /// Ends the file.
    fn finish(self: Box<Self>) -> io::Result<()>;
}
