//! What the engines and the DRAM bus did over time.

use isa::Engine;
use simulator::timeline::Timeline;
use simulator::wording::{bytes, grouped, percent};
use timing::{Bucket, TrafficClass};

use crate::color;
use crate::scale::Scale;
use crate::svg::{Anchor, Chart, Svg, escaped, number};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = WIDTH - 10.0;
const STRIP: f64 = 52.0;
const PLOT: f64 = 130.0;

/// Parts of one thing over time, stacked: the name, color and height in each span of each.
struct Stack {
    parts: Vec<(String, &'static str, Vec<f64>)>,
    /// What is as high as the plot.
    whole: f64,
}

impl Stack {
    /// Draws it, one path for each part, between two heights.
    fn draw(&self, svg: &mut Svg, [top, bottom]: [f64; 2], width: f64) {
        let spans = self.parts.first().map_or(0, |(.., heights)| heights.len());
        let y = Scale::from_zero(self.whole, [bottom, top]);
        let x = |span: usize| number(LEFT + width * span as f64 / spans.max(1) as f64);
        let mut sums = vec![0.0; spans];
        for (tip, color, heights) in &self.parts {
            let mut path = String::new();
            // Spans that follow each other are one shape: along its lower edge there, along the upper one back.
            let mut start = 0;
            while start < spans {
                if heights[start] <= 0.0 {
                    start += 1;
                    continue;
                }
                let length = heights[start..].iter().take_while(|h| **h > 0.0).count();
                let end = start + length;
                path += &format!("M{} {}", x(start), number(y.at(sums[start])));
                for (offset, sum) in sums[start..end].iter().enumerate() {
                    path += &format!("V{}H{}", number(y.at(*sum)), x(start + offset + 1));
                }
                for span in (start..end).rev() {
                    path += &format!("V{}H{}", number(y.at(sums[span] + heights[span])), x(span));
                }
                path.push('z');
                start = end;
            }
            sums.iter_mut().zip(heights).for_each(|(sum, height)| *sum += height);
            if !path.is_empty() {
                svg.raw(&format!(
                    "<path class=\"mark\" fill=\"{color}\" d=\"{path}\" shape-rendering=\"crispEdges\"><title>{}</title></path>",
                    escaped(tip)
                ));
            }
        }
    }
}

/// Units that all spans take, the last one being shorter where the run ends in it.
fn width(timeline: &Timeline, total_cycles: u64) -> f64 {
    let spans = timeline.dram.len() as u64;
    let all = (spans * timeline.span_cycles).max(1) as f64;
    (RIGHT - LEFT) * all / total_cycles.max(1) as f64
}

fn cycles(svg: &mut Svg, total_cycles: u64, bottom: f64) {
    for (at, text) in Scale::from_zero(total_cycles as f64, [LEFT, RIGHT]).ticks(6) {
        svg.text([at, bottom + 16.0], Anchor::Middle, &text);
    }
    svg.text([RIGHT, bottom + 32.0], Anchor::End, "cycles");
}

/// Draws what each engine did.
pub(crate) fn engines(timeline: &Timeline, total_cycles: u64) -> Chart {
    let mut svg = Svg::new(WIDTH);
    let used =
        |bucket: &&Bucket| timeline.engines.iter().flatten().any(|spent| spent[**bucket] > 0);
    let legend: Vec<(&str, &str)> = (Bucket::ALL.iter().filter(|b| used(b)))
        .map(|bucket| (color::bucket(bucket.name()), bucket.name()))
        .collect();
    let mut top = svg.legend([0.0, 0.0], &legend) + 6.0;
    for engine in Engine::ALL {
        let spans = &timeline.engines[engine.index()];
        let part = |bucket: &Bucket| {
            let sum: u64 = spans.iter().map(|spent| spent[*bucket]).sum();
            let tip = format!(
                "{}: {}\n{} cycles, {} of the run",
                engine.name(),
                bucket.name(),
                grouped(sum),
                percent(sum as f64 / total_cycles.max(1) as f64)
            );
            // Of the cycles that are part of the run, so that the last span is as high as the others.
            let heights = spans.iter().map(|s| s[*bucket] as f64 / s.total().max(1) as f64);
            (tip, color::bucket(bucket.name()), heights.collect())
        };
        let stack = Stack { parts: Bucket::ALL.iter().map(part).collect(), whole: 1.0 };
        svg.strong([0.0, top + STRIP / 2.0], Anchor::Start, engine.name());
        stack.draw(&mut svg, [top, top + STRIP - 8.0], width(timeline, total_cycles));
        top += STRIP;
    }
    let bottom = top - 8.0;
    cycles(&mut svg, total_cycles, bottom);
    svg.finish("engines", "What each engine did over time", bottom + 38.0)
}

/// Draws the traffic of the DRAM bus, whose bandwidth is in bytes per cycle.
pub(crate) fn dram(timeline: &Timeline, total_cycles: u64, bandwidth: u32) -> Chart {
    let mut svg = Svg::new(WIDTH);
    let sum = |class: TrafficClass| -> u64 {
        timeline.dram.iter().map(|span| span[class as usize]).sum()
    };
    let used = || TrafficClass::ALL.into_iter().filter(|class| sum(*class) > 0);
    let legend: Vec<(&str, &str)> = used().map(|c| (color::class(c), c.name())).collect();
    let top = svg.legend([0.0, 0.0], &legend) + 22.0;
    let bottom = top + PLOT;
    let span_cycles = timeline.span_cycles as f64;
    let rate = |bytes: u64| bytes as f64 / span_cycles;
    let part = |class: TrafficClass| {
        let tip = format!("{}\n{}", class.name(), bytes(sum(class)));
        let heights = timeline.dram.iter().map(|span| rate(span[class as usize]));
        (tip, color::class(class), heights.collect())
    };
    let peak = timeline.dram.iter().map(|span| rate(span.iter().sum())).fold(0.0, f64::max);
    let whole = f64::from(bandwidth).max(peak);
    let stack = Stack { parts: used().map(part).collect(), whole };
    let y = Scale::from_zero(whole, [bottom, top]);
    for (at, text) in y.ticks(4) {
        svg.line([LEFT, at], [RIGHT, at]);
        svg.text([LEFT - 6.0, at + 4.0], Anchor::End, &text);
    }
    svg.text([0.0, top - 10.0], Anchor::Start, "bytes per cycle");
    stack.draw(&mut svg, [top, bottom], width(timeline, total_cycles));
    let (from, to, at) = (number(LEFT), number(RIGHT), number(y.at(bandwidth.into())));
    svg.raw(&format!(
        "<path class=\"limit\" d=\"M{from} {at}H{to}\" stroke=\"#1d2430\" stroke-width=\"1.5\"><title>bandwidth of the bus</title></path>"
    ));
    cycles(&mut svg, total_cycles, bottom);
    svg.finish("dram", "DRAM traffic over time", bottom + 38.0)
}
