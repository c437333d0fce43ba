//! Why a program could not be run.

use std::fmt;

use isa::inst::{Engine, EngineSet};
use isa::layout::LayoutError;
use isa::program::{Program, ProgramError};

use crate::exec::Trap;

/// A word of a program, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Engine whose code holds it.
    pub engine: Engine,
    /// Its position in that code.
    pub index: usize,
    /// The instruction in assembly.
    pub text: String,
    /// Name of the ONNX node it belongs to, if any.
    pub node: Option<String>,
}

impl Location {
    pub(crate) fn new(program: &Program, engine: Engine, index: usize) -> Location {
        let section = program.section(engine);
        let text = section.words.get(index).map_or_else(String::new, ToString::to_string);
        let note = section.notes.get(index);
        let node = note
            .and_then(|note| program.nodes.get(note.node as usize))
            .map(|node| node.name.clone());
        Location { engine, index, text, node }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} word {} `{}`", self.engine, self.index, self.text)?;
        match &self.node {
            Some(node) => write!(f, " of node `{node}`"),
            None => Ok(()),
        }
    }
}

/// Why a program could not be run, or stopped.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SimError {
    /// The program as a whole is damaged.
    #[error("{}", .0.first().map_or_else(String::new, ToString::to_string))]
    Program(
        /// Everything found, at least one.
        Vec<ProgramError>,
    ),
    /// A store would overwrite constants or code.
    #[error("{at}: writes DRAM bytes {first}..{end}, among them constants or code")]
    ReadOnly {
        /// The store.
        at: Box<Location>,
        /// First byte it writes.
        first: u64,
        /// One past the last byte.
        end: u64,
    },
    /// A noted tile has more elements than the scratchpad.
    #[error(
        "{at}: its tile of tensor {tensor} has {found} elements, more than the scratchpad's {limit} bytes"
    )]
    Tile {
        /// The word with the note.
        at: Box<Location>,
        /// Index of the tensor.
        tensor: u32,
        /// Elements.
        found: u64,
        /// Bytes of the scratchpad.
        limit: u64,
    },
    /// An input or output that is too large for the host.
    #[error("tensor `{name}` has {bytes} bytes, more than the {limit} that are supported")]
    TensorTooLarge {
        /// Name of the tensor.
        name: String,
        /// Its bytes in DRAM.
        bytes: u64,
        /// Most bytes.
        limit: u64,
    },
    /// No engine can go on, and not all have halted.
    #[error("deadlock at {at}: {}", stuck(*.unmet, *.full))]
    Deadlock {
        /// The next word of the first engine that is stuck.
        at: Box<Location>,
        /// Engines whose signal it waits for.
        unmet: EngineSet,
        /// Engines that have not taken its last 255 signals.
        full: EngineSet,
    },
    /// A word could not be executed.
    #[error("{at}: {trap}")]
    Trap {
        /// The word.
        at: Box<Location>,
        /// What happened.
        trap: Box<Trap>,
    },
    /// There is no such input or output.
    #[error("no {kind} {index}: the program has {count}")]
    NoBinding {
        /// `input` or `output`.
        kind: &'static str,
        /// Index asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// Values that do not fit an input.
    #[error("tensor `{name}`: {source}")]
    Layout {
        /// Name of the tensor.
        name: String,
        /// What does not fit.
        source: LayoutError,
    },
}

fn stuck(unmet: EngineSet, full: EngineSet) -> String {
    let mut reasons = Vec::new();
    if !unmet.is_empty() {
        reasons.push(format!("waits for a signal of {unmet} that never comes"));
    }
    if !full.is_empty() {
        reasons.push(format!("has signalled {full} 255 times ahead of its waits"));
    }
    reasons.join(", ")
}
