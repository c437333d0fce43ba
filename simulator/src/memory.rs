//! Every memory of the machine, as plain arrays.
//!
//! On-chip memories start filled with a conspicuous pattern instead of zeros, so that a program that reads what it never wrote gives
//! conspicuous results instead of accidentally right ones. Accumulators are 64 bits wide here whatever the machine has;
//! the instructions that write them keep the values within `acc_bits`.
//!
//! Addresses come from instructions that `isa::access` has found legal, so methods index without checks of their own; in a
//! reference run a [`Guard`] also compares every single address with what the instruction declared.
#![deny(clippy::float_arithmetic)]

mod dram;
mod guard;

use std::sync::Arc;

pub(crate) use dram::{Dram, Image};
pub(crate) use guard::Guard;

use isa::Hardware;
use isa::access::{Space, TABLE_BYTES};
use isa::numerics::param::ParamEntry;
use isa::numerics::{Requant, wrap};

use crate::exec::region::Region;

/// Pattern of bytes that no instruction has written.
const POISON: u8 = 0xa5;

/// The memories of one machine.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    /// The machine.
    pub(crate) hardware: Hardware,
    /// Scratchpad, `R` bytes a row, and one row more for the kernels' padding.
    pub(crate) spad: Vec<i8>,
    /// Accumulator banks, `C` words a row.
    pub(crate) sums: [Vec<i64>; 2],
    /// Parameter slots.
    pub(crate) params: [Vec<ParamEntry>; 2],
    /// Table slots.
    pub(crate) tables: [Vec<u8>; 2],
    /// DRAM.
    pub(crate) dram: Dram,
    /// Watches every address in a reference run.
    pub(crate) guard: Option<Guard>,
}

impl Memory {
    /// Memories of `hardware` (which must be valid) and DRAM with a program's image.
    pub(crate) fn new(hardware: &Hardware, image: Arc<Image>) -> Memory {
        let lanes = hardware.array_rows as usize;
        let words = hardware.acc_rows as usize * hardware.array_cols as usize;
        let entries = vec![ParamEntry::default(); hardware.param_entries as usize];
        let table = vec![0; TABLE_BYTES as usize];
        let mut memory = Memory {
            hardware: hardware.clone(),
            spad: vec![0; (hardware.scratchpad_rows() as usize + 1) * lanes],
            sums: [vec![0; words], vec![0; words]],
            params: [entries.clone(), entries],
            tables: [table.clone(), table],
            dram: Dram::new(image),
            guard: None,
        };
        memory.poison();
        memory
    }

    /// Fills every memory with the pattern, except what the program brings along.
    pub(crate) fn poison(&mut self) {
        let word = i64::from_le_bytes([POISON; 8]);
        let bits = u8::try_from(self.hardware.acc_bits).unwrap_or(u8::MAX);
        let entry = ParamEntry {
            bias: wrap(word, bits),
            requant: Requant {
                multiplier: u32::from_le_bytes([POISON; 4]) >> 1,
                shift: POISON >> 2,
            },
        };
        self.spad.fill(POISON.cast_signed());
        self.sums.iter_mut().for_each(|bank| bank.fill(wrap(word, bits)));
        self.params.iter_mut().for_each(|slot| slot.fill(entry));
        self.tables.iter_mut().for_each(|slot| slot.fill(POISON));
        self.dram.poison();
    }

    /// The first place where two memories of one program differ, in words. The row behind the scratchpad is none: what the
    /// kernels read there is written anew by each word.
    pub(crate) fn difference(&self, other: &Memory) -> Option<String> {
        let spad = self.spad.len() - self.lanes() as usize;
        let lanes = self.lanes() as usize;
        let place = |(at, row): (usize, usize)| format!("row {}, lane {}", at / row, at % row);
        let spad = first_difference(&self.spad[..spad], &other.spad[..spad])
            .map(|at| format!("scratchpad {}", place((at, lanes))));
        let banks = (0..2).filter_map(|bank| {
            let at = first_difference(&self.sums[bank], &other.sums[bank])?;
            Some(format!("accumulator bank {bank}, {}", place((at, self.columns()))))
        });
        let params = (0..2).filter_map(|slot| {
            let at = first_difference(&self.params[slot], &other.params[slot])?;
            Some(format!("parameter slot {slot}, entry {at}"))
        });
        let tables = (0..2).filter_map(|slot| {
            let at = first_difference(&self.tables[slot], &other.tables[slot])?;
            Some(format!("table slot {slot}, byte {at}"))
        });
        let dram = self.dram.difference(&other.dram).map(|at| format!("DRAM byte {at}"));
        dram.into_iter().chain(spad).chain(banks).chain(params).chain(tables).next()
    }

    /// Lanes of a scratchpad row.
    pub(crate) fn lanes(&self) -> u32 {
        self.hardware.array_rows
    }

    /// Words of an accumulator row.
    pub(crate) fn columns(&self) -> usize {
        self.hardware.array_cols as usize
    }

    /// First byte of a scratchpad row.
    pub(crate) fn row_start(&self, row: u32) -> usize {
        row as usize * self.hardware.array_rows as usize
    }

    /// Fills the row behind the scratchpad with the low byte of `value` and returns its first byte: what the kernels read for
    /// taps in the padding.
    pub(crate) fn fill_padding(&mut self, value: i32) -> u32 {
        let start = self.spad.len() - self.lanes() as usize;
        let [low, ..] = value.to_le_bytes();
        self.spad[start..].fill(low.cast_signed());
        u32::try_from(start).expect("the scratchpad has fewer than 2^32 bytes")
    }

    /// Flips one bit of the scratchpad; `byte` counts rows of `R` bytes.
    pub(crate) fn flip_byte(&mut self, byte: usize, bit: u32) {
        self.spad[byte] ^= 1 << bit;
    }

    /// Flips one bit of an accumulator; `word` counts rows of `C` words. The result is again a number of `acc_bits` bits.
    pub(crate) fn flip_sum(&mut self, bank: usize, word: usize, bit: u32) {
        let bits = u8::try_from(self.hardware.acc_bits).unwrap_or(u8::MAX);
        let sum = &mut self.sums[bank][word];
        *sum = wrap(*sum ^ 1 << bit, bits);
    }

    fn note(&mut self, space: Space, write: bool, address: u32) {
        if let Some(guard) = &mut self.guard {
            guard.touch(space, write, address);
        }
    }

    /// Reads one byte of the scratchpad.
    pub(crate) fn byte(&mut self, row: u32, lane: u32) -> i8 {
        self.note(Space::Spad, false, row);
        self.spad[self.row_start(row) + lane as usize]
    }

    /// Writes one byte of the scratchpad.
    pub(crate) fn set_byte(&mut self, row: u32, lane: u32, value: i8) {
        self.note(Space::Spad, true, row);
        let at = self.row_start(row) + lane as usize;
        self.spad[at] = value;
    }

    /// Reads one element of a tensor, of 8 or 16 bits.
    pub(crate) fn element(&mut self, tensor: &Region, row: u32, lane: u32) -> i32 {
        self.note(Space::Spad, false, row);
        if let Some(plane) = tensor.plane_stride {
            self.note(Space::Spad, false, row + plane);
        }
        self.peek(tensor, row, lane)
    }

    /// Reads one element behind the guard's back.
    pub(crate) fn peek(&self, tensor: &Region, row: u32, lane: u32) -> i32 {
        let byte = |row| self.spad[self.row_start(row) + lane as usize];
        let high = i32::from(byte(row));
        match tensor.plane_stride {
            None => high,
            Some(plane) => high << 8 | i32::from(byte(row + plane).cast_unsigned()),
        }
    }

    /// Writes one element of a tensor, whose type holds `value`.
    pub(crate) fn set_element(&mut self, tensor: &Region, row: u32, lane: u32, value: i32) {
        let [low, high, ..] = value.to_le_bytes();
        match tensor.plane_stride {
            None => self.set_byte(row, lane, low.cast_signed()),
            Some(plane) => {
                self.set_byte(row, lane, high.cast_signed());
                self.set_byte(row + plane, lane, low.cast_signed());
            }
        }
    }

    /// Reads one accumulator.
    pub(crate) fn sum(&mut self, bank: u32, row: u32, column: u32) -> i64 {
        self.note(Space::Acc(bank), false, row);
        self.sums[bank as usize][row as usize * self.columns() + column as usize]
    }

    /// Writes one accumulator.
    pub(crate) fn set_sum(&mut self, bank: u32, row: u32, column: u32, value: i64) {
        self.note(Space::Acc(bank), true, row);
        let at = row as usize * self.columns() + column as usize;
        self.sums[bank as usize][at] = value;
    }

    /// Reads one parameter entry.
    pub(crate) fn param(&mut self, slot: u32, entry: u32) -> ParamEntry {
        self.note(Space::Params(slot), false, entry);
        self.params[slot as usize][entry as usize]
    }

    /// Writes one parameter entry.
    pub(crate) fn set_param(&mut self, slot: u32, entry: u32, value: ParamEntry) {
        self.note(Space::Params(slot), true, entry);
        self.params[slot as usize][entry as usize] = value;
    }

    /// Reads one byte of a table.
    pub(crate) fn table_byte(&mut self, slot: u32, at: u32) -> u8 {
        self.note(Space::Table(slot), false, at);
        self.tables[slot as usize][at as usize]
    }

    /// Writes one byte of a table.
    pub(crate) fn set_table_byte(&mut self, slot: u32, at: u32, value: u8) {
        self.note(Space::Table(slot), true, at);
        self.tables[slot as usize][at as usize] = value;
    }

    /// Reads `len` bytes of DRAM.
    pub(crate) fn dram_bytes(&mut self, at: u64, len: usize) -> Vec<u8> {
        if let Some(guard) = &mut self.guard {
            guard.touch_dram(false, at, len);
        }
        self.dram.read(at, len).into_owned()
    }

    /// Writes one byte of DRAM.
    pub(crate) fn set_dram_byte(&mut self, at: u64, value: u8) {
        if let Some(guard) = &mut self.guard {
            guard.touch_dram(true, at, 1);
        }
        self.dram.write(at, &[value]);
    }
}

fn first_difference<T: PartialEq>(a: &[T], b: &[T]) -> Option<usize> {
    (a != b).then(|| a.iter().zip(b).position(|(a, b)| a != b)).flatten()
}
