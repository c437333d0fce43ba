//! Which bit widths and which machine: the same network in many number formats, side by side, and whole spaces of points.

pub mod diagnose;
mod dynamic;
pub mod front;
pub mod host;
pub mod pareto;
mod rounding;
pub mod scheme;
pub mod score;
pub mod search;
pub mod space;
pub mod study;
pub mod sweep;
mod table;
