//! Why a program has no timing.

use std::fmt;

use isa::Engine;
use isa::access::AccessError;

use crate::result::InstRef;

/// A program that cannot be timed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimingError {
    /// An engine's code does not end with `halt`, or goes on behind it.
    #[error("engine {engine}: {halts} `halt` in {words} words, expected one, at the end")]
    Halt {
        /// Engine.
        engine: Engine,
        /// Number of `halt` words.
        halts: usize,
        /// Number of words.
        words: usize,
    },
    /// Words and notes do not pair up.
    #[error("engine {engine}: {notes} notes for {words} words, expected one for each")]
    Notes {
        /// Engine.
        engine: Engine,
        /// Number of notes.
        notes: usize,
        /// Number of words.
        words: usize,
    },
    /// A word of another engine.
    #[error("{inst}: a word of engine {found}, expected one of {}", .inst.engine)]
    Engine {
        /// Where it stands.
        inst: InstRef,
        /// Engine of the word.
        found: Engine,
    },
    /// An engine's code starts in the middle of a word.
    #[error("engine {engine}: code at DRAM byte {base}, expected a multiple of 16")]
    CodeBase {
        /// Engine.
        engine: Engine,
        /// First byte.
        base: u64,
    },
    /// A note names a node that does not exist.
    #[error("{inst}: note names node {node}, expected one of {nodes} or none")]
    Node {
        /// Instruction.
        inst: InstRef,
        /// Node found.
        node: u32,
        /// Number of nodes.
        nodes: usize,
    },
    /// An instruction that the machine cannot execute.
    #[error("{inst}: {source}")]
    Illegal {
        /// Instruction.
        inst: InstRef,
        /// What is wrong with it.
        source: AccessError,
    },
    /// The program takes longer than any sensible one.
    #[error("{inst}: would run beyond cycle {limit}; programs of more cycles are not timed")]
    TooLong {
        /// Instruction that would end too late.
        inst: InstRef,
        /// Last cycle that is simulated.
        limit: u64,
    },
    /// No engine can ever go on.
    #[error("deadlock: {}", Joined(.0))]
    Deadlock(
        /// Engines that have not halted, in order.
        Vec<Stuck>,
    ),
}

/// An engine that waits for something that never comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Instruction that cannot complete, or else the next one, which cannot issue.
    pub inst: InstRef,
    /// What it waits for.
    pub cause: Cause,
}

/// What a stuck instruction waits for. If several things, the first that T4 and the engine order name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A signal of this engine.
    Signal(Engine),
    /// Room in its semaphore towards this engine, which is full.
    Full(Engine),
    /// A bank port that this engine holds.
    Bank(Engine),
}

impl fmt::Display for InstRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} instruction {}", self.engine, self.index)
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} waits for ", self.inst)?;
        match self.cause {
            Cause::Signal(engine) => write!(f, "a signal of {engine}"),
            Cause::Full(engine) => {
                write!(f, "room in its semaphore towards {engine}, which is full")
            }
            Cause::Bank(engine) => write!(f, "a scratchpad bank port that {engine} holds"),
        }
    }
}

/// Stuck engines, joined by `; `.
struct Joined<'a>(&'a [Stuck]);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, stuck) in self.0.iter().enumerate() {
            write!(f, "{}{stuck}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}
