//! What occupies the scratchpad over time.
//!
//! Rows and cycles are drawn as a grid of cells. A cell shows the kind of value that occupies most of it, and nothing if at least half of
//! it is free: a large program has far more values than a picture has points.

use std::collections::BTreeMap;
use std::ops::Range;

use isa::program::NodeInfo;
use isa::{Hardware, Program};
use simulator::occupancy::{Occupancy, Value};
use simulator::report::Layer;
use simulator::wording::{bytes, grouped};
use timing::TrafficClass;

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

/// Cells of equal size over a range that they divide, the last one cut.
#[derive(Clone, Copy, Debug)]
struct Cells {
    count: u64,
    whole: u64,
}

impl Cells {
    fn new(whole: u64, most: u64) -> Cells {
        Cells { count: whole.clamp(1, most), whole: whole.max(1) }
    }

    fn edge(&self, cell: u64) -> u64 {
        (u128::from(cell) * u128::from(self.whole) / u128::from(self.count)) as u64
    }

    /// Cells that a range touches, each with the length of what it shares.
    fn shares(self, range: Range<u64>) -> impl Iterator<Item = (usize, u64)> {
        let of = |place: u64| {
            (u128::from(place.min(self.whole)) * u128::from(self.count) / u128::from(self.whole))
                as u64
        };
        let first = of(range.start).saturating_sub(1);
        (first..(of(range.end) + 1).min(self.count)).filter_map(move |cell| {
            let start = self.edge(cell).max(range.start);
            let end = self.edge(cell + 1).min(range.end);
            (start < end).then(|| (cell as usize, end - start))
        })
    }
}

/// The parts of the scratchpad that are drawn: all that is ever used, and what lies between if it is little.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Drawn(Vec<Range<u32>>);

impl Drawn {
    fn of(occupancy: &Occupancy, rows: u32) -> Drawn {
        let mut used: Vec<Range<u32>> = occupancy.lives.iter().map(|l| l.rows.clone()).collect();
        used.sort_by_key(|rows| rows.start);
        let mut parts: Vec<Range<u32>> = Vec::new();
        for next in used {
            match parts.last_mut() {
                Some(last) if next.start <= last.end.saturating_add(rows / 16) => {
                    last.end = last.end.max(next.end);
                }
                _ => parts.push(next),
            }
        }
        if parts.is_empty() {
            parts.push(0..rows.max(1));
        }
        Drawn(parts)
    }

    /// Rows of all parts.
    fn rows(&self) -> u32 {
        self.0.iter().map(|part| part.end - part.start).sum()
    }

    /// Where rows of one part lie among the rows of all.
    fn place(&self, rows: &Range<u32>) -> Range<u64> {
        let mut before = 0;
        for part in &self.0 {
            if part.contains(&rows.start) {
                let place = |row: u32| u64::from(before + row - part.start);
                return place(rows.start)..place(rows.end.min(part.end));
            }
            before += part.end - part.start;
        }
        0..0
    }
}

/// Rectangles of cells `[column, row, width, height]` by the value that they show.
fn rectangles(
    occupancy: &Occupancy,
    drawn: &Drawn,
    time: Cells,
    space: Cells,
) -> BTreeMap<Value, Vec<[usize; 4]>> {
    let (columns, rows) = (time.count as usize, space.count as usize);
    let mut cells: Vec<Vec<(Value, u64)>> = vec![Vec::new(); columns * rows];
    for life in &occupancy.lives {
        for (row, height) in space.shares(drawn.place(&life.rows)) {
            for (column, width) in time.shares(life.cycles.clone()) {
                let cell = &mut cells[row * columns + column];
                let area = width * height;
                match cell.iter_mut().find(|(value, _)| *value == life.value) {
                    Some((_, sum)) => *sum += area,
                    None => cell.push((life.value, area)),
                }
            }
        }
    }
    let shown = |index: usize| {
        let (row, column) = ((index / columns) as u64, (index % columns) as u64);
        let height = space.edge(row + 1) - space.edge(row);
        let whole = height * (time.edge(column + 1) - time.edge(column));
        let used: u64 = cells[index].iter().map(|(_, area)| area).sum();
        let most = cells[index].iter().max_by_key(|(value, area)| (*area, *value));
        most.filter(|_| 2 * used > whole).map(|(value, _)| *value)
    };
    let mut left: Vec<Option<Value>> = (0..cells.len()).map(shown).collect();
    let mut found: BTreeMap<Value, Vec<[usize; 4]>> = BTreeMap::new();
    for start in 0..left.len() {
        let Some(value) = left[start] else { continue };
        let (row, column) = (start / columns, start % columns);
        let line = |row: usize, columns_of: Range<usize>| {
            row * columns + columns_of.start..row * columns + columns_of.end
        };
        let same = |range: Range<usize>| left[range].iter().all(|other| *other == Some(value));
        let width =
            (column..columns).take_while(|&c| left[row * columns + c] == Some(value)).count();
        let across = column..column + width;
        let height = (row..rows).take_while(|&r| same(line(r, across.clone()))).count();
        for r in row..row + height {
            left[line(r, across.clone())].fill(None);
        }
        found.entry(value).or_default().push([column, row, width, height]);
    }
    found
}

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
    for (value, rectangles) in &found {
        let path: String = (rectangles.iter())
            .map(|[c, r, w, h]| format!("M{c} {}h{w}v{h}h-{w}z", height - r - h))
            .collect();
        let layer = program.nodes.get(value.node as usize).map(|_| value.node);
        let link = layer.map_or_else(String::new, |n| format!(" data-layer=\"{n}\""));
        svg.raw(&format!(
            "<path class=\"mark\" fill=\"{}\" d=\"{path}\"{link}><title>{}</title></path>",
            shade(*value),
            escaped(&said(*value, &program.nodes, occupancy, hardware))
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

/// What a rectangle's tip says.
fn said(value: Value, nodes: &[NodeInfo], occupancy: &Occupancy, hardware: &Hardware) -> String {
    let name = nodes.get(value.node as usize).map_or("no layer", |node| node.name.as_str());
    let lives = || occupancy.lives.iter().filter(|life| life.value == value);
    let rows: u32 = lives().map(|life| life.rows.end).max().unwrap_or(0)
        - lives().map(|life| life.rows.start).min().unwrap_or(0);
    let first = lives().map(|life| life.cycles.start).min().unwrap_or(0);
    let last = lives().map(|life| life.cycles.end).max().unwrap_or(0);
    format!(
        "{name}: {}\nwithin {} of the scratchpad, cycles {} to {}",
        kind(value),
        bytes(u64::from(rows) * u64::from(hardware.row_bytes())),
        grouped(first),
        grouped(last)
    )
}

#[cfg(test)]
mod tests {
    use simulator::occupancy::Life;

    use super::*;

    #[test]
    fn a_cell_shows_what_occupies_most_of_it() {
        let life = |rows: Range<u32>, cycles: Range<u64>, node| Life {
            rows,
            cycles,
            value: Value { node, class: None },
        };
        // 10 cycles in 5 columns, 4 rows in 2.
        let (time, space) = (Cells::new(10, 5), Cells::new(4, 2));
        let occupancy = Occupancy {
            lives: vec![
                life(0..2, 0..5, 1),
                life(2..4, 0..4, 1),
                life(0..2, 5..10, 2),
                life(3..4, 4..10, 3),
            ],
            ..Occupancy::default()
        };
        let drawn = Drawn::of(&occupancy, 4);
        let found = rectangles(&occupancy, &drawn, time, space);
        let of = |node| found.get(&Value { node, class: None }).cloned().unwrap_or_default();
        // Of the column that two values share equally the greater one is shown; half of a row is not.
        assert_eq!(of(1), [[0, 0, 2, 2]]);
        assert_eq!(of(2), [[2, 0, 3, 1]]);
        assert!(of(3).is_empty());
    }

    #[test]
    fn rows_that_are_never_used_are_left_out() {
        let life = |rows| Life { rows, cycles: 0..1, value: Value::default() };
        let occupancy = Occupancy {
            lives: vec![life(300..320), life(0..10), life(14..20)],
            ..Default::default()
        };
        let drawn = Drawn::of(&occupancy, 320);
        assert_eq!(drawn, Drawn(vec![0..20, 300..320]));
        assert_eq!(
            (drawn.rows(), drawn.place(&(14..20)), drawn.place(&(301..310))),
            (40, 14..20, 21..30)
        );
        assert_eq!(Drawn::of(&Occupancy::default(), 320).rows(), 320);
    }

    #[test]
    fn cells_share_a_range_exactly() {
        for (whole, most) in [(10, 3), (7, 7), (1, 5), (1000, 480)] {
            let cells = Cells::new(whole, most);
            for (start, end) in [(0, whole), (whole / 3, whole / 2 + 1), (whole - 1, whole)] {
                let sum: u64 = cells.shares(start..end).map(|(_, length)| length).sum();
                assert_eq!(sum, end - start, "{whole} {most} {start} {end}");
            }
        }
    }
}
