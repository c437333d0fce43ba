//! Stacked bars: one for each layer, from left to right.

use crate::scale::Scale;
use crate::svg::{Anchor, Chart, Svg, fitting, number};

const WIDTH: f64 = 760.0;
const LABELS: f64 = 210.0;
const ROW: f64 = 17.0;

/// Most bars that are drawn; of more, the longest.
const MOST: usize = 80;

/// What the parts of one color stand for.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its color.
    pub color: &'static str,
}

/// One bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What it stands for.
    pub name: String,
    /// Number of the layer it stands for, which a page links to.
    pub layer: Option<u64>,
    /// Length of each part, in the order of the series.
    pub parts: Vec<f64>,
    /// A length that is marked.
    pub mark: Option<f64>,
}

impl Bar {
    fn length(&self) -> f64 {
        self.parts.iter().sum()
    }
}

/// A chart of stacked bars.
#[derive(Clone, Debug)]
pub struct Bars<'a> {
    /// Name of its file.
    pub name: &'static str,
    /// What it shows.
    pub title: &'a str,
    /// What lengths are.
    pub unit: &'a str,
    /// How a length is written.
    pub written: fn(f64) -> String,
    /// What parts are.
    pub series: Vec<Series>,
    /// What marks are.
    pub marks: Option<&'a str>,
    /// The bars from top to bottom.
    pub bars: Vec<Bar>,
}

impl Bars<'_> {
    /// Draws it. Of many bars the longest are drawn, in their order, and a line says what is left out.
    #[must_use]
    pub fn chart(&self) -> Chart {
        let (shown, left_out) = self.chosen();
        let used = |i: usize| shown.iter().any(|bar| bar.parts.get(i).is_some_and(|v| *v > 0.0));
        let legend: Vec<(&str, &str)> = (self.series.iter().enumerate())
            .filter(|(i, _)| used(*i))
            .map(|(_, series)| (series.color, series.name.as_str()))
            .collect();
        let mut svg = Svg::new(WIDTH);
        let mut top = svg.legend([0.0, 0.0], &legend);
        if let Some(marks) = self.marks {
            svg.raw(&tick(5.0, top + 2.0));
            svg.text([14.0, top + 11.0], Anchor::Start, marks);
            top += ROW;
        }
        top += 18.0;
        let most = shown.iter().map(|bar| bar.length().max(bar.mark.unwrap_or(0.0)));
        let x = Scale::from_zero(most.fold(0.0, f64::max), [LABELS, WIDTH - 16.0]);
        let bottom = top + ROW * shown.len() as f64;
        for (at, text) in x.ticks(5) {
            svg.line([at, top - 3.0], [at, bottom + 2.0]);
            svg.text([at, top - 7.0], Anchor::Middle, &text);
        }
        svg.text([0.0, top - 7.0], Anchor::Start, self.unit);
        for (i, bar) in shown.iter().enumerate() {
            self.bar(&mut svg, bar, top + ROW * i as f64, x);
        }
        let mut height = bottom + 4.0;
        if let Some((count, length)) = left_out {
            let text = format!("and {count} shorter ones, together {}", (self.written)(length));
            svg.text([LABELS, height + 11.0], Anchor::Start, &text);
            height += ROW;
        }
        svg.finish(self.name, self.title, height)
    }

    /// The longest bars in their order; how many more there are, and how long together.
    fn chosen(&self) -> (Vec<&Bar>, Option<(usize, f64)>) {
        let mut by_length: Vec<usize> = (0..self.bars.len()).collect();
        by_length.sort_by(|&a, &b| self.bars[b].length().total_cmp(&self.bars[a].length()));
        let rest = by_length.split_off(by_length.len().min(MOST));
        by_length.sort_unstable();
        let length = rest.iter().map(|&i| self.bars[i].length()).sum();
        let left_out = (!rest.is_empty()).then_some((rest.len(), length));
        (by_length.into_iter().map(|i| &self.bars[i]).collect(), left_out)
    }

    fn bar(&self, svg: &mut Svg, bar: &Bar, top: f64, x: Scale) {
        svg.strong([0.0, top + 12.0], Anchor::Start, &fitting(&bar.name, LABELS - 10.0));
        let link = bar.layer.map_or_else(String::new, |layer| format!(" data-layer=\"{layer}\""));
        let total = bar.length();
        let mut sum = 0.0;
        for (part, series) in bar.parts.iter().zip(&self.series) {
            if *part <= 0.0 {
                continue;
            }
            let (start, end) = (x.at(sum), x.at(sum + part));
            sum += part;
            let tip = format!(
                "{}\n{}: {} ({:.1}% of {})",
                bar.name,
                series.name,
                (self.written)(*part),
                100.0 * part / total,
                (self.written)(total)
            );
            let area = [start, top + 2.0, end - start, ROW - 4.0];
            svg.mark(area, series.color, &link, &tip);
        }
        if let Some(mark) = bar.mark {
            svg.raw(&tick(x.at(mark), top + 1.0));
        }
    }
}

/// A small upright line.
fn tick(x: f64, top: f64) -> String {
    let (x, top, length) = (number(x), number(top), number(ROW - 3.0));
    format!(
        "<path class=\"limit\" d=\"M{x} {top}v{length}\" stroke=\"#1d2430\" stroke-width=\"2\"/>"
    )
}
