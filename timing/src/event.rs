//! The event-driven core: time jumps to the next cycle in which anything can change.
//!
//! Between two such cycles every condition of `docs/timing.md` is constant or a known function of time, so nothing is missed by
//! not looking. A cycle that is visited runs the phases of T1: completions and issues engine by engine, then DRAM grants. Grants are
//! the most frequent event by far and rarely concern an engine, so the bus runs ahead on its own up to the next cycle in which an engine
//! has something to do. Buckets are settled in whole intervals when an engine's state changes.

mod accounts;
mod array;
mod bus;
mod fetch;
mod issue;
mod ports;
mod transfers;

use std::collections::VecDeque;

use isa::{Engine, Hardware, Program};

use crate::MAX_CYCLES;
use crate::bucket::Bucket;
use crate::decode::Decoded;
use crate::error::{Stuck, TimingError};
use crate::observer::{Grant, Observer};
use crate::recorder::Recorder;
use crate::result::{InstRef, Requester, Timing};

use array::Array;
use bus::Bus;
use fetch::Fetch;
use ports::Ports;
use transfers::{Loads, Stores};

/// A time that never comes, or is not known yet.
const NEVER: u64 = u64::MAX;

/// Times `program` on `hardware`, which may differ from the program's own in timing-only parameters, and tells `observer`.
///
/// # Errors
/// A program that is malformed, runs into a deadlock or takes too long.
pub(crate) fn run(
    program: &Program,
    hardware: &Hardware,
    observer: &mut impl Observer,
) -> Result<Timing, TimingError> {
    let decoded = Decoded::new(program, hardware)?;
    let mut machine = Machine::new(&decoded, Recorder::new(&decoded, observer));
    let mut cycle = 0;
    loop {
        for engine in Engine::ALL {
            machine.complete(engine, cycle);
        }
        let mut issued = false;
        for engine in Engine::ALL {
            issued |= machine.issue(engine, cycle);
        }
        if machine.engines.iter().all(|state| state.halted) {
            return Ok(machine.finish(cycle + 1));
        }
        // What an issue changes may let another engine complete or issue in the next cycle.
        let horizon = if issued { cycle + 1 } else { machine.next_wake(cycle) };
        let next = machine.grant(cycle, horizon);
        if next == NEVER {
            return Err(TimingError::Deadlock(machine.stuck(cycle)));
        }
        if next > MAX_CYCLES {
            return Err(machine.too_long());
        }
        cycle = next;
    }
}

/// State of the machine in the cycle that is being visited.
struct Machine<'a, O> {
    decoded: &'a Decoded<'a>,
    recorder: Recorder<'a, O>,
    engines: [EngineState; 4],
    /// Semaphores, first index producer, second consumer (T8).
    semaphores: [[u8; 4]; 4],
    fetch: [Fetch; 4],
    array: Array,
    loads: Loads,
    stores: Stores,
    bus: Bus,
    /// First cycle in which a requester is eligible but for turnaround, in round-robin order; [`NEVER`] if it wants nothing.
    eligible: [u64; 6],
}

/// One engine's queue of instructions. `done..next` have issued and not completed.
struct EngineState {
    next: u32,
    done: u32,
    /// Own ends of `done..next`; [`NEVER`] while a transfer has ungranted bursts.
    ends: VecDeque<u64>,
    /// Tile words among `done..next`.
    tiles: u32,
    /// Instructions among `done..next` that name each page.
    pages: [u32; 2],
    /// Bank ports held for reading and for writing.
    reads: Ports,
    writes: Ports,
    halted: bool,
    /// First cycle that is not accounted yet.
    since: u64,
    /// Bucket while nothing runs, as of the last visited cycle.
    waiting: Bucket,
}

impl EngineState {
    fn new() -> EngineState {
        EngineState {
            next: 0,
            done: 0,
            ends: VecDeque::new(),
            tiles: 0,
            pages: [0; 2],
            reads: Ports::default(),
            writes: Ports::default(),
            halted: false,
            since: 0,
            waiting: Bucket::WaitQueue,
        }
    }

    /// Whether an instruction has issued and not completed.
    fn is_running(&self) -> bool {
        !self.ends.is_empty()
    }
}

impl<'a, O: Observer> Machine<'a, O> {
    fn new(decoded: &'a Decoded<'a>, recorder: Recorder<'a, O>) -> Machine<'a, O> {
        let hw = decoded.hardware;
        let mut machine = Machine {
            decoded,
            recorder,
            engines: std::array::from_fn(|_| EngineState::new()),
            semaphores: [[0; 4]; 4],
            fetch: std::array::from_fn(|engine| Fetch::new(hw, decoded.code[engine].fetch)),
            array: Array::new(hw),
            loads: Loads::new(hw),
            stores: Stores::new(hw),
            bus: Bus::new(hw),
            eligible: [NEVER; 6],
        };
        for engine in Engine::ALL {
            machine.refresh_fetch(engine);
        }
        machine
    }

    /// Brings the eligibility of an engine's fetch up to date.
    fn refresh_fetch(&mut self, engine: Engine) {
        let has_room = self.fetch[engine.index()].has_room(self.engines[engine.index()].next);
        self.eligible[Requester::Fetch(engine).index()] = if has_room { 0 } else { NEVER };
    }

    /// First cycle after `cycle` in which an engine has something to do, if no burst is granted before; [`NEVER`] if there is none.
    fn next_wake(&mut self, cycle: u64) -> u64 {
        let mut wake = NEVER;
        for engine in Engine::ALL {
            let state = &self.engines[engine.index()];
            if state.halted {
                continue;
            }
            // An own end that is past waits for room in a semaphore, so for another engine's issue.
            if let Some(&end) = state.ends.front().filter(|&&end| end > cycle) {
                wake = wake.min(end);
            }
            if !self.fetch[engine.index()].has_word(state.next, cycle) {
                wake = wake.min(self.fetch[engine.index()].next_arrival());
            } else if engine == Engine::Mxu && self.array.free_from() > cycle {
                wake = wake.min(self.array.free_from());
            }
        }
        wake
    }

    /// Phase 3 of the cycles from `cycle` up to, not including, the first in which an engine has something to do. That is
    /// `horizon`, unless a grant moves it forward; returns it.
    fn grant(&mut self, cycle: u64, mut horizon: u64) -> u64 {
        let mut from = cycle;
        while let Some((cycle, requester)) = self.bus.next_grant(from, &self.eligible) {
            if cycle >= horizon {
                break;
            }
            self.bus.grant(cycle, requester);
            let wake = match requester {
                Requester::Load => self.grant_load(cycle),
                Requester::Store => self.grant_store(cycle),
                Requester::Fetch(engine) => self.grant_fetch(engine, cycle),
            };
            horizon = horizon.min(wake);
            from = cycle;
        }
        horizon
    }

    /// Grants the next load burst. Returns the cycle in which that matters to an engine.
    fn grant_load(&mut self, cycle: u64) -> u64 {
        self.settle_busy(Engine::Load, cycle);
        let granted = self.loads.grant(cycle);
        self.eligible[Requester::Load.index()] = self.loads.eligible();
        self.record_grant(cycle, Requester::Load, granted)
    }

    /// Grants the next store burst.
    fn grant_store(&mut self, cycle: u64) -> u64 {
        self.settle_busy(Engine::Store, cycle);
        let granted = self.stores.grant(cycle);
        self.eligible[Requester::Store.index()] = self.stores.eligible();
        self.record_grant(cycle, Requester::Store, granted)
    }

    fn record_grant(
        &mut self,
        cycle: u64,
        requester: Requester,
        granted: transfers::Granted,
    ) -> u64 {
        let transfers::Granted { class, useful_bytes, end } = granted;
        self.recorder.grant(Grant { cycle, requester, class, useful_bytes });
        let Some(end) = end else { return NEVER };
        let engine = if requester.writes() { Engine::Store } else { Engine::Load };
        // Transfers issue only when all earlier ones are granted, so it is the youngest instruction in flight.
        *self.engines[engine.index()].ends.back_mut().expect("a granted transfer is in flight") =
            end;
        cycle + 1
    }

    /// Grants the next burst of an engine's code.
    fn grant_fetch(&mut self, engine: Engine, cycle: u64) -> u64 {
        let next = self.engines[engine.index()].next;
        let fetch = &mut self.fetch[engine.index()];
        let (class, useful_bytes) = fetch.grant(cycle);
        let wake = if fetch.has_word(next, cycle) { NEVER } else { fetch.next_arrival() };
        self.refresh_fetch(engine);
        self.recorder.grant(Grant {
            cycle,
            requester: Requester::Fetch(engine),
            class,
            useful_bytes,
        });
        wake
    }

    /// Engines that cannot go on, now that nothing can happen any more.
    fn stuck(&mut self, cycle: u64) -> Vec<Stuck> {
        let mut stuck = Vec::new();
        for engine in Engine::ALL {
            let state = &self.engines[engine.index()];
            if state.halted {
                continue;
            }
            let (index, cause) = if state.is_running() {
                (state.done, self.full_semaphore(InstRef { engine, index: state.done }))
            } else {
                (
                    state.next,
                    self.obstacle(engine, cycle).and_then(|obstacle| self.cause(engine, obstacle)),
                )
            };
            stuck.extend(cause.map(|cause| Stuck { inst: InstRef { engine, index }, cause }));
        }
        stuck
    }

    fn too_long(&self) -> TimingError {
        let engine = Engine::ALL.into_iter().find(|engine| !self.engines[engine.index()].halted);
        let engine = engine.expect("the program has not ended");
        let state = &self.engines[engine.index()];
        TimingError::TooLong { inst: InstRef { engine, index: state.done }, limit: MAX_CYCLES }
    }

    fn finish(mut self, total_cycles: u64) -> Timing {
        for engine in Engine::ALL {
            self.settle(engine, total_cycles);
        }
        self.recorder.finish(total_cycles)
    }
}
