//! DRAM transfers as bursts (T20), with the scratchpad rows that each burst finishes (T26) or starts (T28).
//!
//! A transfer is described by its runs and cut up on the fly: programs move millions of bursts, and each costs a few
//! additions and one division here.

use crate::result::TrafficClass;

/// How a burst counts the scratchpad rows or entries it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// Units whose last byte lies in the burst (loads of rows and entries).
    Ends,
    /// Units whose first byte lies in the burst (stores).
    Starts,
    /// The burst's bytes in units, rounded up (tables).
    Pieces,
}

/// A DRAM transfer: `runs` contiguous ranges of `run_bytes` each, `stride` apart, holding units of `unit_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    /// First byte.
    pub(crate) address: u64,
    /// Bytes of a run, at least 1 and a multiple of `unit_bytes` unless `count` is [`Count::Pieces`].
    pub(crate) run_bytes: u64,
    /// Bytes from one run to the next.
    pub(crate) stride: u64,
    /// Runs, at least 1.
    pub(crate) runs: u64,
    /// Bytes of a row or entry, at least 1.
    pub(crate) unit_bytes: u32,
    /// How rows are counted.
    pub(crate) count: Count,
    /// What for.
    pub(crate) class: TrafficClass,
}

impl Transfer {
    /// A transfer whose runs are merged where T20 says so.
    pub(crate) fn merged(mut self) -> Transfer {
        if self.stride == self.run_bytes {
            self.run_bytes *= self.runs;
            self.runs = 1;
        }
        self
    }

    /// Its bursts of at most `burst_bytes`, a power of two.
    pub(crate) fn bursts(&self, burst_bytes: u32) -> Bursts {
        Bursts {
            transfer: *self,
            burst_bytes: burst_bytes.into(),
            at: self.address,
            end: self.address + self.run_bytes,
            runs_left: self.runs - 1,
            into_unit: 0,
        }
    }
}

/// One burst of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Burst {
    /// Bytes asked for, 1 up to the burst size.
    pub(crate) useful_bytes: u32,
    /// Rows or entries, counted as the transfer says.
    pub(crate) rows: u32,
    /// Whether it is the last one of the transfer.
    pub(crate) last: bool,
}

/// Iterator over the bursts of a transfer in order.
#[derive(Clone, Debug)]
pub(crate) struct Bursts {
    transfer: Transfer,
    burst_bytes: u64,
    /// Next byte.
    at: u64,
    /// End of the run.
    end: u64,
    /// Runs behind this one.
    runs_left: u64,
    /// Bytes of the unit at `at` that lie before it.
    into_unit: u32,
}

impl Iterator for Bursts {
    type Item = Burst;

    fn next(&mut self) -> Option<Burst> {
        if self.at == self.end {
            return None;
        }
        let burst_end = (self.at & !(self.burst_bytes - 1)) + self.burst_bytes;
        // A burst has at most 4096 bytes, a unit at most 256.
        let bytes = (self.end.min(burst_end) - self.at) as u32;
        let unit = self.transfer.unit_bytes;
        let past = self.into_unit + bytes;
        let rows = match self.transfer.count {
            Count::Ends => past / unit,
            Count::Starts => (past - 1) / unit + u32::from(self.into_unit == 0),
            Count::Pieces => bytes.div_ceil(unit),
        };
        self.into_unit = past % unit;
        self.at += u64::from(bytes);
        if self.at == self.end && self.runs_left > 0 {
            self.runs_left -= 1;
            self.at = self.at - self.transfer.run_bytes + self.transfer.stride;
            self.end = self.at + self.transfer.run_bytes;
        }
        Some(Burst { useful_bytes: bytes, rows, last: self.at == self.end })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn transfer(
        address: u64,
        run_bytes: u64,
        stride: u64,
        runs: u64,
        unit_bytes: u32,
        count: Count,
    ) -> Transfer {
        Transfer {
            address,
            run_bytes,
            stride,
            runs,
            unit_bytes,
            count,
            class: TrafficClass::Weights,
        }
    }

    #[test]
    fn a_run_is_cut_at_multiples_of_the_burst() {
        // Rows of 24 bytes at 40..64, 64..88, 88..112, cut at 64: one row, then two.
        let bursts: Vec<Burst> = transfer(40, 72, 0, 1, 24, Count::Ends).bursts(64).collect();
        let expected = [
            Burst { useful_bytes: 24, rows: 1, last: false },
            Burst { useful_bytes: 48, rows: 2, last: true },
        ];
        assert_eq!(bursts, expected);
    }

    #[test]
    fn a_row_that_spans_bursts_starts_in_one_and_ends_in_another() {
        // Rows of 24 bytes at 50..74, 74..98: the first is cut at 64.
        let rows = |count| {
            transfer(50, 48, 0, 1, 24, count).bursts(64).map(|burst| burst.rows).collect::<Vec<_>>()
        };
        assert_eq!(rows(Count::Ends), [0, 2]);
        assert_eq!(rows(Count::Starts), [1, 1]);
        assert_eq!(rows(Count::Pieces), [1, 2]);
    }

    #[test]
    fn adjacent_runs_merge() {
        let apart = transfer(0, 32, 48, 3, 16, Count::Starts);
        assert_eq!(apart.merged(), apart);
        // 0..32, then 48..80 cut at 64, then 96..128.
        assert_eq!(apart.bursts(64).count(), 4);
        let joined = transfer(0, 32, 32, 3, 16, Count::Starts).merged();
        assert_eq!((joined.run_bytes, joined.runs), (96, 1));
        assert_eq!(joined.bursts(64).map(|burst| burst.rows).collect::<Vec<_>>(), [4, 2]);
    }

    proptest! {
        #[test]
        fn bursts_equal_the_definition(
            address in 0u64..300, rows in 1u64..20, unit in 1u32..60, stride in 0u64..900, runs in 1u64..5,
            burst_log in 4u32..8, which in 0usize..3,
        ) {
            let count = [Count::Ends, Count::Starts, Count::Pieces][which];
            let run_bytes = rows * u64::from(unit);
            let burst_bytes = 1u32 << burst_log;
            let transfer = transfer(address, run_bytes, stride, runs, unit, count);
            let mut expected = Vec::new();
            for run in 0..runs {
                // Walk byte by byte; a new burst begins at the run's start and at multiples of the burst size.
                let start = address + run * stride;
                for byte in 0..run_bytes {
                    if byte == 0 || (start + byte) % u64::from(burst_bytes) == 0 {
                        expected.push(Burst { useful_bytes: 0, rows: 0, last: false });
                    }
                    let burst = expected.last_mut().unwrap();
                    burst.useful_bytes += 1;
                    let place = byte % u64::from(unit);
                    burst.rows += match count {
                        Count::Ends => u32::from(place == u64::from(unit) - 1),
                        Count::Starts => u32::from(place == 0),
                        Count::Pieces => 0,
                    };
                }
            }
            for burst in &mut expected {
                if count == Count::Pieces {
                    burst.rows = burst.useful_bytes.div_ceil(unit);
                }
            }
            expected.last_mut().unwrap().last = true;
            prop_assert_eq!(transfer.bursts(burst_bytes).collect::<Vec<_>>(), expected);
        }
    }
}
