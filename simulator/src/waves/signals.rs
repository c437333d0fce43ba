//! The catalogue: every signal of a wave file and its number.

use isa::instructions::MANUAL;
use isa::{Engine, Program};
use timing::{Bucket, TrafficClass};

use super::Value;

/// Name of the scope around all others.
pub(super) const TOP: &str = "machine";

/// Signals of one engine, in this order.
pub(super) const STATE: usize = 0;
pub(super) const OPCODE: usize = 1;
pub(super) const INSTRUCTION: usize = 2;
pub(super) const NODE: usize = 3;
const PER_ENGINE: usize = 4;

const SEMAPHORES: usize = 4 * PER_ENGINE;
pub(super) const SCRATCHPAD: usize = SEMAPHORES + 12;
const DRAM: usize = SCRATCHPAD + 1;
const NODES: usize = DRAM + TrafficClass::ALL.len();

/// First signal of an engine.
pub(super) const fn engine(engine: Engine) -> usize {
    engine as usize * PER_ENGINE
}

/// The counter of an ordered pair of different engines.
pub(super) fn semaphore(producer: Engine, consumer: Engine) -> usize {
    let (p, c) = (producer.index(), consumer.index());
    SEMAPHORES + 3 * p + if c > p { c - 1 } else { c }
}

/// DRAM bytes of a class.
pub(super) const fn dram(class: TrafficClass) -> usize {
    DRAM + class as usize
}

/// The line of a node.
pub(super) const fn node(index: usize) -> usize {
    NODES + index
}

/// Signals that a viewer shows together.
pub(super) struct Scope {
    pub(super) name: &'static str,
    pub(super) variables: Vec<Variable>,
}

/// One signal.
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) bits: u32,
    /// Value before anything happens.
    pub(super) initial: Value,
    /// Whether that is all there is to it.
    pub(super) constant: bool,
}

impl Variable {
    fn new(name: impl Into<String>, bits: u32, initial: Value) -> Variable {
        Variable { name: name.into(), bits, initial, constant: false }
    }

    fn constant(name: &str, bits: u32, value: u32) -> Variable {
        Variable { name: identifier(name), bits, initial: Some(value), constant: true }
    }

    /// The name with its bit range, as Verilog writes it.
    pub(super) fn declared_name(&self) -> String {
        match self.bits {
            1 => self.name.clone(),
            bits => format!("{} [{}:0]", self.name, bits - 1),
        }
    }
}

/// All signals of a program, in the order of their numbers.
pub(super) fn catalogue(program: &Program) -> Vec<Scope> {
    const STATE_BITS: u32 = 4;
    const OPCODE_BITS: u32 = 5;
    let mut scopes = Vec::new();
    for engine in Engine::ALL {
        let signals =
            [("state", STATE_BITS), ("opcode", OPCODE_BITS), ("instruction", 32), ("node", 32)];
        let variables = signals.map(|(name, bits)| Variable::new(name, bits, None));
        scopes.push(Scope { name: engine.name(), variables: variables.into() });
    }
    let pairs = Engine::ALL
        .into_iter()
        .flat_map(|producer| producer.others().map(|consumer| (producer, consumer)));
    let counter = |(producer, consumer): (Engine, Engine)| {
        Variable::new(format!("{}_to_{}", producer.name(), consumer.name()), 8, Some(0))
    };
    scopes.push(Scope { name: "semaphores", variables: pairs.map(counter).collect() });
    let classes = TrafficClass::ALL.map(|class| format!("dram_{}", class.name()));
    let memory = ["scratchpad_bytes".to_owned()].into_iter().chain(classes);
    let memory = memory.map(|name| Variable::new(name, 32, Some(0)));
    scopes.push(Scope { name: "memory", variables: memory.collect() });
    let lines = program
        .nodes
        .iter()
        .enumerate()
        .map(|(i, node)| Variable::new(format!("n{i}_{}", identifier(&node.name)), 1, Some(0)));
    scopes.push(Scope { name: "nodes", variables: lines.collect() });
    let states =
        Bucket::ALL.iter().map(|&b| Variable::constant(b.name(), STATE_BITS, b as u32)).collect();
    scopes.push(Scope { name: "states", variables: states });
    let opcodes = MANUAL
        .iter()
        .map(|doc| Variable::constant(doc.mnemonic, OPCODE_BITS, doc.opcode))
        .collect();
    scopes.push(Scope { name: "opcodes", variables: opcodes });
    scopes
}

/// A name as both formats allow it: letters, digits and underscores.
fn identifier(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
