//! What a program does, and when: functional core and timing to report and trace.

pub mod area;
pub mod bounds;
pub mod energy;
pub mod exec;
pub mod explain;
pub mod inject;
pub mod machine;
mod memory;
pub mod occupancy;
mod random;
pub mod report;
pub mod timeline;
pub mod trace;
pub mod waves;
pub mod wording;
pub mod work;

#[cfg(test)]
mod sample;
