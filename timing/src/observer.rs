//! Hooks for traces: everything a core does, as it does it.

use std::ops::Range;

use isa::Engine;

use crate::bucket::Bucket;
use crate::result::{InstRef, Requester, TrafficClass};

/// Told what happens. Each method does nothing unless implemented, and a core that runs with [`NoObserver`] does not even
/// gather what it would tell.
///
/// Both cores tell the same: issues, completions, semaphores and bursts in the order of T1 and T2; intervals once they are over, those
/// of one engine in order of time.
pub trait Observer {
    /// An instruction issued.
    fn instruction_issued(&mut self, inst: InstRef, cycle: u64) {
        let _ = (inst, cycle);
    }

    /// An instruction completed.
    fn instruction_completed(&mut self, inst: InstRef, cycle: u64) {
        let _ = (inst, cycle);
    }

    /// `producer` completed and incremented its engine's semaphore towards `consumer`.
    fn semaphore_signalled(&mut self, producer: InstRef, consumer: Engine, cycle: u64) {
        let _ = (producer, consumer, cycle);
    }

    /// `consumer` issued and took the count that `producer` had signalled.
    fn semaphore_waited(&mut self, consumer: InstRef, producer: InstRef, cycle: u64) {
        let _ = (consumer, producer, cycle);
    }

    /// A DRAM burst was granted.
    fn burst_granted(&mut self, burst: Grant) {
        let _ = burst;
    }

    /// An engine was in one bucket, on account of one instruction (T49; `None` once it has halted), during `cycles`. Intervals are as long
    /// as they can be: the next one of the engine differs in bucket or instruction.
    fn bucket(&mut self, engine: Engine, inst: Option<u32>, bucket: Bucket, cycles: Range<u64>) {
        let _ = (engine, inst, bucket, cycles);
    }

    /// Whether [`Observer::bucket`] is of interest. If not, long instructions cost a core no time.
    fn wants_buckets(&self) -> bool {
        true
    }
}

/// One granted burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Cycle of the grant.
    pub cycle: u64,
    /// Who asked.
    pub requester: Requester,
    /// What for.
    pub class: TrafficClass,
    /// Bytes of the burst that were asked for.
    pub useful_bytes: u32,
}

/// Looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn wants_buckets(&self) -> bool {
        false
    }
}
