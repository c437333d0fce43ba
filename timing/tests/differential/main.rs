//! The two cores agree on every number: random programs on random machines, timed by both.
//!
//! The event-driven core is fast and clever, the cycle-stepped core simple; they share no line that decides when. Where they differ
//! the shortest such program is printed, and `docs/timing.md` says who is right. What both might read
//! wrongly is for `by_hand.rs` to notice.

mod coverage;
mod limits;
mod log;
mod machine;
mod program;
mod rng;
mod shrink;
mod words;

use isa::Program;
use timing::{Mode, NoObserver, Timing, TimingError, run_on};

use coverage::Coverage;
use log::Log;

/// Times a program with one core, watched.
fn watched(program: &Program, mode: Mode) -> (Result<Timing, TimingError>, Log) {
    let mut log = Log::default();
    let result = run_on(program, &program.hardware, mode, &mut log);
    (result, log)
}

/// What the cores differ in, if anything.
fn difference(program: &Program) -> Option<String> {
    let (stepped, stepped_log) = watched(program, Mode::Stepped);
    let (event, event_log) = watched(program, Mode::Event);
    let unwatched = run_on(program, &program.hardware, Mode::Event, &mut NoObserver);
    if stepped != event {
        return Some(format!("stepped: {stepped:#?}\nevent: {event:#?}"));
    }
    if unwatched != event {
        return Some(format!("event, watched: {event:#?}\nevent, not watched: {unwatched:#?}"));
    }
    // A deadlock is noticed at different times, so what was told of intervals before may differ.
    let logs_differ = if event.is_ok() {
        stepped_log != event_log
    } else {
        stepped_log.happenings != event_log.happenings
    };
    logs_differ.then(|| format!("stepped: {stepped_log:#?}\nevent: {event_log:#?}"))
}

/// Compares the cores on the programs of many seeds; gives what these programs did.
fn compare(seeds: std::ops::Range<u64>) -> Coverage {
    let mut coverage = Coverage::default();
    for seed in seeds {
        let program = program::program(seed);
        if difference(&program).is_some() {
            let least = shrink::shrink(program, |program| difference(program).is_some());
            let found = difference(&least).expect("shrinking keeps the difference");
            panic!("seed {seed}: the cores differ on\n{}\n{found}", shrink::listing(&least));
        }
        coverage.add(&program, &run_on(&program, &program.hardware, Mode::Event, &mut NoObserver));
    }
    coverage
}

#[test]
fn cores_agree_on_random_programs() {
    let coverage = compare(0..4000);
    println!("{coverage}");
    assert_eq!(coverage.missing(), Vec::<String>::new(), "never happened");
}

#[test]
#[ignore = "minutes; run after a change to a core"]
fn cores_agree_on_many_more_random_programs() {
    println!("{}", compare(1_000_000..1_100_000));
}

/// Writes the programs of seeds 0..200 to the folder that `QCC_PROGRAMS` names, for `tests/independent`.
#[test]
#[ignore = "writes files; tests/independent/check.py runs it"]
fn write_random_programs() {
    let folder = std::env::var("QCC_PROGRAMS").expect("QCC_PROGRAMS names the folder to write to");
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    for seed in 0..200 {
        let mut program = program::program(seed);
        for (section, place) in program.code.iter_mut().zip(1..) {
            // A file wants the code of each engine apart from all else, and on a multiple of the burst size.
            section.base = place << 20;
        }
        let bytes = program.to_bytes().expect("random programs are legal");
        let path = std::path::Path::new(&folder).join(format!("{seed:04}.bin"));
        std::fs::write(path, bytes).expect("the file can be written");
    }
}
