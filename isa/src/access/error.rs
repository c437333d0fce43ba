//! Why an instruction, taken by itself, is not legal.

use std::fmt;

use crate::error::EncodeError;

use super::{Space, Stream};

/// An instruction that no machine of these parameters can execute. The caller knows which instruction it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// It has no word at all.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// It reads registers that no earlier word of the engine wrote.
    #[error("reads the registers of `{group}` in page {page}, which no earlier word has written")]
    Unwritten {
        /// Mnemonic of the word that would write them.
        group: &'static str,
        /// Register page.
        page: u32,
    },
    /// A field (its own, or a register it reads) has a value that makes no sense on this machine.
    #[error("`{field}` is {found}, expected {min}..={max}")]
    Field {
        /// Field, with the mnemonic if it is a register.
        field: &'static str,
        /// Value found.
        found: i64,
        /// Smallest legal value.
        min: i64,
        /// Largest legal value.
        max: i64,
    },
    /// A range leaves its memory.
    #[error("{stream}: {} {low}..{high} of {space} do not exist, it has {limit}", .space.unit())]
    Outside {
        /// Stream whose range it is.
        stream: Stream,
        /// Memory.
        space: Space,
        /// First address.
        low: i64,
        /// One past the last address.
        high: i64,
        /// Addresses of the memory.
        limit: i64,
    },
    /// The result would overwrite an operand that is still being read.
    #[error("result and {operand} overlap: expected separate rows{}", if *.in_place { ", or the same rows for both" } else { "" })]
    Overlap {
        /// Stream of the operand.
        operand: Stream,
        /// Whether computing exactly in place would be legal.
        in_place: bool,
    },
    /// Two parts of the result fall on the same addresses.
    #[error("{stream}: strides make parts of the result overwrite each other")]
    SelfOverlap {
        /// Stream of the result.
        stream: Stream,
    },
    /// The type of the result cannot hold every value, or the instruction exists only for the other width.
    #[error("`{field}` says {found} bits, expected {expected} bits here")]
    Width {
        /// Register that decides the width.
        field: &'static str,
        /// Bits found.
        found: u8,
        /// Bits expected.
        expected: u8,
    },
    /// Saturation bounds that are crossed or that the type of the result cannot hold.
    #[error(
        "result range {low}..={high} of `vpu.quant`: expected an ascending range within {bits} bits"
    )]
    ResultRange {
        /// Smallest result.
        low: i32,
        /// Largest result.
        high: i32,
        /// Bits of the result.
        bits: u8,
    },
    /// A pooling window lies wholly in the padding.
    #[error("a pooling window has no valid tap: expected at least one in every window")]
    EmptyWindow,
}

impl Space {
    /// What addresses count.
    fn unit(self) -> &'static str {
        match self {
            Space::Spad | Space::Acc(_) => "rows",
            Space::Params(_) => "entries",
            Space::Table(_) | Space::Dram => "bytes",
        }
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Space::Spad => f.write_str("the scratchpad"),
            Space::Acc(bank) => write!(f, "accumulator bank {bank}"),
            Space::Params(slot) => write!(f, "parameter slot {slot}"),
            Space::Table(slot) => write!(f, "table slot {slot}"),
            Space::Dram => f.write_str("DRAM"),
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stream::LoadRead => "load source",
            Stream::LoadWrite => "load destination",
            Stream::MxuAct => "activations",
            Stream::MxuWeights => "weights",
            Stream::MxuSums => "accumulators",
            Stream::VpuSums => "accumulators",
            Stream::VpuA => "operand a",
            Stream::VpuB => "operand b",
            Stream::VpuWeights => "depthwise weights",
            Stream::VpuParams => "parameters",
            Stream::VpuTable => "table",
            Stream::VpuWrite => "result",
            Stream::StoreRead => "store source",
            Stream::StoreWrite => "store destination",
        })
    }
}
