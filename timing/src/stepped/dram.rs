//! Phase 3: the DRAM bus, bandwidth as credit, and who gets the next burst (T21 to T23).

use isa::{Engine, Hardware};

use crate::decode::Work;
use crate::observer::{Grant, Observer};
use crate::result::{Requester, TrafficClass};

use super::Machine;

/// The burst granted last.
#[derive(Clone, Copy, Debug)]
struct LastGrant {
    cycle: u64,
    requester: Requester,
}

/// State of the bus.
#[derive(Clone, Debug)]
pub(super) struct Bus {
    bytes_per_cycle: u64,
    burst_bytes: u64,
    turnaround: u64,
    /// Bytes that may be moved now.
    credit: u64,
    last: Option<LastGrant>,
}

impl Bus {
    /// A bus that has granted nothing and has no credit (T3).
    pub(super) fn new(hardware: &Hardware) -> Bus {
        Bus {
            bytes_per_cycle: hardware.dram_bytes_per_cycle.into(),
            burst_bytes: hardware.dram_burst_bytes.into(),
            turnaround: hardware.dram_turnaround_cycles.into(),
            credit: 0,
            last: None,
        }
    }

    /// Start of phase 3: one cycle's bytes, as far as there is use for them (T22).
    pub(super) fn add_credit(&mut self) {
        self.credit =
            (self.credit + self.bytes_per_cycle).min(self.burst_bytes + self.bytes_per_cycle - 1);
    }

    /// The requester to be granted a burst at `t`, of those that `wants` one: the first in round-robin order after the last one
    /// granted for whose direction the bus is ready (T22, T23).
    pub(super) fn choose(
        &self,
        t: u64,
        mut wants: impl FnMut(Requester) -> bool,
    ) -> Option<Requester> {
        if self.credit < self.burst_bytes {
            return None;
        }
        let all = Requester::ALL;
        let first = self.last.map_or(0, |last| last.requester.index() + 1);
        let mut round = (0..all.len()).map(|i| all[(first + i) % all.len()]);
        round.find(|&requester| self.is_turned(requester, t) && wants(requester))
    }

    /// Whether the turnaround, if there is one before this requester, is over at `t` (T23).
    fn is_turned(&self, requester: Requester, t: u64) -> bool {
        self.last.is_none_or(|last| {
            let turns = last.requester.writes() != requester.writes();
            !turns || t >= last.cycle + self.turnaround
        })
    }

    /// A burst is granted to `requester` at `t` (T22).
    pub(super) fn grant(&mut self, requester: Requester, t: u64) {
        self.credit -= self.burst_bytes;
        self.last = Some(LastGrant { cycle: t, requester });
    }

    /// Cycles within which a burst is granted if one is wanted and nothing else happens: the bus has turned and has gathered the
    /// credit of a whole burst.
    pub(super) fn longest_wait(&self) -> u64 {
        self.turnaround.max(self.burst_bytes.div_ceil(self.bytes_per_cycle))
    }
}

impl<O: Observer> Machine<'_, O> {
    /// Phase 3: bursts are granted as long as there is credit and someone who wants one (T22).
    pub(super) fn grant_bursts(&mut self) {
        self.bus.add_credit();
        let t = self.cycle;
        loop {
            let (load, store, fetch) = (&self.load, &self.store, &mut self.fetch);
            let wants = |requester| match requester {
                Requester::Load => load.is_eligible(),
                Requester::Store => store.is_eligible(t),
                Requester::Fetch(engine) => fetch[engine.index()].is_eligible(),
            };
            let Some(requester) = self.bus.choose(t, wants) else { return };
            self.bus.grant(requester, t);
            let (burst, class, done) = match requester {
                Requester::Load => {
                    let (burst, retire) = self.load.grant(t);
                    (burst, self.transfer_granted(Engine::Load, burst.last, retire), retire)
                }
                Requester::Store => {
                    let (burst, acknowledged) = self.store.grant(t);
                    let class = self.transfer_granted(Engine::Store, burst.last, acknowledged);
                    (burst, class, acknowledged.max(self.store.ready().unwrap_or(t)))
                }
                Requester::Fetch(engine) => {
                    let (burst, arrive) = self.fetch[engine.index()].grant(t);
                    (burst, TrafficClass::Instructions, arrive)
                }
            };
            self.recorder.grant(Grant {
                cycle: t,
                requester,
                class,
                useful_bytes: burst.useful_bytes,
            });
            self.progress(done);
        }
    }

    /// A burst of the newest instruction of `engine` is granted, and if it is the last one the instruction's own end is known. Returns the
    /// traffic class of the instruction.
    fn transfer_granted(&mut self, engine: Engine, last: bool, end: u64) -> TrafficClass {
        let state = &mut self.engines[engine.index()];
        if last {
            state.know_end(end);
        }
        match &state.steps[state.next - 1].work {
            Work::Transfer(transfer) => transfer.class,
            _ => TrafficClass::Other,
        }
    }
}
