//! `qsim --html` and `--svg`: the page says what the report says, and every chart is a file.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use common::{Folder, network};
use serde_json::Value;

/// The page, and the report as JSON, of a run with data on so many threads.
fn page(folder: &Folder, threads: &str) -> (String, Value) {
    let test = network("test.npz");
    let args = ["p.bin", "--quiet", "--data", &test, "--float", "net.onnx", "--check"];
    let to = ["--html", "p.html", "--svg", "charts", "--format", "json"];
    let mut command = folder.command("qsim", &[&args[..], &to[..]].concat());
    let output = command.env("RAYON_NUM_THREADS", threads).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = String::from_utf8(folder.read("p.html")).unwrap();
    (page, serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn a_page_says_what_the_report_says_and_every_chart_is_a_file() {
    let folder = Folder::with_program("pages");
    let (html, report) = page(&folder, "2");
    let cycles = report["cycles"]["total"].as_u64().unwrap();
    let grouped = format!("{},{:03}", cycles / 1000, cycles % 1000);
    assert!(html.contains(&format!("<dt>cycles</dt><dd>{grouped}</dd>")), "{html}");
    let top1 = 100.0 * report["accuracy"]["top1"].as_f64().unwrap();
    assert!(html.contains(&format!("<dt>top-1</dt><dd>{top1:.1}%</dd>")));
    assert!(html.contains("<dt>check</dt><dd>bit-exact</dd>"));
    for layer in report["layers"].as_array().unwrap() {
        let name = layer["node"].as_str().unwrap();
        // In the table, and what `qcc explain` says.
        assert!(
            html.contains(&format!("\">{name}</a></td>")) && html.contains("distance to the bound")
        );
        let cycles = layer["cycles"].as_u64().unwrap();
        assert!(html.contains(&format!("<td data-v=\"{cycles}\">")), "{name}");
    }
    let mut names: Vec<String> = (std::fs::read_dir(folder.file("charts")).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let charts = ["cycles", "dram", "engines", "loss", "memory", "roofline", "traffic"];
    assert_eq!(names, charts.map(|name| format!("{name}.svg")));
    for name in names {
        let svg = String::from_utf8(folder.read(&format!("charts/{name}"))).unwrap();
        let inside = svg.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").unwrap();
        assert!(html.contains(inside.trim_end()), "{name} is another chart than that of the page");
    }
    // The shares of all layers by kind, in the caption, are those of the whole.
    let caption = html.split_once("samples: weight rounding ").unwrap().1;
    let parts = caption.split_once("%. The outputs").unwrap().0.split("%, ");
    let share = |part: &str| part.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
    let sum: f64 = parts.map(share).sum();
    assert!((sum - 100.0).abs() < 0.3, "{sum}");
    assert!(!html.contains("do not explain the whole"));
    assert_eq!(page(&folder, "1").0, html);
}

#[test]
fn without_values_there_is_a_page_of_time() {
    let folder = Folder::with_program("pages-time");
    let output = folder.qsim(&["p.bin", "-q", "--timing-only", "--html", "-"]);
    let html = String::from_utf8(output.stdout).unwrap();
    assert!(html.contains("<h2>Roofline of the layers</h2>"));
    assert!(!html.contains("<dt>top-1</dt>") && !html.contains("<dt>check</dt>"));
    let said = folder.refused("qsim p.bin --inject weights --html p.html");
    assert!(said.contains("cannot be used with '--html <FILE.html>'"), "{said}");
    let said = folder.refused("qsim p.bin --svg p.bin/charts");
    assert!(said.contains("p.bin/charts: cannot be made"), "{said}");
}
