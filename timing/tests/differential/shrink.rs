//! Makes a program on which the cores differ as short as it gets, and writes it down.

use std::fmt::Write;

use isa::{Engine, Hardware, Program};

/// Leaves out words and semaphores as long as `differs` stays true.
pub(crate) fn shrink(mut program: Program, differs: impl Fn(&Program) -> bool) -> Program {
    loop {
        let before = size(&program);
        for engine in Engine::ALL {
            drop_words(&mut program, engine, &differs);
            drop_semaphores(&mut program, engine, &differs);
        }
        if size(&program) == before {
            return program;
        }
    }
}

/// Words and semaphores.
fn size(program: &Program) -> usize {
    let words = program.code.iter().flat_map(|section| &section.words);
    words.map(|inst| 1 + inst.wait.len() + inst.signal.len()).sum()
}

/// Leaves out ever shorter stretches of words, never the `halt`.
fn drop_words(program: &mut Program, engine: Engine, differs: &impl Fn(&Program) -> bool) {
    let mut stretch = program.section(engine).words.len();
    while stretch > 0 {
        let mut at = 0;
        while at + 1 < program.section(engine).words.len() {
            let mut shorter = program.clone();
            let section = &mut shorter.code[engine.index()];
            let end = (at + stretch).min(section.words.len() - 1);
            section.words.drain(at..end);
            section.notes.drain(at..end);
            if differs(&shorter) {
                *program = shorter;
            } else {
                at += stretch;
            }
        }
        stretch /= 2;
    }
}

/// Leaves out single signals and waits, and pairs of them: the k-th signal with the k-th wait.
fn drop_semaphores(program: &mut Program, producer: Engine, differs: &impl Fn(&Program) -> bool) {
    for consumer in producer.others() {
        let places = |program: &Program, signals: bool| -> Vec<usize> {
            let words = &program.section(if signals { producer } else { consumer }).words;
            let has = |i: &usize| {
                if signals {
                    words[*i].signal.contains(consumer)
                } else {
                    words[*i].wait.contains(producer)
                }
            };
            (0..words.len()).filter(has).collect()
        };
        let (signals, waits) = (places(program, true), places(program, false));
        for k in (0..signals.len().max(waits.len())).rev() {
            for (drop_signal, drop_wait) in [(true, true), (true, false), (false, true)] {
                let mut fewer = program.clone();
                if let Some(&at) = signals.get(k).filter(|_| drop_signal) {
                    fewer.code[producer.index()].words[at].signal.remove(consumer);
                }
                if let Some(&at) = waits.get(k).filter(|_| drop_wait) {
                    fewer.code[consumer.index()].words[at].wait.remove(producer);
                }
                if fewer != *program && differs(&fewer) {
                    *program = fewer;
                }
            }
        }
    }
}

/// A program for people: what its machine has of its own, and its words by engine.
pub(crate) fn listing(program: &Program) -> String {
    let mut text = String::new();
    let default = Hardware::default();
    for info in Hardware::PARAMS {
        let (own, usual) = (program.hardware.get(info.name), default.get(info.name));
        if let Some(value) = own.filter(|_| own != usual) {
            writeln!(text, "{} = {value}", info.name).expect("writing to a string cannot fail");
        }
    }
    for engine in Engine::ALL {
        let section = program.section(engine);
        writeln!(text, "{engine}: code at {}", section.base)
            .expect("writing to a string cannot fail");
        for (i, (inst, note)) in section.words.iter().zip(&section.notes).enumerate() {
            let (wait, signal) = (inst.wait, inst.signal);
            let fields: Vec<String> = inst
                .op
                .doc()
                .fields
                .iter()
                .zip(inst.op.values())
                .map(|(f, v)| format!("{} = {v}", f.name))
                .collect();
            let class = note.class;
            writeln!(
                text,
                "  {i}: {} {} wait {wait:?} signal {signal:?} class {class:?}",
                inst.op.mnemonic(),
                fields.join(", ")
            )
            .expect("writing to a string cannot fail");
        }
    }
    text
}
