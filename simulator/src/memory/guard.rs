//! Checks that an instruction touches nothing but what `isa::access` declares for it.
//!
//! Semaphores, race proofs and bank conflicts are all derived from declared accesses. An address that an instruction touches
//! without declaring would make them worthless, so the reference interpreter compares each one.

use std::ops::Range;

use isa::Hardware;
use isa::access::{Access, Space, TABLE_BYTES};

/// Memories with an entry per address: scratchpad, two accumulator banks, two parameter slots, two table slots.
const SPACES: usize = 7;

/// Watches the addresses of one instruction after another.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    /// Number of the current instruction.
    current: u64,
    /// Per memory and direction, per address: the last instruction that declared it.
    declared: [[Vec<u64>; 2]; SPACES],
    /// The same for what instructions did touch.
    touched: [[Vec<u64>; 2]; SPACES],
    /// DRAM intervals that the current instruction reads and writes, in ascending order.
    dram: [Vec<Range<i64>>; 2],
    violation: Option<Violation>,
}

/// An address touched without being declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Memory.
    pub(crate) space: Space,
    /// Whether it was written.
    pub(crate) write: bool,
    /// Address.
    pub(crate) address: u64,
}

impl Guard {
    pub(crate) fn new(hardware: &Hardware) -> Guard {
        let sizes = [
            hardware.scratchpad_rows(),
            hardware.acc_rows,
            hardware.acc_rows,
            hardware.param_entries,
            hardware.param_entries,
            TABLE_BYTES,
            TABLE_BYTES,
        ];
        let none = sizes.map(|size| [vec![0; size as usize], vec![0; size as usize]]);
        Guard {
            current: 0,
            declared: none.clone(),
            touched: none,
            dram: [Vec::new(), Vec::new()],
            violation: None,
        }
    }

    /// The next instruction begins; these are its declared accesses.
    pub(crate) fn begin(&mut self, accesses: &[Access]) {
        self.current += 1;
        self.dram.iter_mut().for_each(Vec::clear);
        self.violation = None;
        for access in accesses {
            let Some(space) = index(access.space) else {
                self.dram[usize::from(access.write)].extend(access.rows.intervals());
                continue;
            };
            let declared = &mut self.declared[space][usize::from(access.write)];
            for interval in access.rows.intervals() {
                for address in interval {
                    if let Some(last) =
                        usize::try_from(address).ok().and_then(|at| declared.get_mut(at))
                    {
                        *last = self.current;
                    }
                }
            }
        }
        self.dram
            .iter_mut()
            .for_each(|intervals| intervals.sort_unstable_by_key(|interval| interval.start));
    }

    /// The instruction touches an address.
    pub(crate) fn touch(&mut self, space: Space, write: bool, address: u32) {
        let memory = index(space).expect("DRAM has a method of its own");
        let [direction, at] = [usize::from(write), address as usize];
        self.touched[memory][direction][at] = self.current;
        if self.declared[memory][direction][at] != self.current {
            self.violation.get_or_insert(Violation { space, write, address: address.into() });
        }
    }

    /// The instruction touches `len` bytes of DRAM within one run.
    pub(crate) fn touch_dram(&mut self, write: bool, address: u64, len: usize) {
        let intervals = &self.dram[usize::from(write)];
        let first = address.cast_signed();
        let after = intervals.partition_point(|interval| interval.start <= first);
        let holding = after.checked_sub(1).map(|at| &intervals[at]);
        if holding.is_none_or(|interval| interval.end - first < len.cast_signed() as i64) {
            self.violation.get_or_insert(Violation { space: Space::Dram, write, address });
        }
    }

    /// The first undeclared address of the current instruction.
    pub(crate) fn violation(&self) -> Option<Violation> {
        self.violation
    }

    /// Whether every declared address of one memory and direction was also touched.
    #[cfg(test)]
    pub(crate) fn touched_all(&self, space: Space, write: bool) -> bool {
        let memory = index(space).expect("DRAM has no entries");
        let [declared, touched] =
            [&self.declared, &self.touched].map(|all| &all[memory][usize::from(write)]);
        declared
            .iter()
            .zip(touched)
            .all(|(declared, touched)| *declared != self.current || touched == declared)
    }
}

fn index(space: Space) -> Option<usize> {
    match space {
        Space::Spad => Some(0),
        Space::Acc(bank) => Some(1 + bank as usize),
        Space::Params(slot) => Some(3 + slot as usize),
        Space::Table(slot) => Some(5 + slot as usize),
        Space::Dram => None,
    }
}
