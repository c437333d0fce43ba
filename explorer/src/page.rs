//! The report of a sweep for people: one HTML file that needs nothing else, with pictures of the front, all points, for each point what it
//! is and what beats it, and for points of the front how they run.

mod chart;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use charts::{SCRIPT as CHARTS_SCRIPT, STYLE as CHARTS_STYLE, escaped, filled};
use serde_json::{Map, Value as Json, json};

use crate::front::{Front, shown};
use crate::pareto::dominates;
use crate::space::{Direction, Space};
use crate::sweep::{QCC, Row};
pub use chart::chart;

/// Most points in the file; of more, the front and an even choice of the others.
const MOST_POINTS: usize = 20_000;

/// Most points of the front whose run is shown.
const MOST_RUNS: usize = 64;

/// Most points of the front in the table that needs no script.
const MOST_LISTED: usize = 200;

const HTML: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// What the file says about the sweep beside its points.
#[derive(Clone, Debug)]
pub struct About {
    /// Name of the network.
    pub network: String,
    /// Samples that were measured.
    pub samples: u64,
    /// How points were chosen.
    pub search: String,
}

/// The points whose runs the report shows: of a large front an even choice, its ends among them.
#[must_use]
pub fn shown_runs(front: &Front<'_>) -> Vec<u64> {
    let best: Vec<u64> = front.rows().map(|row| row.point).collect();
    let count = best.len().min(MOST_RUNS);
    (0..count).map(|i| best[i * (best.len() - 1) / (count - 1).max(1)]).collect()
}

/// The report, as HTML. `runs` holds what [`charts::Run::fragment`] shows of points; those of [`shown_runs`] are put in.
#[must_use]
pub fn page(space: &Space, rows: &[Row], about: &About, runs: &BTreeMap<u64, String>) -> String {
    let front = Front::of(space, rows);
    let better = |d| if d == Direction::Max { "most" } else { "least" };
    let wanted: Vec<String> =
        space.objectives.iter().map(|o| format!("{} {}", better(o.direction), o.key)).collect();
    let constraints: Vec<&str> = space.constraints.iter().map(|c| c.text.as_str()).collect();
    let constraints = match constraints.is_empty() {
        true => String::new(),
        false => format!(" Kept to: {}.", constraints.join(", ")),
    };
    let facts = format!("{} samples, {}.", about.samples, about.search);
    let pairs = [
        ("title", escaped(&format!("{}: bit widths and machines", about.network))),
        ("summary", escaped(&front.summary())),
        ("wanted", escaped(&wanted.join(", "))),
        ("constraints", escaped(&constraints)),
        ("about", escaped(&facts)),
        ("chart", chart(space, rows, &front).svg),
        ("front", table(space, &front)),
        ("runs", templates(&front, runs)),
        ("style", format!("{CHARTS_STYLE}{STYLE}")),
        ("script", format!("{CHARTS_SCRIPT}{SCRIPT}")),
        // No text of a user can end the script that holds it.
        ("data", data(space, rows, &front).to_string().replace('<', "\\u003c")),
    ];
    filled(HTML, &pairs)
}

/// The runs of points, for the script to show.
fn templates(front: &Front<'_>, runs: &BTreeMap<u64, String>) -> String {
    let shown = shown_runs(front).into_iter();
    let found = shown.filter_map(|point| Some((point, runs.get(&point)?)));
    found.fold(String::new(), |mut text, (point, run)| {
        let _ = writeln!(text, "<template id=\"run-{point}\">{run}</template>");
        text
    })
}

/// Everything the script draws.
fn data(space: &Space, rows: &[Row], front: &Front<'_>) -> Json {
    let best: Vec<&Row> = front.rows().collect();
    let points: BTreeSet<u64> = best.iter().map(|row| row.point).collect();
    let on_front = |row: &Row| points.contains(&row.point);
    let stride = rows.len().div_ceil(MOST_POINTS).max(1);
    let chosen: Vec<&Row> = (rows.iter().enumerate())
        .filter(|(i, row)| i % stride == 0 || on_front(row))
        .map(|(_, row)| row)
        .collect();
    let objects: Vec<Map<String, Json>> = chosen.iter().map(|row| row.object()).collect();
    let axes: Vec<&str> = space.axes.iter().map(|axis| axis.name.as_str()).collect();
    let measured = |key: &&str| objects.iter().any(|object| !object[*key].is_null());
    let keys = space.keys().into_iter().filter(measured);
    let columns: Vec<&str> =
        ["point"].into_iter().chain(axes.iter().copied()).chain([QCC]).chain(keys).collect();
    let lines = chosen.iter().zip(&objects).map(|(row, object)| {
        let on_front = on_front(row);
        let by = if on_front { None } else { beaten_by(space, row, &best) };
        json!({
            "values": columns.iter().map(|column| &object[*column]).collect::<Vec<_>>(),
            "front": on_front,
            "kept": row.is_feasible(),
            "violates": object["violates"],
            "error": object["error"],
            "by": by.map(|row| row.point),
        })
    });
    let lines: Vec<Json> = lines.collect();
    let objectives = space.objectives.iter().map(|o| {
        json!({ "key": o.key, "direction": if o.direction == Direction::Max { "max" } else { "min" } })
    });
    let objectives: Vec<Json> = objectives.collect();
    json!({ "columns": columns, "axes": axes, "objectives": objectives, "rows": lines })
}

/// Of the points of the front that beat `row`, the one that differs from it on the fewest axes.
fn beaten_by<'r>(space: &Space, row: &Row, best: &[&'r Row]) -> Option<&'r Row> {
    let costs = row.costs.as_ref().filter(|_| row.is_feasible())?;
    let values = space.values(row.point);
    let beats = |other: &&&Row| other.costs.as_ref().is_some_and(|better| dominates(better, costs));
    let distance = |other: &&&Row| {
        space.values(other.point).iter().zip(&values).filter(|(a, b)| a != b).count()
    };
    best.iter().filter(beats).min_by_key(distance).copied()
}

/// The front as a table that needs no script.
fn table(space: &Space, front: &Front<'_>) -> String {
    let axes = space.axes.iter().map(|axis| axis.name.as_str());
    let objectives = space.objectives.iter().map(|o| o.key.as_str());
    let columns: Vec<&str> = ["point"].into_iter().chain(axes).chain(objectives).collect();
    let mut text = String::from("<table>\n<thead><tr>");
    for column in &columns {
        let _ = write!(text, "<th scope=\"col\">{}</th>", escaped(column));
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for row in front.rows().take(MOST_LISTED) {
        let found = row.object();
        let _ = write!(text, "<tr class=\"front\" data-point=\"{}\">", row.point);
        for column in &columns {
            let _ = write!(text, "<td>{}</td>", escaped(&shown(&found[*column])));
        }
        text.push_str("</tr>\n");
    }
    text + "</tbody>\n</table>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_large_front_an_even_choice_of_runs_is_shown() {
        let text = "[axes]\nscratchpad_kib = { from = 1, to = 200, step = 1 }\n[objectives]\narea.lut4 = \"min\"\ncycles.total = \"min\"\n";
        let space = Space::parse(text).unwrap();
        let row = |point: u64| {
            let value = serde_json::to_value(space.values(point)[0]).unwrap();
            let object = json!({ "point": point, "scratchpad_kib": value, "area.lut4": point, "cycles.total": 1000 - point, "violates": [], "error": null });
            Row::parse(&space, &object.to_string()).unwrap()
        };
        let shown = |count: u64| {
            let rows: Vec<Row> = (0..count).map(row).collect();
            shown_runs(&Front::of(&space, &rows))
        };
        assert_eq!((shown(0), shown(1), shown(64)), (vec![], vec![0], (0..64).collect()));
        let many = shown(200);
        assert_eq!((many.len(), many[0], many[63]), (MOST_RUNS, 0, 199));
        assert!(many.windows(2).all(|pair| pair[0] < pair[1]), "{many:?}");
    }

    #[test]
    fn a_page_holds_its_points_and_nothing_from_elsewhere() {
        let text = "[axes]\nweight_bits = [2, 4, 8]\nlayer_bits.\"</script>{data}\" = [8]\n[objectives]\naccuracy.top1 = \"max\"\ncycles.total = \"min\"\n[constraints]\naccuracy.top1 = \">= 0.5\"\n";
        let space = Space::parse(text).unwrap();
        let row = |point: u64, top1: f64, cycles: u64| {
            let mut object = Map::new();
            object.insert("point".into(), point.into());
            for (axis, value) in space.axes.iter().zip(space.values(point)) {
                object.insert(axis.name.clone(), serde_json::to_value(value).unwrap());
            }
            object.insert(QCC.into(), space.flags(point, &Default::default()).into());
            for key in space.keys() {
                object.insert(key.into(), Json::Null);
            }
            object.insert("accuracy.top1".into(), top1.into());
            object.insert("cycles.total".into(), cycles.into());
            object.insert("violates".into(), Json::Array(Vec::new()));
            object.insert("error".into(), Json::Null);
            Row::parse(&space, &serde_json::to_string(&object).unwrap()).unwrap()
        };
        let rows = [row(0, 0.4, 10), row(1, 0.9, 20), row(2, 0.8, 30)];
        let about = About { network: "a <b>".into(), samples: 7, search: "grid".into() };
        let runs = BTreeMap::from([(1, "<p>run of 1</p>".to_owned()), (2, "of 2".to_owned())]);
        let html = page(&space, &rows, &about, &runs);
        assert!(html.contains("<title>a &lt;b&gt;: bit widths"), "{html}");
        // The name of SVG, in the script and in the picture, and nothing that a browser would ask for.
        assert_eq!(
            html.matches("http").count(),
            html.matches("http://www.w3.org/2000/svg").count()
        );
        assert!(["src=", "url(", "@import"].iter().all(|part| !html.contains(part)));
        assert_eq!(html.matches("</script>").count(), 2);
        let json = html.split_once("id=\"data\">").unwrap().1.split_once("</script>").unwrap().0;
        let data: Json = serde_json::from_str(json).unwrap();
        let of = |key: &str| -> Vec<Json> {
            data["rows"].as_array().unwrap().iter().map(|row| row[key].clone()).collect()
        };
        assert_eq!(of("front"), [json!(false), json!(true), json!(false)]);
        assert_eq!(of("kept"), [json!(false), json!(true), json!(true)]);
        assert_eq!(of("by"), [Json::Null, Json::Null, json!(1)]);
        assert!(data["columns"].as_array().unwrap().contains(&json!("layer_bits.</script>{data}")));
        assert!(html.contains("<tr class=\"front\" data-point=\"1\"><td>1</td><td>4</td>"));
        // Point 2 is not on the front, so its run is not shown; the picture has all three.
        assert!(html.contains("<template id=\"run-1\"><p>run of 1</p></template>"));
        assert_eq!(html.matches("<template").count(), 1);
        let svg = chart(&space, &rows, &Front::of(&space, &rows)).svg;
        assert!(html.contains(&svg) && svg.contains("layer_bits.&lt;/script&gt;{data} = 8"));
        assert_eq!(svg.matches("class=\"mark front\"").count(), 1);
        assert_eq!(svg.matches("data-point").count(), 3);
    }
}
