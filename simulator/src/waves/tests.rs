//! Waves are read back by another library and compared with the timing they are of.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Write};

use isa::{Engine, Program};
use timing::{Bucket, Mode, Timing, TrafficClass};
use wellen::simple::{Waveform, read_from_reader};

use super::fst::Fst;
use super::merge::{Merger, picoseconds};
use super::vcd::Vcd;
use super::*;
use crate::occupancy::Occupancy;
use crate::sample;
use crate::trace::TraceError;

const FORMATS: [WaveFormat; 2] = [WaveFormat::Vcd, WaveFormat::Fst];
const WINDOW_CYCLES: u64 = 64;

/// A file of waves in memory, and the timing it is of.
fn waves(program: &Program, format: WaveFormat, mode: Mode) -> (Vec<u8>, Timing) {
    let timing = timing::run(program, Mode::Event).unwrap();
    let mut file = Cursor::new(Vec::new());
    let mut writer = WaveWriter::new(format, &mut file, program, &timing, WINDOW_CYCLES).unwrap();
    let told = timing::run_on(program, &program.hardware, mode, &mut writer).unwrap();
    writer.finish().unwrap();
    assert_eq!(told, timing);
    (file.into_inner(), timing)
}

/// Cycle and value of each change of one signal.
type Changes = Vec<(u64, Value)>;

/// Every signal by `scope.name`, and the cycle of the end.
fn read(bytes: Vec<u8>, clock_mhz: u32) -> (BTreeMap<String, Changes>, u64) {
    let mut file: Waveform = read_from_reader(Cursor::new(bytes)).unwrap();
    let timescale = file.hierarchy().timescale().unwrap();
    assert_eq!((timescale.factor, timescale.unit.to_exponent()), (1, Some(-12)));
    let variables: Vec<_> = file.hierarchy().all_vars().collect();
    let refs: Vec<_> = variables.iter().map(|&var| file.hierarchy()[var].signal_ref()).collect();
    file.load_signals(&refs);
    let cycle = |ps: u64| {
        let cycle = (u128::from(ps) * u128::from(clock_mhz) + 500_000) / 1_000_000;
        let cycle = u64::try_from(cycle).unwrap();
        assert_eq!(picoseconds(cycle, clock_mhz), ps, "a whole number of cycles");
        cycle
    };
    let times = file.time_table();
    let mut signals = BTreeMap::new();
    for (var, signal) in variables.into_iter().zip(refs) {
        let name = file.hierarchy()[var].full_name(file.hierarchy());
        let name = name.strip_prefix("machine.").unwrap().to_owned();
        let changes = file.get_signal(signal).unwrap().iter_changes().map(|(at, value)| {
            let bits = value.to_bit_string().unwrap();
            (cycle(times[at as usize]), u32::from_str_radix(&bits, 2).ok())
        });
        assert!(signals.insert(name.clone(), changes.collect()).is_none(), "{name} twice");
    }
    (signals, cycle(*times.last().unwrap()))
}

/// Value of a signal in a cycle.
fn at(changes: &Changes, cycle: u64) -> Value {
    changes[..changes.partition_point(|change| change.0 <= cycle)].last().unwrap().1
}

/// How many cycles a signal has each value until `end`.
fn durations(changes: &Changes, end: u64) -> BTreeMap<Value, u64> {
    let mut durations = BTreeMap::new();
    let ends = changes.iter().skip(1).map(|change| change.0).chain([end]);
    for (&(begin, value), end) in changes.iter().zip(ends) {
        assert!(begin <= end, "in order of time");
        *durations.entry(value).or_default() += end - begin;
    }
    durations
}

#[test]
fn states_sum_to_the_buckets_on_every_machine_and_both_cores_and_formats_agree() {
    for hardware in sample::machines() {
        let mut program = sample::program();
        program.hardware = hardware;
        let mut seen = Vec::new();
        for format in FORMATS {
            for mode in [Mode::Event, Mode::Stepped] {
                let (bytes, timing) = waves(&program, format, mode);
                let (signals, end) = read(bytes, program.hardware.clock_mhz);
                assert_eq!(end, timing.total_cycles);
                for engine in Engine::ALL {
                    let states = durations(&signals[&format!("{engine}.state")], end);
                    for &bucket in Bucket::ALL {
                        let cycles = states.get(&Some(bucket as u32)).copied().unwrap_or(0);
                        assert_eq!(
                            cycles,
                            timing.engines[engine.index()][bucket],
                            "{engine} {bucket:?}"
                        );
                    }
                }
                seen.push(signals);
            }
        }
        assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{:?}", program.hardware);
    }
}

#[test]
fn busy_cycles_of_a_node_are_those_of_the_report() {
    let program = sample::program();
    let (bytes, timing) = waves(&program, WaveFormat::Fst, Mode::Event);
    let (signals, end) = read(bytes, 1000);
    for (node, layer) in timing.layers.iter().enumerate() {
        for engine in Engine::ALL {
            let (state, of) =
                (&signals[&format!("{engine}.state")], &signals[&format!("{engine}.node")]);
            let busy = (0..end).filter(|&cycle| {
                at(state, cycle) == Some(Bucket::Busy as u32) && at(of, cycle) == Some(node as u32)
            });
            assert_eq!(busy.count() as u64, layer.engines[engine.index()][Bucket::Busy]);
        }
    }
    let span = timing.layers[1].span.unwrap();
    let line = &signals["nodes.n1__act___1__HardSwish"];
    assert_eq!(*line, [(0, Some(0)), (span.first_issue, Some(1)), (span.finish, Some(0))]);
}

#[test]
fn an_engine_shows_the_oldest_instruction_under_way() {
    let program = sample::program();
    let (bytes, timing) = waves(&program, WaveFormat::Vcd, Mode::Event);
    let (signals, end) = read(bytes, 1000);
    let conv = timing.instructions[Engine::Mxu.index()][2];
    let told = |name: &str| at(&signals[&format!("mxu.{name}")], conv.issue + 1);
    assert_eq!(told("opcode"), signals["opcodes.mxu_conv"][0].1);
    assert_eq!((told("instruction"), told("node")), (Some(2), Some(0)));
    // Once it has halted, an engine has no instruction.
    assert_eq!(at(&signals["load.state"], end - 1), signals["states.done"][0].1);
    for name in ["opcode", "instruction", "node"] {
        assert_eq!(at(&signals[&format!("load.{name}")], end - 1), None);
    }
}

#[test]
fn semaphores_count_signals_less_waits() {
    for hardware in sample::machines() {
        let mut program = sample::program();
        program.hardware = hardware;
        let (bytes, timing) = waves(&program, WaveFormat::Fst, Mode::Event);
        let (signals, end) = read(bytes, program.hardware.clock_mhz);
        let mut most = 0;
        for producer in Engine::ALL {
            for consumer in producer.others() {
                let of = |engine: Engine| {
                    let records = &timing.instructions[engine.index()];
                    program.section(engine).words.iter().zip(records)
                };
                let signalled = of(producer).filter(|(word, _)| word.signal.contains(consumer));
                let waited = of(consumer).filter(|(word, _)| word.wait.contains(producer));
                let signalled: Vec<u64> = signalled.map(|(_, record)| record.complete).collect();
                let waited: Vec<u64> = waited.map(|(_, record)| record.issue).collect();
                let counter = &signals[&format!("semaphores.{producer}_to_{consumer}")];
                for cycle in 0..end {
                    let until = |events: &[u64]| events.iter().filter(|&&e| e <= cycle).count();
                    let expected = (until(&signalled) - until(&waited)) as u32;
                    assert_eq!(at(counter, cycle), Some(expected), "{producer} to {consumer}");
                    most = most.max(expected);
                }
            }
        }
        assert!(most > 0);
    }
}

#[test]
fn memory_is_that_of_the_timing() {
    let program = sample::program();
    let (bytes, timing) = waves(&program, WaveFormat::Vcd, Mode::Stepped);
    let (signals, end) = read(bytes, 1000);
    for class in TrafficClass::ALL {
        let counter = &signals[&format!("memory.dram_{}", class.name())];
        let windows = (0..end.div_ceil(WINDOW_CYCLES)).map(|window| {
            let begin = window * WINDOW_CYCLES;
            let value = at(counter, begin);
            let last = (begin + WINDOW_CYCLES).min(end) - 1;
            assert_eq!(at(counter, last), value, "constant within a window");
            u64::from(value.unwrap())
        });
        let traffic = timing.traffic.get(&class).copied().unwrap_or_default();
        assert_eq!(windows.sum::<u64>(), traffic.read_bytes + traffic.write_bytes);
    }
    let occupancy = Occupancy::of(&program, &timing).unwrap();
    let bytes = occupancy.steps.iter().map(|&(cycle, rows)| (cycle, Some(rows * 16)));
    let expected: Changes = [(0, Some(0))].into_iter().chain(bytes).collect();
    assert_eq!(signals["memory.scratchpad_bytes"], expected);
}

#[test]
fn a_clock_of_any_frequency_has_its_cycles_told_apart() {
    for clock_mhz in [1, 3, 300, 333, 7777, 10_000] {
        let mut program = sample::program();
        program.hardware.clock_mhz = clock_mhz;
        let (bytes, timing) = waves(&program, WaveFormat::Fst, Mode::Event);
        // `read` checks that every time is a whole cycle's.
        assert_eq!(read(bytes, clock_mhz).1, timing.total_cycles);
    }
    assert_eq!(picoseconds(timing::MAX_CYCLES, 1), timing::MAX_CYCLES * 1_000_000);
}

#[test]
fn an_fst_in_many_sections_holds_the_same() {
    let program = sample::program();
    let timing = timing::run(&program, Mode::Event).unwrap();
    let whole = read(waves(&program, WaveFormat::Fst, Mode::Event).0, 1000);
    let mut file = Cursor::new(Vec::new());
    let scopes = signals::catalogue(&program);
    let sink = Box::new(Fst::new(&mut file, &scopes, 200).unwrap());
    let merger = Merger::new(sink, &scopes, 1000);
    let mut writer = WaveWriter::with_merger(merger, &program, &timing, WINDOW_CYCLES).unwrap();
    timing::run_on(&program, &program.hardware, Mode::Event, &mut writer).unwrap();
    writer.finish().unwrap();
    let bytes = file.into_inner();
    assert_ne!(bytes, waves(&program, WaveFormat::Fst, Mode::Event).0);
    assert_eq!(read(bytes, 1000), whole);
}

#[test]
fn many_nodes_with_odd_names_are_told_apart() {
    let mut program = sample::program();
    for i in 0..200 {
        program.nodes.push(sample::node(
            &format!("a b[{i}]$end #5 é"),
            "Conv",
            0,
            isa::program::Unit::None,
        ));
    }
    for format in FORMATS {
        let (signals, _) = read(waves(&program, format, Mode::Event).0, 1000);
        assert!(signals.contains_key("nodes.n201_a_b_199__end__5__"), "{signals:?}");
        assert_eq!(signals.keys().filter(|name| name.starts_with("nodes.")).count(), 202);
    }
}

#[test]
fn equal_runs_give_equal_bytes() {
    let program = sample::program();
    for format in FORMATS {
        assert_eq!(waves(&program, format, Mode::Event).0, waves(&program, format, Mode::Event).0);
    }
}

/// Takes so many bytes, then fails.
struct Full(usize);

impl Write for Full {
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
    let timing = timing::run(&program, Mode::Event).unwrap();
    let scopes = signals::catalogue(&program);
    assert!(Vcd::new(Full(100), &scopes).is_err());
    let mut header = Vec::new();
    Vcd::new(&mut header, &scopes).unwrap();
    let sink = Box::new(Vcd::new(Full(header.len() + 300), &scopes).unwrap());
    let merger = Merger::new(sink, &scopes, 1000);
    let mut writer = WaveWriter::with_merger(merger, &program, &timing, WINDOW_CYCLES).unwrap();
    timing::run_on(&program, &program.hardware, Mode::Event, &mut writer).unwrap();
    let error = writer.finish().unwrap_err();
    assert_eq!(error.to_string(), "trace: disk full");
    assert!(matches!(error, TraceError::Io(_)));
}

#[test]
fn the_manual_lists_every_code() {
    let manual = include_str!("../../../docs/traces.md");
    for &bucket in Bucket::ALL {
        let row = format!("| {} | `{}` |", bucket as u32, bucket.name());
        assert!(manual.contains(&row), "docs/traces.md lacks: {row}");
    }
}
