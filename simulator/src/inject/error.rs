//! Why faults could not be injected.

use isa::Engine;
use isa::access::AccessError;
use timing::TimingError;

use super::spec::FaultSpace;
use crate::machine::SimError;

/// A program that cannot run without faults, or a spec that names what it does not have.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InjectError {
    /// The program or a sample is refused, or a word failed in a way that no fault explains.
    #[error(transparent)]
    Sim(#[from] SimError),
    /// The program has no timing.
    #[error(transparent)]
    Timing(Box<TimingError>),
    /// An instruction that the machine cannot execute.
    #[error("{engine} word {index}: {source}")]
    Illegal {
        /// Engine.
        engine: Engine,
        /// Its word.
        index: usize,
        /// What is wrong.
        source: Box<AccessError>,
    },
    /// No such node.
    #[error("no layer `{name}`\n  hint: {}", match .near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "qsim PROG.bin --format csv lists the layers".to_owned(),
    })]
    Layer {
        /// Name asked for.
        name: String,
        /// One like it.
        near: Option<String>,
    },
    /// Nothing can flip.
    #[error("{space}: {}", match .layer {
        Some(layer) => format!("layer `{layer}` uses none of it"),
        None => "the program has none".to_owned(),
    })]
    Empty {
        /// Memory.
        space: FaultSpace,
        /// Layer asked for.
        layer: Option<String>,
    },
    /// No such bit.
    #[error("{space}: no bit {bit}, expected 0..{bits}")]
    Bit {
        /// Memory.
        space: FaultSpace,
        /// Bit asked for.
        bit: u32,
        /// Bits there are.
        bits: u32,
    },
    /// No such place.
    #[error("{space}: no place {unit}.{bit}, expected {expected}")]
    Place {
        /// Memory.
        space: FaultSpace,
        /// Unit asked for.
        unit: u64,
        /// Bit asked for.
        bit: u32,
        /// What there is.
        expected: String,
    },
    /// Nothing can flip at that cycle.
    #[error("no cycle {cycle} at which a bit can flip: the run takes {cycles} cycles")]
    Cycle {
        /// Cycle asked for.
        cycle: u64,
        /// Cycles of the run.
        cycles: u64,
    },
    /// More faults than there are.
    #[error("{space}: count={count}, but only {most} different faults are possible")]
    Count {
        /// Memory.
        space: FaultSpace,
        /// Asked for.
        count: u64,
        /// Possible.
        most: u64,
    },
    /// More faults than a run can hold.
    #[error(
        "{flips:.0} bits would flip in each run, at most {limit} can\n  hint: a smaller rate or count"
    )]
    TooMany {
        /// Flips of a run, on average.
        flips: f64,
        /// Most.
        limit: f64,
    },
}

impl From<TimingError> for InjectError {
    fn from(error: TimingError) -> Self {
        InjectError::Timing(Box::new(error))
    }
}
