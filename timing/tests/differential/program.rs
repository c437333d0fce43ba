//! Random programs that can run to their end, and some that cannot.
//!
//! A program is written down in one sequence over all engines, and a word waits only for signals of words before it. So there is an order
//! in which everything can happen, and the machine finds one, whatever it overlaps. Deadlocks are made from such programs
//! by taking a signal away or adding a wait; filled semaphores can cause them too.

use isa::access::{Pages, access};
use isa::instructions::{Halt, Sync};
use isa::program::{Class, Meta, NodeInfo, Note, Section, Unit};
use isa::{Engine, EngineSet, Hardware, Inst, Op, Program};

use crate::machine::machine;
use crate::rng::Rng;
use crate::words::tile;

/// Signals that a semaphore holds.
const FULL: u32 = 255;

/// The program of a seed.
pub(crate) fn program(seed: u64) -> Program {
    let mut rng = Rng::new(seed);
    let hardware = machine(&mut rng);
    let mut writer = Writer::new(&mut rng, hardware);
    let most = writer.rng.pick(&[0, 10, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 300]);
    let words = writer.rng.within(0..=most);
    let flood_at = if writer.rng.chance(4) { Some(writer.rng.below(words + 1)) } else { None };
    // Engines that are picked more often, less often, or never.
    let choices: Vec<Engine> = Engine::ALL
        .into_iter()
        .flat_map(|engine| vec![engine; writer.rng.pick(&[0, 1, 1, 3])])
        .collect();
    for i in 0..words {
        if flood_at == Some(i) {
            writer.flood();
        }
        if !choices.is_empty() {
            let engine = writer.rng.pick(&choices);
            if !writer.has_halted(engine) {
                writer.word(engine);
            }
        }
    }
    if flood_at == Some(words) {
        writer.flood();
    }
    writer.halt_all();
    let mut program = writer.finish();
    if rng.chance(8) {
        break_semaphores(&mut rng, &mut program);
    }
    program
}

struct Writer<'a> {
    rng: &'a mut Rng,
    hardware: Hardware,
    sections: [Section; 4],
    pages: [Pages; 4],
    /// Signals given and not waited for, indexed `[producer][consumer]`.
    pending: [[u32; 4]; 4],
    /// How often, in a hundred, a word signals another engine.
    signals: u32,
    /// Nodes that words can be for; there may be none.
    nodes: u32,
}

impl Writer<'_> {
    fn new(rng: &mut Rng, hardware: Hardware) -> Writer<'_> {
        let (signals, nodes) = (rng.pick(&[0, 10, 30, 60]), rng.below(5));
        let (sections, pages) = Default::default();
        Writer { rng, hardware, sections, pages, pending: [[0; 4]; 4], signals, nodes }
    }

    /// Appends a word with random semaphores that keep the sequence executable.
    fn append(&mut self, engine: Engine, op: Op) {
        let wait = engine.others().into_iter().filter(|producer| {
            self.pending[producer.index()][engine.index()] > 0 && self.rng.chance(60)
        });
        let wait: EngineSet = wait.collect();
        let signal = engine.others().into_iter().filter(|consumer| {
            self.pending[engine.index()][consumer.index()] < FULL && self.rng.chance(self.signals)
        });
        let signal: EngineSet = signal.collect();
        self.append_with(engine, op, wait, signal);
    }

    fn append_with(&mut self, engine: Engine, op: Op, wait: EngineSet, signal: EngineSet) {
        for producer in wait.iter() {
            self.pending[producer.index()][engine.index()] -= 1;
        }
        for consumer in signal.iter() {
            self.pending[engine.index()][consumer.index()] += 1;
        }
        let classes = [
            Class::None,
            Class::Weights,
            Class::Inputs,
            Class::Outputs,
            Class::Spills,
            Class::Params,
        ];
        let node = Some(self.rng.below(5)).filter(|&node| node < self.nodes).unwrap_or(u32::MAX);
        let inst = Inst { engine, wait, signal, op };
        self.pages[engine.index()].apply(&inst);
        let section = &mut self.sections[engine.index()];
        section.words.push(inst);
        section.notes.push(Note { node, class: self.rng.pick(&classes), tile: None });
    }

    /// Appends a tile word with the registers it needs, or now and then a `sync` or a register word for nobody.
    fn word(&mut self, engine: Engine) {
        if self.rng.chance(15) {
            return self.append(engine, Sync {}.into());
        }
        for attempt in 0..40 {
            let tile = tile(self.rng, &self.hardware, engine);
            let mut pages = self.pages[engine.index()].clone();
            let registers = if attempt % 4 == 0 { vec![] } else { tile.registers };
            for &op in &registers {
                pages.apply(&Inst::new(engine, op));
            }
            if access(&Inst::new(engine, tile.word), &pages, &self.hardware).is_ok() {
                for op in registers {
                    self.append(engine, op);
                }
                return self.append(engine, tile.word);
            }
        }
        self.append(engine, Sync {}.into());
    }

    /// Fills a semaphore to the brim, lets its producer want to signal more, and only then has its consumer take the signals: it waits for
    /// a third engine, and that one for the last of the first 255.
    fn flood(&mut self) {
        let producer = self.rng.pick(&Engine::ALL);
        let consumer = self.rng.pick(&producer.others());
        let third = Engine::ALL.into_iter().find(|engine| ![producer, consumer].contains(engine));
        let third = third.expect("there are four engines");
        let sync: Op = Sync {}.into();
        while self.pending[producer.index()][consumer.index()] < FULL - 1 {
            self.append_with(producer, sync, EngineSet::EMPTY, consumer.into());
        }
        self.drop_pending(third, producer);
        self.drop_pending(consumer, third);
        self.append_with(producer, sync, EngineSet::EMPTY, [consumer, third].into());
        self.append_with(third, sync, producer.into(), EngineSet::EMPTY);
        for _ in 0..self.rng.within(1..=3) {
            self.quiet_word(third);
        }
        self.append_with(third, sync, EngineSet::EMPTY, consumer.into());
        self.append_with(consumer, sync, third.into(), EngineSet::EMPTY);
        if self.rng.chance(20) {
            // The signal too many is that of the producer's `halt`.
            self.append_with(consumer, sync, producer.into(), EngineSet::EMPTY);
            return self.append_with(producer, Halt {}.into(), EngineSet::EMPTY, consumer.into());
        }
        let tiles = self.rng.chance(50);
        for _ in 0..self.rng.within(1..=6) {
            if tiles {
                self.quiet_word(consumer);
            }
            self.append_with(consumer, sync, producer.into(), EngineSet::EMPTY);
            if tiles {
                self.quiet_word(producer);
                self.signal_with_last_word(producer, consumer);
            } else {
                self.append_with(producer, sync, EngineSet::EMPTY, consumer.into());
            }
        }
    }

    /// Has `consumer` take all signals of `producer`.
    fn drop_pending(&mut self, consumer: Engine, producer: Engine) {
        while self.pending[producer.index()][consumer.index()] > 0 {
            self.append_with(consumer, Sync {}.into(), producer.into(), EngineSet::EMPTY);
        }
    }

    /// A word that neither waits nor signals.
    fn quiet_word(&mut self, engine: Engine) {
        let from = self.sections[engine.index()].words.len();
        let pending = self.pending;
        self.word(engine);
        for inst in &mut self.sections[engine.index()].words[from..] {
            (inst.wait, inst.signal) = (EngineSet::EMPTY, EngineSet::EMPTY);
        }
        self.pending = pending;
    }

    /// Lets the newest word of `producer` signal `consumer`, if it does not yet.
    fn signal_with_last_word(&mut self, producer: Engine, consumer: Engine) {
        let last = self.sections[producer.index()].words.last_mut();
        let last = last.filter(|inst| !inst.signal.contains(consumer));
        if let Some(inst) = last {
            inst.signal.insert(consumer);
            self.pending[producer.index()][consumer.index()] += 1;
        }
    }

    /// Halts the engines that have not, in any order.
    fn halt_all(&mut self) {
        let first = self.rng.below(4) as usize;
        for i in 0..4 {
            let engine = Engine::ALL[(first + i) % 4];
            if !self.has_halted(engine) {
                self.append(engine, Halt {}.into());
            }
        }
    }

    fn has_halted(&self, engine: Engine) -> bool {
        let last = self.sections[engine.index()].words.last();
        last.is_some_and(|inst| matches!(inst.op, Op::Halt(_)))
    }

    fn finish(self) -> Program {
        let mut code = self.sections;
        let burst = u64::from(self.hardware.dram_burst_bytes);
        for section in &mut code {
            // Code compiled for another burst size may start in the middle of one.
            let granule = if self.rng.chance(80) { burst } else { 16 };
            section.base = u64::from(self.rng.below(1 << 10)) * granule;
        }
        assemble(self.hardware, self.nodes, code)
    }
}

/// A program of this code, with `nodes` nodes and nothing that timing does not look at.
pub(crate) fn assemble(hardware: Hardware, nodes: u32, code: [Section; 4]) -> Program {
    let node = |i: u32| NodeInfo {
        name: format!("node{i}"),
        op: "Conv".into(),
        macs: 0,
        unit: Unit::Array,
        weight_bits: 8,
        act_bits: 8,
        tile: String::new(),
    };
    Program {
        hardware,
        meta: Meta::default(),
        tensors: vec![],
        inputs: vec![],
        outputs: vec![],
        nodes: (0..nodes).map(node).collect(),
        code,
        constants_base: 0,
        constants: vec![],
        dram_bytes: 1 << 24,
        reference: None,
        float_model: None,
        host: isa::program::Host::default(),
    }
}

/// Takes a signal away or adds a wait: the program may now wait for something that never comes.
fn break_semaphores(rng: &mut Rng, program: &mut Program) {
    let engine = rng.pick(&Engine::ALL);
    let other = rng.pick(&engine.others());
    let words = &mut program.code[engine.index()].words;
    let at = rng.below(words.len() as u32) as usize;
    if rng.chance(50) {
        words[at].signal.remove(other);
    } else {
        words[at].wait.insert(other);
    }
}
