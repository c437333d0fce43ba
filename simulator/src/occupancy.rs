//! What occupies the scratchpad, and how much of it, over time.
//!
//! A row is live from the issue of the instruction that first writes a value into it to the completion of the last one that reads
//! that value. What counts as one value: all writes to a row with no read in between, so that a row filled lane by lane is one
//! value; the first write after a read begins the next. A row that is written and never read is live while it is written.
//!
//! This is what the program needs, not what the compiler reserved, so it shows how much smaller a scratchpad would do.

use std::ops::Range;

use isa::access::{Access, Pages, Space};
use isa::program::Class;
use isa::{Engine, Program};
use timing::{InstRef, Record, Timing};

use crate::report::ReportError;
use crate::work;

/// Live scratchpad rows over time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Rows live from a cycle on, until the cycle of the next entry; cycles strictly increase and neighbours differ.
    pub steps: Vec<(u64, u32)>,
    /// Most rows live at any time.
    pub peak_rows: u32,
    /// Which rows were live when, and with what. No two share a row at one time.
    pub lives: Vec<Life>,
}

/// Neighbouring rows that hold one value each for the same time and of the same kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Scratchpad rows.
    pub rows: Range<u32>,
    /// From the issue of the first write to the completion of the last read.
    pub cycles: Range<u64>,
    /// What the rows hold.
    pub value: Value,
}

/// A kind of value in the scratchpad, by the word that wrote it first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value {
    /// Index into [`Program::nodes`] of the node that it was loaded for or computed by; beyond the last one if the word belongs to none.
    pub node: u32,
    /// Traffic class of a load; `None` for what the vector engine computed.
    pub class: Option<Class>,
}

impl Occupancy {
    /// Follows every row through the program.
    ///
    /// # Errors
    /// [`ReportError::Illegal`] for a word the machine cannot execute, [`ReportError::Instructions`] if `timing` is of another
    /// program.
    pub fn of(program: &Program, timing: &Timing) -> Result<Occupancy, ReportError> {
        check_instructions(program, timing)?;
        let mut rows = Rows::new(program.hardware.scratchpad_rows());
        let mut pages = Pages::default();
        let mut next = [0usize; 4];
        while let Some((engine, record)) = earliest(timing, &next) {
            let index = next[engine.index()];
            next[engine.index()] += 1;
            let inst = &program.section(engine).words[index];
            let at = InstRef { engine, index: index as u32 };
            let accesses = work::legal_access(at, inst, &pages, &program.hardware)?;
            let note = program.section(engine).notes.get(index).copied().unwrap_or_default();
            let class = (engine == Engine::Load).then_some(note.class);
            let value = Value { node: note.node, class };
            // Operands first: an instruction that works in place reads the old value and writes a new one.
            rows.read(&accesses, record);
            rows.write(&accesses, record, value);
            pages.apply(inst);
        }
        Ok(rows.finish())
    }
}

/// Checks that a timing has one record per word.
pub(crate) fn check_instructions(program: &Program, timing: &Timing) -> Result<(), ReportError> {
    for engine in Engine::ALL {
        let found = timing.instructions[engine.index()].len();
        let expected = program.section(engine).words.len();
        if found != expected {
            return Err(ReportError::Instructions { engine, found, expected });
        }
    }
    Ok(())
}

/// The engine whose next instruction issues first, by engine order among equals.
fn earliest(timing: &Timing, next: &[usize; 4]) -> Option<(Engine, Record)> {
    let heads = Engine::ALL.into_iter().filter_map(|engine| {
        let record = timing.instructions[engine.index()].get(next[engine.index()])?;
        Some((engine, *record))
    });
    heads.min_by_key(|(_, record)| record.issue)
}

/// What a row holds.
#[derive(Clone, Copy, Default)]
struct Row {
    /// Issue of the first write of the value; meaningful if live.
    first: u64,
    /// Completion of its last use so far.
    last: u64,
    value: Value,
    live: bool,
    read: bool,
}

struct Rows {
    rows: Vec<Row>,
    /// Values that have died.
    lives: Vec<Life>,
}

impl Rows {
    fn new(count: u32) -> Rows {
        Rows { rows: vec![Row::default(); count as usize], lives: Vec::new() }
    }

    fn read(&mut self, accesses: &[Access], record: Record) {
        for row in touched(accesses, false, self.rows.len()).flatten() {
            let row = &mut self.rows[row];
            if row.live {
                row.last = row.last.max(record.complete);
                row.read = true;
            }
        }
    }

    fn write(&mut self, accesses: &[Access], record: Record, value: Value) {
        for row in touched(accesses, true, self.rows.len()).flatten() {
            self.write_row(row, record, value);
        }
    }

    fn write_row(&mut self, index: usize, record: Record, value: Value) {
        let row = self.rows[index];
        if row.live && !row.read {
            self.rows[index].last = row.last.max(record.complete);
            return;
        }
        if row.live {
            // Never count a row twice: the old value ends no later than the new one begins.
            self.die(index, row.first..row.last.min(record.issue), row.value);
        }
        let (first, last) = (record.issue, record.complete);
        self.rows[index] = Row { first, last, value, live: true, read: false };
    }

    /// Neighbouring rows mostly live together, so their lives are joined.
    fn die(&mut self, index: usize, cycles: Range<u64>, value: Value) {
        let index = index as u32;
        match self.lives.last_mut() {
            Some(life)
                if life.rows.end == index && life.cycles == cycles && life.value == value =>
            {
                life.rows.end += 1;
            }
            _ if cycles.is_empty() => {}
            _ => self.lives.push(Life { rows: index..index + 1, cycles, value }),
        }
    }

    fn finish(mut self) -> Occupancy {
        for index in 0..self.rows.len() {
            let row = self.rows[index];
            if row.live {
                self.die(index, row.first..row.last, row.value);
            }
        }
        let change = |life: &Life| {
            let rows = i64::from(life.rows.end - life.rows.start);
            [(life.cycles.start, rows), (life.cycles.end, -rows)]
        };
        let mut changes: Vec<(u64, i64)> = self.lives.iter().flat_map(change).collect();
        changes.sort_unstable();
        let mut occupancy = Occupancy { lives: self.lives, ..Occupancy::default() };
        let mut live = 0i64;
        for at in changes.chunk_by(|a, b| a.0 == b.0) {
            let change: i64 = at.iter().map(|(_, change)| change).sum();
            live += change;
            if change != 0 {
                let rows = u32::try_from(live).unwrap_or(0);
                occupancy.steps.push((at[0].0, rows));
                occupancy.peak_rows = occupancy.peak_rows.max(rows);
            }
        }
        occupancy
    }
}

/// Runs of scratchpad rows that are read, or written; rows that `count` says do not exist are left out.
fn touched(accesses: &[Access], write: bool, count: usize) -> impl Iterator<Item = Range<usize>> {
    let here = accesses.iter().filter(move |a| a.space == Space::Spad && a.write == write);
    here.flat_map(|access| work::intervals(&access.rows)).filter_map(move |run| {
        let run = usize::try_from(run.start).ok()?..usize::try_from(run.end).ok()?;
        (run.end <= count).then_some(run)
    })
}

#[cfg(test)]
mod tests {
    use timing::Mode;

    use super::*;
    use crate::sample;

    #[test]
    fn values_live_from_first_write_to_last_read() {
        let program = sample::program();
        let mut timing = timing::run(&program, Mode::Stepped).unwrap();
        let record = |issue, complete| Record { issue, complete };
        // Hand-made times: load input 10..20, weights 30..50; conv 60..80; drain 90..100; table 110..120; store 130..150.
        timing.instructions[0][1] = record(10, 20);
        timing.instructions[0][3] = record(30, 50);
        timing.instructions[1][2] = record(60, 80);
        timing.instructions[2][3] = record(90, 100);
        timing.instructions[2][4] = record(110, 120);
        timing.instructions[3][1] = record(130, 150);
        for (engine, index, at) in
            [(0, 0, 0), (0, 2, 25), (0, 4, 55), (0, 5, 56), (0, 6, 57), (1, 3, 85), (2, 5, 125)]
        {
            timing.instructions[engine][index] = record(at, at + 1);
        }
        for engine in [1, 2] {
            for index in 0..=engine {
                timing.instructions[engine][index] = record(index as u64, index as u64 + 1);
            }
        }
        timing.instructions[3][0] = record(0, 1);
        timing.instructions[3][2] = record(160, 160);
        let occupancy = Occupancy::of(&program, &timing).unwrap();
        // The drain's rows pass to the result of the table without a gap in between: 90..110, then 110..150.
        assert_eq!(occupancy.steps, [(10, 30), (30, 138), (80, 0), (90, 30), (150, 0)]);
        assert_eq!(occupancy.peak_rows, 138);
        let life = |rows, cycles, node, class| Life { rows, cycles, value: Value { node, class } };
        let mut lives = occupancy.lives;
        lives.sort_by_key(|life| life.cycles.start);
        assert_eq!(lives[0], life(0..30, 10..80, 0, Some(Class::Inputs)));
        assert_eq!(lives[1], life(100..208, 30..80, 0, Some(Class::Weights)));
        let computed = |life: &Life| (life.cycles.clone(), life.value.node, life.value.class);
        let rest: Vec<_> = lives[2..].iter().map(computed).collect();
        assert_eq!(rest, [(90..110, 0, None), (110..150, 1, None)]);
    }

    #[test]
    fn rows_filled_in_pieces_are_one_value_and_rows_never_read_die() {
        let record = |issue, complete| Record { issue, complete };
        let mut rows = Rows::new(1);
        let mut write =
            |issue, complete| rows.write_row(0, record(issue, complete), Value::default());
        write(5, 6);
        write(20, 22);
        assert_eq!(rows.finish().steps, [(5, 1), (22, 0)]);
        assert_eq!(Rows::new(3).finish(), Occupancy::default());
    }

    #[test]
    fn a_timing_of_another_program_is_refused() {
        let program = sample::program();
        let mut timing = timing::run(&program, Mode::Stepped).unwrap();
        timing.instructions[2].pop();
        let error = Occupancy::of(&program, &timing).unwrap_err();
        assert_eq!(error, ReportError::Instructions { engine: Engine::Vpu, found: 5, expected: 6 });
    }
}
