//! Small programs whose timing is worked out by hand from `docs/timing.md`.
//!
//! All run on `common::machine()`: a burst of 64 bytes (four words) a cycle, words or rows arrive 11 cycles after the grant, and both
//! cores must give the expected numbers. While nothing else wants the bus, the first bursts of code are granted in cycles 0 (load),
//! 1 (mxu), 2 (vpu), 3 (store), so the first instructions issue in cycles 11, 12, 13, 14.

mod common;

use Bucket::*;
use common::*;
use isa::instructions::Halt;
use isa::program::Class;
use isa::{Engine, Hardware, Program};
use timing::{Bucket, Mode, Record, Span, Timing, TrafficClass, run};

/// The timing, by both cores.
fn time(program: &Program) -> Timing {
    let timing = run(program, Mode::Event).expect("the program is legal and ends");
    assert_eq!(run(program, Mode::Stepped).as_ref(), Ok(&timing), "the cores differ");
    for engine in &timing.engines {
        assert_eq!(engine.total(), timing.total_cycles);
    }
    timing
}

/// The buckets of an engine that are not 0.
fn buckets(timing: &Timing, engine: Engine) -> Vec<(Bucket, u64)> {
    let cycles = &timing.engines[engine.index()];
    Bucket::ALL
        .iter()
        .map(|&bucket| (bucket, cycles[bucket]))
        .filter(|&(_, cycles)| cycles > 0)
        .collect()
}

fn record(timing: &Timing, engine: Engine, index: usize) -> (u64, u64) {
    let Record { issue, complete } = timing.instructions[engine.index()][index];
    (issue, complete)
}

#[test]
fn an_empty_program_fetches_its_halts() {
    // 16 bytes of credit a cycle: a burst in cycles 3, 7, 11, 15; arrivals 14, 18, 22, 26.
    let timing = time(&Code::new(Hardware { dram_bytes_per_cycle: 16, ..machine() }, 0).finish());
    assert_eq!(timing.total_cycles, 27);
    for (engine, halt) in Engine::ALL.into_iter().zip([14, 18, 22, 26]) {
        assert_eq!(record(&timing, engine, 0), (halt, halt));
        assert_eq!(buckets(&timing, engine), [(WaitQueue, halt), (Done, 27 - halt)]);
    }
    let code = timing.traffic[&TrafficClass::Instructions];
    assert_eq!((code.read_bytes, code.write_bytes, code.useful_bytes), (4 * 64, 0, 4 * 16));
}

#[test]
fn a_bus_wider_than_a_burst_grants_several_a_cycle() {
    // Credit is capped at 64 + 160 - 1 = 223: cycle 0 has 160, for two bursts; cycle 1 has 192, for the two others.
    let timing = time(&Code::new(Hardware { dram_bytes_per_cycle: 160, ..machine() }, 0).finish());
    let halts: Vec<u64> = timing.instructions.iter().map(|records| records[0].issue).collect();
    assert_eq!(halts, [11, 11, 12, 12]);
}

/// `load.geom` and a load of 16 rows of 8 bytes, two bursts.
fn loads(hardware: Hardware) -> Timing {
    let mut code = Code::new(hardware, 1);
    code.push(Engine::Load, load_geom(0, 16, 8)).node(0);
    code.push(Engine::Load, load(0, 0, 1 << 24)).class(Class::Weights).node(0);
    time(&code.finish())
}

#[test]
fn a_load_retires_one_row_a_cycle() {
    // Geometry in 11, load in 12; grants in 12 and 13; arrivals in 23 and 24; eight rows each: retired in 31, and in
    // max(24, 31) + 8 = 39.
    let timing = loads(machine());
    assert_eq!(
        (record(&timing, Engine::Load, 0), record(&timing, Engine::Load, 1)),
        ((11, 12), (12, 39))
    );
    assert_eq!(timing.total_cycles, 40);
    assert_eq!(
        buckets(&timing, Engine::Load),
        [(Busy, 3), (WaitDramLatency, 25), (WaitQueue, 11), (Done, 1)]
    );
    let weights = timing.traffic[&TrafficClass::Weights];
    assert_eq!((weights.read_bytes, weights.useful_bytes), (128, 128));
    // The one node has all cycles; of the load engine's those before its first instruction, too, but not `done`.
    let layer = &timing.layers[0];
    assert_eq!((layer.cycles, layer.span), (40, Some(Span { first_issue: 11, finish: 39 })));
    assert_eq!(layer.engines[Engine::Load.index()].total(), 39);
    assert_eq!(layer.engines[Engine::Mxu.index()].total(), 0);
}

#[test]
fn a_load_with_one_outstanding_burst_waits_for_its_retirement() {
    // The second grant waits for cycle 31; arrival 42, retired in 50.
    let timing = loads(Hardware { dram_outstanding: 1, ..machine() });
    assert_eq!(record(&timing, Engine::Load, 1), (12, 50));
    assert_eq!(
        buckets(&timing, Engine::Load),
        [(Busy, 3), (WaitDramLatency, 36), (WaitQueue, 11), (Done, 1)]
    );
}

#[test]
fn a_load_without_credit_waits_for_bandwidth() {
    // 4 bytes a cycle, 16 cycles a burst. Load's code is granted in 15; geometry in 26, load in 27. The turn goes to the fetches of mxu
    // (31), vpu (47) and store (63) before it comes round to load: grants in 79 and 95, arrivals 90 and 106, retired 98 and 114.
    let timing = loads(Hardware { dram_bytes_per_cycle: 4, ..machine() });
    assert_eq!(record(&timing, Engine::Load, 1), (27, 114));
    let expected = [
        (Busy, 3),
        (WaitDramBandwidth, 52 + 15),
        (WaitDramLatency, 18),
        (WaitQueue, 26),
        (Done, 1),
    ];
    assert_eq!(buckets(&timing, Engine::Load), expected);
}

#[test]
fn a_store_reads_its_rows_first() {
    // Geometry in 14, store in 15. Eight rows are read by 23, granted then; eight more by 31; acknowledged in 42.
    let mut code = Code::new(machine(), 0);
    code.push(Engine::Store, store_geom(0, 16, 8));
    code.push(Engine::Store, store(0, 0, 1 << 24)).class(Class::Outputs);
    let timing = time(&code.finish());
    assert_eq!(record(&timing, Engine::Store, 1), (15, 42));
    let expected = [(Busy, 3), (WaitDramLatency, 10), (WaitQueue, 14), (WaitFill, 15), (Done, 1)];
    assert_eq!(buckets(&timing, Engine::Store), expected);
    assert_eq!(timing.traffic[&TrafficClass::Outputs].write_bytes, 128);
}

#[test]
fn a_store_with_one_outstanding_burst_waits_for_its_acknowledgement() {
    // Granted in 23; rows of the second burst are read from 24 on, ready in 32; acknowledged in 34, granted then; done in 45.
    let mut code = Code::new(Hardware { dram_outstanding: 1, ..machine() }, 0);
    code.push(Engine::Store, store_geom(0, 16, 8));
    code.push(Engine::Store, store(0, 0, 1 << 24));
    let timing = time(&code.finish());
    assert_eq!(record(&timing, Engine::Store, 1), (15, 45));
    let expected = [(Busy, 3), (WaitDramLatency, 12), (WaitQueue, 14), (WaitFill, 16), (Done, 1)];
    assert_eq!(buckets(&timing, Engine::Store), expected);
}

#[test]
fn the_bus_needs_time_to_turn_around() {
    // The store's rows are ready in 23 as above. A load of 64 rows, 512 bytes, issues in 12 and is granted in 12, 13, 14, 15, then
    // when retirements free its four slots: 31, 39, 47, 55 (each burst has eight rows). The store's first burst may go 3
    // cycles after the last read, 15 + 3 <= 23, the second in 34 (ready in 31, last read in 31). The load's burst of 39 is
    // not held up by it.
    let mut code = Code::new(machine(), 0);
    code.push(Engine::Load, load_geom(0, 64, 8));
    code.push(Engine::Load, load(0, 1024, 1 << 24));
    code.push(Engine::Store, store_geom(0, 16, 8));
    code.push(Engine::Store, store(0, 0, 1 << 24));
    let timing = time(&code.finish());
    assert_eq!(record(&timing, Engine::Store, 1), (15, 34 + 11));
    let store =
        [(Busy, 3), (WaitDramBandwidth, 3), (WaitDramLatency, 10), (WaitQueue, 14), (WaitFill, 15)];
    assert_eq!(buckets(&timing, Engine::Store)[..5], store);
    // Retirements are 31, 39, ..., 87.
    assert_eq!(record(&timing, Engine::Load, 1), (12, 87));
}

/// Two convolutions of two folds on 4x5 pixels, weights in 8 columns from row `wgt` on.
fn convs(wgt: u32) -> Timing {
    let mut code = Code::new(machine(), 2);
    code.push(Engine::Mxu, kernel(0, 1, 8));
    code.push(Engine::Mxu, input(0, 4, 5));
    code.push(Engine::Mxu, conv(0, 0, wgt, [4, 5], 2)).node(0);
    code.push(Engine::Mxu, conv(0, 0, wgt, [4, 5], 2)).node(1);
    time(&code.finish())
}

#[test]
fn convolutions_hide_their_weights_behind_each_other() {
    // Words arrive in 12 (four of them) and 15. Registers in 12 and 13, convolution in 14: weights until 22, folds of 20 cycles from
    // 22 and 42 to 62, end 62 + 8 + 8 - 1 = 77. The next issues with the last fold, in 42: weights until 50, folds from 62 to 102,
    // end 117.
    let timing = convs(1024);
    assert_eq!(record(&timing, Engine::Mxu, 1), (13, 14));
    assert_eq!(record(&timing, Engine::Mxu, 2), (14, 77));
    assert_eq!(record(&timing, Engine::Mxu, 3), (42, 117));
    assert_eq!(timing.total_cycles, 118);
    let expected = [(Busy, 82), (WaitQueue, 12), (WaitFill, 8), (WaitDrain, 15), (Done, 1)];
    assert_eq!(buckets(&timing, Engine::Mxu), expected);
    assert_eq!(timing.layers[0].cycles, 77);
    assert_eq!(timing.layers[1].cycles, 118 - 77);
    // A cycle counts for the oldest instruction that is not complete: 14..77 and 77..117.
    assert_eq!(timing.layers[0].engines[Engine::Mxu.index()].total(), 63);
    assert_eq!(timing.layers[1].engines[Engine::Mxu.index()][Busy], 102 - 77);
}

#[test]
fn activations_and_weights_in_one_bank_take_turns() {
    // Period 28: folds 22..42 and 50..70, end 85. The next issues in 50, is loaded in 58, streams 70..90 and 98..118, ends in 133.
    let timing = convs(512);
    assert_eq!(record(&timing, Engine::Mxu, 2), (14, 85));
    assert_eq!(record(&timing, Engine::Mxu, 3), (50, 133));
    let expected =
        [(Busy, 82), (WaitWeights, 16), (WaitQueue, 12), (WaitFill, 8), (WaitDrain, 15), (Done, 1)];
    assert_eq!(buckets(&timing, Engine::Mxu), expected);
}

#[test]
fn a_short_stream_waits_for_the_next_weights() {
    // 3 pixels, 8 columns: folds stream 22..25 and 30..33, own end 48. The next issues in 30, weights until 38, streams 38..41 and
    // 46..49, own end 64. Between 33 and 38 nothing streams: the second waits for its weights, the first is not complete.
    let mut code = Code::new(machine(), 0);
    code.push(Engine::Mxu, kernel(0, 1, 8));
    code.push(Engine::Mxu, input(0, 1, 3));
    code.push(Engine::Mxu, conv(0, 0, 1024, [1, 3], 2));
    code.push(Engine::Mxu, conv(0, 0, 1024, [1, 3], 2));
    let timing = time(&code.finish());
    assert_eq!(record(&timing, Engine::Mxu, 3), (30, 64));
    let expected =
        [(Busy, 14), (WaitWeights, 15), (WaitQueue, 12), (WaitFill, 8), (WaitDrain, 15), (Done, 1)];
    assert_eq!(buckets(&timing, Engine::Mxu), expected);
}

#[test]
fn a_page_in_use_holds_up_its_next_writer() {
    // The convolution reads page 0 until 57 (one fold, 22..42, and 15 to cross); the word for page 1 issues once the array is
    // free, in 22, and completes behind the convolution; the one for page 0 waits until then.
    let mut code = Code::new(machine(), 0);
    code.push(Engine::Mxu, kernel(0, 1, 8));
    code.push(Engine::Mxu, input(0, 4, 5));
    code.push(Engine::Mxu, conv(0, 0, 1024, [4, 5], 1));
    code.push(Engine::Mxu, kernel(1, 1, 8));
    code.push(Engine::Mxu, kernel(0, 1, 8));
    let timing = time(&code.finish());
    assert_eq!(record(&timing, Engine::Mxu, 3), (22, 57));
    assert_eq!(record(&timing, Engine::Mxu, 4), (57, 58));
    // Streaming 22..42, words 12..14 and 57..58.
    let expected = [(Busy, 23), (WaitQueue, 12), (WaitFill, 8), (WaitDrain, 15), (Done, 1)];
    assert_eq!(buckets(&timing, Engine::Mxu), expected);
}

#[test]
fn waits_are_named_after_what_will_end_them() {
    // Load as in `a_load_retires_one_row_a_cycle`, complete in 39. The convolution waits for it from 14 on; its own end is
    // 39 + 8 + 20 + 15 = 82. The drain, one row a pixel, takes 20 + 5: it waits from 15 to 82 and ends in 107. The store has its
    // rows in 107 + 8 and 107 + 16, grants then, and its acknowledgement in 134.
    let mut code = Code::new(machine(), 0);
    code.push(Engine::Load, load_geom(0, 16, 8));
    code.push(Engine::Load, load(0, 1024, 1 << 24)).class(Class::Weights).signal(Engine::Mxu);
    code.push(Engine::Mxu, kernel(0, 1, 8));
    code.push(Engine::Mxu, input(0, 4, 5));
    code.push(Engine::Mxu, conv(0, 0, 1024, [4, 5], 1)).wait(Engine::Load).signal(Engine::Vpu);
    code.push(Engine::Vpu, vpu_out(0));
    code.push(Engine::Vpu, vpu_quant(0));
    code.push(Engine::Vpu, drain(0, 2048, [4, 5], 8))
        .wait(Engine::Mxu)
        .signal(Engine::Store)
        .signal(Engine::Load);
    code.push(Engine::Store, store_geom(0, 16, 8));
    code.push(Engine::Store, store(0, 2048, 1 << 25)).wait(Engine::Vpu);
    code.push(Engine::Load, sync()).wait(Engine::Vpu);
    let timing = time(&code.finish());
    assert_eq!(record(&timing, Engine::Mxu, 2), (39, 82));
    assert_eq!(record(&timing, Engine::Vpu, 2), (82, 107));
    assert_eq!(record(&timing, Engine::Store, 1), (107, 134));
    assert_eq!(timing.total_cycles, 135);
    let mxu = [
        (Busy, 22),
        (WaitWeights, 25),
        (WaitQueue, 12),
        (WaitFill, 8),
        (WaitDrain, 15),
        (Done, 53),
    ];
    assert_eq!(buckets(&timing, Engine::Mxu), mxu);
    let vpu = [(Busy, 27), (WaitAccumulator, 67), (WaitQueue, 13), (Done, 28)];
    assert_eq!(buckets(&timing, Engine::Vpu), vpu);
    assert_eq!(timing.engines[Engine::Store.index()][WaitActivations], 107 - 15);
    // `sync` is idle, from 39 to 107; then it takes a cycle, and `halt` issues in 108.
    assert_eq!(timing.engines[Engine::Load.index()][Idle], 107 - 39);
    assert_eq!(timing.engines[Engine::Load.index()][Done], 135 - 108);
}

#[test]
fn a_bank_port_is_held_from_issue_to_completion() {
    // The load writes bank 1 from 12 to 39; the drain, ready in 15, writes there too and goes on in 39.
    let mut code = Code::new(machine(), 0);
    code.push(Engine::Load, load_geom(0, 16, 8));
    code.push(Engine::Load, load(0, 1024, 1 << 24));
    code.push(Engine::Vpu, vpu_out(0));
    code.push(Engine::Vpu, vpu_quant(0));
    code.push(Engine::Vpu, drain(0, 1100, [2, 2], 8));
    let timing = time(&code.finish());
    assert_eq!(record(&timing, Engine::Vpu, 2), (39, 48));
    assert_eq!(timing.engines[Engine::Vpu.index()][WaitBank], 24);
    // Two register words; four pixels and the pipeline.
    assert_eq!(timing.engines[Engine::Vpu.index()][Busy], 2 + 9);
}

#[test]
fn a_full_semaphore_holds_its_signal_back() {
    // The fill issues in 14 and ends in 14 + 1000 + 5 = 1019; until then store takes none of load's 256 signals, and the last `sync` cannot
    // complete. Store issues its first `sync` in 1019, the second in 1020 and so makes room for the last signal, in 1021.
    let mut code = Code::new(machine(), 0);
    code.push(Engine::Vpu, vpu_stride(0));
    code.push(Engine::Vpu, fill(0, 0, 1000)).signal(Engine::Store);
    code.push(Engine::Store, sync()).wait(Engine::Vpu);
    for _ in 0..256 {
        code.push(Engine::Load, sync()).signal(Engine::Store);
        code.push(Engine::Store, sync()).wait(Engine::Load);
    }
    let timing = time(&code.finish());
    assert_eq!(record(&timing, Engine::Vpu, 1), (14, 1019));
    let (issue, complete) = record(&timing, Engine::Load, 255);
    assert!(issue < 600, "issued in {issue}");
    assert_eq!(complete, 1021);
    // Held back by the semaphore alone it counts as busy, and `halt` issues only when it has completed.
    assert_eq!(record(&timing, Engine::Load, 256), (1021, 1021));
    assert!(timing.engines[Engine::Load.index()][Busy] >= 1021 - issue);
}

#[test]
fn a_halt_waits_for_room_in_the_semaphores_it_signals() {
    // As above, but the 256th signal is that of `halt`, which keeps the engine from taking it.
    let mut code = Code::new(machine(), 0);
    code.push(Engine::Vpu, vpu_stride(0));
    code.push(Engine::Vpu, fill(0, 0, 1000)).signal(Engine::Store);
    code.push(Engine::Store, sync()).wait(Engine::Vpu);
    for _ in 0..255 {
        code.push(Engine::Load, sync()).signal(Engine::Store);
        code.push(Engine::Store, sync()).wait(Engine::Load);
    }
    code.push(Engine::Store, sync()).wait(Engine::Load);
    code.push(Engine::Load, Halt {}).signal(Engine::Store);
    for engine in [Engine::Mxu, Engine::Vpu, Engine::Store] {
        code.push(engine, Halt {});
    }
    let timing = time(&code.finish_as_is());
    // Store issues in 1020 behind load's turn in that cycle; so 1021.
    assert_eq!(record(&timing, Engine::Load, 255), (1021, 1021));
    // Its word may come later than the last `sync` completes, and is then waited for first.
    let since = record(&timing, Engine::Load, 254).1;
    let waited = timing.engines[Engine::Load.index()][WaitConfig];
    assert!(waited > 400 && waited <= 1021 - since, "{waited} cycles since {since}");
}

#[test]
fn code_may_start_inside_a_burst() {
    // Mxu's code starts 16 bytes before the end of a burst: one word in the first (granted in 1), three in the next (in 4): the registers
    // of page 0 in 12, `sync` in 15.
    let mut code = Code::new(machine(), 0);
    code.push(Engine::Mxu, kernel(0, 1, 8));
    code.push(Engine::Mxu, sync());
    code.push(Engine::Mxu, sync());
    let mut program = code.finish();
    program.code[Engine::Mxu.index()].base += 48;
    let timing = time(&program);
    let issues: Vec<u64> =
        timing.instructions[Engine::Mxu.index()].iter().map(|record| record.issue).collect();
    assert_eq!(issues, [12, 15, 16, 17]);
    let words = timing.traffic[&TrafficClass::Instructions];
    assert_eq!((words.read_bytes, words.useful_bytes), (5 * 64, 7 * 16));
}

#[test]
fn fetch_stops_when_the_buffer_has_no_room_for_a_burst() {
    // Eight words fit. Load's bursts of four go in 0 and 4; the third needs room for four, so four issues: in 11 to 14, and is granted
    // in 14. Its words arrive in 25, while the second burst's have come in 15: the eighth word issues in 18.
    let mut code = Code::new(machine(), 0);
    for _ in 0..11 {
        code.push(Engine::Load, sync());
    }
    let timing = time(&code.finish());
    let issues: Vec<u64> =
        timing.instructions[Engine::Load.index()].iter().map(|record| record.issue).collect();
    assert_eq!(issues, [11, 12, 13, 14, 15, 16, 17, 18, 25, 26, 27, 28]);
    assert_eq!(timing.engines[Engine::Load.index()][WaitQueue], 11 + 25 - 19);
}
