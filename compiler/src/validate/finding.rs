//! What is wrong with a program.

use isa::access::AccessError;
use isa::inst::Engine;

/// A place where a program does not do what its graph says.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Engine and index of the word, unless the program as a whole is meant.
    pub place: Option<(Engine, usize)>,
    /// ONNX node the word belongs to, if any.
    pub node: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

/// Kinds of findings.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Problem {
    /// The graph has more elements than there are tags.
    #[error("the graph is too large to be validated: it has more than 4 billion bytes of tensors")]
    TooLarge,
    /// A sum might leave the machine's accumulators.
    #[error("{0}")]
    Sum(ir::verify::Problem),
    /// The program's tables do not describe the graph.
    #[error("the program's {what} do not fit the graph: found {found}, expected {expected}")]
    Tables {
        /// Which table.
        what: &'static str,
        /// What the program says.
        found: String,
        /// What the graph says.
        expected: String,
    },
    /// The word is not legal by itself.
    #[error("illegal word: {0}")]
    Illegal(#[from] AccessError),
    /// A word that computes does not say what, or not something that its node computes.
    #[error("computes {0}")]
    Unnamed(String),
    /// An operand is not what the node wants.
    #[error("operand {operand} for {result} is {found}, expected {expected}")]
    Operand {
        /// Which operand.
        operand: &'static str,
        /// The element of the result.
        result: String,
        /// What lies there.
        found: String,
        /// What should.
        expected: String,
    },
    /// A window's tap is taken from memory where it is padding, or the other way round.
    #[error("a tap of {result} is {found}, expected {expected}")]
    Padding {
        /// The element of the result.
        result: String,
        /// What the word does.
        found: &'static str,
        /// What it should do.
        expected: &'static str,
    },
    /// A weight is not the node's.
    #[error(
        "the weight of output channel {channel}, tap ({ky}, {kx}), input channel {input} is {found}, expected {expected}"
    )]
    Weight {
        /// Output channel.
        channel: usize,
        /// Tap row.
        ky: usize,
        /// Tap column.
        kx: usize,
        /// Input channel of the tensor.
        input: usize,
        /// What lies there.
        found: String,
        /// The node's weight.
        expected: i8,
    },
    /// Some input channels are not summed.
    #[error("sums over input channels {found:?}, output channel {channel} needs {expected:?}")]
    Reduction {
        /// Output channel.
        channel: usize,
        /// Channels summed.
        found: std::ops::Range<usize>,
        /// Channels needed.
        expected: std::ops::Range<usize>,
    },
    /// A register or field is not what the node says.
    #[error("{name} is {found}, expected {expected}")]
    Register {
        /// Field.
        name: &'static str,
        /// What it holds.
        found: i64,
        /// What the node says.
        expected: i64,
    },
    /// A parameter entry is not the node's.
    #[error("parameter entry {entry} is {found}, expected {expected}")]
    Param {
        /// Entry of the slot.
        entry: usize,
        /// What it holds.
        found: String,
        /// What the node says.
        expected: String,
    },
    /// A table is not the node's.
    #[error("the table in slot {slot} is not the one of the node")]
    Table {
        /// Slot.
        slot: u32,
    },
    /// Sums do not lie as they are drained.
    #[error("{0}")]
    Sums(&'static str),
    /// A noted piece is not where the note says.
    #[error("{expected} should be complete at row {row}, lane {lane}, but there is {found}")]
    Note {
        /// The element.
        expected: String,
        /// Row.
        row: usize,
        /// Lane.
        lane: usize,
        /// What lies there.
        found: String,
    },
    /// An output is not in DRAM.
    #[error("DRAM byte {byte} should hold {expected} at the end, but holds {found}")]
    Output {
        /// The element.
        expected: String,
        /// What lies there.
        found: String,
        /// Address.
        byte: u64,
    },
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some((engine, index)) = self.place {
            write!(f, "{engine} word {index}")?;
            if let Some(node) = &self.node {
                write!(f, " (`{node}`)")?;
            }
            f.write_str(": ")?;
        }
        write!(f, "{}", self.problem)
    }
}

/// Compares a register with the node.
pub(super) fn expect(
    name: &'static str,
    found: impl Into<i64>,
    expected: impl Into<i64>,
) -> Result<(), Problem> {
    let (found, expected) = (found.into(), expected.into());
    if found == expected { Ok(()) } else { Err(Problem::Register { name, found, expected }) }
}
