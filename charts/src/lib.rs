//! What a run looks like: charts as SVG, and a page of HTML that holds them.
//!
//! A chart is drawn once, in Rust. In a page it stands as it is, where a small script shows what each mark stands for; in a file of its own
//! it is a picture for a paper, with its colours and fonts in attributes that any program reads. Marks bear their text as `<title>`, so that a
//! browser without scripts shows it too. Equal runs are drawn with equal bytes.

mod bars;
mod color;
mod facts;
mod memory;
mod page;
mod roofline;
mod run;
mod scale;
mod scatter;
mod svg;
mod table;
mod timeline;

#[cfg(test)]
mod tests;

pub use bars::{Bar, Bars, Series};
pub use page::{SCRIPT, STYLE, Section, filled};
pub use run::Run;
pub use scatter::{Grade, Point, Scatter, Variable};
pub use svg::{Chart, escaped};
