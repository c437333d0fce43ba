//! Programs that have no timing, and the messages that say why.

mod common;

use common::*;
use isa::instructions::Halt;
use isa::{Engine, Program};
use timing::{Cause, InstRef, Mode, Stuck, TimingError, run};

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
