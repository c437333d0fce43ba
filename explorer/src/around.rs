//! How the cycles of a program depend on each parameter of its machine: compiled anew with half and with twice of it.

use std::fmt::Write as _;

use compiler::backend::generate;
use ir::qgraph::QGraph;
use isa::Hardware;
use isa::program::Meta;
use rayon::prelude::*;
use serde::Serialize;

use crate::table::grouped;

/// Parameters that quantization depends on, so that another value is another graph.
pub const OF_QUANTIZATION: [&str; 4] =
    ["acc_bits", "multiplier_bits", "add_multiplier_bits", "rounding"];

/// Cycles around one parameter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sensitivity {
    /// The parameter.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// Cycles with half of it; `None` if that is no machine, or too small for the network.
    pub half: Option<u64>,
    /// Cycles with twice of it.
    pub double: Option<u64>,
}

/// Every parameter that can change cycles, those that change them most first.
///
/// # Errors
/// When the graph does not fit the machine as it is.
pub fn sensitivities(
    graph: &QGraph,
    hardware: &Hardware,
) -> Result<(u64, Vec<Sensitivity>), String> {
    let cycles = |hardware: &Hardware| -> Result<u64, String> {
        hardware.validate().map_err(|e| e.to_string())?;
        let program = generate(graph, hardware, Meta::default()).map_err(|e| e.to_string())?;
        Ok(timing::run(&program, timing::Mode::Event).map_err(|e| e.to_string())?.total_cycles)
    };
    let now = cycles(hardware)?;
    let matters = |name: &str| {
        !name.starts_with("energy_") && name != "clock_mhz" && !OF_QUANTIZATION.contains(&name)
    };
    let names: Vec<&'static str> =
        Hardware::PARAMS.iter().map(|info| info.name).filter(|name| matters(name)).collect();
    let around = |&name: &&'static str| {
        let value = hardware.get(name).unwrap_or_default();
        let with = |value: u64| {
            let mut other = hardware.clone();
            other.set(name, &value.to_string()).ok()?;
            cycles(&other).ok()
        };
        let half = (value > 1).then(|| with(value / 2)).flatten();
        Sensitivity { name, value, half, double: with(2 * value) }
    };
    let mut found: Vec<Sensitivity> = names.par_iter().map(around).collect();
    let effect = |s: &Sensitivity| {
        [s.half, s.double].into_iter().flatten().map(|cycles| cycles.abs_diff(now)).max()
    };
    found.sort_by_key(|s| std::cmp::Reverse(effect(s)));
    Ok((now, found))
}

/// A table for people.
#[must_use]
pub fn to_text(now: u64, found: &[Sensitivity]) -> String {
    let mut text =
        format!("cycles {}; with half and with twice of each parameter:\n\n", grouped(now));
    let _ = writeln!(
        text,
        "{:24} {:>8} {:>14} {:>8} {:>14} {:>8}",
        "parameter", "value", "half", "", "twice", ""
    );
    for s in found {
        let side = |cycles: Option<u64>| match cycles {
            Some(cycles) => {
                let share = 100.0 * (cycles as f64 - now as f64) / now as f64;
                (grouped(cycles), format!("{share:+.1}%"))
            }
            None => ("-".to_owned(), String::new()),
        };
        let ((half, down), (double, up)) = (side(s.half), side(s.double));
        let _ = writeln!(
            text,
            "{:24} {:>8} {half:>14} {down:>8} {double:>14} {up:>8}",
            s.name, s.value
        );
    }
    text
}
