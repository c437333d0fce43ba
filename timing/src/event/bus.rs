//! The DRAM bus (T21 to T23): bandwidth as credit, round robin, turnaround.

use isa::Hardware;

use crate::result::Requester;

use super::NEVER;

/// Requesters that write, bit `i` for the `i`-th in round-robin order.
const WRITERS: u32 = 1 << Requester::Store.index();

/// Who is granted when.
#[derive(Clone, Debug)]
pub(super) struct Bus {
    bytes_per_cycle: u32,
    burst_bytes: u32,
    turnaround: u64,
    /// Credit after phase 3 of the last cycle before `counted`.
    credit: u32,
    /// Cycles whose bytes are in `credit`.
    counted: u64,
    /// First cycle in which there is credit for a burst.
    affordable: u64,
    /// First requester in round-robin order from here on is next.
    first: u32,
    /// First cycles in which a reader and a writer are eligible, as far as turnaround is concerned.
    turned: [u64; 2],
}

impl Bus {
    /// A bus without credit.
    pub(super) fn new(hw: &Hardware) -> Bus {
        let mut bus = Bus {
            bytes_per_cycle: hw.dram_bytes_per_cycle,
            burst_bytes: hw.dram_burst_bytes,
            turnaround: hw.dram_turnaround_cycles.into(),
            credit: 0,
            counted: 0,
            affordable: 0,
            first: 0,
            turned: [0; 2],
        };
        bus.refresh_affordable();
        bus
    }

    /// The next grant in or after cycle `from`, which is not before the last one, if `eligible` holds the first cycle in which each
    /// requester is eligible but for turnaround.
    pub(super) fn next_grant(&self, from: u64, eligible: &[u64; 6]) -> Option<(u64, Requester)> {
        let [reads, writes] = self.turned;
        let times = std::array::from_fn::<u64, 6, _>(|i| {
            eligible[i].max(if WRITERS >> i & 1 == 1 { writes } else { reads })
        });
        let earliest = times.into_iter().min().filter(|&time| time != NEVER)?;
        let cycle = self.affordable.max(from).max(earliest);
        let wanting = times
            .iter()
            .enumerate()
            .fold(0u32, |set, (i, &time)| set | u32::from(time <= cycle) << i);
        // The set twice in a row, seen from the first in turn.
        let turn = self.first + ((wanting | wanting << 6) >> self.first).trailing_zeros();
        Some((cycle, Requester::ALL[turn as usize % 6]))
    }

    /// Grants a burst at `cycle`, as [`next_grant`](Self::next_grant) has found it.
    pub(super) fn grant(&mut self, cycle: u64, requester: Requester) {
        let cap = u64::from(self.burst_bytes + self.bytes_per_cycle - 1);
        // More cycles than the cap has bytes make no difference.
        let cycles = (cycle + 1 - self.counted).min(cap);
        let credit = (u64::from(self.credit) + cycles * u64::from(self.bytes_per_cycle)).min(cap);
        self.credit = credit as u32 - self.burst_bytes;
        self.counted = cycle + 1;
        self.refresh_affordable();
        self.first = (requester.index() as u32 + 1) % 6;
        self.turned = if requester.writes() {
            [cycle + self.turnaround, 0]
        } else {
            [0, cycle + self.turnaround]
        };
    }

    fn refresh_affordable(&mut self) {
        let missing = self.burst_bytes.saturating_sub(self.credit);
        let cycles = u64::from(missing.div_ceil(self.bytes_per_cycle));
        self.affordable = (self.counted + cycles).saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// T22 and T23 cycle by cycle: all grants in the first `cycles` cycles. `wants[r]` lists the cycles from which on requester `r` wants each
    /// of its bursts, one at a time.
    fn oracle(hw: &Hardware, wants: &[Vec<u64>; 6], cycles: u64) -> Vec<(u64, Requester)> {
        let (b, u) = (u64::from(hw.dram_bytes_per_cycle), u64::from(hw.dram_burst_bytes));
        let mut grants: Vec<(u64, Requester)> = Vec::new();
        let mut granted = [0; 6];
        let mut credit = 0;
        for t in 0..cycles {
            credit = (credit + b).min(u + b - 1);
            while credit >= u {
                let last = grants.last().copied();
                let after = last.map_or(0, |(_, requester)| requester.index() + 1);
                let eligible = |requester: &Requester| {
                    let i = requester.index();
                    let turned = last.is_none_or(|(at, by)| {
                        by.writes() == requester.writes()
                            || t >= at + u64::from(hw.dram_turnaround_cycles)
                    });
                    turned && wants[i].get(granted[i]).is_some_and(|&from| from <= t)
                };
                let order = (0..6).map(|i| Requester::ALL[(after + i) % 6]);
                let Some(requester) = order.into_iter().find(eligible) else { break };
                granted[requester.index()] += 1;
                grants.push((t, requester));
                credit -= u;
            }
        }
        grants
    }

    proptest! {
        #[test]
        fn grants_equal_those_found_cycle_by_cycle(
            bytes in 1u32..200, burst_log in 4u32..8, turnaround in 0u32..9,
            mut wants in proptest::array::uniform6(proptest::collection::vec(0u64..300, 0..12)),
        ) {
            let hw = Hardware {
                dram_bytes_per_cycle: bytes,
                dram_burst_bytes: 1 << burst_log,
                dram_turnaround_cycles: turnaround,
                ..Hardware::default()
            };
            wants.iter_mut().for_each(|list| list.sort_unstable());
            let mut bus = Bus::new(&hw);
            let mut next = [0; 6];
            let mut grants = Vec::new();
            let mut from = 0;
            let times = |next: &[usize; 6]| std::array::from_fn(|i| wants[i].get(next[i]).copied().unwrap_or(NEVER));
            while let Some((cycle, requester)) = bus.next_grant(from, &times(&next)) {
                bus.grant(cycle, requester);
                next[requester.index()] += 1;
                grants.push((cycle, requester));
                from = cycle;
            }
            let end = grants.last().map_or(0, |&(cycle, _)| cycle + 1);
            prop_assert_eq!(oracle(&hw, &wants, end + 1000), grants);
        }
    }
}
