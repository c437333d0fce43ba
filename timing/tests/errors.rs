//! Programs that have no timing, and the messages that say why.

mod common;

use common::*;
use isa::instructions::{Halt, VpuDepthwise, VpuIn, VpuKernel, VpuOut};
use isa::{Engine, Hardware, Program};
use timing::{Cause, InstRef, MAX_CYCLES, Mode, Stuck, TimingError, run};

/// The error, the same from both cores.
fn error(program: &Program) -> TimingError {
    let error = run(program, Mode::Event).expect_err("the program is wrong");
    assert_eq!(run(program, Mode::Stepped), Err(error.clone()), "the cores differ");
    error
}

fn inst(engine: Engine, index: u32) -> InstRef {
    InstRef { engine, index }
}

#[test]
fn a_circle_of_waits_is_a_deadlock() {
    let mut code = Code::new(machine(), 0);
    code.push(Engine::Mxu, sync()).wait(Engine::Vpu).signal(Engine::Vpu);
    code.push(Engine::Vpu, sync()).wait(Engine::Mxu).signal(Engine::Mxu);
    let error = error(&code.finish());
    let stuck = |engine, by| Stuck { inst: inst(engine, 0), cause: Cause::Signal(by) };
    let expected = vec![stuck(Engine::Mxu, Engine::Vpu), stuck(Engine::Vpu, Engine::Mxu)];
    assert_eq!(error, TimingError::Deadlock(expected));
    let text = "deadlock: mxu instruction 0 waits for a signal of vpu; vpu instruction 0 waits for a signal of mxu";
    assert_eq!(error.to_string(), text);
}

#[test]
fn signals_that_nobody_takes_fill_the_semaphore() {
    let mut code = Code::new(machine(), 0);
    for _ in 0..300 {
        code.push(Engine::Load, sync()).signal(Engine::Store);
    }
    let error = error(&code.finish());
    let stuck = Stuck { inst: inst(Engine::Load, 255), cause: Cause::Full(Engine::Store) };
    assert_eq!(error, TimingError::Deadlock(vec![stuck]));
    let text = "deadlock: load instruction 255 waits for room in its semaphore towards store, which is full";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_port_that_is_never_freed_is_named() {
    // The fill cannot complete: 255 earlier signals fill the semaphore. It keeps its bank.
    let mut code = Code::new(machine(), 0);
    code.push(Engine::Vpu, vpu_stride(0));
    for _ in 0..255 {
        code.push(Engine::Vpu, sync()).signal(Engine::Mxu);
    }
    code.push(Engine::Vpu, fill(0, 0, 4)).signal(Engine::Mxu).signal(Engine::Load);
    code.push(Engine::Store, sync()).wait(Engine::Mxu);
    code.push(Engine::Mxu, sync()).wait(Engine::Store);
    // Later than the fill: it needs thousands of cycles for its words.
    code.push(Engine::Load, load_geom(0, 8, 8));
    for _ in 0..600 {
        code.push(Engine::Load, sync());
    }
    code.push(Engine::Load, load(0, 8, 1 << 24));
    let TimingError::Deadlock(stuck) = error(&code.finish()) else { panic!("expected a deadlock") };
    let load = Stuck { inst: inst(Engine::Load, 601), cause: Cause::Bank(Engine::Vpu) };
    let mxu = Stuck { inst: inst(Engine::Mxu, 0), cause: Cause::Signal(Engine::Store) };
    let vpu = Stuck { inst: inst(Engine::Vpu, 256), cause: Cause::Full(Engine::Mxu) };
    let store = Stuck { inst: inst(Engine::Store, 0), cause: Cause::Signal(Engine::Mxu) };
    assert_eq!(stuck, [load, mxu, vpu, store]);
}

#[test]
fn code_must_end_with_its_only_halt() {
    let empty = Code::new(machine(), 0).finish_as_is();
    assert_eq!(
        error(&empty).to_string(),
        "engine load: 0 `halt` in 0 words, expected one, at the end"
    );
    let mut twice = Code::new(machine(), 0);
    twice.push(Engine::Vpu, Halt {});
    let expected = TimingError::Halt { engine: Engine::Vpu, halts: 2, words: 2 };
    assert_eq!(error(&twice.finish()), expected);
}

#[test]
fn illegal_instructions_and_notes_are_named() {
    let mut code = Code::new(machine(), 0);
    code.push(Engine::Store, sync());
    code.push(Engine::Store, store(1, 0, 0));
    let text = error(&code.finish()).to_string();
    let expected = "store instruction 1: reads the registers of `store.geom` in page 1, which no earlier word has written";
    assert_eq!(text, expected);

    let mut code = Code::new(machine(), 2);
    code.push(Engine::Mxu, sync()).node(2);
    assert_eq!(
        error(&code.finish()),
        TimingError::Node { inst: inst(Engine::Mxu, 0), node: 2, nodes: 2 }
    );

    let mut program = Code::new(machine(), 0).finish();
    program.code[2].notes.clear();
    assert_eq!(
        error(&program).to_string(),
        "engine vpu: 0 notes for 1 words, expected one for each"
    );

    let mut program = Code::new(machine(), 0).finish();
    program.code[1].base += 8;
    assert_eq!(error(&program), TimingError::CodeBase { engine: Engine::Mxu, base: (1 << 20) + 8 });

    let mut program = Code::new(machine(), 0).finish();
    program.code.swap(0, 1);
    assert_eq!(
        error(&program),
        TimingError::Engine { inst: inst(Engine::Load, 0), found: Engine::Mxu }
    );
}

/// `count` depthwise convolutions of `side x side` pixels and 255 x 255 taps on a machine with one lane and one multiplier for rows
/// of 256 channels.
fn endless(side: u32, count: usize) -> Program {
    let hardware = Hardware {
        array_rows: 256,
        scratchpad_kib: 65536,
        scratchpad_banks: 64,
        vector_lanes: 1,
        depthwise_taps: 1,
        ..Hardware::default()
    };
    let mut code = Code::new(hardware, 0);
    let (h, w) = (255, 255);
    let region =
        VpuIn { page: 0, h, w, row_stride: w, block_stride: 0, plane_stride: 0, wide: false };
    code.push(Engine::Vpu, region);
    let result =
        VpuOut { page: 0, row_stride: side, block_stride: 0, plane_stride: 0, wide: false };
    code.push(Engine::Vpu, result);
    code.push(Engine::Vpu, vpu_quant(0));
    let window = VpuKernel {
        page: 0,
        kh: h,
        kw: w,
        sy: 1,
        sx: 1,
        dy: 1,
        dx: 1,
        pad: 0,
        weights: 66000,
        by_count: false,
    };
    code.push(Engine::Vpu, window);
    for _ in 0..count {
        let (a, dst) = (0, 132_000);
        code.push(
            Engine::Vpu,
            VpuDepthwise {
                page: 0,
                a,
                dst,
                th: side,
                tw: side,
                iy0: -99,
                ix0: -99,
                blocks: 1,
                slot: 0,
                base: 0,
            },
        );
    }
    code.finish()
}

#[test]
fn programs_of_absurd_length_are_refused() {
    // 300 * 300 * 255 * 255 * 256 cycles are more than 2^40.
    let refused =
        |index| TimingError::TooLong { inst: inst(Engine::Vpu, index), limit: MAX_CYCLES };
    assert_eq!(error(&endless(300, 1)), refused(4));
    // 256 * 256 * 255 * 255 * 256 are a few less: one is timed, two are not. (The stepped core would take hours to say so.)
    assert!(run(&endless(256, 1), Mode::Event).is_ok());
    assert_eq!(run(&endless(256, 2), Mode::Event), Err(refused(5)));
}
