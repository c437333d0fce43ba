//! A program as the timing cores need it: every register, cost and wait class resolved once, before time starts.
//!
//! Code is straight-line and values never influence time, so all that a word will ever cost is known from its place in
//! the code. A core only decides *when*.

mod resolve;
mod semaphores;

use isa::access::{Pages, access};
use isa::inst::WORD_BYTES;
use isa::{Engine, EngineSet, Hardware, Op, Program};

use crate::MAX_CYCLES;
use crate::bucket::Bucket;
use crate::bursts::{Count, Transfer};
use crate::cost::ConvCost;
use crate::error::TimingError;
use crate::result::{InstRef, TrafficClass};

/// A program, ready to be timed on one machine.
#[derive(Clone, Debug)]
pub(crate) struct Decoded<'a> {
    /// The machine.
    pub(crate) hardware: &'a Hardware,
    /// Code of each engine, indexed by [`Engine`].
    pub(crate) code: [Code; 4],
    /// Number of nodes that steps may name.
    pub(crate) nodes: usize,
}

/// One engine's code; the last step, and only that, is [`Work::Halt`].
#[derive(Clone, Debug)]
pub(crate) struct Code {
    /// Words in order.
    pub(crate) steps: Vec<Step>,
    /// The words in DRAM, as a transfer with one unit a word (T32).
    pub(crate) fetch: Transfer,
}

/// One instruction word.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// What it does and costs.
    pub(crate) work: Work,
    /// Engines it waits for at issue.
    pub(crate) wait: EngineSet,
    /// Engines it signals at completion.
    pub(crate) signal: EngineSet,
    /// The signal that each wait takes, indexed by producing [`Engine`]; meaningful for engines in `wait`.
    pub(crate) waits: [Wait; 4],
    /// Register page it names, 0 or 1.
    pub(crate) page: Option<u8>,
    /// Whether it writes that page (T4c).
    pub(crate) writes_page: bool,
    /// Banks whose read port it needs, bit `b` for bank `b` (T9).
    pub(crate) reads: u64,
    /// Banks whose write port it needs.
    pub(crate) writes: u64,
    /// Node on whose account it runs.
    pub(crate) node: Option<u32>,
}

/// One semaphore wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// Instruction of the producing engine whose signal serves it; `None` if there will never be one.
    pub(crate) producer: Option<u32>,
    /// Bucket while it is unmet (T41d, T46).
    pub(crate) bucket: Bucket,
}

/// What an instruction does, as far as time is concerned.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Stops the engine.
    Halt,
    /// Takes one cycle: `sync` or a register word (T7).
    Word,
    /// `mxu.conv`.
    Conv(ConvCost),
    /// Tile word of the vector engine: cycles from issue to own end, pipeline included.
    Vector {
        /// Work plus `vpu_pipeline_cycles`.
        cycles: u64,
    },
    /// Transfer of the load or store engine.
    Transfer(Transfer),
}

impl<'a> Decoded<'a> {
    /// Resolves `program` for `hardware`, which may differ from the program's own in timing-only parameters.
    ///
    /// # Errors
    /// The first thing in the program that cannot be executed.
    pub(crate) fn new(
        program: &Program,
        hardware: &'a Hardware,
    ) -> Result<Decoded<'a>, TimingError> {
        let mut code = Vec::with_capacity(4);
        for engine in Engine::ALL {
            code.push(Code::new(program, engine, hardware)?);
        }
        let mut code: [Code; 4] = code.try_into().expect("one for each of the four engines");
        semaphores::pair(program, &mut code);
        Ok(Decoded { hardware, code, nodes: program.nodes.len() })
    }

    /// Code of one engine.
    pub(crate) fn code(&self, engine: Engine) -> &Code {
        &self.code[engine.index()]
    }

    /// One instruction.
    pub(crate) fn step(&self, inst: InstRef) -> &Step {
        &self.code[inst.engine.index()].steps[inst.index as usize]
    }
}

impl Code {
    fn new(program: &Program, engine: Engine, hardware: &Hardware) -> Result<Code, TimingError> {
        let section = program.section(engine);
        let (words, notes) = (section.words.len(), section.notes.len());
        if words != notes {
            return Err(TimingError::Notes { engine, notes, words });
        }
        let halts = section.words.iter().filter(|inst| matches!(inst.op, Op::Halt(_))).count();
        if halts != 1 || !section.words.last().is_some_and(|inst| matches!(inst.op, Op::Halt(_))) {
            return Err(TimingError::Halt { engine, halts, words });
        }
        if !section.base.is_multiple_of(WORD_BYTES as u64) {
            return Err(TimingError::CodeBase { engine, base: section.base });
        }
        let mut pages = Pages::default();
        let mut steps = Vec::with_capacity(words);
        for (index, (inst, note)) in section.words.iter().zip(&section.notes).enumerate() {
            let place = InstRef { engine, index: index as u32 };
            if inst.engine != engine {
                return Err(TimingError::Engine { inst: place, found: inst.engine });
            }
            let node = Some(note.node).filter(|&node| node != u32::MAX);
            if node.is_some_and(|node| node as usize >= program.nodes.len()) {
                return Err(TimingError::Node {
                    inst: place,
                    node: note.node,
                    nodes: program.nodes.len(),
                });
            }
            let illegal = |source| TimingError::Illegal { inst: place, source };
            let accesses = access(inst, &pages, hardware).map_err(illegal)?;
            let work =
                resolve::work(inst, note.class, &pages, &accesses, hardware).map_err(illegal)?;
            if work.least_cycles() > MAX_CYCLES {
                return Err(TimingError::TooLong { inst: place, limit: MAX_CYCLES });
            }
            pages.apply(inst);
            let banks = |write| {
                let ports = accesses.iter().filter(|access| access.write == write);
                ports.fold(0, |mask, access| mask | access.banks(hardware))
            };
            steps.push(Step {
                work,
                wait: inst.wait,
                signal: inst.signal,
                waits: [Wait { producer: None, bucket: Bucket::WaitToken }; 4],
                page: inst.op.page().map(|page| page as u8),
                writes_page: inst.op.writes_page(),
                reads: banks(false),
                writes: banks(true),
                node,
            });
        }
        let fetch = Transfer {
            address: section.base,
            run_bytes: (words * WORD_BYTES) as u64,
            stride: 0,
            runs: 1,
            unit_bytes: WORD_BYTES as u32,
            count: Count::Ends,
            class: TrafficClass::Instructions,
        };
        Ok(Code { steps, fetch })
    }
}

impl Work {
    /// A lower bound of the cycles from issue to own end, to refuse what would overflow.
    fn least_cycles(&self) -> u64 {
        match self {
            Work::Halt | Work::Word | Work::Transfer(_) => 1,
            Work::Conv(cost) => cost.alone_cycles(),
            Work::Vector { cycles } => *cycles,
        }
    }
}

#[cfg(test)]
mod tests;
