//! Keys, sums, and the three forms of a report.

use std::collections::BTreeSet;

use serde_json::Value;
use timing::{Bucket, Mode, Timing};

use super::*;
use crate::sample;

fn file() -> ProgramFile {
    ProgramFile { hash: "ab".repeat(32), bytes: 4321, schema: 1 }
}

fn timed() -> (isa::Program, Timing) {
    let program = sample::program();
    let timing = timing::run(&program, Mode::Stepped).unwrap();
    (program, timing)
}

fn report() -> Report {
    let (program, timing) = timed();
    Report::new(&program, &program.hardware, &file(), &timing).unwrap()
}

/// A report in which nothing is `null`.
fn full_report() -> Report {
    let mut report = report();
    report.accuracy = Accuracy {
        samples: Some(1000),
        top1: Some(0.7134),
        top5: Some(0.9),
        reference_top1: Some(0.72),
        agreement: Some(0.98),
        sqnr_db: Some(31.25),
    };
    let first = Mismatch {
        node: "/conv1/Conv".to_owned(),
        tensor: "y".to_owned(),
        sample: 3,
        position: vec![1, 2, 3],
        found: -5,
        expected: -4,
    };
    report.check = Check {
        bit_exact: Some(false),
        layers: Some(2),
        mismatches: Some(17),
        first_mismatch: Some(first),
    };
    let word = |engine: &str, text: &str| Word {
        engine: engine.to_owned(),
        index: 7,
        text: text.to_owned(),
        node: Some("/conv1/Conv".to_owned()),
    };
    report.orders = Orders {
        run: Some(40),
        differing: Some(3),
        race: Some(Race {
            early: word("mxu", "mxu.conv page=0"),
            late: word("vpu", "vpu.drain page=0"),
            place: "tensor `y`".to_owned(),
        }),
    };
    let op = |part: &str| HostOp {
        part: part.to_owned(),
        node: "argmax".to_owned(),
        op: "ArgMax".to_owned(),
        elements: 12,
    };
    report.host = HostWork { ops: vec![op("head"), op("tail")], share: 0.004 };
    report.top5 = vec![
        Top { class: 948, name: Some("Granny Smith".to_owned()), score: 12.25 },
        Top { class: 7, name: None, score: -0.5 },
    ];
    report.layers[1].utilization = Some(0.5);
    report
}

/// Paths of all keys in a JSON value, written as in the key list.
pub(crate) fn paths(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                found.insert(path.clone());
                paths(member, &path, found);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|e| paths(e, &format!("{at}[]"), found)),
        _ => {}
    }
}

fn documented() -> BTreeSet<String> {
    keys().iter().flat_map(Key::paths).collect()
}

#[test]
fn every_key_is_documented_and_every_documented_key_exists() {
    let mut found = BTreeSet::new();
    paths(&serde_json::to_value(full_report()).unwrap(), "", &mut found);
    let documented = documented();
    assert_eq!(found.difference(&documented).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(documented.difference(&found).collect::<Vec<_>>(), Vec::<&String>::new());
    for key in keys() {
        assert!(!key.doc.is_empty() && !key.doc.contains('|'), "{}", key.path);
        let is_number =
            ["integer", "number", "string"].iter().any(|kind| key.kind.starts_with(kind));
        assert!(!is_number || !key.unit.is_empty(), "{} has no unit", key.path);
    }
}

#[test]
fn types_are_as_documented() {
    let value = serde_json::to_value(full_report()).unwrap();
    for key in keys().iter().filter(|key| !key.path.contains("[]")) {
        for path in key.paths() {
            let found = path.split('.').fold(&value, |value, name| &value[name]);
            let kind = match found {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(number) if number.is_f64() => "number",
                Value::Number(_) => "integer",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            };
            assert!(key.kind.split(" or ").any(|documented| documented == kind), "{path}: {kind}");
        }
    }
}

#[test]
fn the_names_of_the_contract_exist() {
    let documented = documented();
    let buckets = [
        "weights",
        "activations",
        "accumulator",
        "params",
        "dram_bandwidth",
        "dram_latency",
        "token",
        "bank",
        "config",
        "queue",
        "fill",
        "drain",
    ];
    let mut names: Vec<String> = [
        "schema_version",
        "cycles.total",
        "cycles.lower_bound.compute",
        "cycles.lower_bound.dram",
        "cycles.lower_bound.total",
        "utilization.mac",
        "traffic.lower_bound_bytes",
        "energy.total_pj",
        "time.us",
        "memory.scratchpad_peak_bytes",
        "memory.weights_bytes",
        "memory.program_bytes",
        "area.lut4",
        "area.dsp",
        "area.ff",
        "accuracy.samples",
        "accuracy.top1",
        "accuracy.top5",
        "accuracy.reference_top1",
        "accuracy.agreement",
        "accuracy.sqnr_db",
        "check.bit_exact",
        "check.layers",
        "check.mismatches",
        "check.first_mismatch",
        "layers[].node",
        "layers[].op",
        "layers[].cycles",
        "layers[].span.first",
        "layers[].span.last",
        "layers[].macs",
        "layers[].utilization",
        "layers[].dram.read_bytes",
        "layers[].tile",
        "layers[].bound",
        "hardware.array_rows",
        "hardware.rounding",
        "program.hash",
        "program.weight_bits",
        "program.act_bits",
        "program.schema",
    ]
    .map(str::to_owned)
    .to_vec();
    for engine in ["load", "mxu", "vpu", "store"] {
        for leaf in ["busy", "idle", "done"] {
            names.push(format!("cycles.engines.{engine}.{leaf}"));
        }
        names.extend(buckets.map(|bucket| format!("cycles.engines.{engine}.wait.{bucket}")));
        names.push(format!("layers[].engines.{engine}.wait.weights"));
    }
    for class in ["total", "weights", "inputs", "outputs", "spills", "params", "instructions"] {
        for leaf in ["read_bytes", "write_bytes", "useful_bytes"] {
            names.push(format!("traffic.dram.{class}.{leaf}"));
        }
    }
    for name in names {
        assert!(documented.contains(&name), "{name}");
    }
}

/// Every bucket of the timing has its key, by name.
#[test]
fn buckets_keep_their_names() {
    let (program, mut timing) = timed();
    for engine in &mut timing.engines {
        *engine = timing::EngineCycles::default();
        for (i, &bucket) in Bucket::ALL.iter().enumerate() {
            engine[bucket] = 1000 + i as u64;
        }
    }
    timing.total_cycles = timing.engines[0].total();
    timing.layers[0].cycles = timing.total_cycles;
    timing.layers[1].cycles = 0;
    let report = Report::new(&program, &program.hardware, &file(), &timing).unwrap();
    let value = serde_json::to_value(&report).unwrap();
    for (i, bucket) in Bucket::ALL.iter().enumerate() {
        let engine = &value["cycles"]["engines"]["mxu"];
        let found = bucket.name().split('.').fold(engine, |value, name| &value[name]);
        assert_eq!(found.as_u64(), Some(1000 + i as u64), "{}", bucket.name());
    }
}

#[test]
fn sums_hold() {
    let (program, timing) = timed();
    let report = Report::new(&program, &program.hardware, &file(), &timing).unwrap();
    assert_eq!(report.layers.iter().map(|layer| layer.cycles).sum::<u64>(), report.cycles.total);
    let classes: u64 = report.traffic.dram.iter().skip(1).map(|(_, moved)| moved.read_bytes).sum();
    assert_eq!(classes, report.traffic.dram.total.read_bytes);
    let written: u64 =
        report.traffic.scratchpad.iter().skip(1).map(|(_, moved)| moved.write_bytes).sum();
    assert_eq!(written, report.traffic.scratchpad.total.write_bytes);
    assert!(report.traffic.lower_bound_bytes <= report.traffic.dram.total.useful_bytes);
    assert!(report.cycles.lower_bound.total < report.cycles.total);
    assert!(report.utilization.mac > 0.0 && report.utilization.mac < 1.0);
    let energy = &report.energy;
    let parts = [
        energy.array_pj,
        energy.vector_pj,
        energy.accumulator_pj,
        energy.scratchpad_pj,
        energy.dram_pj,
    ];
    assert!((parts.iter().sum::<f64>() - energy.total_pj).abs() < 1e-6 * energy.total_pj);
    // Input and weights are in the scratchpad when the convolution reads them.
    assert_eq!(report.memory.scratchpad_peak_bytes, 138 * 16);
    assert_eq!(report.layers[0].dram.useful_bytes, 510);
    assert_eq!(report.layers[1].utilization, None);
}

#[test]
fn time_and_bounds_follow_the_machine_of_the_run() {
    let program = sample::program();
    let hardware =
        isa::Hardware { clock_mhz: 250, dram_bytes_per_cycle: 3, ..program.hardware.clone() };
    let timing =
        timing::run_on(&program, &hardware, Mode::Stepped, &mut timing::NoObserver).unwrap();
    let report = Report::new(&program, &hardware, &file(), &timing).unwrap();
    assert_eq!(report.time.us, timing.total_cycles as f64 / 250.0);
    assert_eq!(report.cycles.lower_bound.dram, 1126u64.div_ceil(3));
    assert_eq!(report.hardware, hardware);
}

#[test]
fn a_timing_that_does_not_add_up_is_refused() {
    let (program, timing) = timed();
    let refused = |change: fn(&mut Timing)| {
        let mut timing = timing.clone();
        change(&mut timing);
        Report::new(&program, &program.hardware, &file(), &timing).unwrap_err().to_string()
    };
    let text = refused(|timing| timing.engines[1][Bucket::WaitBank] += 1);
    assert!(text.starts_with("engine mxu: its buckets hold"), "{text}");
    let text = refused(|timing| timing.layers[0].cycles += 1);
    assert!(text.starts_with("layers have"), "{text}");
    let text = refused(|timing| timing.layers.truncate(1));
    assert!(text.starts_with("timing of 1 nodes for 2 nodes"), "{text}");
    let text = refused(|timing| timing.instructions[3].truncate(0));
    assert!(text.starts_with("engine store: timing of 0 instructions for 3 words"), "{text}");
}

#[test]
fn json_is_read_back_and_key_order_is_stable() {
    for report in [report(), full_report()] {
        let text = report.to_json();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
        let value: Value = serde_json::from_str(&text).unwrap();
        let names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        let order = keys().into_iter().filter(|key| !key.path.contains(['.', '[']));
        assert_eq!(names, order.map(|key| key.path).collect::<Vec<_>>());
    }
}

/// A reader of RFC 4180.
fn parse_csv(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let cell = rows.last_mut().unwrap().last_mut().unwrap();
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.push(chars.next().unwrap()),
            '"' => quoted = !quoted,
            ',' if !quoted => rows.last_mut().unwrap().push(String::new()),
            '\n' if !quoted => rows.push(vec![String::new()]),
            c => cell.push(c),
        }
    }
    assert_eq!(rows.pop(), Some(vec![String::new()]), "the last line ends with a line feed");
    rows
}

#[test]
fn csv_has_one_column_per_key_of_a_layer() {
    let report = report();
    let rows = parse_csv(&report.to_csv());
    let header = &rows[0];
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row.len() == header.len()));
    assert_eq!(header[..5], ["node", "op", "cycles", "span.first", "span.last"]);
    let column = |name: &str| header.iter().position(|found| found == name).unwrap();
    assert_eq!(rows[2][column("node")], "/act, \"1\"/HardSwish");
    assert_eq!(rows[1][column("macs")], "9720");
    assert_eq!(rows[2][column("utilization")], "");
    let busy = report.layers[0].engines.mxu.busy.to_string();
    assert_eq!(rows[1][column("engines.mxu.busy")], busy);
    assert_eq!(header.iter().collect::<BTreeSet<_>>().len(), header.len());
}

#[test]
fn csv_holds_every_key_of_a_layer() {
    let report = full_report();
    let mut leaves = BTreeSet::new();
    let mut objects = BTreeSet::new();
    for layer in &report.layers {
        let value = serde_json::to_value(layer).unwrap();
        let mut found = BTreeSet::new();
        paths(&value, "", &mut found);
        for path in found {
            let is_object = path.split('.').fold(&value, |value, name| &value[name]).is_object();
            if is_object { &mut objects } else { &mut leaves }.insert(path);
        }
    }
    let header: BTreeSet<String> = parse_csv(&report.to_csv())[0].iter().cloned().collect();
    assert_eq!(header, leaves.difference(&objects).cloned().collect());
    let manual = schema_markdown();
    let (_, documented) = manual.split_once("```text\n").unwrap();
    let documented: BTreeSet<String> =
        documented.lines().take_while(|line| *line != "```").map(str::to_owned).collect();
    assert_eq!(header, documented);
}

#[test]
fn text_fits_the_page() {
    let mut report = full_report();
    report.program.model = "a very long name of a network ".repeat(9);
    for i in 0..40 {
        let mut layer = report.layers[0].clone();
        layer.node = format!("/stage{i}\x1b[31m/a/very/long/path/to/a/node/in/the/graph/Conv_{i}");
        layer.op = "AnOperatorWithALongName".to_owned();
        layer.cycles = 1 << 40;
        layer.dram.read_bytes = u64::MAX;
        report.layers.push(layer);
    }
    let text = report.to_text();
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    for word in ["DIFFERS: 17", "instead of -4", "top-1 71.3%", "SQNR 31.2 dB", "30 more"] {
        assert!(text.contains(word), "{word}\n{text}");
    }
}

#[test]
fn text_of_the_sample() {
    let text = report().to_text();
    assert!(text.starts_with("sample, 8-bit weights, 8-bit activations, on 16x16 PEs, 384 KiB scratchpad, 12 B/cycle DRAM\n"));
    for line in [
        "MACs          9,720, array used",
        "program       4.32 KB, of it weights 324 B",
        "weights 384 B, inputs 128 B, outputs 384 B, params 384 B, instructions 384 B",
        "\nmxu    [",
        "/conv1/Conv                        Conv",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("accuracy") && !text.contains("check"));
}

#[test]
fn a_program_without_nodes_or_work_has_a_report() {
    let mut program = sample::program();
    program.nodes.clear();
    for section in &mut program.code {
        section.words.drain(..section.words.len() - 1);
        section.notes.drain(..section.notes.len() - 1);
    }
    let timing = timing::run(&program, Mode::Stepped).unwrap();
    let report = Report::new(&program, &program.hardware, &file(), &timing).unwrap();
    assert_eq!((report.utilization.mac, report.cycles.lower_bound.compute), (0.0, 0));
    assert_eq!(report.to_csv().lines().count(), 1);
    assert!(report.to_text().contains("cycles"));
}

#[test]
fn the_committed_manual_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/generated/report.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, schema_markdown()).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == schema_markdown(),
        "stale: run this test with UPDATE_DOCS=1 and commit {path}"
    );
}
