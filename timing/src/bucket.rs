//! Stall buckets: what an engine does in a cycle, declared once.
//!
//! Every engine is in exactly one bucket in every cycle (T40 of `docs/timing.md`), so the counts of an engine sum to the
//! total and a report can explain every cycle.

use std::ops::{AddAssign, Index, IndexMut};

/// Declares the buckets: doc comment, `Variant = "name in reports";`.
macro_rules! buckets {
    ($( $(#[doc = $doc:literal])+ $variant:ident = $name:literal; )+) => {
        /// What an engine does in one cycle.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Bucket {
            $( $(#[doc = $doc])+ $variant, )+
        }

        impl Bucket {
            /// All buckets, in the order of reports.
            pub const ALL: &'static [Bucket] = &[$(Bucket::$variant),+];

            /// Name in reports.
            pub const fn name(self) -> &'static str {
                match self {
                    $( Bucket::$variant => $name, )+
                }
            }
        }
    };
}

buckets! {
    /// Doing the work it is there for.
    Busy = "busy";
    /// Waiting for weights: from DRAM, or for the next fold's weights to shift into the array.
    WaitWeights = "wait.weights";
    /// Waiting for activations: from DRAM, or from the vector engine.
    WaitActivations = "wait.activations";
    /// Waiting for an accumulator bank to be filled or drained.
    WaitAccumulator = "wait.accumulator";
    /// Waiting for requantization parameters or a table.
    WaitParams = "wait.params";
    /// A transfer waits for its turn on the DRAM bus.
    WaitDramBandwidth = "wait.dram_bandwidth";
    /// A transfer waits for DRAM to answer, every outstanding request being used or sent.
    WaitDramLatency = "wait.dram_latency";
    /// Waiting for any other semaphore, such as a free buffer.
    WaitToken = "wait.token";
    /// Waiting for a port of a scratchpad bank.
    WaitBank = "wait.bank";
    /// Waiting for a register page in use, or for the engine to take an instruction.
    WaitConfig = "wait.config";
    /// Waiting for the next instruction word.
    WaitQueue = "wait.queue";
    /// A pipeline fills: first weights of the array, first rows of a store.
    WaitFill = "wait.fill";
    /// The array drains: the last rows cross it.
    WaitDrain = "wait.drain";
    /// Nothing to do but wait for other engines (at `sync` and `halt`).
    Idle = "idle";
    /// Halted.
    Done = "done";
}

/// Cycles of one engine by bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineCycles([u64; Bucket::ALL.len()]);

impl EngineCycles {
    /// Cycles in all buckets together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl Index<Bucket> for EngineCycles {
    type Output = u64;

    fn index(&self, bucket: Bucket) -> &u64 {
        &self.0[bucket as usize]
    }
}

impl IndexMut<Bucket> for EngineCycles {
    fn index_mut(&mut self, bucket: Bucket) -> &mut u64 {
        &mut self.0[bucket as usize]
    }
}

impl AddAssign for EngineCycles {
    fn add_assign(&mut self, other: EngineCycles) {
        for (sum, cycles) in self.0.iter_mut().zip(other.0) {
            *sum += cycles;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_the_buckets_in_order_and_names_differ() {
        let names: std::collections::BTreeSet<&str> =
            Bucket::ALL.iter().map(|bucket| bucket.name()).collect();
        assert_eq!(names.len(), Bucket::ALL.len());
        assert!(Bucket::ALL.iter().enumerate().all(|(i, &bucket)| bucket as usize == i));
    }

    #[test]
    fn cycles_add_up_by_bucket() {
        let mut cycles = EngineCycles::default();
        cycles[Bucket::Busy] = 3;
        let mut other = EngineCycles::default();
        other[Bucket::Busy] = 4;
        other[Bucket::Done] = 5;
        cycles += other;
        assert_eq!((cycles[Bucket::Busy], cycles[Bucket::Done], cycles.total()), (7, 5, 12));
    }
}
