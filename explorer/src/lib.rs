//! Which bit widths and which machine: the same network in many number formats, side by side, whole spaces of points, and the search
//! for widths layer by layer.

pub mod around;
pub mod bench;
pub mod compare;
pub mod curve;
pub mod diagnose;
mod dynamic;
pub mod front;
pub mod host;
pub mod judge;
pub mod knapsack;
pub mod mixed;
pub mod page;
pub mod pareto;
mod rounding;
pub mod scheme;
pub mod score;
pub mod search;
pub mod sensitivity;
pub mod space;
pub mod study;
pub mod sweep;
mod table;
pub mod widths;
