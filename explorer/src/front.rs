//! The points of a sweep that nothing beats, as a table and as CSV.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::pareto;
use crate::space::{Direction, Space};
use crate::sweep::{QCC, Row};
use crate::table::grouped;

/// Points that the table for people names.
const SHOWN: usize = 24;

/// The rows of a sweep, and which of them are on the front.
pub struct Front<'a> {
    space: &'a Space,
    rows: &'a [Row],
    /// Indexes of `rows`, best in the first objective first.
    best: Vec<usize>,
}

impl<'a> Front<'a> {
    /// The front of `rows`: those that keep to all constraints and that no other such row beats.
    #[must_use]
    pub fn of(space: &'a Space, rows: &'a [Row]) -> Front<'a> {
        let feasible: Vec<usize> = (0..rows.len()).filter(|&i| rows[i].is_feasible()).collect();
        let cost = |&i: &usize| rows[i].costs.clone().unwrap_or_default();
        let costs: Vec<Vec<f64>> = feasible.iter().map(cost).collect();
        let mut best = pareto::front(&costs);
        best.sort_by(|&a, &b| costs[a][0].total_cmp(&costs[b][0]).then(a.cmp(&b)));
        Front { space, rows, best: best.into_iter().map(|i| feasible[i]).collect() }
    }

    /// Its rows, best in the first objective first.
    pub fn rows(&self) -> impl Iterator<Item = &'a Row> {
        self.best.iter().map(|&i| &self.rows[i])
    }

    /// Whether no row keeps to all constraints.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.best.is_empty()
    }

    /// One line about all rows.
    #[must_use]
    pub fn summary(&self) -> String {
        let failed = self.rows.iter().filter(|row| row.violation.is_infinite()).count();
        let broken = self.rows.iter().filter(|r| r.violation > 0.0).count() - failed;
        let mut text = format!("{} points", self.rows.len());
        for (count, what) in [(failed, "failed"), (broken, "break constraints")] {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        let _ = write!(text, ", {} on the front", self.best.len());
        text
    }

    /// A table for people: axes and objectives of the front.
    #[must_use]
    pub fn to_text(&self) -> String {
        let axes = self.space.axes.iter().map(|axis| axis.name.clone());
        let objectives = self.space.objectives.iter().map(|o| o.key.clone());
        let columns: Vec<String> =
            ["point".to_owned()].into_iter().chain(axes).chain(objectives).collect();
        let mut lines: Vec<Vec<String>> = vec![columns.clone()];
        for row in self.rows().take(SHOWN) {
            let found = row.object();
            lines.push(columns.iter().map(|column| shown(&found[column])).collect());
        }
        let mut text = self.summary() + "\n";
        let better = |d| if d == Direction::Max { "most" } else { "least" };
        let wanted =
            self.space.objectives.iter().map(|o| format!("{} {}", better(o.direction), o.key));
        let _ = writeln!(text, "wanted: {}\n", wanted.collect::<Vec<_>>().join(", "));
        text += &aligned(&lines);
        if self.best.len() > SHOWN {
            let _ = writeln!(text, "and {} more", self.best.len() - SHOWN);
        }
        text
    }

    /// A line of names, then a line for each row of the front (RFC 4180): number, options of `qcc` that make it, axes, numbers.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let axes = self.space.axes.iter().map(|axis| axis.name.as_str());
        let columns = axes.chain(self.space.keys());
        let columns: Vec<&str> = ["point", QCC].into_iter().chain(columns).collect();
        let mut text = columns.join(",") + "\n";
        for row in self.rows() {
            let found = row.object();
            let cells: Vec<String> = columns.iter().map(|column| cell(&found[*column])).collect();
            let _ = writeln!(text, "{}", cells.join(","));
        }
        text
    }
}

/// Lines of as many cells, in columns that end below each other.
pub(crate) fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |i: usize| lines.iter().map(|cells| cells[i].len()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for cells in lines {
        let padded = cells.iter().zip(&widths).map(|(cell, &width)| format!("{cell:>width$}"));
        text.push_str(&padded.collect::<Vec<_>>().join("  "));
        text.push('\n');
    }
    text
}

fn cell(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => quoted(text),
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

/// A number with as many digits as people read.
pub(crate) fn shown(value: &Json) -> String {
    match value {
        Json::Number(number) if number.is_f64() => {
            let number = number.as_f64().unwrap_or_default();
            if number >= 1000.0 { grouped(number as u64) } else { format!("{number:.4}") }
        }
        Json::Number(number) if number.as_u64().is_some_and(|n| n >= 1000) => {
            grouped(number.as_u64().unwrap_or_default())
        }
        Json::String(text) => text.clone(),
        Json::Null => "-".to_owned(),
        other => other.to_string(),
    }
}
