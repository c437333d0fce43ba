//! What a sweep is for: keys of the report, which way they are better, and what they must keep to.

use std::collections::BTreeMap;

use simulator::report::{Key, keys};

use super::Comparison;

/// Keys that every row has, whatever the space asks for.
pub const ALWAYS: &[&str] = &[
    "accuracy.samples",
    "accuracy.top1",
    "accuracy.top5",
    "accuracy.reference_top1",
    "accuracy.agreement",
    "accuracy.sqnr_db",
    "cycles.total",
    "cycles.lower_bound.compute",
    "cycles.lower_bound.dram",
    "cycles.lower_bound.total",
    "time.us",
    "utilization.mac",
    "traffic.dram.total.read_bytes",
    "traffic.dram.total.write_bytes",
    "traffic.dram.total.useful_bytes",
    "traffic.lower_bound_bytes",
    "energy.total_pj",
    "memory.scratchpad_peak_bytes",
    "memory.weights_bytes",
    "memory.program_bytes",
    "area.lut4",
    "area.dsp",
    "area.ff",
    "area.ram_bits",
];

/// Which part of a point's evaluation tells a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The machine alone: free.
    Area,
    /// Running the integers on all samples.
    Accuracy,
    /// Compiling and timing.
    Timing,
}

/// The part that tells `key`.
#[must_use]
pub fn part(key: &str) -> Part {
    match key.split('.').next() {
        Some("area") => Part::Area,
        Some("accuracy") => Part::Accuracy,
        _ => Part::Timing,
    }
}

/// Numbers of the report that a space may name, with their units.
#[must_use]
pub fn report_keys() -> BTreeMap<String, &'static str> {
    const OUTSIDE: [&str; 7] =
        ["schema_version", "program", "check", "orders", "top5", "layers", "hardware"];
    let numeric = |key: &Key| key.kind.starts_with("integer") || key.kind.starts_with("number");
    let of_a_run = |path: &String| {
        let first = path.split(['.', '[']).next().unwrap_or_default();
        !OUTSIDE.contains(&first)
    };
    let paths = |key: Key| key.paths().into_iter().map(move |path| (path, key.unit));
    keys().into_iter().filter(numeric).flat_map(paths).filter(|(p, _)| of_a_run(p)).collect()
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// More.
    Max,
    /// Less.
    Min,
}

/// One of the numbers that points are judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objective {
    /// Key of the report.
    pub key: String,
    /// Which way is better.
    pub direction: Direction,
}

impl Objective {
    /// The number as a cost: less is better.
    #[must_use]
    pub fn cost(&self, value: f64) -> f64 {
        match self.direction {
            Direction::Max => -value,
            Direction::Min => value,
        }
    }
}

/// What a number of the report must keep to.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    /// Key of the report.
    pub key: String,
    /// How it compares with `bound`.
    pub comparison: Comparison,
    /// What it compares with.
    pub bound: f64,
    /// As written: `accuracy.top1 >= 0.88`.
    pub text: String,
}

impl Constraint {
    /// Whether a value keeps to it.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        self.comparison.holds_between(value, self.bound)
    }
}

/// Whether some number could keep to all of `constraints` on one key of the given unit.
pub(super) fn satisfiable(constraints: &[&Constraint], unit: &str) -> bool {
    let mut candidates: Vec<f64> = constraints.iter().map(|c| c.bound).collect();
    candidates.extend([0.0, 1.0]);
    candidates.sort_by(f64::total_cmp);
    // Every interval between two bounds, and those outside of all, has one of these inside.
    let between: Vec<f64> = candidates.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).collect();
    let (first, last) = (candidates[0], candidates[candidates.len() - 1]);
    candidates.extend(between);
    candidates.extend([first - 1.0, last + 1.0]);
    let possible = |value: &f64| unit != "0..1" || (0.0..=1.0).contains(value);
    candidates.into_iter().filter(possible).any(|value| constraints.iter().all(|c| c.holds(value)))
}
