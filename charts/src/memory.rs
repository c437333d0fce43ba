//! What occupies the scratchpad over time.
//!
//! Rows and cycles are drawn as a grid of cells. A cell shows the kind of value that occupies most of it, and nothing if at least half of
//! it is free: a large program has far more values than a picture has points.

mod cells;

use std::collections::BTreeMap;
use std::ops::Range;

use isa::Program;
use isa::program::NodeInfo;
use simulator::occupancy::{Life, Occupancy, Value};
use simulator::report::Layer;
use simulator::wording::{bytes, grouped};
use timing::TrafficClass;

use cells::{Cells, Drawn, rectangles};

use crate::color;
use crate::scale::{Scale, written};
use crate::svg::{Anchor, Chart, Svg, escaped, number};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = WIDTH - 10.0;
const MAP: f64 = 240.0;
const CURVE: f64 = 70.0;

/// Cells from left to right and from top to bottom, at most.
const COLUMNS: u64 = 480;
const ROWS: u32 = 96;

/// Draws the scratchpad of a run.
pub(crate) fn memory(
    program: &Program,
    occupancy: &Occupancy,
    layers: &[Layer],
    total_cycles: u64,
) -> Chart {
    let hardware = &program.hardware;
    let row_bytes = f64::from(hardware.row_bytes());
    let time = Cells::new(total_cycles, COLUMNS);
    let drawn = Drawn::of(occupancy, hardware.scratchpad_rows());
    let space = Cells::new(drawn.rows().into(), ROWS.into());
    let found = rectangles(occupancy, &drawn, time, space);
    let mut svg = Svg::new(WIDTH);
    let mut top = svg.legend([0.0, 0.0], &legend(&found)) + 8.0;
    svg.text([0.0, top + 10.0], Anchor::Start, "layer");
    windows(&mut svg, layers, total_cycles, top);
    top += 36.0;
    let bottom = top + MAP;
    let x = Scale::from_zero(total_cycles as f64, [LEFT, RIGHT]);
    svg.text([0.0, top - 6.0], Anchor::Start, "KiB");
    addresses(&mut svg, &drawn, row_bytes, [top, bottom]);
    let (sx, sy) = ((RIGHT - LEFT) / time.count as f64, MAP / space.count as f64);
    svg.raw(&format!(
        "<g transform=\"translate({LEFT} {}) scale({sx:.5} {sy:.5})\" shape-rendering=\"crispEdges\">",
        number(top)
    ));
    let height = space.count as usize;
    let extents = extents(occupancy);
    for (value, rectangles) in &found {
        let path: String = (rectangles.iter())
            .map(|[c, r, w, h]| format!("M{c} {}h{w}v{h}h-{w}z", height - r - h))
            .collect();
        let layer = program.nodes.get(value.node as usize).map(|_| value.node);
        let link = layer.map_or_else(String::new, |n| format!(" data-layer=\"{n}\""));
        svg.raw(&format!(
            "<path class=\"mark\" fill=\"{}\" d=\"{path}\"{link}><title>{}</title></path>",
            shade(*value),
            escaped(&said(*value, &extents[value], &program.nodes, hardware.row_bytes()))
        ));
    }
    svg.raw("</g>");
    let (top, bottom) = (bottom + 24.0, bottom + 24.0 + CURVE);
    let most = f64::from(occupancy.peak_rows) * row_bytes / 1024.0;
    let y = Scale::from_zero(most, [bottom, top]);
    axis(&mut svg, y, "in use", [top, bottom]);
    curve(&mut svg, occupancy, time, [x, y], row_bytes / 1024.0);
    for (at, text) in x.ticks(6) {
        svg.text([at, bottom + 16.0], Anchor::Middle, &text);
    }
    svg.text([RIGHT, bottom + 32.0], Anchor::End, "cycles");
    svg.finish("memory", "What the scratchpad holds over time", bottom + 38.0)
}

/// Addresses beside the map: round ones in a part, and where parts begin and end that do not touch.
fn addresses(svg: &mut Svg, drawn: &Drawn, row_bytes: f64, [top, bottom]: [f64; 2]) {
    let all = f64::from(drawn.rows());
    let mut below = bottom + 100.0;
    let mut before = 0.0;
    for (i, part) in drawn.0.iter().enumerate() {
        let rows = f64::from(part.end - part.start);
        let range = [before, before + rows].map(|row| bottom - (bottom - top) * row / all);
        let ends = [part.start, part.end].map(|row| f64::from(row) * row_bytes / 1024.0);
        let count = (5.0 * rows / all) as usize;
        let ticks = Scale::between(ends, range).ticks(count.max(1)).into_iter();
        let first = (range[0], written(ends[0]));
        for (at, text) in [first].into_iter().chain(ticks).chain([(range[1], written(ends[1]))]) {
            if below - at >= 12.0 {
                svg.line([LEFT, at], [RIGHT, at]);
                svg.text([LEFT - 6.0, at + 4.0], Anchor::End, &text);
                below = at;
            }
        }
        if i > 0 {
            let (left, right, at) = (number(LEFT), number(RIGHT), number(range[0]));
            svg.raw(&format!("<path class=\"limit\" d=\"M{left} {at}H{right}\" stroke=\"#1d2430\" stroke-dasharray=\"2 4\"><title>rows between are never used</title></path>"));
        }
        before += rows;
    }
}

fn axis(svg: &mut Svg, y: Scale, name: &str, [top, bottom]: [f64; 2]) {
    for (at, text) in y.ticks(if bottom - top < 100.0 { 2 } else { 5 }) {
        svg.line([LEFT, at], [RIGHT, at]);
        svg.text([LEFT - 6.0, at + 4.0], Anchor::End, &text);
    }
    svg.text([0.0, top - 4.0], Anchor::Start, name);
}

/// Which layer's cycles these are.
fn windows(svg: &mut Svg, layers: &[Layer], total_cycles: u64, top: f64) {
    let x = Scale::from_zero(total_cycles as f64, [LEFT, RIGHT]);
    let mut start = 0;
    for (number, layer) in layers.iter().enumerate().filter(|(_, layer)| layer.cycles > 0) {
        let (from, to) = (x.at(start as f64), x.at((start + layer.cycles) as f64));
        start += layer.cycles;
        let shade = if number % 2 == 0 { color::NOTHING } else { "#8a93a0" };
        let tip = format!("{}\n{} cycles", layer.node, grouped(layer.cycles));
        let link = format!(" data-layer=\"{number}\"");
        svg.mark([from, top, to - from, 12.0], shade, &link, &tip);
    }
}

/// Bytes in use: in each column the most at any time of it.
fn curve(svg: &mut Svg, occupancy: &Occupancy, time: Cells, [x, y]: [Scale; 2], kib: f64) {
    let mut most = vec![0; time.count as usize];
    let ends = occupancy.steps.iter().skip(1).map(|(cycle, _)| *cycle).chain([time.whole]);
    for ((start, rows), end) in occupancy.steps.iter().zip(ends) {
        for (column, _) in time.shares(*start..end) {
            most[column] = (*rows).max(most[column]);
        }
    }
    let base = number(y.at(0.0));
    let mut path = format!("M{} {base}", number(x.at(0.0)));
    for (column, rows) in most.iter().enumerate() {
        let end = x.at(time.edge(column as u64 + 1) as f64);
        path += &format!("V{}H{}", number(y.at(f64::from(*rows) * kib)), number(end));
    }
    let peak = bytes((f64::from(occupancy.peak_rows) * kib * 1024.0) as u64);
    svg.raw(&format!(
        "<path class=\"mark\" d=\"{path}V{base}z\" fill=\"{}\"><title>at most {peak} hold a value still to be read</title></path>",
        color::WORK
    ));
}

fn class(value: Value) -> Option<TrafficClass> {
    value.class.map(TrafficClass::from)
}

fn shade(value: Value) -> &'static str {
    color::held(class(value), value.node % 2 == 1)
}

fn kind(value: Value) -> &'static str {
    match class(value) {
        None => "computed values",
        Some(TrafficClass::Weights) => "weights",
        Some(TrafficClass::Inputs) => "inputs of the network",
        Some(TrafficClass::Spills) => "values loaded back",
        Some(TrafficClass::Params) => "parameters",
        Some(TrafficClass::Outputs | TrafficClass::Instructions | TrafficClass::Other) => {
            "other loads"
        }
    }
}

fn legend(found: &BTreeMap<Value, Vec<[usize; 4]>>) -> Vec<(&'static str, &'static str)> {
    let mut items: Vec<(&str, &str)> =
        found.keys().map(|value| (color::held(class(*value), false), kind(*value))).collect();
    items.sort_by_key(|(_, name)| *name);
    items.dedup();
    items
}

/// The rows and cycles in which each kind of value was ever held.
fn extents(occupancy: &Occupancy) -> BTreeMap<Value, (Range<u32>, Range<u64>)> {
    let mut found: BTreeMap<Value, (Range<u32>, Range<u64>)> = BTreeMap::new();
    for Life { rows, cycles, value } in &occupancy.lives {
        let (of_rows, of_cycles) =
            found.entry(*value).or_insert_with(|| (rows.clone(), cycles.clone()));
        *of_rows = of_rows.start.min(rows.start)..of_rows.end.max(rows.end);
        *of_cycles = of_cycles.start.min(cycles.start)..of_cycles.end.max(cycles.end);
    }
    found
}

/// What a rectangle's tip says.
fn said(
    value: Value,
    (rows, cycles): &(Range<u32>, Range<u64>),
    nodes: &[NodeInfo],
    row_bytes: u32,
) -> String {
    let name = nodes.get(value.node as usize).map_or("no layer", |node| node.name.as_str());
    format!(
        "{name}: {}\nwithin {} of the scratchpad, cycles {} to {}",
        kind(value),
        bytes(u64::from(rows.end - rows.start) * u64::from(row_bytes)),
        grouped(cycles.start),
        grouped(cycles.end)
    )
}
