//! Transfers of the load and store engines (T24 to T30), one burst at a time.
//!
//! A transfer issues only when all earlier ones of its engine are granted, so each engine has at most one with ungranted bursts.

use isa::Hardware;

use crate::bursts::{Burst, Bursts, Transfer};
use crate::result::TrafficClass;

use super::NEVER;

/// Why a grant finds a burst.
const ELIGIBLE: &str = "only a requester with an ungranted burst is eligible";

/// What a grant tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Granted {
    /// What the transfer is for.
    pub(super) class: TrafficClass,
    /// Bytes of the burst that were asked for.
    pub(super) useful_bytes: u32,
    /// Own end of the transfer, if this was its last burst.
    pub(super) end: Option<u64>,
}

/// The limit on outstanding bursts: the times at which the last `dram_outstanding` bursts cease to be outstanding, which rise.
#[derive(Clone, Debug)]
struct Window {
    times: Vec<u64>,
    oldest: usize,
}

impl Window {
    fn new(hw: &Hardware) -> Window {
        Window { times: vec![0; hw.dram_outstanding as usize], oldest: 0 }
    }

    /// First cycle in which fewer than `dram_outstanding` bursts are outstanding.
    fn slot_free(&self) -> u64 {
        self.times[self.oldest]
    }

    /// A burst is granted that ceases to be outstanding at `time`.
    fn push(&mut self, time: u64) {
        self.times[self.oldest] = time;
        self.oldest += 1;
        if self.oldest == self.times.len() {
            self.oldest = 0;
        }
    }
}

/// Bursts of the load engine.
#[derive(Clone, Debug)]
pub(super) struct Loads {
    latency: u64,
    burst_bytes: u32,
    ungranted: Option<(Bursts, TrafficClass)>,
    window: Window,
    last_retirement: u64,
}

impl Loads {
    /// Nothing to load.
    pub(super) fn new(hw: &Hardware) -> Loads {
        Loads {
            latency: hw.dram_latency_cycles.into(),
            burst_bytes: hw.dram_burst_bytes,
            ungranted: None,
            window: Window::new(hw),
            last_retirement: 0,
        }
    }

    /// A transfer issues.
    pub(super) fn issue(&mut self, transfer: &Transfer) {
        self.ungranted = Some((transfer.bursts(self.burst_bytes), transfer.class));
    }

    /// Whether a burst of an issued transfer is not granted.
    pub(super) fn has_ungranted(&self) -> bool {
        self.ungranted.is_some()
    }

    /// First cycle in which fewer than `dram_outstanding` bursts are outstanding.
    pub(super) fn slot_free(&self) -> u64 {
        self.window.slot_free()
    }

    /// First cycle in which the next burst is eligible, but for turnaround (T24).
    pub(super) fn eligible(&self) -> u64 {
        if self.has_ungranted() { self.slot_free() } else { NEVER }
    }

    /// Grants the next burst at `cycle` (T25 to T27).
    pub(super) fn grant(&mut self, cycle: u64) -> Granted {
        let (bursts, class) = self.ungranted.as_mut().expect(ELIGIBLE);
        let (Burst { useful_bytes, rows, last }, class) = (bursts.next().expect(ELIGIBLE), *class);
        let arrival = cycle + self.latency + 1;
        self.last_retirement = arrival.max(self.last_retirement) + u64::from(rows);
        self.window.push(self.last_retirement);
        if last {
            self.ungranted = None;
        }
        Granted { class, useful_bytes, end: last.then_some(self.last_retirement) }
    }
}

/// Bursts of the store engine.
#[derive(Clone, Debug)]
pub(super) struct Stores {
    latency: u64,
    burst_bytes: u32,
    ungranted: Option<Pending>,
    /// Cycle in which the rows of the latest burst that has any were all read.
    last_ready: u64,
    window: Window,
}

/// The transfer with ungranted bursts.
#[derive(Clone, Debug)]
struct Pending {
    issue: u64,
    class: TrafficClass,
    /// The burst to be granted next, and when it is ready; then the others.
    next: Burst,
    ready: u64,
    rest: Bursts,
}

impl Stores {
    /// Nothing to store.
    pub(super) fn new(hw: &Hardware) -> Stores {
        Stores {
            latency: hw.dram_latency_cycles.into(),
            burst_bytes: hw.dram_burst_bytes,
            ungranted: None,
            last_ready: 0,
            window: Window::new(hw),
        }
    }

    /// A transfer issues at `cycle`.
    pub(super) fn issue(&mut self, cycle: u64, transfer: &Transfer) {
        self.advance(cycle, transfer.class, transfer.bursts(self.burst_bytes));
    }

    /// Makes the first of `bursts`, if there is one, the next to be granted: its rows are read one per cycle (T28).
    fn advance(&mut self, issue: u64, class: TrafficClass, mut bursts: Bursts) {
        self.ungranted = bursts.next().map(|next| {
            // The row buffer of the burst `dram_outstanding` before it is free the cycle after that one's grant, its
            // acknowledgement less the latency.
            let buffer_free = self.window.slot_free().saturating_sub(self.latency);
            self.last_ready = issue.max(self.last_ready).max(buffer_free) + u64::from(next.rows);
            Pending { issue, class, next, ready: self.last_ready, rest: bursts }
        });
    }

    /// Whether a burst of an issued transfer is not granted.
    pub(super) fn has_ungranted(&self) -> bool {
        self.ungranted.is_some()
    }

    /// Cycle in which the next burst is ready, if there is one.
    pub(super) fn ready(&self) -> Option<u64> {
        self.ungranted.as_ref().map(|pending| pending.ready)
    }

    /// First cycle in which fewer than `dram_outstanding` bursts are not acknowledged.
    pub(super) fn slot_free(&self) -> u64 {
        self.window.slot_free()
    }

    /// First cycle in which the next burst is eligible, but for turnaround (T29).
    pub(super) fn eligible(&self) -> u64 {
        self.ready().map_or(NEVER, |ready| ready.max(self.slot_free()))
    }

    /// Grants the next burst at `cycle` (T29, T30).
    pub(super) fn grant(&mut self, cycle: u64) -> Granted {
        let Pending { issue, class, next, rest, .. } = self.ungranted.take().expect(ELIGIBLE);
        let acknowledgement = cycle + self.latency + 1;
        self.window.push(acknowledgement);
        self.advance(issue, class, rest);
        Granted {
            class,
            useful_bytes: next.useful_bytes,
            end: next.last.then_some(acknowledgement),
        }
    }
}
