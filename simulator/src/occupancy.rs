//! How much of the scratchpad is in use, over time.
//!
//! A row is live from the issue of the instruction that first writes a value into it to the completion of the last one that reads
//! that value. What counts as one value: all writes to a row with no read in between, so that a row filled lane by lane is one
//! value; the first write after a read begins the next. A row that is written and never read is live while it is written.
//!
//! This is what the program needs, not what the compiler reserved, so it shows how much smaller a scratchpad would do.

use isa::access::{Access, Pages, Space};
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
            // Operands first: an instruction that works in place reads the old value and writes a new one.
            rows.apply(&accesses, false, record);
            rows.apply(&accesses, true, record);
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
    live: bool,
    read: bool,
}

struct Rows {
    rows: Vec<Row>,
    /// Changes of the number of live rows, in no order.
    changes: Vec<(u64, i64)>,
}

impl Rows {
    fn new(count: u32) -> Rows {
        Rows { rows: vec![Row::default(); count as usize], changes: Vec::new() }
    }

    fn apply(&mut self, accesses: &[Access], write: bool, record: Record) {
        let here = accesses.iter().filter(|a| a.space == Space::Spad && a.write == write);
        for access in here {
            for run in work::intervals(&access.rows) {
                let (start, end) = (usize::try_from(run.start), usize::try_from(run.end));
                let range = start.unwrap_or(0)..end.unwrap_or(0);
                let Some(rows) = self.rows.get_mut(range) else { continue };
                for row in rows {
                    if write {
                        Self::write(&mut self.changes, row, record);
                    } else if row.live {
                        row.last = row.last.max(record.complete);
                        row.read = true;
                    }
                }
            }
        }
    }

    fn write(changes: &mut Vec<(u64, i64)>, row: &mut Row, record: Record) {
        if row.live && !row.read {
            row.last = row.last.max(record.complete);
            return;
        }
        if row.live {
            // Never count a row twice: the old value ends no later than the new one begins.
            Self::change(changes, row.first, row.last.min(record.issue));
        }
        *row = Row { first: record.issue, last: record.complete, live: true, read: false };
    }

    /// A row is live during `first..last`. Neighbouring rows mostly live together, so their changes are joined.
    fn change(changes: &mut Vec<(u64, i64)>, first: u64, last: u64) {
        if let [.., (begin, more), (end, fewer)] = &mut changes[..]
            && (*begin, *end) == (first, last)
        {
            *more += 1;
            *fewer -= 1;
        } else if first < last {
            changes.extend([(first, 1), (last, -1)]);
        }
    }

    fn finish(mut self) -> Occupancy {
        for row in self.rows.iter().filter(|row| row.live) {
            Self::change(&mut self.changes, row.first, row.last);
        }
        self.changes.sort_unstable();
        let mut occupancy = Occupancy::default();
        let mut live = 0i64;
        for at in self.changes.chunk_by(|a, b| a.0 == b.0) {
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
    }

    #[test]
    fn rows_filled_in_pieces_are_one_value_and_rows_never_read_die() {
        let record = |issue, complete| Record { issue, complete };
        let mut rows = Rows::new(1);
        let mut write = |issue, complete| {
            Rows::write(&mut rows.changes, &mut rows.rows[0], record(issue, complete))
        };
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
