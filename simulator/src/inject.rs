//! Fault injection: bits flip in weights, memories or instruction words, and every run is compared with one without faults.
//!
//! A campaign is so many independent runs, each with its own faults, drawn from a [`Spec`]; what a run did is an [`Outcome`]. Faults in DRAM
//! (weights, parameters, tables, instruction words) are there from the start of a run and stay; faults in the scratchpad and
//! the accumulators strike at one cycle and last until the cell is written again. `docs/reliability.md` says how to read the numbers.

mod campaign;
mod draw;
mod error;
mod fault_free;
mod population;
mod report;
mod residency;
mod schedule;
mod spec;
mod stored;
mod tally;
mod text;

#[cfg(test)]
mod tests;

pub use campaign::{Bench, Detection, Outcome, RunResult, Runs, Sample, Verifier};
pub use error::InjectError;
pub use population::{Fault, Place};
pub use report::*;
pub use spec::{Amount, FaultSpace, Spec, SpecError};
