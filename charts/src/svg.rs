//! An SVG document in the making.

use std::fmt::Write as _;

/// Color of text, of lines of axes, and of the paper where it shows between marks.
pub(crate) const INK: &str = "#1d2430";
pub(crate) const SOFT: &str = "#5b6675";
pub(crate) const LINE: &str = "#d8dde4";

/// Units per character of text, a little more than most are wide.
const CHARACTER: f64 = 6.4;

/// A drawn chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// Name of its file, without an ending.
    pub name: &'static str,
    /// What it shows, for people.
    pub title: String,
    /// The `<svg>` element, as it stands in a page.
    pub svg: String,
}

impl Chart {
    /// The file of the chart alone.
    #[must_use]
    pub fn file(&self) -> String {
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", self.svg)
    }
}

/// Text as HTML and SVG show it: nothing in it can end an element or an attribute, and no control character is left.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push('\n'),
            c if c.is_control() || c == '\u{fffe}' || c == '\u{ffff}' => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

/// A coordinate, to a tenth of a unit.
pub(crate) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// Where text stands beside its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// The elements so far.
#[derive(Debug)]
pub(crate) struct Svg {
    width: f64,
    body: String,
}

impl Svg {
    pub(crate) fn new(width: f64) -> Svg {
        Svg { width, body: String::new() }
    }

    /// The chart, `height` high.
    pub(crate) fn finish(self, name: &'static str, title: &str, height: f64) -> Chart {
        let (w, h) = (number(self.width), number(height));
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" role=\"img\" aria-label=\"{}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\">\n{}</svg>",
            escaped(title),
            self.body
        );
        Chart { name, title: title.to_owned(), svg }
    }

    /// Elements as they are; names in them are escaped by the caller.
    pub(crate) fn raw(&mut self, elements: &str) {
        self.body.push_str(elements);
        self.body.push('\n');
    }

    pub(crate) fn text(&mut self, at: [f64; 2], anchor: Anchor, text: &str) {
        self.words(at, anchor, SOFT, text);
    }

    /// Text that matters more.
    pub(crate) fn strong(&mut self, at: [f64; 2], anchor: Anchor, text: &str) {
        self.words(at, anchor, INK, text);
    }

    fn words(&mut self, [x, y]: [f64; 2], anchor: Anchor, color: &str, text: &str) {
        // Text under a tick at the edge would reach beyond it.
        let half = CHARACTER * text.chars().count() as f64 / 2.0;
        let inside = x.min(self.width - half).max(half);
        let (x, anchor) = match anchor {
            Anchor::Start => (x, ""),
            Anchor::Middle => (inside, " text-anchor=\"middle\""),
            Anchor::End => (x, " text-anchor=\"end\""),
        };
        let (x, y) = (number(x), number(y));
        let class = if color == INK { "ink" } else { "soft" };
        let _ = writeln!(
            self.body,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\"{anchor} fill=\"{color}\">{}</text>",
            escaped(text)
        );
    }

    /// A line of an axis or a grid.
    pub(crate) fn line(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) {
        let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(number);
        let _ = writeln!(
            self.body,
            "<path class=\"grid\" d=\"M{x1} {y1}L{x2} {y2}\" stroke=\"{LINE}\" fill=\"none\"/>"
        );
    }

    /// A filled rectangle `[x, y, width, height]` with what it stands for.
    pub(crate) fn mark(&mut self, area: [f64; 4], color: &str, extra: &str, tip: &str) {
        let [x, y, w, h] = area.map(number);
        let _ = writeln!(
            self.body,
            "<rect class=\"mark\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"{color}\"{extra}><title>{}</title></rect>",
            escaped(tip)
        );
    }

    /// Swatches with their names, from left to right, on as many lines as they take; the height of all.
    pub(crate) fn legend(&mut self, [left, top]: [f64; 2], items: &[(&str, &str)]) -> f64 {
        let (mut x, mut y) = (left, top);
        for (color, name) in items {
            let width = 22.0 + CHARACTER * name.chars().count() as f64;
            if x > left && x + width > self.width {
                (x, y) = (left, y + 17.0);
            }
            let (at_x, at_y) = (number(x), number(y + 2.0));
            let _ = writeln!(
                self.body,
                "<rect x=\"{at_x}\" y=\"{at_y}\" width=\"10\" height=\"10\" fill=\"{color}\"/>"
            );
            self.text([x + 14.0, y + 11.0], Anchor::Start, name);
            x += width;
        }
        y + 17.0 - top
    }
}

/// At most so many characters as fit in `width` units; the end is kept, since names differ there.
pub(crate) fn fitting(name: &str, width: f64) -> String {
    simulator::wording::cut(&simulator::wording::printable(name), (width / CHARACTER) as usize)
}
