//! Everything that a picture of one run is drawn from.

use isa::Program;
use simulator::explain::{ExplainError, Explanation};
use simulator::occupancy::Occupancy;
use simulator::report::{Buckets, Layer, Report, ReportError};
use simulator::timeline::Timeline;
use simulator::work::ProgramWork;
use timing::{Mode, TimingError, TrafficClass};

use crate::bars::{Bar, Bars, Series};
use crate::color;
use crate::facts::{facts, lead};
use crate::memory::memory;
use crate::page::{Section, page};
use crate::roofline::roofline;
use crate::scale::written;
use crate::svg::Chart;
use crate::table::{details, glossary, table};
use crate::timeline::{dram, engines};

/// Spans that a run is shown in.
const SPANS: u64 = 380;

/// A run of a program on the machine that it names.
#[derive(Debug)]
pub struct Run<'a> {
    program: &'a Program,
    explanation: &'a Explanation,
    layers: Vec<Layer>,
    occupancy: Occupancy,
    timeline: Timeline,
    work: ProgramWork,
}

impl<'a> Run<'a> {
    /// Runs `program` again, which `explanation` explains.
    ///
    /// # Errors
    /// A program that the machine cannot execute, or that never ends.
    pub fn new(
        program: &'a Program,
        explanation: &'a Explanation,
    ) -> Result<Run<'a>, Box<ExplainError>> {
        let of_timing = |e: TimingError| Box::new(ExplainError::from(e));
        let of_report = |e: ReportError| Box::new(ExplainError::from(e));
        let timing = timing::run(program, Mode::Event).map_err(of_timing)?;
        let timeline = Timeline::of(program, &program.hardware, timing.total_cycles, SPANS)
            .map_err(of_timing)?;
        Ok(Run {
            program,
            explanation,
            layers: explanation.layers.iter().map(|layer| layer.report.clone()).collect(),
            occupancy: Occupancy::of(program, &timing).map_err(of_report)?,
            timeline,
            work: ProgramWork::count(program).map_err(of_report)?,
        })
    }

    /// The chart of the layers under the roofline.
    #[must_use]
    pub fn roofline(&self) -> Chart {
        roofline(&self.program.nodes, &self.layers, &self.program.hardware)
    }

    /// The chart of what the scratchpad holds over time.
    #[must_use]
    pub fn memory(&self) -> Chart {
        memory(self.program, &self.occupancy, &self.layers, self.explanation.total_cycles)
    }

    /// The chart of each layer's cycles: what the engine did that multiplies for it.
    #[must_use]
    pub fn cycles(&self) -> Chart {
        let own = "busy: work of the layer";
        let others = "busy: work of other layers";
        let keys = Buckets::default().parts().map(|(key, _)| key);
        let named = |name: &str, color| Series { name: name.to_owned(), color };
        let rest = keys[1..].iter().map(|key| named(key, color::bucket(key)));
        let series = [named(own, color::WORK), named(others, color::OTHERS)].into_iter();
        let bar = |layer: &simulator::explain::LayerPage| {
            let engines = layer.window.iter();
            let spent =
                engines.filter(|(name, _)| *name == layer.gap.engine).map(|(_, b)| b.parts());
            let parts = spent
                .last()
                .unwrap_or_else(|| Buckets::default().parts())
                .map(|(_, cycles)| cycles as f64);
            let of_others = layer.gap.other_layers as f64;
            let busy = [parts[0] - of_others, of_others];
            Bar {
                name: layer.report.node.clone(),
                layer: Some(layer.number),
                parts: busy.into_iter().chain(parts[1..].iter().copied()).collect(),
                mark: Some(layer.report.lower_bound.total as f64),
            }
        };
        let bars = Bars {
            name: "cycles",
            title: "Cycles of the layers, by what the engine did that multiplies",
            unit: "cycles",
            written,
            series: series.chain(rest).collect(),
            marks: Some("lower bound of the layer, taken by itself"),
            bars: self.explanation.layers.iter().map(bar).collect(),
        };
        bars.chart()
    }

    /// The chart of each layer's DRAM bytes by class.
    #[must_use]
    pub fn traffic(&self) -> Chart {
        let layers = self.layers.iter().zip(&self.work.classes).enumerate();
        let bar = |(number, (layer, classes)): (usize, (&Layer, &[u64; 7]))| Bar {
            name: layer.node.clone(),
            layer: Some(number as u64),
            parts: classes.iter().map(|bytes| *bytes as f64).collect(),
            mark: Some(layer.lower_bound.dram_bytes as f64),
        };
        let series = TrafficClass::ALL
            .map(|class| Series { name: class.name().to_owned(), color: color::class(class) });
        let bars = Bars {
            name: "traffic",
            title: "DRAM bytes of the layers, by class",
            unit: "bytes",
            written: |v| simulator::wording::bytes(v as u64),
            series: series.into(),
            marks: Some("what it is the first to load, and what it stores of the outputs"),
            bars: layers.map(bar).collect(),
        };
        bars.chart()
    }

    /// The chart of what each engine did over time.
    #[must_use]
    pub fn engines(&self) -> Chart {
        engines(&self.timeline, self.explanation.total_cycles)
    }

    /// The chart of DRAM traffic over time.
    #[must_use]
    pub fn dram(&self) -> Chart {
        let bandwidth = self.program.hardware.dram_bytes_per_cycle;
        dram(&self.timeline, self.explanation.total_cycles, bandwidth)
    }

    /// All charts of the run, in the order of a page.
    #[must_use]
    pub fn charts(&self) -> Vec<Chart> {
        vec![
            self.roofline(),
            self.cycles(),
            self.traffic(),
            self.memory(),
            self.engines(),
            self.dram(),
        ]
    }

    /// The page about the run. `report` is its report, with what was measured of accuracy; `more` stands between its charts and its layers.
    #[must_use]
    pub fn page(&self, report: &Report, more: Vec<Section>) -> String {
        let [charts, layers] = self.sections();
        let sections: Vec<Section> = charts.into_iter().chain(more).chain(layers).collect();
        page(
            &simulator::wording::printable(&report.program.model),
            &lead(report),
            &facts(report),
            &sections,
        )
    }

    /// The charts as sections of a page, and the layers as a table with all that is known of each.
    fn sections(&self) -> [Vec<Section>; 2] {
        let captions = [
            "Each circle is a layer, its area the layer's cycles. Up: multiply-accumulates per cycle, of the cycles that the unit which multiplies gave to it. Across: multiply-accumulates per byte of DRAM. Lines: what the units reach at the widths in use, and what the DRAM bus allows; a layer whose bytes came while others ran may stand above it. Layers without DRAM bytes stand at the right edge.",
            "The cycles of a layer are a window of the run that no other layer shares. Its bar says what the engine that multiplies for it did in that window, bucket by bucket, as the report counts them.",
            "Whole bursts, without instruction words.",
            "Which rows hold a value still to be read, and which layer loaded or computed it. A cell shows what occupies most of it. The strip above says which layer's cycles these are; below, bytes in use.",
            "Share of each engine's cycles by bucket.",
            "Bytes granted by the DRAM bus, with instruction words; the line is its bandwidth.",
        ];
        let charts = self.charts().into_iter().zip(captions);
        let charts = charts.map(|(chart, caption)| Section::chart(&chart, caption));
        let layers = &self.explanation.layers;
        let text = "<p class=\"soft\">A name leads to what <code>qcc explain PROG.bin LAYER</code> says of the layer; a click on a head sorts. <code>qsim diff A.bin B.bin</code> compares two programs layer by layer.</p>\n";
        let table = format!("{text}{}{}", table(layers, true), glossary());
        let hardware = &self.program.hardware;
        let last = vec![
            Section { title: "Layers".into(), id: "layers", body: table },
            Section {
                title: "Why each layer takes as long as it does".into(),
                id: "details",
                body: details(layers, hardware),
            },
        ];
        [charts.collect(), last]
    }

    /// The table of the layers, their roofline and the memory over time, for a page about many runs.
    #[must_use]
    pub fn fragment(&self) -> String {
        let charts = [self.roofline(), self.memory()];
        let [roofline, memory] = charts.map(|chart| {
            format!("<h3>{}</h3>\n<div class=\"scroll\">{}</div>\n", chart.title, chart.svg)
        });
        format!("{roofline}{memory}<h3>Layers</h3>\n{}", table(&self.explanation.layers, false))
    }
}
