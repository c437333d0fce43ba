//! Two programs of one network side by side: what changed, layer by layer, and the largest part of why.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use isa::Hardware;
use serde::Serialize;
use simulator::report::{Engines, Layer, Report};

use crate::table::grouped;

/// Numbers of a whole program that are compared.
const TOTALS: [&str; 6] = [
    "cycles.total",
    "traffic.dram.total.read_bytes",
    "traffic.dram.total.write_bytes",
    "energy.total_pj",
    "memory.scratchpad_peak_bytes",
    "area.lut4",
];

/// What differs between two programs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Names of both.
    pub names: [String; 2],
    /// Hardware parameters that differ, with both values.
    pub machine: Vec<(String, [String; 2])>,
    /// Numbers of the report, with both values.
    pub totals: Vec<(String, [f64; 2])>,
    /// Layers in program order of the second one, then those that only the first one has.
    pub layers: Vec<Change>,
}

/// A layer in both programs; `None` where one does not have it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// ONNX node.
    pub node: String,
    /// ONNX operator.
    pub op: String,
    /// Cycles attributed to it.
    pub cycles: [Option<u64>; 2],
    /// DRAM bytes of its loads and stores.
    pub dram_bytes: [Option<u64>; 2],
    /// Its cut.
    pub tile: [Option<String>; 2],
    /// What limits it.
    pub bound: [Option<String>; 2],
    /// The part of an engine's time that changed most, and by how many cycles.
    pub reason: Option<(String, i64)>,
}

impl Comparison {
    /// Compares the reports of two programs.
    #[must_use]
    pub fn new(names: [String; 2], reports: [&Report; 2]) -> Comparison {
        let values = |name: &str| reports.map(|report| report.hardware.value_text(name));
        let machine = Hardware::names().map(|name| (name.to_owned(), values(name)));
        let documents = reports.map(|report| {
            let bare = Report { layers: Vec::new(), ..report.clone() };
            serde_json::to_value(bare).expect("a report has only string keys")
        });
        let total = |key: &str| {
            let found = |document: &serde_json::Value| {
                key.split('.').fold(document, |value, name| &value[name]).as_f64()
            };
            [&documents[0], &documents[1]].map(|document| found(document).unwrap_or_default())
        };
        let [before, after] = reports.map(|report| &report.layers);
        // Nodes of one name are told apart by their order.
        let numbered = |layers: &'_ [Layer]| -> Vec<(String, usize)> {
            let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
            let count = |layer| {
                let times: &mut usize = seen.entry(layer).or_default();
                *times += 1;
                (layer.to_owned(), *times)
            };
            layers.iter().map(|layer| layer.node.as_str()).map(count).collect()
        };
        let (old, new) = (numbered(before), numbered(after));
        let mut layers = Vec::new();
        for (key, layer) in new.iter().zip(after) {
            let partner = old.iter().position(|other| other == key).map(|at| &before[at]);
            layers.push(Change::new([partner, Some(layer)], layer));
        }
        for (key, layer) in old.iter().zip(before) {
            if !new.contains(key) {
                layers.push(Change::new([Some(layer), None], layer));
            }
        }
        Comparison {
            names,
            machine: machine.filter(|(_, [a, b])| a != b).collect(),
            totals: TOTALS.iter().map(|key| ((*key).to_owned(), total(key))).collect(),
            layers,
        }
    }

    /// For people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let [before, after] = &self.names;
        let mut text = format!("{before} -> {after}\n\n");
        for (name, [a, b]) in &self.machine {
            let _ = writeln!(text, "{name:30} {a:>14} -> {b:>14}");
        }
        for (key, [a, b]) in &self.totals {
            let (from, to) = (grouped(*a as u64), grouped(*b as u64));
            let _ = writeln!(text, "{key:30} {from:>14} -> {to:>14}  {}", percent(*a, *b));
        }
        let (changed, same): (Vec<&Change>, Vec<&Change>) =
            self.layers.iter().partition(|layer| layer.is_change());
        let _ = writeln!(text, "\n{} layers changed, {} did not", changed.len(), same.len());
        for layer in changed {
            let _ = writeln!(text, "\n{} ({})", layer.node, layer.op);
            for (what, [a, b]) in [("cycles", layer.cycles), ("DRAM bytes", layer.dram_bytes)] {
                let shown = |n: Option<u64>| n.map_or("-".to_owned(), grouped);
                if a != b {
                    let share =
                        a.zip(b).map_or(String::new(), |(a, b)| percent(a as f64, b as f64));
                    let _ =
                        writeln!(text, "  {what:10} {:>14} -> {:>14}  {share}", shown(a), shown(b));
                }
            }
            if let Some((part, cycles)) = &layer.reason {
                let _ = writeln!(text, "  most of it {part} {cycles:+} cycles");
            }
            for (what, [a, b]) in [("bound", &layer.bound), ("tile", &layer.tile)] {
                if a != b {
                    let shown = |text: &Option<String>| text.clone().unwrap_or("-".into());
                    let _ = writeln!(text, "  {what:10} {}\n          -> {}", shown(a), shown(b));
                }
            }
        }
        text
    }

    /// One JSON document.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("it has only string keys") + "\n"
    }
}

impl Change {
    fn new(both: [Option<&Layer>; 2], named: &Layer) -> Change {
        let of = |layer: &Layer| layer.dram.read_bytes + layer.dram.write_bytes;
        let reason = match both {
            [Some(before), Some(after)] => largest(before, after),
            _ => None,
        };
        Change {
            node: named.node.clone(),
            op: named.op.clone(),
            cycles: both.map(|layer| layer.map(|layer| layer.cycles)),
            dram_bytes: both.map(|layer| layer.map(of)),
            tile: both.map(|layer| layer.map(|layer| layer.tile.clone())),
            bound: both.map(|layer| layer.map(|layer| layer.bound.clone())),
            reason,
        }
    }

    /// Whether the layer takes other cycles or bytes, or is cut in another way.
    #[must_use]
    pub fn is_change(&self) -> bool {
        let same = self.cycles[0] == self.cycles[1] && self.dram_bytes[0] == self.dram_bytes[1];
        !same || self.tile[0] != self.tile[1]
    }
}

/// The bucket of an engine that changed most.
fn largest(before: &Layer, after: &Layer) -> Option<(String, i64)> {
    let parts = |layer: &Layer| -> Vec<(String, u64)> {
        let engines: &Engines<_> = &layer.engines;
        let named = engines.iter().flat_map(|(engine, buckets)| {
            buckets.parts().map(|(part, cycles)| (format!("{engine}.{part}"), cycles))
        });
        named.collect()
    };
    let pairs = parts(before).into_iter().zip(parts(after));
    let changes = pairs.map(|((part, a), (_, b))| (part, b.cast_signed() - a.cast_signed()));
    changes.filter(|(_, change)| *change != 0).max_by_key(|(_, change)| change.abs())
}

fn percent(before: f64, after: f64) -> String {
    match before == after {
        true => String::new(),
        false if before == 0.0 => "new".to_owned(),
        false => format!("{:+.1}%", 100.0 * (after - before) / before),
    }
}
