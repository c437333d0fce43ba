//! Why no report can be made.

use isa::Engine;
use isa::access::AccessError;
use thiserror::Error;
use timing::InstRef;

/// A program and a timing that do not make a report together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReportError {
    /// An instruction that the machine cannot execute.
    #[error("{inst}: {source}")]
    Illegal {
        /// Instruction.
        inst: InstRef,
        /// What is wrong with it.
        source: AccessError,
    },
    /// A timing of another program.
    #[error(
        "engine {engine}: timing of {found} instructions for {expected} words; time the program that is reported"
    )]
    Instructions {
        /// Engine.
        engine: Engine,
        /// Instructions that the timing has.
        found: usize,
        /// Words of the program.
        expected: usize,
    },
    /// A timing of another program.
    #[error("timing of {found} nodes for {expected} nodes; time the program that is reported")]
    Nodes {
        /// Nodes that the timing has.
        found: usize,
        /// Nodes of the program.
        expected: usize,
    },
    /// Some cycle of an engine is in no bucket, or in two.
    #[error("engine {engine}: its buckets hold {sum} cycles, expected {total}")]
    Unbalanced {
        /// Engine.
        engine: Engine,
        /// Cycles in its buckets.
        sum: u64,
        /// Cycles of the run.
        total: u64,
    },
    /// Some cycle belongs to no layer, or to two.
    #[error("layers have {sum} cycles together, expected {total}")]
    Layers {
        /// Cycles of all layers.
        sum: u64,
        /// Cycles of the run.
        total: u64,
    },
}
