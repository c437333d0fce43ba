//! Why an instruction has no word, and why a word is no instruction.

use std::fmt;

use crate::inst::Engine;

/// An instruction that has no word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A field's value needs more bits than the word has for it.
    #[error(
        "`{mnemonic}`: `{field}` = {value} does not fit its {width} bits, expected {min}..={max}"
    )]
    Field {
        /// Instruction.
        mnemonic: &'static str,
        /// Field.
        field: &'static str,
        /// Value found.
        value: i128,
        /// Bits of the field.
        width: u32,
        /// Smallest value that fits.
        min: i128,
        /// Largest value that fits.
        max: i128,
    },
    /// The instruction is given to an engine that does not know it.
    #[error("`{mnemonic}` is an instruction of engine {expected}, found on engine {found}")]
    Engine {
        /// Instruction.
        mnemonic: &'static str,
        /// Engine of the instruction.
        found: Engine,
        /// Engine that executes the operation.
        expected: Engine,
    },
    /// A wait or signal set holds the own engine; semaphores join different engines.
    #[error("`{mnemonic}`: engine {engine} cannot {set} itself, expected other engines")]
    OwnSemaphore {
        /// Instruction.
        mnemonic: &'static str,
        /// The engine.
        engine: Engine,
        /// `wait for` or `signal`.
        set: &'static str,
    },
}

/// A word that is no instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Bits 5..8 name another engine than the one whose code this is.
    #[error("word is for engine number {found}, expected {} ({expected})", *.expected as usize)]
    Engine {
        /// Bits 5..8.
        found: u32,
        /// Engine whose code this is.
        expected: Engine,
    },
    /// No instruction of the engine has this operation number.
    #[error("engine {engine} has no operation {opcode}")]
    Opcode {
        /// Bits 0..5.
        opcode: u32,
        /// Engine whose code this is.
        engine: Engine,
    },
    /// Bits that no field names are set.
    #[error("`{mnemonic}`: reserved bits {} are set, expected 0", BitList(*.bits))]
    Reserved {
        /// Instruction.
        mnemonic: &'static str,
        /// The offending bits of the word.
        bits: u128,
    },
}

/// The set bits of a word as ranges: `15, 88..128`.
struct BitList(u128);

impl fmt::Display for BitList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut separator = "";
        while rest != 0 {
            let lo = rest.trailing_zeros();
            let len = (rest >> lo).trailing_ones();
            match len {
                1 => write!(f, "{separator}{lo}")?,
                _ => write!(f, "{separator}{lo}..{}", lo + len)?,
            }
            separator = ", ";
            let end = lo + len;
            rest = if end == 128 { 0 } else { rest >> end << end };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_list_joins_runs() {
        assert_eq!(BitList(0b1110_0001).to_string(), "0, 5..8");
        assert_eq!(BitList(u128::MAX).to_string(), "0..128");
        assert_eq!(BitList(1 << 127).to_string(), "127");
    }
}
