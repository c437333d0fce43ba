//! The load engine's DRAM side: bursts that are asked for, under way, and being written to the scratchpad (T24 to T27).

use std::collections::VecDeque;

use isa::Hardware;

use crate::bursts::{Burst, Bursts, Transfer};

/// Bursts of the load engine.
#[derive(Clone, Debug)]
pub(super) struct LoadUnit {
    latency: u64,
    burst_bytes: u32,
    /// Most bursts outstanding.
    limit: usize,
    /// Bursts not yet granted of the transfer that issued last; earlier ones have none (T5).
    bursts: Option<Bursts>,
    /// Retirement of the bursts granted and not retired, oldest first.
    outstanding: VecDeque<u64>,
    /// Retirement of the burst granted last.
    last_retire: u64,
    /// Cycle of the last grant.
    granted: Option<u64>,
}

impl LoadUnit {
    /// No transfer.
    pub(super) fn new(hardware: &Hardware) -> LoadUnit {
        let limit = hardware.dram_outstanding as usize;
        LoadUnit {
            latency: hardware.dram_latency_cycles.into(),
            burst_bytes: hardware.dram_burst_bytes,
            limit,
            bursts: None,
            outstanding: VecDeque::with_capacity(limit),
            last_retire: 0,
            granted: None,
        }
    }

    /// Phase 1: bursts whose retirement is not after `t` are outstanding no more (T24).
    pub(super) fn retire(&mut self, t: u64) {
        while self.outstanding.pop_front_if(|retire| *retire <= t).is_some() {}
    }

    /// Whether every burst of the issued transfers is granted (T5).
    pub(super) fn all_granted(&self) -> bool {
        self.bursts.is_none()
    }

    /// Phase 2: a transfer issues.
    pub(super) fn issue(&mut self, transfer: &Transfer) {
        self.bursts = Some(transfer.bursts(self.burst_bytes));
    }

    /// Whether another burst may be outstanding (T24).
    pub(super) fn has_room(&self) -> bool {
        self.outstanding.len() < self.limit
    }

    /// Whether a burst was granted at `t` (T44).
    pub(super) fn granted_at(&self, t: u64) -> bool {
        self.granted == Some(t)
    }

    /// Phase 3: whether a burst is asked for (T24).
    pub(super) fn is_eligible(&self) -> bool {
        !self.all_granted() && self.has_room()
    }

    /// Phase 3: the next burst is granted at `t`; it arrives (T25), then waits for its turn to be written (T26). Returns it, and
    /// its retirement, which is the own end of the instruction if it is the last one (T27).
    pub(super) fn grant(&mut self, t: u64) -> (Burst, u64) {
        let burst = self.bursts.as_mut().and_then(Iterator::next);
        let burst = burst.expect("only an eligible engine is granted a burst");
        if burst.last {
            self.bursts = None;
        }
        let arrive = t + self.latency + 1;
        let retire = arrive.max(self.last_retire) + u64::from(burst.rows);
        self.outstanding.push_back(retire);
        self.last_retire = retire;
        self.granted = Some(t);
        (burst, retire)
    }
}
