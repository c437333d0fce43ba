//! The layers of a program as a table, and all that is known of each.

use std::fmt::Write as _;

use isa::Hardware;
use simulator::explain::LayerPage;
use simulator::report::keys;
use simulator::wording::{bytes, grouped, percent};

use crate::svg::escaped;

/// A column: its head, the key whose meaning is its own, and what a cell shows: text, and for numbers what they are ordered by.
type Column = (&'static str, &'static str, fn(&LayerPage) -> (String, Option<f64>));

const COLUMNS: [Column; 11] = [
    ("layer", "node", |l| (l.report.node.clone(), None)),
    ("op", "op", |l| (l.report.op.clone(), None)),
    ("MACs", "macs", |l| count(l.report.macs)),
    ("cycles", "cycles", |l| count(l.report.cycles)),
    ("at least", "lower_bound.total", |l| count(l.report.lower_bound.total)),
    ("used", "utilization", |l| share(l.report.utilization)),
    ("DRAM", "dram", |l| moved(l.report.dram.read_bytes.saturating_add(l.report.dram.write_bytes))),
    ("at least", "lower_bound.dram_bytes", |l| moved(l.report.lower_bound.dram_bytes)),
    ("bound", "bound", |l| (l.report.bound.clone(), None)),
    ("most of the gap", "gap", |l| (l.gap.reason(), None)),
    ("tile", "tile", |l| (l.report.tile.clone(), None)),
];

fn count(value: u64) -> (String, Option<f64>) {
    (grouped(value), Some(value as f64))
}

fn moved(value: u64) -> (String, Option<f64>) {
    (bytes(value), Some(value as f64))
}

fn share(value: Option<f64>) -> (String, Option<f64>) {
    (value.map_or_else(|| "–".to_owned(), percent), Some(value.unwrap_or(-1.0)))
}

/// What the columns mean, from the list of the report's keys.
fn meanings() -> [String; COLUMNS.len()] {
    let keys = keys();
    COLUMNS.map(|(_, key, _)| {
        let path = format!("layers[].{key}");
        let found = keys.iter().find(|known| known.path == path);
        found.map_or_else(
            || "Largest part of what separates the cycles from the lower bound.".to_owned(),
            |key| key.doc.clone(),
        )
    })
}

/// The table; each layer's name leads to [`details`] if they are on the same page.
pub(crate) fn table(layers: &[LayerPage], linked: bool) -> String {
    let mut out = String::from(
        "<div class=\"scroll\"><table class=\"sortable layers\">\n<thead><tr><th scope=\"col\" title=\"Position in program order.\">#</th>",
    );
    for ((head, ..), meaning) in COLUMNS.iter().zip(meanings()) {
        let _ = write!(out, "<th scope=\"col\" title=\"{}\">{head}</th>", escaped(&meaning));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for layer in layers {
        let number = layer.number;
        let _ = write!(out, "<tr data-layer=\"{number}\"><td>{number}</td>");
        for (i, (.., cell)) in COLUMNS.iter().enumerate() {
            let (text, order) = cell(layer);
            let text = escaped(&text);
            let _ = match order {
                Some(order) => write!(out, "<td data-v=\"{order}\">{text}</td>"),
                None if i == 0 && linked => {
                    write!(out, "<td class=\"text\"><a href=\"#layer-{number}\">{text}</a></td>")
                }
                None => write!(out, "<td class=\"text\">{text}</td>"),
            };
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table></div>\n");
    out
}

/// What the columns of the table mean.
pub(crate) fn glossary() -> String {
    let mut out = String::from("<details><summary>What the columns mean</summary><dl>\n");
    for ((head, key, _), meaning) in COLUMNS.iter().zip(meanings()) {
        let _ = writeln!(out, "<dt>{head} <code>{key}</code></dt><dd>{}</dd>", escaped(&meaning));
    }
    out + "</dl></details>\n"
}

/// What `qcc explain` says of each layer, closed until it is asked for.
pub(crate) fn details(layers: &[LayerPage], hardware: &Hardware) -> String {
    let mut out = String::new();
    for layer in layers {
        let _ = writeln!(
            out,
            "<details id=\"layer-{}\"><summary>{} {} <span class=\"soft\">({}, {} cycles)</span></summary><pre>{}</pre></details>",
            layer.number,
            layer.number,
            escaped(&layer.report.node),
            escaped(&layer.report.op),
            grouped(layer.report.cycles),
            escaped(&layer.to_text(hardware))
        );
    }
    out
}
