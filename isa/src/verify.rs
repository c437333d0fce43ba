//! The static verifier: proves that a program computes the same bytes however its engines interleave, without running it.
//!
//! It is independent of the compiler: it sees words, not intentions. It executes the semaphores alone (what matters is who waits for whom, never a
//! value or a cycle), keeps for every unit of every memory who touched it last, and demands that each conflicting pair of
//! different engines is ordered by a chain of semaphores. The k-th signal of a pair serves its k-th wait, so one legal
//! execution decides for all: if it ends, none deadlocks, and if it has no unordered conflict, none races.

mod intervals;
mod walk;

use std::ops::Range;

use crate::access::{Access, AccessError, Pages, Space, access, check_dram};
use crate::inst::{Engine, Inst, WORD_BYTES};
use crate::layout;
use crate::program::Program;

use intervals::Intervals;
pub use walk::{End, walk};

/// Findings after which the rest is not looked for.
const MAX_FINDINGS: usize = 20;

/// Something wrong with a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Engine of the offending word.
    pub engine: Engine,
    /// Its index in the engine's section.
    pub index: usize,
    /// ONNX node it belongs to, if any.
    pub node: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

/// Kinds of findings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The word is not legal by itself.
    #[error("illegal word: {0}")]
    Illegal(#[from] AccessError),
    /// Two engines touch the same unit, one of them writes, and no semaphore orders them.
    #[error("races with word {index} of {engine} on {unit}")]
    Race {
        /// The other word's engine.
        engine: Engine,
        /// The other word's index.
        index: usize,
        /// Memory and address.
        unit: String,
    },
    /// Something is read that nothing wrote.
    #[error("reads {unit}, which nothing wrote before")]
    Unwritten {
        /// Memory and address.
        unit: String,
    },
    /// A network input, a constant or code is overwritten.
    #[error("writes DRAM byte {byte}, which holds a network input, a constant or code")]
    ReadOnly {
        /// Address.
        byte: u64,
    },
    /// The engine waits for a signal that never comes.
    #[error("waits forever for {0}")]
    Deadlock(Engine),
    /// The engine cannot complete because a semaphore stays full.
    #[error("signals {0} more than 255 times ahead of its waits")]
    Overflow(Engine),
    /// Signals are left over at the end.
    #[error("{count} signals to {consumer} are never waited for")]
    Unused {
        /// Consumer.
        consumer: Engine,
        /// Signals left.
        count: u32,
    },
    /// An output byte is not written exactly once.
    #[error("output `{name}` byte {byte} is written {times} times")]
    Output {
        /// Tensor.
        name: String,
        /// Byte in the tensor's DRAM form.
        byte: u64,
        /// How often.
        times: u8,
    },
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} word {}", self.engine, self.index)?;
        if let Some(node) = &self.node {
            write!(f, " (`{node}`)")?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// Checks a program; an empty list is the proof.
#[must_use]
pub fn verify(program: &Program) -> Vec<Finding> {
    let mut v = Verifier::new(program);
    v.run();
    v.outputs();
    v.findings
}

/// Index of the last word of each engine that touched a unit, plus one.
type Last = [u32; 4];

/// A memory with its history.
struct Memory {
    written: Vec<Last>,
    read: Vec<Last>,
}

impl Memory {
    fn new(units: usize) -> Memory {
        Memory { written: vec![[0; 4]; units], read: vec![[0; 4]; units] }
    }
}

/// DRAM: read by loads, written by stores; network inputs, constants and code are there from the beginning and read-only.
#[derive(Default)]
struct Dram {
    /// Last store (index plus one; 0 for what is there from the beginning) and how often stores wrote.
    written: Intervals<(u32, u8)>,
    /// Last load, index plus one.
    read: Intervals<u32>,
}

struct Verifier<'a> {
    program: &'a Program,
    findings: Vec<Finding>,
    spad: Memory,
    acc: Memory,
    params: Memory,
    tables: Memory,
    dram: Dram,
    pages: Pages,
    /// What each engine knows to be complete.
    known: [Last; 4],
}

impl<'a> Verifier<'a> {
    fn new(program: &'a Program) -> Verifier<'a> {
        let hw = &program.hardware;
        let mut dram = Dram::default();
        let constants = program.constants_base
            ..program.constants_base.saturating_add(program.constants.len() as u64);
        let code = program
            .code
            .iter()
            .map(|s| s.base..s.base.saturating_add((s.words.len() * WORD_BYTES) as u64));
        let inputs = program.inputs.iter().map(|i| tensor_bytes(program, i.tensor, i.dram));
        for held in inputs.chain(code).chain([constants]) {
            dram.written.update(held, |_| (0, 0));
        }
        Verifier {
            program,
            findings: Vec::new(),
            spad: Memory::new(hw.scratchpad_rows() as usize),
            acc: Memory::new(2 * hw.acc_rows as usize),
            params: Memory::new(2 * hw.param_entries as usize),
            tables: Memory::new(2),
            dram,
            pages: Pages::default(),
            known: [[0; 4]; 4],
        }
    }

    fn report(&mut self, engine: Engine, index: usize, problem: Problem) {
        if self.findings.len() < MAX_FINDINGS {
            let node = self
                .program
                .section(engine)
                .notes
                .get(index)
                .and_then(|n| self.program.nodes.get(n.node as usize));
            self.findings.push(Finding {
                engine,
                index,
                node: node.map(|n| n.name.clone()),
                problem,
            });
        }
    }

    /// Checks every word when its turn comes.
    fn run(&mut self) {
        // Knowledge that each signal carries, by producer and consumer, in order.
        let mut carried: Vec<std::collections::VecDeque<Last>> = vec![Default::default(); 16];
        let end = walk(self.program, |engine, index, inst| {
            let e = engine.index();
            for producer in inst.wait.iter() {
                if let Some(told) = carried[producer.index() * 4 + e].pop_front() {
                    join(&mut self.known[e], &told);
                }
            }
            self.word(engine, index, inst);
            for consumer in inst.signal.iter() {
                let mut told = self.known[e];
                told[e] = index as u32 + 1;
                carried[e * 4 + consumer.index()].push_back(told);
            }
        });
        self.stuck(&end);
    }

    /// Reports engines that did not reach their end, and signals nobody took.
    fn stuck(&mut self, End { next, count }: &End) {
        let mut all_done = true;
        for engine in Engine::ALL {
            let at = next[engine.index()];
            let Some(inst) = self.program.section(engine).words.get(at).copied() else { continue };
            all_done = false;
            if let Some(producer) = inst.wait.iter().find(|p| count[p.index()][engine.index()] == 0)
            {
                self.report(engine, at, Problem::Deadlock(producer));
            } else if let Some(consumer) =
                inst.signal.iter().find(|c| count[engine.index()][c.index()] >= walk::MAX_COUNT)
            {
                self.report(engine, at, Problem::Overflow(consumer));
            }
        }
        if !all_done {
            return;
        }
        for producer in Engine::ALL {
            for consumer in Engine::ALL {
                let left = count[producer.index()][consumer.index()];
                if left > 0 {
                    let last = self.program.section(producer).words.len() - 1;
                    self.report(producer, last, Problem::Unused { consumer, count: left });
                }
            }
        }
    }

    /// Checks one word against what came before.
    fn word(&mut self, engine: Engine, index: usize, inst: &Inst) {
        self.pages.apply(inst);
        let accesses = access(inst, &self.pages, &self.program.hardware)
            .and_then(|list| check_dram(&list, self.program.dram_bytes).map(|()| list));
        let accesses = match accesses {
            Ok(list) => list,
            Err(e) => return self.report(engine, index, e.into()),
        };
        for a in &accesses {
            if let Some(problem) = self.check(engine, a) {
                self.report(engine, index, problem);
            }
        }
        for a in &accesses {
            self.record(engine, index, a);
        }
    }

    /// The memory behind a space and the offset of its units; DRAM has a representation of its own.
    fn memory(&mut self, space: Space) -> Option<(&mut Memory, usize)> {
        let hw = &self.program.hardware;
        match space {
            Space::Spad => Some((&mut self.spad, 0)),
            Space::Acc(bank) => Some((&mut self.acc, bank as usize * hw.acc_rows as usize)),
            Space::Params(slot) => {
                Some((&mut self.params, slot as usize * hw.param_entries as usize))
            }
            Space::Table(slot) => Some((&mut self.tables, slot as usize)),
            Space::Dram => None,
        }
    }

    fn check(&mut self, engine: Engine, a: &Access) -> Option<Problem> {
        let known = self.known[engine.index()];
        let Some((memory, base)) = self.memory(a.space) else { return self.check_dram(a, &known) };
        for unit in units(a).flatten() {
            let at = base + unit;
            for other in Engine::ALL.into_iter().filter(|&o| o != engine) {
                let o = other.index();
                let read = if a.write { memory.read[at][o] } else { 0 };
                let conflict = memory.written[at][o].max(read);
                if conflict > known[o] {
                    return Some(Problem::Race {
                        engine: other,
                        index: conflict as usize - 1,
                        unit: name(a.space, unit),
                    });
                }
            }
            if !a.write && memory.written[at] == [0; 4] {
                return Some(Problem::Unwritten { unit: name(a.space, unit) });
            }
        }
        None
    }

    /// Loads read what stores or the host wrote; stores write tensors that are not network inputs.
    fn check_dram(&self, a: &Access, known: &Last) -> Option<Problem> {
        let race = |engine: Engine, last: u32, byte| Problem::Race {
            engine,
            index: last as usize - 1,
            unit: name(Space::Dram, byte),
        };
        for range in a.rows.intervals().map(|r| r.start as u64..r.end as u64) {
            for (piece, (store, _)) in self.dram.written.get(range.clone()) {
                if a.write && store == 0 {
                    return Some(Problem::ReadOnly { byte: piece.start });
                }
                if !a.write && store > known[Engine::Store.index()] {
                    return Some(race(Engine::Store, store, piece.start as usize));
                }
            }
            if a.write {
                let unordered =
                    self.dram.read.get(range).find(|(_, load)| *load > known[Engine::Load.index()]);
                if let Some((piece, load)) = unordered {
                    return Some(race(Engine::Load, load, piece.start as usize));
                }
            } else if let Some(byte) = self.dram.written.first_gap(range) {
                return Some(Problem::Unwritten { unit: name(Space::Dram, byte as usize) });
            }
        }
        None
    }

    fn record(&mut self, engine: Engine, index: usize, a: &Access) {
        let mark = index as u32 + 1;
        let Some((memory, base)) = self.memory(a.space) else {
            for range in a.rows.intervals().map(|r| r.start as u64..r.end as u64) {
                if a.write {
                    self.dram
                        .written
                        .update(range, |old| (mark, old.map_or(0, |(_, n)| n).saturating_add(1)));
                } else {
                    self.dram.read.update(range, |_| mark);
                }
            }
            return;
        };
        let history = if a.write { &mut memory.written } else { &mut memory.read };
        for unit in units(a).flatten() {
            history[base + unit][engine.index()] = mark;
        }
    }

    /// Every byte of every output is written exactly once.
    fn outputs(&mut self) {
        let program = self.program;
        for output in &program.outputs {
            let range = tensor_bytes(program, output.tensor, output.dram);
            let gap = self.dram.written.first_gap(range.clone()).map(|byte| (byte, 0));
            let again = self
                .dram
                .written
                .get(range.clone())
                .find(|(_, (_, times))| *times != 1)
                .map(|(piece, (_, times))| (piece.start, times));
            if let Some((byte, times)) = gap.or(again) {
                let name = program.tensors[output.tensor as usize].name.clone();
                let last = program.section(Engine::Store).words.len().saturating_sub(1);
                self.report(
                    Engine::Store,
                    last,
                    Problem::Output { name, byte: byte - range.start, times },
                );
            }
        }
    }
}

/// Units of an access: addresses, or the one table of a slot.
fn units(a: &Access) -> impl Iterator<Item = Range<usize>> {
    let table = matches!(a.space, Space::Table(_));
    a.rows.intervals().map(move |r| if table { 0..1 } else { r.start as usize..r.end as usize })
}

/// DRAM bytes of a tensor at `base`.
fn tensor_bytes(program: &Program, tensor: u32, base: u64) -> Range<u64> {
    let info = &program.tensors[tensor as usize];
    base..base.saturating_add(layout::dram_bytes(info.shape, info.bits))
}

fn join(mine: &mut Last, theirs: &Last) {
    for (a, b) in mine.iter_mut().zip(theirs) {
        *a = (*a).max(*b);
    }
}

fn name(space: Space, unit: usize) -> String {
    match space {
        Space::Spad => format!("scratchpad row {unit}"),
        Space::Acc(bank) => format!("accumulator row {unit} of bank {bank}"),
        Space::Params(slot) => format!("parameter entry {unit} of slot {slot}"),
        Space::Table(slot) => format!("table slot {slot}"),
        Space::Dram => format!("DRAM byte {unit}"),
    }
}
