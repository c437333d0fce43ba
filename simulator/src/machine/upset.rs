//! Bits that flip while a program runs: single-event upsets of the on-chip memories.

use crate::memory::Memory;

/// A cell of an on-chip memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// A byte of the scratchpad: row times `array_rows` plus lane.
    Scratchpad {
        /// The byte.
        byte: usize,
    },
    /// An accumulator.
    Accumulator {
        /// Bank, 0 or 1.
        bank: usize,
        /// Row times `array_cols` plus column.
        word: usize,
    },
}

impl Cell {
    /// The cell `count` further on in the same memory.
    #[must_use]
    pub fn behind(self, count: usize) -> Cell {
        match self {
            Cell::Scratchpad { byte } => Cell::Scratchpad { byte: byte + count },
            Cell::Accumulator { bank, word } => Cell::Accumulator { bank, word: word + count },
        }
    }
}

/// One bit that flips between two words of an execution order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upset {
    /// The step of the order before which it happens; past the last step it touches nothing.
    pub step: usize,
    /// What is struck; it must exist in the machine.
    pub cell: Cell,
    /// Bit of the byte or accumulator, 0 the lowest.
    pub bit: u32,
}

impl Upset {
    pub(super) fn strike(&self, memory: &mut Memory) {
        match self.cell {
            Cell::Scratchpad { byte } => memory.flip_byte(byte, self.bit),
            Cell::Accumulator { bank, word } => memory.flip_sum(bank, word, self.bit),
        }
    }
}
