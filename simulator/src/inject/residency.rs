//! Which values lie where in the on-chip memories, and who reads them.
//!
//! A value lives in a row from the moment it is written until the last word has read it before the row is written again; a row that is
//! filled piece by piece, with no read in between, holds one value. Rows count whole, and windows declare the rectangle around
//! their taps, so a little too much counts as live; that a fault elsewhere does nothing is measured, never assumed.

use std::ops::Range;

use isa::Program;
use isa::access::{Access, Pages, Space, access};

use super::InjectError;
use super::population::{Base, Fault, Group, Place};
use super::schedule::Schedule;
use super::spec::FaultSpace;
use crate::machine::Cell;

/// The rows of the scratchpad, or of both accumulator banks, over time.
#[derive(Debug)]
pub(super) struct Residency {
    /// Rows of each memory: one scratchpad, or two banks.
    spaces: Vec<Space>,
    rows: u32,
    /// Units of a row and bits of a unit.
    columns: u32,
    width: u32,
    cycles: u64,
    lives: Vec<Life>,
}

/// A value in some rows, from when it was written, or last read by an earlier word, until `node` reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Life {
    memory: usize,
    rows: Range<u32>,
    cycles: Range<u64>,
    /// `u32::MAX` for none.
    node: u32,
}

impl Residency {
    /// `space` is an on-chip memory; `schedule` is of `program`.
    pub(super) fn new(
        program: &Program,
        schedule: &Schedule,
        space: FaultSpace,
    ) -> Result<Residency, InjectError> {
        let hw = &program.hardware;
        let (spaces, rows, columns, width) = match space {
            FaultSpace::Accumulators => {
                (vec![Space::Acc(0), Space::Acc(1)], hw.acc_rows, hw.array_cols, hw.acc_bits)
            }
            _ => (vec![Space::Spad], hw.scratchpad_rows(), hw.array_rows, 8),
        };
        let tracked = spaces.iter().map(|_| vec![Row::default(); rows as usize]).collect();
        let mut tracker = Tracker { rows: tracked, lives: Vec::new() };
        let mut pages = Pages::default();
        for ((engine, index), &moment) in schedule.order.steps().zip(&schedule.moments) {
            let section = program.section(engine);
            let inst = &section.words[index];
            pages.apply(inst);
            let node = section.notes.get(index).map_or(u32::MAX, |note| note.node);
            let accesses = access(inst, &pages, hw).map_err(|source| InjectError::Illegal {
                engine,
                index,
                source: Box::new(source),
            })?;
            // Operands first: an instruction that works in place reads the old value and writes a new one.
            for write in [false, true] {
                for access in accesses.iter().filter(|access| access.write == write) {
                    if let Some(memory) = spaces.iter().position(|&space| space == access.space) {
                        tracker.touch(memory, access, moment, node);
                    }
                }
            }
        }
        Ok(Residency {
            spaces,
            rows,
            columns,
            width,
            cycles: schedule.cycles,
            lives: tracker.lives,
        })
    }

    /// Every bit at every cycle.
    pub(super) fn whole(&self) -> Vec<Group> {
        let memory = |memory| self.group(memory, &(0..self.rows), 0..self.cycles, u32::MAX);
        (0..self.spaces.len()).map(memory).collect()
    }

    /// Every bit at the cycles at which it holds a value still to be read.
    pub(super) fn lives(&self) -> Vec<Group> {
        let group =
            |life: &Life| self.group(life.memory, &life.rows, life.cycles.clone(), life.node);
        self.lives.iter().map(group).collect()
    }

    fn group(&self, memory: usize, rows: &Range<u32>, cycles: Range<u64>, node: u32) -> Group {
        let first = rows.start as usize * self.columns as usize;
        let cell = match self.spaces[memory] {
            Space::Acc(_) => Cell::Accumulator { bank: memory, word: first },
            _ => Cell::Scratchpad { byte: first },
        };
        Group {
            at: Base::OnChip(cell),
            count: u64::from(rows.end - rows.start) * u64::from(self.columns),
            bits: 0..self.width,
            cycles,
            node,
        }
    }

    /// Node that reads what a fault strikes before it is overwritten; `u32::MAX` if none does.
    pub(super) fn reader(&self, fault: &Fault) -> u32 {
        let (Place::OnChip { cell, .. }, Some(cycle)) = (fault.place, fault.cycle) else {
            return fault.node;
        };
        let (memory, unit) = match cell {
            Cell::Scratchpad { byte } => (0, byte),
            Cell::Accumulator { bank, word } => (bank, word),
        };
        let row = (unit / self.columns as usize) as u32;
        let struck = |life: &&Life| {
            life.memory == memory && life.rows.contains(&row) && life.cycles.contains(&cycle)
        };
        self.lives.iter().find(struck).map_or(u32::MAX, |life| life.node)
    }
}

#[derive(Clone, Copy, Default)]
struct Row {
    /// Since when the value is there that the next read gets.
    since: Option<u64>,
    /// Whether it was read: then the next write begins another value. A row filled lane by lane is one value.
    read: bool,
}

struct Tracker {
    rows: Vec<Vec<Row>>,
    lives: Vec<Life>,
}

impl Tracker {
    fn touch(&mut self, memory: usize, access: &Access, moment: u64, node: u32) {
        for run in access.rows.intervals() {
            let bound = |at: i64| u32::try_from(at).unwrap_or(0);
            for row in bound(run.start)..bound(run.end) {
                let Some(state) = self.rows[memory].get_mut(row as usize) else { continue };
                if access.write {
                    if state.read || state.since.is_none() {
                        *state = Row { since: Some(moment), read: false };
                    }
                } else if let Some(since) = state.since {
                    *state = Row { since: Some(moment), read: true };
                    if since < moment {
                        self.extend(memory, row, since..moment, node);
                    }
                }
            }
        }
    }

    /// Neighbouring rows mostly live together.
    fn extend(&mut self, memory: usize, row: u32, cycles: Range<u64>, node: u32) {
        match self.lives.last_mut() {
            Some(last)
                if (last.memory, last.rows.end, &last.cycles, last.node)
                    == (memory, row, &cycles, node) =>
            {
                last.rows.end += 1;
            }
            _ => self.lives.push(Life { memory, rows: row..row + 1, cycles, node }),
        }
    }
}
