//! A trace is read back and compared with the timing it is of.

use std::collections::BTreeMap;
use std::io;

use isa::Program;
use serde_json::Value;
use timing::{Bucket, Mode, Timing};

use super::*;
use crate::sample;

fn trace(program: &Program, options: TraceOptions) -> (String, Timing) {
    let mut writer = TraceWriter::new(Vec::new(), program, program.hardware.clock_mhz, options);
    let timing = timing::run_on(program, &program.hardware, Mode::Stepped, &mut writer).unwrap();
    (String::from_utf8(writer.finish(&timing).unwrap()).unwrap(), timing)
}

fn events(text: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(text).unwrap();
    document["traceEvents"].as_array().unwrap().clone()
}

fn number(event: &Value, key: &str) -> u64 {
    event[key].as_u64().unwrap_or_else(|| panic!("{key} of {event}"))
}

/// Begin, end, event.
type Slice<'a> = (u64, u64, &'a Value);

/// Slices of each track, in order of time.
fn tracks(events: &[Value]) -> BTreeMap<(u64, u64), Vec<Slice<'_>>> {
    let mut tracks: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for event in events.iter().filter(|event| event["ph"] == "X") {
        let begin = number(event, "ts");
        let slice = (begin, begin + number(event, "dur"), event);
        tracks.entry((number(event, "pid"), number(event, "tid"))).or_default().push(slice);
    }
    tracks.values_mut().for_each(|slices| slices.sort_by_key(|&(begin, end, _)| (begin, end)));
    tracks
}

const EVERY_WAIT: TraceOptions = TraceOptions { wait_cycles: 1, window_cycles: 64 };

#[test]
fn slices_of_a_track_never_overlap() {
    let program = sample::program();
    for options in [EVERY_WAIT, TraceOptions::default()] {
        let (text, timing) = trace(&program, options);
        let events = events(&text);
        let tracks = tracks(&events);
        for (track, slices) in &tracks {
            for pair in slices.windows(2) {
                assert!(pair[0].1 <= pair[1].0, "{track:?}: {pair:?}");
            }
        }
        for engine in 0..4 {
            let slices = &tracks[&(1, engine)];
            assert_eq!(slices[0].0, 0);
            assert_eq!(slices.last().unwrap().1, timing.total_cycles);
            assert!(slices.windows(2).all(|pair| pair[0].1 == pair[1].0), "no gaps");
        }
    }
}

#[test]
fn slices_sum_to_the_buckets() {
    let program = sample::program();
    for wait_cycles in [1, 5, 32, u64::MAX] {
        let (text, timing) = trace(&program, TraceOptions { wait_cycles, window_cycles: 64 });
        let events = events(&text);
        let tracks = tracks(&events);
        for engine in 0..4 {
            for &bucket in Bucket::ALL {
                let told = |event: &Value| event["args"][bucket.name()].as_u64().unwrap_or(0);
                let slices = &tracks[&(1, engine)];
                let sum: u64 = slices.iter().map(|(_, _, event)| told(event)).sum();
                assert_eq!(
                    sum,
                    timing.engines[engine as usize][bucket],
                    "engine {engine}, {}",
                    bucket.name()
                );
                let named = slices.iter().filter(|(_, _, event)| event["name"] == bucket.name());
                let duration: u64 = named.map(|(begin, end, _)| end - begin).sum();
                if wait_cycles == 1 && bucket != Bucket::Busy {
                    assert_eq!(duration, sum, "every wait has a slice of its own");
                }
            }
        }
    }
}

#[test]
fn each_instruction_has_a_slice_with_its_node() {
    let program = sample::program();
    let (text, timing) = trace(&program, TraceOptions::default());
    let events = events(&text);
    let slices = events.iter().filter(|event| event["ph"] == "X" && event["pid"] == 2);
    let words: usize = program.code.iter().map(|section| section.words.len()).sum();
    assert_eq!(slices.clone().count(), words);
    let conv = slices.clone().find(|event| event["args"]["instruction"] == "mxu.conv").unwrap();
    let record = timing.instructions[1][2];
    assert_eq!(conv["name"], "/conv1/Conv");
    assert_eq!(
        (number(conv, "ts"), number(conv, "dur")),
        (record.issue, record.complete - record.issue)
    );
    assert_eq!((number(&conv["args"], "index"), number(&conv["args"], "page")), (2, 0));
    assert_eq!(number(&conv["args"], "macs"), 30 * 9 * 16 * 12);
    let store = slices.clone().find(|event| event["args"]["instruction"] == "store").unwrap();
    assert_eq!(store["name"], "/act, \"1\"/HardSwish");
    assert_eq!(number(&store["args"], "dram_bytes"), 360);
    let halt = slices.clone().find(|event| event["args"]["instruction"] == "halt").unwrap();
    assert_eq!(halt["name"], "halt");
    // No slice is empty: viewers would nest it in its neighbour.
    assert!(slices.clone().all(|event| number(event, "dur") >= 1));
}

#[test]
fn arrows_lead_from_producers_to_consumers() {
    let program = sample::program();
    let (text, timing) = trace(&program, TraceOptions::default());
    let events = events(&text);
    let ends = |ph: &str| -> BTreeMap<u64, (u64, u64)> {
        let arrows = events.iter().filter(|event| event["ph"] == ph);
        arrows
            .map(|event| (number(event, "id"), (number(event, "tid"), number(event, "ts"))))
            .collect()
    };
    let (starts, ends) = (ends("s"), ends("f"));
    // Weights to conv, parameters to drain, conv to drain, table to table lookup, result to store.
    assert_eq!(starts.len(), 5);
    assert_eq!(starts.keys().collect::<Vec<_>>(), ends.keys().collect::<Vec<_>>());
    for (id, (_, start)) in &starts {
        assert!(*start <= ends[id].1);
    }
    let (conv, drain) = (timing.instructions[1][2], timing.instructions[2][3]);
    let found = starts.iter().find(|(_, start)| **start == (10_000, conv.complete - 1)).unwrap();
    assert_eq!(ends[found.0], (20_000, drain.issue));
    // Each end is inside a slice of its track.
    let tracks = tracks(&events);
    for (track, cycle) in starts.values().chain(ends.values()) {
        let inside = |&(begin, end, _): &Slice<'_>| (begin..end).contains(cycle);
        assert!(tracks[&(2, *track)].iter().any(inside));
    }
}

#[test]
fn counters_show_memory() {
    let program = sample::program();
    let (text, timing) = trace(&program, EVERY_WAIT);
    let events = events(&text);
    let counter = |name: &str| -> Vec<(u64, Value)> {
        let found = events.iter().filter(|event| event["ph"] == "C" && event["name"] == name);
        found.map(|event| (number(event, "ts"), event["args"].clone())).collect()
    };
    let dram = counter("DRAM bytes");
    for (class, traffic) in &timing.traffic {
        let sum: u64 = dram.iter().map(|(_, args)| number(args, class.name())).sum();
        assert_eq!(sum, traffic.read_bytes + traffic.write_bytes);
    }
    assert!(dram.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert!(dram.iter().all(|(cycle, _)| cycle % 64 == 0));
    assert!(dram.last().unwrap().1.as_object().unwrap().values().all(|bytes| bytes == 0));
    let scratchpad = counter("scratchpad in use");
    assert_eq!(scratchpad.iter().map(|(_, args)| number(args, "bytes")).max(), Some(138 * 16));
    assert_eq!(number(&scratchpad.last().unwrap().1, "bytes"), 0);
}

#[test]
fn instructions_under_way_together_get_lanes() {
    let program = sample::program();
    let (text, _) = trace(&program, TraceOptions::default());
    let events = events(&text);
    let named = |name: &str| {
        events.iter().any(|event| event["name"] == "thread_name" && event["args"]["name"] == name)
    };
    // Loads overlap in the DRAM latency.
    assert!(named("load") && named("load 1") && named("load 2"));
    for event in events.iter().filter(|event| event["ph"] == "X") {
        let (pid, tid) = (&event["pid"], &event["tid"]);
        let names = events
            .iter()
            .filter(|e| e["name"] == "thread_name" && e["pid"] == *pid && e["tid"] == *tid);
        assert_eq!(names.count(), 1, "{event}");
    }
}

#[test]
fn both_cores_give_the_same_trace_on_every_machine() {
    for hardware in sample::machines() {
        let mut program = sample::program();
        program.hardware = hardware;
        let lines = |mode| {
            let mut writer = TraceWriter::new(Vec::new(), &program, 1000, EVERY_WAIT);
            let timing = timing::run_on(&program, &program.hardware, mode, &mut writer).unwrap();
            let text = String::from_utf8(writer.finish(&timing).unwrap()).unwrap();
            let events = events(&text);
            let tracks = tracks(&events);
            for engine in 0..4 {
                let slices = &tracks[&(1, engine)];
                let length: u64 = slices.iter().map(|(begin, end, _)| end - begin).sum();
                assert_eq!(length, timing.total_cycles);
            }
            // The cores may tell what happens on different engines in a different order.
            let mut lines: Vec<String> = events.iter().map(Value::to_string).collect();
            lines.sort_unstable();
            lines
        };
        assert_eq!(lines(Mode::Event), lines(Mode::Stepped), "{:?}", program.hardware);
    }
}

#[test]
fn equal_runs_give_equal_bytes() {
    let program = sample::program();
    assert_eq!(trace(&program, EVERY_WAIT), trace(&program, EVERY_WAIT));
}

#[test]
fn odd_names_are_escaped() {
    let mut program = sample::program();
    program.nodes[0].name = "a\"b\\c\u{1}\u{2028}é".to_owned();
    let (text, _) = trace(&program, TraceOptions::default());
    let events = events(&text);
    assert!(events.iter().any(|event| event["name"] == *program.nodes[0].name));
}

/// Takes so many bytes, then fails.
struct Full(usize);

impl io::Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 < bytes.len() {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "disk full"));
        }
        self.0 -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_told_at_the_end() {
    let program = sample::program();
    for room in [0, 10, 2000] {
        let mut writer = TraceWriter::new(Full(room), &program, 1000, TraceOptions::default());
        let timing =
            timing::run_on(&program, &program.hardware, Mode::Stepped, &mut writer).unwrap();
        let error = writer.finish(&timing).err().unwrap();
        assert_eq!(error.to_string(), "trace: disk full");
    }
}
