//! The DRAM bus (T21 to T23): bandwidth as credit, round robin, turnaround.

use isa::Hardware;

use crate::result::Requester;

use super::NEVER;

/// Who is granted when.
#[derive(Clone, Debug)]
pub(super) struct Bus {
    bytes_per_cycle: u64,
    burst_bytes: u64,
    turnaround: u64,
    /// Credit after phase 3 of the last cycle before `counted`.
    credit: u64,
    /// Cycles whose bytes are in `credit`.
    counted: u64,
    last: Option<Last>,
}

/// The last granted burst.
#[derive(Clone, Copy, Debug)]
struct Last {
    requester: Requester,
    cycle: u64,
}

impl Bus {
    /// A bus without credit.
    pub(super) fn new(hw: &Hardware) -> Bus {
        Bus {
            bytes_per_cycle: hw.dram_bytes_per_cycle.into(),
            burst_bytes: hw.dram_burst_bytes.into(),
            turnaround: hw.dram_turnaround_cycles.into(),
            credit: 0,
            counted: 0,
            last: None,
        }
    }

    /// The next grant in or after cycle `from`, which is not before the last one, if `eligible` holds the first cycle in which each
    /// requester is eligible but for turnaround.
    pub(super) fn next_grant(&self, from: u64, eligible: &[u64; 6]) -> Option<(u64, Requester)> {
        let mut times = *eligible;
        let mut first = 0;
        if let Some(last) = self.last {
            let turned = last.cycle + self.turnaround;
            for requester in Requester::ALL {
                if requester.writes() != last.requester.writes() {
                    let time = &mut times[requester.index()];
                    *time = turned.max(*time);
                }
            }
            first = last.requester.index() + 1;
        }
        let earliest = times.into_iter().min().filter(|&time| time != NEVER)?;
        let cycle = self.credit_cycle().max(from).max(earliest);
        let order = (first..6).chain(0..first);
        let mut order = order.map(|i| Requester::ALL[i]);
        order
            .find(|requester| times[requester.index()] <= cycle)
            .map(|requester| (cycle, requester))
    }

    /// First cycle in which there is credit for a burst.
    fn credit_cycle(&self) -> u64 {
        let missing = self.burst_bytes.saturating_sub(self.credit);
        (self.counted + missing.div_ceil(self.bytes_per_cycle)).saturating_sub(1)
    }

    /// Grants a burst at `cycle`, as [`next_grant`](Self::next_grant) has found it.
    pub(super) fn grant(&mut self, cycle: u64, requester: Requester) {
        let cap = self.burst_bytes + self.bytes_per_cycle - 1;
        let cycles = cycle + 1 - self.counted;
        self.credit =
            self.credit.saturating_add(cycles.saturating_mul(self.bytes_per_cycle)).min(cap);
        self.counted = cycle + 1;
        self.credit -= self.burst_bytes;
        self.last = Some(Last { requester, cycle });
    }
}
