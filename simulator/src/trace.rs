//! The timeline of a run in the trace-event format that `ui.perfetto.dev` and `chrome://tracing` open.
//!
//! One cycle is shown as one microsecond, so that every number in the viewer is a whole number of cycles, exact at any clock
//! frequency; the file names the frequency. Three groups of tracks:
//!
//! - *engines*: what each engine does in every cycle. Work bears the name of its ONNX node; a wait of at least
//!   [`TraceOptions::wait_cycles`] bears the name and the colour of its bucket. Shorter waits are part of the slice around them,
//!   because a transfer that is granted a burst every few cycles would else be a million slices; its arguments tell the cycles of each bucket.
//!   Slices follow each other without gap or overlap, and the arguments of all of them sum to the buckets of the report.
//! - *instructions*: each one from issue to completion, on as many lanes per engine as there are at once, with arrows for
//!   semaphores from the last cycle of the producer to the issue of the consumer.
//! - *memory*: scratchpad bytes in use, and DRAM bytes by class in each window of [`TraceOptions::window_cycles`].
//!
//! Events are written as they happen and memory does not grow with the run: the writer is an [`Observer`] of a timing core. Only the
//! scratchpad curve, which has to know the last reader of a value, waits for the result.
//!
//! Format: "Trace Event Format", the Chromium project, 2016.

mod event;
mod flight;
mod slices;
mod writer;

#[cfg(test)]
mod tests;

use crate::report::ReportError;

pub use writer::TraceWriter;

/// How fine a trace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceOptions {
    /// Shortest wait with a slice of its own, in cycles; 1 shows every one.
    pub wait_cycles: u64,
    /// Cycles over which DRAM bytes are added up, at least 1.
    pub window_cycles: u64,
}

impl Default for TraceOptions {
    /// Waits of 32 cycles, windows of 256.
    fn default() -> Self {
        TraceOptions { wait_cycles: 32, window_cycles: 256 }
    }
}

/// Why a trace is incomplete.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file cannot be written.
    #[error("trace: {0}")]
    Io(#[from] std::io::Error),
    /// Program and timing do not go together.
    #[error(transparent)]
    Report(#[from] ReportError),
}
