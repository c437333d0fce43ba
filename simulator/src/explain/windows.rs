//! What each engine did in the cycles of each layer.

use std::ops::Range;

use isa::{Engine, Hardware, Program};
use timing::{Bucket, EngineCycles, Mode, Observer, Timing, TimingError};

/// The cycles of one layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    /// First cycle, and the one behind the last.
    pub(super) cycles: Range<u64>,
    /// What each engine did, on account of whichever layer.
    pub(super) engines: [EngineCycles; 4],
    /// Cycles in which each engine was busy on account of this layer.
    pub(super) own: [u64; 4],
}

/// Runs the program once more and deals every cycle of every engine out to the windows; `timing` says where these are.
pub(super) fn windows(
    program: &Program,
    hardware: &Hardware,
    timing: &Timing,
) -> Result<Vec<Window>, TimingError> {
    let mut dealer = Dealer { program, windows: Vec::new(), at: [0; 4] };
    let mut start = 0;
    for layer in &timing.layers {
        let cycles = start..start + layer.cycles;
        start = cycles.end;
        dealer.windows.push(Window { cycles, ..Window::default() });
    }
    timing::run_on(program, hardware, Mode::Event, &mut dealer)?;
    Ok(dealer.windows)
}

/// Deals intervals out as they come, so that memory does not grow with the run.
struct Dealer<'a> {
    program: &'a Program,
    windows: Vec<Window>,
    /// The window that each engine has reached: its intervals come in order of time.
    at: [usize; 4],
}

impl Observer for Dealer<'_> {
    fn bucket(&mut self, engine: Engine, inst: Option<u32>, bucket: Bucket, cycles: Range<u64>) {
        let notes = &self.program.section(engine).notes;
        let node = inst.and_then(|index| notes.get(index as usize)).map(|note| note.node as usize);
        let at = &mut self.at[engine.index()];
        let mut start = cycles.start;
        while start < cycles.end
            && let Some(window) = self.windows.get_mut(*at)
        {
            let end = cycles.end.min(window.cycles.end);
            let spent = end.saturating_sub(start);
            window.engines[engine.index()][bucket] += spent;
            if bucket == Bucket::Busy && node == Some(*at) {
                window.own[engine.index()] += spent;
            }
            start = start.max(end);
            if start >= window.cycles.end {
                *at += 1;
            }
        }
    }
}
