//! Which bit widths and which machine: the same network in many number formats, side by side.

mod dynamic;
pub mod host;
mod rounding;
pub mod scheme;
pub mod score;
pub mod study;
mod table;
