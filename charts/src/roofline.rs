//! Layers under the roofline of their machine.
//!
//! Source: Williams, Waterman, Patterson, "Roofline: An Insightful Visual Performance Model for Multicore Architectures", CACM 52(4), 2009.
//! Intensity is a layer's multiply-accumulates over its DRAM bytes; performance its multiply-accumulates over the cycles that
//! the unit which multiplies gave to it. A layer may stand above the slope: its bytes may have come while others ran.

use isa::Hardware;
use isa::hardware::{activation_passes, k_rows_per_pe};
use isa::program::{NodeInfo, Unit};
use simulator::bounds::lane_macs_per_cycle;
use simulator::report::Layer;
use simulator::wording::{bytes, grouped, percent, significant};

use crate::scale::Scale;
use crate::svg::{Anchor, Chart, INK, Svg, escaped, fitting, number};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
/// Left, right, top and bottom of the plot.
const PLOT: [f64; 4] = [58.0, WIDTH - 14.0, 30.0, HEIGHT - 62.0];

/// Colors of ceilings, in the order in which they are found.
const COLORS: [&str; 5] = ["#2f7d4f", "#d97706", "#7c5cbf", "#1f78a5", "#c0392b"];

/// What multiplies, how wide.
#[derive(Clone, Debug, PartialEq)]
struct Ceiling {
    name: String,
    /// Multiply-accumulates per cycle.
    peak: f64,
}

impl Ceiling {
    /// That of a node, if anything multiplies for it.
    fn of(node: &NodeInfo, hardware: &Hardware) -> Option<Ceiling> {
        let weights = if node.weight_bits == 0 { 8 } else { node.weight_bits };
        match node.unit {
            Unit::Array => {
                let pes = f64::from(hardware.array_rows) * f64::from(hardware.array_cols);
                let (rows, passes) = (k_rows_per_pe(weights), activation_passes(node.act_bits));
                let peak = pes * f64::from(rows) / f64::from(passes);
                let weights = if rows > 1 { "4-bit" } else { "8-bit" };
                let activations = if passes > 1 { ", 16-bit activations" } else { "" };
                Some(Ceiling { name: format!("array, {weights} weights{activations}"), peak })
            }
            Unit::Vector => {
                let peak = lane_macs_per_cycle(hardware) as f64;
                Some(Ceiling { name: "vector lanes".to_owned(), peak })
            }
            Unit::None => None,
        }
    }
}

/// A layer that multiplies.
struct Dot<'a> {
    number: usize,
    layer: &'a Layer,
    ceiling: usize,
    /// Multiply-accumulates per byte; `None` if it moves none.
    intensity: Option<f64>,
    /// Multiply-accumulates per cycle.
    rate: f64,
}

/// Draws the layers of a program.
pub(crate) fn roofline(nodes: &[NodeInfo], layers: &[Layer], hardware: &Hardware) -> Chart {
    let mut ceilings: Vec<Ceiling> = Vec::new();
    let mut dots = Vec::new();
    for (number, (node, layer)) in nodes.iter().zip(layers).enumerate() {
        let Some((ceiling, used)) = Ceiling::of(node, hardware).zip(layer.utilization) else {
            continue;
        };
        let rate = used * ceiling.peak;
        let known = ceilings.iter().position(|c| *c == ceiling);
        let ceiling = known.unwrap_or_else(|| {
            ceilings.push(ceiling);
            ceilings.len() - 1
        });
        let moved = layer.dram.read_bytes.saturating_add(layer.dram.write_bytes);
        let intensity = (moved > 0).then(|| layer.macs as f64 / moved as f64);
        dots.push(Dot { number, layer, ceiling, intensity, rate });
    }
    draw(&ceilings, &dots, layers, f64::from(hardware.dram_bytes_per_cycle))
}

fn draw(ceilings: &[Ceiling], dots: &[Dot<'_>], layers: &[Layer], bandwidth: f64) -> Chart {
    let [left, right, top, bottom] = PLOT;
    let peaks = || ceilings.iter().map(|c| c.peak);
    let ridges = peaks().map(|peak| peak / bandwidth);
    let x = Scale::log(dots.iter().filter_map(|d| d.intensity).chain(ridges), [left, right]);
    let y = Scale::log(dots.iter().map(|d| d.rate).chain(peaks()), [bottom, top]);
    let mut svg = Svg::new(WIDTH);
    for (at, text) in x.ticks(6) {
        svg.line([at, top], [at, bottom]);
        svg.text([at, bottom + 16.0], Anchor::Middle, &text);
    }
    for (at, text) in y.ticks(6) {
        svg.line([left, at], [right, at]);
        svg.text([left - 6.0, at + 4.0], Anchor::End, &text);
    }
    let middle = (left + right) / 2.0;
    svg.text([middle, bottom + 34.0], Anchor::Middle, "MACs per DRAM byte");
    svg.text([0.0, 12.0], Anchor::Start, "MACs per cycle");
    slope(&mut svg, x, y, bandwidth, peaks().fold(0.0, f64::max));
    let colors = || COLORS.iter().cycle();
    for (ceiling, color) in ceilings.iter().zip(colors()) {
        // From where the bus no longer limits.
        let (from, at) = (x.at(ceiling.peak / bandwidth), y.at(ceiling.peak));
        let [from, to, at] = [from, right, at].map(number);
        svg.raw(&format!("<path class=\"ceiling\" d=\"M{from} {at}H{to}\" stroke=\"{color}\" stroke-width=\"2\" fill=\"none\"/>"));
    }
    let total: u64 = layers.iter().map(|layer| layer.cycles).sum();
    // The longest first, so that none hides another.
    let mut order: Vec<&Dot<'_>> = dots.iter().collect();
    order.sort_by_key(|dot| std::cmp::Reverse(dot.layer.cycles));
    for dot in order {
        let color = COLORS[dot.ceiling % COLORS.len()];
        let place = [dot.intensity.map_or(right, |v| x.at(v)), y.at(dot.rate)];
        circle(&mut svg, dot, &ceilings[dot.ceiling], place, color, total);
    }
    let names: Vec<String> = (ceilings.iter())
        .map(|c| format!("{}: {} MACs/cycle", c.name, grouped(c.peak as u64)))
        .collect();
    let legend: Vec<(&str, &str)> =
        colors().copied().zip(names.iter().map(String::as_str)).collect();
    let height = HEIGHT - 17.0 + svg.legend([left, HEIGHT - 17.0], &legend);
    svg.finish("roofline", "Roofline of the layers", height)
}

/// What the bus allows, up to the highest ceiling.
fn slope(svg: &mut Svg, x: Scale, y: Scale, bandwidth: f64, peak: f64) {
    let [low, high] = x.domain();
    let [floor, _] = y.domain();
    let start = low.max(floor / bandwidth);
    let end = high.min(peak / bandwidth);
    if start >= end {
        return;
    }
    let places = [x.at(start), y.at(start * bandwidth), x.at(end), y.at(end * bandwidth)];
    let [x1, y1, x2, y2] = places.map(number);
    svg.raw(&format!("<path class=\"limit\" d=\"M{x1} {y1}L{x2} {y2}\" stroke=\"{INK}\" stroke-width=\"2\" fill=\"none\"/>"));
    let text = format!("DRAM: {} B/cycle", grouped(bandwidth as u64));
    let [x, y] = [(places[0] + places[2]) / 2.0, (places[1] + places[3]) / 2.0];
    svg.strong([x + 10.0, y + 14.0], Anchor::Start, &text);
}

fn circle(
    svg: &mut Svg,
    dot: &Dot<'_>,
    ceiling: &Ceiling,
    [x, y]: [f64; 2],
    color: &str,
    total: u64,
) {
    let layer = dot.layer;
    let share = layer.cycles as f64 / total.max(1) as f64;
    let [cx, cy, r] = [x, y, 3.0 + 12.0 * libm::sqrt(share)].map(number);
    let moved = layer.dram.read_bytes.saturating_add(layer.dram.write_bytes);
    let intensity = dot.intensity.map_or_else(
        || "no DRAM bytes".to_owned(),
        |v| format!("{} MACs per DRAM byte ({})", significant(v), bytes(moved)),
    );
    let tip = format!(
        "{} ({})\n{} MACs/cycle, {} of {}\n{intensity}\n{} cycles, {} of the run",
        layer.node,
        layer.op,
        significant(dot.rate),
        percent(layer.utilization.unwrap_or(0.0)),
        ceiling.name,
        grouped(layer.cycles),
        percent(share),
    );
    svg.raw(&format!(
        "<circle class=\"mark\" cx=\"{cx}\" cy=\"{cy}\" r=\"{r}\" fill=\"{color}\" fill-opacity=\"0.55\" stroke=\"{color}\" data-layer=\"{}\"><title>{}</title></circle>",
        dot.number,
        escaped(&tip)
    ));
    if share >= 0.08 {
        let anchor = if x > 0.7 * WIDTH { Anchor::End } else { Anchor::Start };
        let aside = if anchor == Anchor::End { -10.0 } else { 10.0 };
        svg.text([x + aside, y + 16.0], anchor, &fitting(&layer.node, 170.0));
    }
}
