//! `qdse --strategy mixed`: widths layer by layer, measured as any other points are.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;
#[path = "common/sweep.rs"]
mod fixture;

use common::network;
use fixture::{Sweep, check_rebuilt, first_images};
use serde_json::Value;

/// Five uniform assignments and at most four others, on two machines.
const SPACE: &str = r#"
[axes]
weight_bits = [3, 4, 8]
act_bits = 8
scratchpad_kib = [64, 128]

[objectives]
accuracy.sqnr_db = "max"
memory.weights_bytes = "min"

[search]
strategy = "mixed"
budget = 18
"#;

fn number(row: &Value, key: &str) -> f64 {
    row[key].as_f64().unwrap()
}

#[test]
fn widths_by_layer_are_points_like_any_others() {
    let mut sweep = Sweep::new("mixed", SPACE);
    sweep.folder.write("few.npy", &first_images(64));
    (sweep.args[4], sweep.args[6]) = (network("calibration.npz"), "few.npy".into());
    let more = ["--samples", "1000"];
    let mut command = sweep.folder.command("qdse", &sweep.args("whole", &more));
    let output = command.env("RAYON_NUM_THREADS", "1").output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}");
    let rows = sweep.rows("whole");
    let names: Vec<&str> = rows.iter().map(|row| row["widths"].as_str().unwrap()).collect();
    let first = ["W3A8 everywhere", "W3A8", "W4A8 everywhere", "W4A8", "W8A8", "mixed 1"];
    assert_eq!(names.iter().step_by(2).take(6).copied().collect::<Vec<_>>(), first);
    assert!(names.chunks(2).all(|pair| pair[0] == pair[1]) && names.len() <= 18, "{names:?}");

    // Four bits have rivals in no more bytes with less noise, with and without the rule for delicate layers.
    let on = |row: &&Value| row["scratchpad_kib"] == 64;
    let is_mixed = |row: &&Value| row["widths"].as_str().unwrap().starts_with("mixed");
    let mixed = || rows.iter().filter(on).filter(is_mixed);
    let bytes = |row: &Value| number(row, "memory.weights_bytes");
    let sqnr = |row: &Value| number(row, "accuracy.sqnr_db");
    for uniform in [&rows[4], &rows[6]] {
        let within = mixed().filter(|row| bytes(row) <= bytes(uniform));
        let best = within.map(sqnr).fold(f64::NEG_INFINITY, f64::max);
        assert!(best > sqnr(uniform), "{best} against {uniform}");
    }
    let chosen = mixed().next_back().unwrap();
    assert!(chosen["qcc"].as_str().unwrap().contains("--layer-bits "), "{chosen}");
    check_rebuilt(&sweep, chosen);
    check_rebuilt(&sweep, &rows[5]);

    // The curve names every point with the bits of its 14 layers.
    let curve: Vec<&str> =
        printed.lines().rev().take(rows.len()).filter(|l| l.contains("mixed ")).collect();
    assert_eq!(curve.len(), 2 * mixed().count(), "{printed}");
    let bits = curve[0].split_whitespace().last().unwrap();
    assert!(bits.len() == 14 && bits.chars().all(|bit| "348".contains(bit)), "{bits}");

    // Parts of it, on other threads, come to the same bytes; so does what an interruption left.
    for shard in ["1/2", "2/2"] {
        let more = [&more[..], &["--shard", shard]].concat();
        let mut command =
            sweep.folder.command("qdse", &sweep.args(&shard.replace('/', "-"), &more));
        assert!(command.env("RAYON_NUM_THREADS", "2").output().unwrap().status.success());
    }
    sweep.folder.good("qdse", &["merge", "1-2", "2-2", "-o", "merged"]);
    assert_eq!(sweep.files("merged"), sweep.files("whole"));
    let text = String::from_utf8(sweep.folder.read("whole/points.jsonl")).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.reverse();
    let partial = lines[..lines.len() - 4].join("\n") + "\n{\"point\":";
    sweep.folder.write("half/points.partial.jsonl", partial.as_bytes());
    sweep.folder.write("half/sweep.json", &sweep.folder.read("whole/sweep.json"));
    sweep.run("half", &[&more[..], &["--resume"]].concat());
    assert_eq!(sweep.files("half"), sweep.files("whole"));
}

#[test]
fn spaces_that_leave_nothing_to_choose_are_refused_with_all_reasons() {
    let space = r#"
[axes]
weight_bits = 4
act_bits = [8, 16]
array_rows = [8, 16]
observer = ["mse", "minmax"]
layer_bits."head/fc" = [8]
[objectives]
energy.total_pj = "min"
[constraints]
act_bits = ">= 8"
[search]
strategy = "mixed"
budget = 8
"#;
    let sweep = Sweep::new("mixed-refused", space);
    let refused = |more: &[&str], code: i32| {
        let output = sweep.folder.command("qdse", &sweep.args("out", more)).output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = refused(&[], 1);
    for part in [
        "7 problems",
        "give `weight_bits` several values",
        "`observer`: strategy mixed measures layers for one way to quantize",
        "`layer_bits.head/fc`: strategy mixed chooses it itself",
        "`act_bits`: strategy mixed takes all widths that the axis lists",
        "one of them must be an objective",
        "make accuracy.agreement or accuracy.sqnr_db an objective",
        "4 uniform widths on 4 machines leave none for widths by layer; --budget 32 ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // Axes that the file gives other sweeps too.
    sweep.folder.write("space.toml", SPACE.as_bytes());
    let args = sweep.args("out", &["--no-data"]);
    let at = args.iter().position(|arg| *arg == "--calib").unwrap();
    let args = [&args[..at], &args[at + 2..]].concat();
    let output = sweep.folder.command("qdse", &args).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("mixed measures layers on samples"));
}
