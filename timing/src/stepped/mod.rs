//! The cycle-stepped core: `docs/timing.md` read literally, one cycle after the other.
//!
//! It exists to be obviously right. [`Machine::step`] is the four phases of T1; each unit is one file that does, in every cycle,
//! what its rules say. The event-driven core skips the cycles in which nothing changes and must come to the same numbers;
//! the two share the decoded program and the bookkeeping, but nothing that decides when.

mod accounting;
mod dram;
mod engine;
mod fetch;
mod issue;
mod load;
mod mxu;
mod store;

use isa::{Engine, Hardware, Program};

use crate::decode::Decoded;
use crate::error::{Cause, Stuck, TimingError};
use crate::observer::Observer;
use crate::recorder::Recorder;
use crate::result::{InstRef, Timing};

use dram::Bus;
use engine::{EngineState, Obstacle, Semaphores};
use fetch::Fetch;
use load::LoadUnit;
use mxu::Array;
use store::StoreUnit;

/// Times `program` on `hardware`, which may differ from the program's own in timing-only parameters, and tells `observer`.
///
/// # Errors
/// A program that is malformed or runs into a deadlock.
pub(crate) fn run(
    program: &Program,
    hardware: &Hardware,
    observer: &mut impl Observer,
) -> Result<Timing, TimingError> {
    let decoded = Decoded::new(program, hardware)?;
    let mut machine = Machine::new(&decoded, Recorder::new(&decoded, observer));
    while !machine.has_halted() {
        machine.step()?;
    }
    Ok(machine.recorder.finish(machine.cycle))
}

/// The machine between two cycles.
struct Machine<'a, O> {
    /// The cycle that comes next; cycles so far.
    cycle: u64,
    engines: [EngineState<'a>; 4],
    fetch: [Fetch; 4],
    semaphores: Semaphores,
    load: LoadUnit,
    array: Array,
    store: StoreUnit,
    bus: Bus,
    /// The last cycle for which anything is known to happen.
    horizon: u64,
    recorder: Recorder<'a, O>,
}

impl<'a, O: Observer> Machine<'a, O> {
    /// The machine before cycle 0 (T3).
    fn new(decoded: &'a Decoded<'a>, recorder: Recorder<'a, O>) -> Machine<'a, O> {
        let hardware = decoded.hardware;
        Machine {
            cycle: 0,
            engines: Engine::ALL.map(|engine| EngineState::new(&decoded.code(engine).steps)),
            fetch: Engine::ALL.map(|engine| Fetch::new(hardware, &decoded.code(engine).fetch)),
            semaphores: Semaphores::default(),
            load: LoadUnit::new(hardware),
            array: Array::new(hardware),
            store: StoreUnit::new(hardware),
            bus: Bus::new(hardware),
            horizon: 0,
            recorder,
        }
    }

    /// Whether every `halt` has issued (T3).
    fn has_halted(&self) -> bool {
        self.engines.iter().all(|engine| engine.next_step().is_none())
    }

    /// One cycle (T1).
    fn step(&mut self) -> Result<(), TimingError> {
        self.complete_instructions();
        self.issue_instructions()?;
        self.grant_bursts();
        self.account();
        if self.cycle > self.horizon + self.bus.longest_wait() && !self.has_halted() {
            return Err(TimingError::Deadlock(self.stuck()));
        }
        self.cycle += 1;
        Ok(())
    }

    /// Something happens in this cycle, and something that follows from it will in cycle `until`.
    ///
    /// A machine in which everything that has a date is over can only wait for the bus. If that too has had its time, one cycle is like
    /// the next for ever.
    fn progress(&mut self, until: u64) {
        self.horizon = self.horizon.max(self.cycle).max(until);
    }

    /// What each engine that has not halted waits for, in a machine that will never change again.
    fn stuck(&self) -> Vec<Stuck> {
        let stuck = |engine: Engine| {
            let state = &self.engines[engine.index()];
            let (index, cause) = match state.running.front() {
                Some(oldest) => {
                    let full = self.semaphores.full(engine, state.steps[oldest.index].signal)?;
                    (oldest.index, Cause::Full(full))
                }
                None => match state.obstacle? {
                    Obstacle::FullSemaphore(consumer) => (state.next, Cause::Full(consumer)),
                    Obstacle::NoSignal(producer) => (state.next, Cause::Signal(producer)),
                    Obstacle::BankTaken(other) => (state.next, Cause::Bank(other)),
                    Obstacle::NoWord | Obstacle::EngineNotReady => return None,
                },
            };
            Some(Stuck { inst: InstRef { engine, index: index as u32 }, cause })
        };
        Engine::ALL.into_iter().filter_map(stuck).collect()
    }
}
