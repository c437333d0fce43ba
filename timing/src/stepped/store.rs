//! The store engine's DRAM side: rows read from the scratchpad into bursts, and bursts under way (T28 to T30).

use std::collections::VecDeque;

use isa::Hardware;

use crate::bursts::{Burst, Bursts, Transfer};

/// The burst to be granted next.
#[derive(Clone, Debug)]
struct Next {
    burst: Burst,
    /// Cycle by which its rows have been read.
    ready: u64,
    /// Cycle in which its instruction issued.
    issue: u64,
    /// The bursts behind it.
    rest: Bursts,
}

/// Bursts of the store engine.
#[derive(Clone, Debug)]
pub(super) struct StoreUnit {
    latency: u64,
    burst_bytes: u32,
    /// Most bursts outstanding, and most bursts that rows are read ahead for.
    limit: usize,
    /// Next burst of the transfer that issued last, if one is left; earlier ones have none (T5).
    next: Option<Next>,
    /// `ready` of the last burst that had one (`ready_{k-1}` of T28).
    last_ready: u64,
    /// Grants of the last `limit` bursts, oldest first: `grant_{k-o}` of T28 is the first of a full list.
    grants: VecDeque<u64>,
    /// Acknowledgement of the bursts granted and not acknowledged, oldest first.
    outstanding: VecDeque<u64>,
    /// Cycle of the last grant.
    granted: Option<u64>,
}

impl StoreUnit {
    /// No transfer.
    pub(super) fn new(hardware: &Hardware) -> StoreUnit {
        let limit = hardware.dram_outstanding as usize;
        StoreUnit {
            latency: hardware.dram_latency_cycles.into(),
            burst_bytes: hardware.dram_burst_bytes,
            limit,
            next: None,
            last_ready: 0,
            grants: VecDeque::with_capacity(limit),
            outstanding: VecDeque::with_capacity(limit),
            granted: None,
        }
    }

    /// Phase 1: bursts acknowledged by `t` are outstanding no more (T29).
    pub(super) fn acknowledge(&mut self, t: u64) {
        while self.outstanding.pop_front_if(|acknowledged| *acknowledged <= t).is_some() {}
    }

    /// Whether every burst of the issued transfers is granted (T5).
    pub(super) fn all_granted(&self) -> bool {
        self.next.is_none()
    }

    /// Phase 2: a transfer issues at `t`.
    pub(super) fn issue(&mut self, t: u64, transfer: &Transfer) {
        self.read_rows(t, transfer.bursts(self.burst_bytes));
    }

    /// Goes on to the next burst, if one is left, and reads its rows (T28).
    fn read_rows(&mut self, issue: u64, mut rest: Bursts) {
        self.next = rest.next().map(|burst| {
            let buffer_free = if self.grants.len() < self.limit { 0 } else { self.grants[0] + 1 };
            let ready = issue.max(self.last_ready).max(buffer_free) + u64::from(burst.rows);
            self.last_ready = ready;
            Next { burst, ready, issue, rest }
        });
    }

    /// Cycle by which the rows of the next burst have been read, if one is left.
    pub(super) fn ready(&self) -> Option<u64> {
        self.next.as_ref().map(|next| next.ready)
    }

    /// Whether there is a next burst whose rows have been read by `t` (T29).
    pub(super) fn is_ready(&self, t: u64) -> bool {
        self.ready().is_some_and(|ready| ready <= t)
    }

    /// Whether another burst may be outstanding (T29).
    pub(super) fn has_room(&self) -> bool {
        self.outstanding.len() < self.limit
    }

    /// Whether a burst was granted at `t` (T45).
    pub(super) fn granted_at(&self, t: u64) -> bool {
        self.granted == Some(t)
    }

    /// Phase 3: whether a burst is asked for (T29).
    pub(super) fn is_eligible(&self, t: u64) -> bool {
        self.is_ready(t) && self.has_room()
    }

    /// Phase 3: the next burst is granted at `t`. Returns it, and its acknowledgement, which is the own end of the instruction
    /// if it is the last one (T30).
    pub(super) fn grant(&mut self, t: u64) -> (Burst, u64) {
        let Next { burst, issue, rest, .. } =
            self.next.take().expect("only an eligible engine is granted a burst");
        if self.grants.len() == self.limit {
            self.grants.pop_front();
        }
        self.grants.push_back(t);
        self.granted = Some(t);
        let acknowledged = t + self.latency + 1;
        self.outstanding.push_back(acknowledged);
        self.read_rows(issue, rest);
        (burst, acknowledged)
    }
}
