//! When words take effect.
//!
//! A word reads and writes its rows one after another between issue and completion. The functional core executes it at once; so that the
//! rows are neither too old nor too young on average, its moment is the middle of the two. Words in the order of these moments
//! are in an order that the semaphores allow: what waits for a word issues after it has completed.

use isa::{Engine, Program};
use timing::Timing;

use super::InjectError;
use crate::machine::Order;

/// The words of a program in the order of their moments.
#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) order: Order,
    /// Moment of each step, never falling.
    pub(super) moments: Vec<u64>,
    /// Cycles of the run.
    pub(super) cycles: u64,
}

impl Schedule {
    /// `timing` must be of the program.
    pub(super) fn new(program: &Program, timing: &Timing) -> Result<Schedule, InjectError> {
        let moment = |engine: Engine, index: usize| {
            let record =
                timing.instructions[engine.index()].get(index).copied().unwrap_or_default();
            record.issue.midpoint(record.complete)
        };
        let order = Order::round_robin(program)?.sorted_by_key(moment);
        let moments = order.steps().map(|(engine, index)| moment(engine, index)).collect();
        Ok(Schedule { order, moments, cycles: timing.total_cycles.max(1) })
    }

    /// The step before which a fault of this cycle strikes: the first whose moment is later.
    pub(super) fn step(&self, cycle: u64) -> usize {
        self.moments.partition_point(|&moment| moment <= cycle)
    }
}
