//! Everything a core tells its observer.

use std::ops::Range;

use isa::Engine;
use timing::{Bucket, Grant, InstRef, Observer};

/// What happened, in the order told.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Log {
    /// Issues, completions, semaphores and bursts.
    pub(crate) happenings: Vec<Happening>,
    /// Intervals of each engine.
    pub(crate) intervals: [Vec<Interval>; 4],
}

/// Cycles in one bucket on account of one instruction.
#[derive(Debug, PartialEq)]
pub(crate) struct Interval {
    inst: Option<u32>,
    bucket: Bucket,
    cycles: Range<u64>,
}

/// One call of an observer.
#[derive(Debug, PartialEq)]
pub(crate) enum Happening {
    Issued(InstRef, u64),
    Completed(InstRef, u64),
    Signalled(InstRef, Engine, u64),
    Waited(InstRef, InstRef, u64),
    Granted(Grant),
}

impl Observer for Log {
    fn instruction_issued(&mut self, inst: InstRef, cycle: u64) {
        self.happenings.push(Happening::Issued(inst, cycle));
    }

    fn instruction_completed(&mut self, inst: InstRef, cycle: u64) {
        self.happenings.push(Happening::Completed(inst, cycle));
    }

    fn semaphore_signalled(&mut self, producer: InstRef, consumer: Engine, cycle: u64) {
        self.happenings.push(Happening::Signalled(producer, consumer, cycle));
    }

    fn semaphore_waited(&mut self, consumer: InstRef, producer: InstRef, cycle: u64) {
        self.happenings.push(Happening::Waited(consumer, producer, cycle));
    }

    fn burst_granted(&mut self, burst: Grant) {
        self.happenings.push(Happening::Granted(burst));
    }

    fn bucket(&mut self, engine: Engine, inst: Option<u32>, bucket: Bucket, cycles: Range<u64>) {
        self.intervals[engine.index()].push(Interval { inst, bucket, cycles });
    }
}
