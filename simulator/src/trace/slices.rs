//! From the buckets of an engine to slices of its track.

use std::ops::Range;

use timing::{Bucket, EngineCycles};

/// A stretch of an engine's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    /// Position of the instruction it is on account of; `None` once the engine has halted.
    pub(super) inst: Option<u32>,
    pub(super) cycles: Range<u64>,
    /// What the cycles were; they sum to the length.
    pub(super) buckets: EngineCycles,
}

impl Slice {
    fn new(inst: Option<u32>, bucket: Bucket, cycles: Range<u64>) -> Slice {
        let mut buckets = EngineCycles::default();
        buckets[bucket] = cycles.end - cycles.start;
        Slice { inst, cycles, buckets }
    }

    /// The bucket it is named after: `busy` if any cycle is, else the one with most cycles.
    pub(super) fn bucket(&self) -> Bucket {
        if self.buckets[Bucket::Busy] > 0 {
            return Bucket::Busy;
        }
        let longest = Bucket::ALL.iter().rev().max_by_key(|&&bucket| self.buckets[bucket]);
        longest.copied().unwrap_or(Bucket::Idle)
    }
}

/// Joins short intervals of one instruction; one of these per engine.
#[derive(Clone, Debug, Default)]
pub(super) struct Joiner {
    pending: Option<Slice>,
}

impl Joiner {
    /// Takes the next interval. Returns up to two slices that are complete, in order of time.
    pub(super) fn push(
        &mut self,
        inst: Option<u32>,
        bucket: Bucket,
        cycles: Range<u64>,
        wait_cycles: u64,
    ) -> [Option<Slice>; 2] {
        let next = Slice::new(inst, bucket, cycles);
        if bucket != Bucket::Busy && next.buckets[bucket] >= wait_cycles {
            return [self.pending.take(), Some(next)];
        }
        match &mut self.pending {
            Some(pending)
                if pending.inst == next.inst && pending.cycles.end == next.cycles.start =>
            {
                pending.cycles.end = next.cycles.end;
                pending.buckets += next.buckets;
                [None, None]
            }
            pending => [pending.replace(next), None],
        }
    }

    /// The last slice.
    pub(super) fn finish(&mut self) -> Option<Slice> {
        self.pending.take()
    }
}

/// Colour of a bucket, by a name of the trace viewer's palette.
pub(super) fn colour(bucket: Bucket) -> &'static str {
    match bucket {
        Bucket::Busy => "good",
        Bucket::WaitWeights | Bucket::WaitActivations | Bucket::WaitParams => "bad",
        Bucket::WaitDramBandwidth | Bucket::WaitDramLatency => "terrible",
        Bucket::WaitAccumulator | Bucket::WaitToken => "yellow",
        Bucket::WaitBank | Bucket::WaitConfig | Bucket::WaitQueue => "olive",
        Bucket::WaitFill | Bucket::WaitDrain => "thread_state_runnable",
        Bucket::Idle => "grey",
        Bucket::Done => "white",
    }
}
