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
mod observer;
mod recorder;
mod result;

pub use bucket::{Bucket, EngineCycles};
pub use error::{Cause, Stuck, TimingError};
pub use observer::{Grant, NoObserver, Observer};
pub use result::{InstRef, LayerTime, Record, Requester, Span, Timing, Traffic, TrafficClass};

/// Last cycle that is simulated: at 1 GHz 18 minutes. Beyond it a program is refused, so that no arithmetic on cycles can overflow
/// and no program runs without end.
pub const MAX_CYCLES: u64 = 1 << 40;
