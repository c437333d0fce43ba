//! The page: one file of HTML that needs no other file and no network, for desks, phones and paper.

use std::fmt::Write as _;

use crate::svg::{Chart, escaped};

/// Style of pages with charts.
pub const STYLE: &str = include_str!("page/page.css");

/// Script of pages with charts: tips, tables that sort, links from marks to the layers they stand for. It does nothing that a reader without
/// scripts would miss.
pub const SCRIPT: &str = include_str!("page/page.js");

const HTML: &str = include_str!("page/page.html");

/// A number that stands at the top.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    /// What it is.
    pub(crate) name: String,
    /// The number with its unit.
    pub(crate) value: String,
    /// What to compare it with, or where it is from; may be empty.
    pub(crate) note: String,
}

/// A part of a page.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its head.
    pub title: String,
    /// Its name in links.
    pub id: &'static str,
    /// HTML; names in it are escaped.
    pub body: String,
}

impl Section {
    /// A chart with what it shows.
    #[must_use]
    pub fn chart(chart: &Chart, caption: &str) -> Section {
        let body = format!(
            "<figure><div class=\"scroll\">{}</div>\n<figcaption>{}</figcaption></figure>\n",
            chart.svg,
            escaped(caption)
        );
        Section { title: chart.title.clone(), id: chart.name, body }
    }
}

/// A page. `lead` is text under the title.
pub(crate) fn page(title: &str, lead: &str, facts: &[Fact], sections: &[Section]) -> String {
    let mut numbers = String::new();
    for Fact { name, value, note } in facts {
        let [name, value, note] = [name, value, note].map(|text| escaped(text));
        let _ = writeln!(
            numbers,
            "<div><dt>{name}</dt><dd>{value}</dd><dd class=\"soft\">{note}</dd></div>"
        );
    }
    let mut links = String::new();
    let mut body = String::new();
    for Section { title, id, body: inside } in sections {
        let title = escaped(title);
        let _ = write!(links, "<a href=\"#{id}\">{title}</a> ");
        let _ = write!(body, "<section id=\"{id}\">\n<h2>{title}</h2>\n{inside}</section>\n");
    }
    let pairs = [
        ("title", escaped(title)),
        ("lead", escaped(lead)),
        ("facts", numbers),
        ("links", links),
        ("sections", body),
        ("style", STYLE.to_owned()),
        ("script", SCRIPT.to_owned()),
    ];
    filled(HTML, &pairs)
}

/// A template with the text of each `{name}`, in one pass, so that braces in what is filled in stay as they are.
#[must_use]
pub fn filled(template: &str, pairs: &[(&str, String)]) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let found = pairs
            .iter()
            .find_map(|(name, text)| Some((text, after.strip_prefix(name)?.strip_prefix('}')?)));
        match found {
            Some((text, behind)) => {
                out.push_str(text);
                rest = behind;
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out + rest
}
