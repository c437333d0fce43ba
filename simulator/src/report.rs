//! The report: everything a run found out, under fixed names.
//!
//! The keys are declared once, in `schema.rs`, with unit and meaning; the JSON, the column names of the CSV and the table of
//! [`schema_markdown`] follow from that list. Key order is the order of declaration. Values that a run did not measure are `null`, so
//! that every report has the same keys.

pub(crate) mod build;
pub(crate) mod csv;
pub(crate) mod declare;
mod error;
mod schema;
pub(crate) mod text;

#[cfg(test)]
pub(crate) mod tests;

pub use build::ProgramFile;
pub use declare::{Key, keys, schema_markdown};
pub use error::ReportError;
pub use schema::*;
