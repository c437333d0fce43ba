//! `qdse MODEL --space ..`: points are what `qcc` and `qsim` say of them, and nothing is lost, doubled or reordered.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;
#[path = "common/sweep.rs"]
mod fixture;

use std::io::Write;
use std::time::Duration;

use common::network;
use fixture::{Sweep, check_rebuilt};
use serde_json::Value;

/// 32 points, half of which no machine can be.
const SPACE: &str = r#"
[axes]
weight_bits = [3, 8]
array_rows = [8, 16]
array_cols = [8, 16]
scratchpad_kib = [32, 128]
dram_bytes_per_cycle = [2, 12]
scratchpad_banks = [12, 16]

[objectives]
accuracy.top1 = "max"
cycles.total = "min"
area.lut4 = "min"

[constraints]
array_rows = "== array_cols"
"#;

fn number(row: &Value, key: &str) -> Option<f64> {
    row[key].as_f64()
}

#[test]
fn points_are_what_qcc_and_qsim_say() {
    let mut sweep = Sweep::new("sweep-points", SPACE);
    sweep.args[4] = network("calibration.npz");
    sweep.run("out", &["--samples", "1000"]);
    let rows = sweep.rows("out");
    assert_eq!(rows.len(), 32);
    assert!(rows.iter().enumerate().all(|(i, row)| row["point"] == i));
    let (good, failed): (Vec<&Value>, Vec<&Value>) =
        rows.iter().partition(|row| row["error"].is_null());
    assert_eq!((good.len(), failed.len()), (16, 16));
    assert!(
        failed.iter().all(|row| row["scratchpad_banks"] == 12 && row["cycles.total"].is_null())
    );
    // Nothing a pattern of the axes could favour.
    for row in [0, 3, 5, 6, 11, 14].map(|i| good[i]) {
        check_rebuilt(&sweep, row);
    }
}

#[test]
fn the_front_is_what_a_recount_of_the_lines_finds() {
    let sweep = Sweep::new("sweep-front", SPACE);
    let printed = sweep.run("out", &[]);
    let rows = sweep.rows("out");
    let costs = |row: &Value| {
        let keys = [("accuracy.top1", -1.0), ("cycles.total", 1.0), ("area.lut4", 1.0)];
        keys.map(|(key, sign)| Some(sign * number(row, key)?))
    };
    let costs: Vec<[Option<f64>; 3]> = rows.iter().map(costs).collect();
    let beaten = |a: &[Option<f64>; 3]| {
        let beats = |b: &&[Option<f64>; 3]| b.iter().zip(a).all(|(b, a)| b <= a) && *b != a;
        costs.iter().filter(|b| b[0].is_some()).any(|b| beats(&b))
    };
    let mut expected: Vec<usize> =
        (0..rows.len()).filter(|&i| costs[i][0].is_some() && !beaten(&costs[i])).collect();
    let csv = String::from_utf8(sweep.folder.read("out/front.csv")).unwrap();
    let mut found: Vec<usize> =
        csv.lines().skip(1).map(|line| line.split(',').next().unwrap().parse().unwrap()).collect();
    assert!(printed.contains(&format!("32 points, 16 failed, {} on the front", found.len())));
    found.sort_unstable();
    expected.sort_unstable();
    assert!(expected.len() > 1);
    assert_eq!(found, expected, "{csv}");
    // The run of each is shown, and its layers' cycles are those of the point.
    let runs = String::from_utf8(sweep.folder.read("out/runs.jsonl")).unwrap();
    let report = String::from_utf8(sweep.folder.read("out/report.html")).unwrap();
    let drawn = runs.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let (point, html) = (line["point"].as_u64().unwrap(), line["html"].as_str().unwrap());
        assert!(report.contains(&format!("<template id=\"run-{point}\">{html}</template>")));
        let cycles = html.split("<tr data-layer").skip(1).map(|layer| {
            let number = layer.split("data-v=\"").nth(2).unwrap().split('"').next().unwrap();
            number.parse::<f64>().unwrap()
        });
        assert_eq!(Some(cycles.sum()), number(&rows[point as usize], "cycles.total"));
        point as usize
    });
    assert_eq!(drawn.collect::<Vec<_>>(), expected);
    let picture = String::from_utf8(sweep.folder.read("out/front.svg")).unwrap();
    // Three objectives: three plots.
    assert_eq!(picture.matches("class=\"mark front\"").count(), 3 * expected.len());
}

#[test]
fn twenty_kills_lose_nothing_and_double_nothing() {
    let space =
        SPACE.replace("[32, 128]", "[32, 64, 128, 256]").replace("[2, 12]", "[2, 4, 8, 12]");
    let sweep = Sweep::new("sweep-kill", &space);
    let few = ["--samples", "20"];
    let resume = ["--samples", "20", "--resume"];
    sweep.run("whole", &few);
    let whole = sweep.files("whole");
    let partial = sweep.folder.file("out/points.partial.jsonl");
    let lines = || std::fs::read_to_string(&partial).map_or(0, |text| text.lines().count());
    let (mut state, mut kills, mut midway) = (7u64, 0, 0);
    while kills < 20 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let drawn = state >> 33;
        let before = lines();
        let mut child = sweep.start("out", &resume);
        if kills % 2 == 0 {
            // At any moment.
            std::thread::sleep(Duration::from_millis(20 + drawn % 900));
        } else {
            // While points are found.
            let more = before.max(64) + 1 + (drawn % 8) as usize;
            while lines() < more && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        if child.try_wait().unwrap().is_some() {
            // It came to its end first: once more from the start.
            assert_eq!(sweep.files("out"), whole);
            std::fs::remove_dir_all(sweep.folder.file("out")).unwrap();
            continue;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        midway += usize::from((65..128).contains(&lines()));
        // What a kill in the middle of a write leaves.
        if partial.exists() && kills % 3 == 0 {
            let mut file = std::fs::File::options().append(true).open(&partial).unwrap();
            file.write_all(b"{\"point\":3,\"weight_b").unwrap();
        }
    }
    // The 64 points that fail are found at once.
    assert!(midway >= 5, "{midway} kills came between two points");
    sweep.run("out", &resume);
    assert_eq!(sweep.files("out"), whole);
    // A finished one has nothing left to do.
    sweep.run("out", &resume);
    assert_eq!(sweep.files("out"), whole);
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_what_was_found() {
    let sweep = Sweep::new("sweep-interrupt", SPACE);
    let mut child = sweep.start("out", &["--samples", "1000"]);
    let partial = sweep.folder.file("out/points.partial.jsonl");
    while child.try_wait().unwrap().is_none()
        && std::fs::metadata(&partial).map_or(0, |found| found.len()) == 0
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    let id = child.id().to_string();
    std::process::Command::new("kill").args(["-INT", &id]).status().unwrap();
    let code = child.wait().unwrap().code();
    assert!(code == Some(130) || code == Some(0), "{code:?}");
    let said = sweep.folder.good("qdse", &sweep.args("out", &["--samples", "1000", "--resume"])).1;
    assert!(said.contains(" points are there already"), "{said}");
    sweep.run("whole", &["--samples", "1000"]);
    assert_eq!(sweep.files("out"), sweep.files("whole"));
}

#[test]
fn shards_merge_to_the_bytes_of_one_run() {
    let sweep = Sweep::new("sweep-shards", SPACE);
    sweep.run("whole", &[]);
    for shard in ["1/3", "2/3", "3/3"] {
        sweep.run(&shard.replace('/', "-"), &["--shard", shard]);
    }
    let rows = ["1-3", "2-3", "3-3"].map(|out| sweep.rows(out).len());
    assert_eq!(rows.iter().sum::<usize>(), 32);
    assert!(rows.iter().all(|n| (10..=11).contains(n)), "{rows:?}");
    sweep.folder.good("qdse", &["merge", "3-3", "1-3", "2-3", "-o", "merged"]);
    assert_eq!(sweep.files("merged"), sweep.files("whole"));
    let refused = |args: &[&str]| {
        let output = sweep.folder.command("qdse", args).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = refused(&["merge", "1-3", "2-3", "2-3", "-o", "other"]);
    assert!(said.contains("shard 2/3 is there 2 times\nshard 3/3 is there 0 times"), "{said}");
    assert!(refused(&["merge", "whole", "-o", "other"]).contains("whole: is no shard"));
    assert!(refused(&["merge", "1-3", "2-3", "3-3", "-o", "whole"]).contains("holds a sweep"));
    assert!(!sweep.folder.file("other").exists());
}

/// The script of docs/exploration.md as Slurm would start it, task by task, one of them twice.
#[cfg(unix)]
#[test]
fn the_documented_job_array_comes_to_the_bytes_of_one_run() {
    let text = include_str!("../../docs/exploration.md");
    let script =
        text.split("```sh\n").find(|block| block.starts_with("#!/bin/sh\n#SBATCH")).unwrap();
    let script = script.split("```").next().unwrap();
    let merge = text.split('`').find(|code| code.starts_with("qdse merge shards/*")).unwrap();
    let sweep = Sweep::new("sweep-array", &SPACE.replace("[3, 8]", "8"));
    let script = script.replace("--data", "--preprocess mean=0,std=255 --data");
    let images = std::fs::read(network("calibration.npz")).unwrap();
    for name in ["test.npz", "calib.npz"] {
        sweep.folder.write(name, &images);
    }
    sweep.folder.write("model.onnx", &std::fs::read(network("fashion_mnist.onnx")).unwrap());
    sweep.folder.write("job.sh", script.as_bytes());
    let binaries = std::path::Path::new(env!("CARGO_BIN_EXE_qdse")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let paths = [binaries.to_path_buf()].into_iter().chain(std::env::split_paths(&path));
    let path = std::env::join_paths(paths).unwrap();
    let shell = |args: &[&str], task: &str| {
        let mut command = std::process::Command::new("sh");
        command.args(args).current_dir(&sweep.folder.0).env("PATH", &path);
        let variables =
            [("ARRAY_TASK_ID", task), ("ARRAY_TASK_COUNT", "3"), ("CPUS_PER_TASK", "2")];
        command.envs(variables.map(|(name, value)| (format!("SLURM_{name}"), value)));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    for task in ["2", "1", "3", "2"] {
        shell(&["job.sh"], task);
    }
    shell(&["-c", merge], "");
    let args = "model.onnx --space space.toml --data test.npz --calib calib.npz --preprocess mean=0,std=255 -o whole";
    sweep.folder.good("qdse", &args.split(' ').collect::<Vec<_>>());
    assert_eq!(sweep.files("out"), sweep.files("whole"));
    assert_eq!(sweep.rows("out").len(), 16);
}

#[test]
fn searches_do_not_depend_on_threads_or_interruptions() {
    for strategy in ["random", "nsga2"] {
        let sweep = Sweep::new(&format!("sweep-{strategy}"), SPACE);
        let more = ["--strategy", strategy, "--budget", "18", "--search-seed", "5"];
        for threads in ["1", "2"] {
            let mut command = sweep.folder.command("qdse", &sweep.args(threads, &more));
            assert!(command.env("RAYON_NUM_THREADS", threads).output().unwrap().status.success());
        }
        assert_eq!(sweep.files("1"), sweep.files("2"));
        assert_eq!(sweep.rows("1").len(), 18);
        // What an interruption leaves: some rows, in any order.
        let text = String::from_utf8(sweep.folder.read("1/points.jsonl")).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.rotate_left(11);
        let partial = lines[..7].join("\n") + "\n{\"point\":";
        sweep.folder.write("half/points.partial.jsonl", partial.as_bytes());
        sweep.folder.write("half/sweep.json", &sweep.folder.read("1/sweep.json"));
        sweep.run("half", &[&more[..], &["--resume"]].concat());
        assert_eq!(sweep.files("half"), sweep.files("1"));
    }
}

#[test]
fn constraints_spare_the_work_that_they_make_useless() {
    let with = |constraint: &str| format!("{SPACE}{constraint}\n");
    let accuracy = Sweep::new("sweep-accuracy", &with("accuracy.top1 = \">= 0.93\""));
    accuracy.run("out", &[]);
    let rows = accuracy.rows("out");
    let good = || rows.iter().filter(|row| row["error"].is_null());
    for row in good() {
        let kept = number(row, "accuracy.top1").unwrap() >= 0.93;
        assert_eq!(kept, !row["cycles.total"].is_null(), "{row}");
        assert_eq!(kept, row["violates"].as_array().unwrap().is_empty(), "{row}");
    }
    assert!(good().any(|row| row["cycles.total"].is_null()));
    assert!(good().any(|row| row["cycles.total"].is_number()));

    let timing = Sweep::new("sweep-timing", &with("cycles.total = \"< 60_000\""));
    timing.run("out", &[]);
    let rows = timing.rows("out");
    let good = || rows.iter().filter(|row| row["error"].is_null());
    for row in good() {
        let kept = number(row, "cycles.total").unwrap() < 60_000.0;
        assert_eq!(kept, row["accuracy.top1"].is_number(), "{row}");
    }
    assert!(good().any(|row| row["accuracy.top1"].is_null()));

    let area = Sweep::new("sweep-area", &with("area.lut4 = \"< 30_000\""));
    area.run("out", &[]);
    for row in area.rows("out").iter().filter(|row| row["error"].is_null()) {
        let kept = number(row, "area.lut4").unwrap() < 30_000.0;
        assert_eq!(kept, row["accuracy.top1"].is_number() && row["cycles.total"].is_number());
        assert_eq!(row["array_rows"] == 8, kept);
    }

    let none = Sweep::new("sweep-none", &with("accuracy.top1 = \">= 1\""));
    let output = none.folder.command("qdse", &none.args("out", &[])).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no point keeps to all constraints"));
    assert_eq!(none.rows("out").len(), 32);
}

#[test]
fn a_folder_takes_one_sweep() {
    let sweep = Sweep::new("sweep-folder", SPACE);
    let args = ["--strategy", "random", "--budget", "6"];
    sweep.run("out", &args);
    let refused = |more: &[&str]| {
        let output = sweep.folder.command("qdse", &sweep.args("out", more)).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused(&args).contains("--resume goes on with it"));
    let said =
        refused(&["--strategy", "random", "--budget", "7", "--resume", "--set", "acc_rows=64"]);
    assert!(said.contains("holds another sweep, with another search, machine"), "{said}");
    // Other remarks and another layout are the same space.
    sweep.folder.write("space.toml", format!("# Once more.\n{SPACE}").as_bytes());
    sweep.run("out", &[&args[..], &["--resume"]].concat());
    sweep.folder.write("out/points.jsonl", b"{\"point\":1}\n");
    let said = refused(&[&args[..], &["--resume"]].concat());
    assert!(said.contains("points.jsonl: line 1 is no row of this sweep"), "{said}");
}
