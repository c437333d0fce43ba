//! How long a program takes: engines, queues, memories, stall buckets.
//!
//! The rules are `docs/timing.md`; this crate computes what they say. Values never influence time, so a program has one
//! timing on one machine, whatever its data. Two cores read the rules independently and agree on every number: `event` jumps from
//! event to event and is fast, `stepped` goes cycle by cycle, is simple, and is the first one's oracle. They share what is not
//! scheduling: closed-form costs ([`cost`]), the decoded program, and bookkeeping.

mod bucket;
mod bursts;
pub mod cost;
mod decode;
mod error;
mod event;
mod observer;
mod recorder;
mod result;
mod stepped;

use isa::{Hardware, Program};

pub use bucket::{Bucket, EngineCycles};
pub use error::{Cause, Stuck, TimingError};
pub use observer::{Grant, NoObserver, Observer};
pub use result::{InstRef, LayerTime, Record, Requester, Span, Timing, Traffic, TrafficClass};

/// Last cycle that is simulated: at 1 GHz 18 minutes. Beyond it a program is refused, so that no arithmetic on cycles can overflow
/// and no program runs without end.
pub const MAX_CYCLES: u64 = 1 << 40;

/// Which core computes the timing. Both give the same result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The event-driven core, fast.
    #[default]
    Event,
    /// The cycle-stepped core, a direct reading of the rules.
    Stepped,
}

/// Times `program` on its own machine.
///
/// # Errors
/// A program that the machine cannot execute, or that never ends.
pub fn run(program: &Program, mode: Mode) -> Result<Timing, TimingError> {
    run_on(program, &program.hardware, mode, &mut NoObserver)
}

/// Times `program` on `hardware`, which may differ from the program's own in timing-only parameters, and tells `observer` what happens.
///
/// # Errors
/// As [`run`].
pub fn run_on(
    program: &Program,
    hardware: &Hardware,
    mode: Mode,
    observer: &mut impl Observer,
) -> Result<Timing, TimingError> {
    match mode {
        Mode::Event => event::run(program, hardware, observer),
        Mode::Stepped => stepped::run(program, hardware, observer),
    }
}
