//! Whole charts and pages, of a program from `programs/asm`.

use isa::Program;
use isa::program::{NodeInfo, Unit};
use simulator::explain::Explanation;
use simulator::report::{ProgramFile, Report};

use super::*;

/// A name that would end the element, the attribute and the script that hold it.
const HOSTILE: &str = "<script>\"'&\u{1b}</title>";

/// The matrix product, with its words given to a layer.
fn program(name: &str) -> Program {
    let mut program = isa::asm::assemble(include_str!("../../programs/asm/matmul.qasm")).unwrap();
    program.meta.model = name.to_owned();
    program.nodes = vec![NodeInfo {
        name: name.to_owned(),
        op: "MatMul".to_owned(),
        macs: 12,
        unit: Unit::Array,
        weight_bits: 8,
        act_bits: 8,
        tile: name.to_owned(),
    }];
    for note in program.code.iter_mut().flat_map(|section| &mut section.notes) {
        note.node = 0;
    }
    program
}

fn drawn(program: &Program) -> (Vec<Chart>, String) {
    let file = ProgramFile::default();
    let explanation = Explanation::new(program, &program.hardware, &file).unwrap();
    let timing = timing::run(program, timing::Mode::Event).unwrap();
    let report = Report::new(program, &program.hardware, &file, &timing).unwrap();
    let run = Run::new(program, &explanation).unwrap();
    (run.charts(), run.page(&report, Vec::new()))
}

/// Checks that elements nest, and that attributes are quoted; the names of all elements.
fn elements(text: &str) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, behind) = after.split_once('>').unwrap();
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        rest = behind;
        let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap().to_owned();
        if tag.starts_with(['!', '?']) || ["meta"].contains(&name.as_str()) {
            continue;
        }
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "closed here: {tag}");
        } else {
            names.push(name.clone());
            if name == "script" || name == "style" {
                let end = format!("</{name}>");
                rest = rest.split_once(&end).unwrap().1;
            } else if !tag.ends_with('/') {
                open.push(name);
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
    names
}

#[test]
fn every_chart_draws_the_run() {
    let (charts, _) = drawn(&program("product"));
    let names: Vec<&str> = charts.iter().map(|chart| chart.name).collect();
    assert_eq!(names, ["roofline", "cycles", "traffic", "memory", "engines", "dram"]);
    for chart in charts {
        let found = elements(&chart.file());
        let marks = chart.svg.matches("class=\"mark\"").count();
        assert!(found[0] == "svg" && marks > 0, "{}", chart.name);
        assert!(!chart.svg.contains("NaN") && !chart.svg.contains("inf"), "{}", chart.svg);
    }
}

#[test]
fn text_under_a_tick_stays_inside_the_chart() {
    let mut svg = svg::Svg::new(100.0);
    for x in [2.0, 50.0, 99.0] {
        svg.text([x, 10.0], svg::Anchor::Middle, "1234567890");
    }
    let drawn = svg.finish("t", "t", 20.0).svg;
    for x in ["x=\"32\"", "x=\"50\"", "x=\"68\""] {
        assert!(drawn.contains(x), "{drawn}");
    }
}

#[test]
fn bars_say_how_long_each_part_is() {
    let (charts, _) = drawn(&program("product"));
    let traffic = &charts[2].svg;
    // Two rows of inputs, weights, parameters and outputs, in whole bursts of 64 bytes.
    for class in ["inputs", "weights", "params", "outputs"] {
        assert!(traffic.contains(&format!("product\n{class}: 64 B (25.0% of 256 B)")), "{traffic}");
    }
}

#[test]
fn the_roofline_has_a_ceiling_for_each_width_in_use() {
    let mut program = program("product");
    let of = |program: &Program| drawn(program).0.remove(0).svg;
    assert!(of(&program).contains("array, 8-bit weights: 64 MACs/cycle"));
    program.nodes[0].weight_bits = 4;
    let narrow = of(&program);
    assert!(narrow.contains("array, 4-bit weights: 128 MACs/cycle"));
    assert_eq!(narrow.matches("class=\"ceiling\"").count(), 1);
}

#[test]
fn a_page_needs_nothing_else_and_no_name_can_break_it() {
    let (charts, page) = drawn(&program(HOSTILE));
    for text in charts.iter().map(|chart| &chart.svg).chain([&page]) {
        assert!(!text.contains('\u{1b}') && !text.contains("<script>\""), "{text}");
        elements(text);
    }
    assert_eq!(elements(&page).iter().filter(|name| *name == "script").count(), 1);
    assert!(
        page.contains("<title>&lt;script&gt;&quot;&#39;&amp;?&lt;/title&gt;</title>"),
        "{page}"
    );
    assert!(["src=\"", "url(", "@import", "href=\"http"].iter().all(|part| !page.contains(part)));
    let others = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!others.contains("http"));
}

#[test]
fn a_program_without_layers_has_a_page() {
    let mut program = program("product");
    program.nodes.clear();
    for note in program.code.iter_mut().flat_map(|section| &mut section.notes) {
        note.node = u32::MAX;
    }
    let (charts, page) = drawn(&program);
    elements(&page);
    assert_eq!(charts.len(), 6);
}

#[test]
fn points_of_three_objectives_stand_in_three_plots() {
    let variable =
        |name: &str| Variable { name: name.to_owned(), more_is_better: Some(name == "a") };
    let point = |number, values: [f64; 3], grade| Point {
        number,
        values: values.to_vec(),
        grade,
        tip: HOSTILE.to_owned(),
    };
    let points = vec![
        point(1, [0.9, 1e3, 5.0], Grade::Front),
        point(2, [0.8, 1e5, 6.0], Grade::Beaten),
        point(3, [f64::NAN, 1e5, 6.0], Grade::Broken),
    ];
    let scatter = |variables: Vec<Variable>| Scatter {
        name: "front",
        title: "Front",
        variables,
        points: points.clone(),
    };
    let svg = scatter(["a", "b", "c"].map(variable).into()).chart().svg;
    elements(&svg);
    let dots = |point: u64| svg.matches(&format!("data-point=\"{point}\"")).count();
    assert_eq!((dots(1), dots(2), dots(3)), (3, 3, 1));
    let single = scatter(vec![variable("a")]).chart().svg;
    assert_eq!(single.matches("data-point=\"1\"").count(), 1);
}
