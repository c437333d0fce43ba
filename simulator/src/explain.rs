//! Why each layer takes as long as it does: what it computes, its words, what every engine did in its cycles, and how far that is from
//! its bounds, cause by cause.
//!
//! The cycles of a layer are those that the report gives it (T47 of `docs/timing.md`), so they are a window of the run that no other
//! layer shares. In it each engine's buckets (T40) sum to the layer's cycles, and over all layers to the engine's buckets in the
//! report. The distance to the bound is told of one engine, the one that multiplies; see [`Gap`].

mod build;
mod schema;
mod text;
mod windows;

#[cfg(test)]
mod tests;

use timing::TimingError;

use crate::report::{Key, ReportError};

pub use build::outputs;
pub use schema::*;

/// Why a program cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// It cannot be timed.
    #[error(transparent)]
    Timing(#[from] TimingError),
    /// It cannot be reported.
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// Every key of an explanation, in order.
#[must_use]
pub fn keys() -> Vec<Key> {
    crate::report::declare::keys_of::<Explanation>()
}

/// The manual page: every key with its type, unit and meaning, as Markdown.
#[must_use]
pub fn schema_markdown() -> String {
    format!(
        "# Explanation\n\n\
         What `qcc explain PROG.bin --format json` prints. Generated from the list in `simulator/src/explain/schema.rs`. This is schema\n\
         version {SCHEMA_VERSION}; keys change as those of the [report](report.md) do. `{{a,b}}` in a name stands for several keys, `[]` for\n\
         the elements of an array. Every key is always present; what is not known is `null` or empty.\n\n\
         For each layer `gap.lower_bound + gap.mapping + gap.overlapped + gap.other_layers + all of gap.wait + gap.idle + gap.done` is\n\
         `report.cycles`, and so is the sum of the buckets of each engine in `window`.\n\n{}",
        crate::report::declare::table(&keys())
    )
}
