//! Rows and cycles as a grid of cells, each with the kind of value that occupies most of it.

use std::collections::BTreeMap;
use std::ops::Range;

use simulator::occupancy::{Occupancy, Value};

/// Cells of equal size over a range that they divide, the last one cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cells {
    pub(super) count: u64,
    pub(super) whole: u64,
}

impl Cells {
    pub(super) fn new(whole: u64, most: u64) -> Cells {
        Cells { count: whole.clamp(1, most), whole: whole.max(1) }
    }

    pub(super) fn edge(&self, cell: u64) -> u64 {
        (u128::from(cell) * u128::from(self.whole) / u128::from(self.count)) as u64
    }

    /// Cells that a range touches, each with the length of what it shares.
    pub(super) fn shares(self, range: Range<u64>) -> impl Iterator<Item = (usize, u64)> {
        let of = |place: u64| {
            (u128::from(place.min(self.whole)) * u128::from(self.count) / u128::from(self.whole))
                as u64
        };
        let first = of(range.start).saturating_sub(1);
        (first..(of(range.end) + 1).min(self.count)).filter_map(move |cell| {
            let start = self.edge(cell).max(range.start);
            let end = self.edge(cell + 1).min(range.end);
            (start < end).then(|| (cell as usize, end - start))
        })
    }
}

/// The parts of the scratchpad that are drawn: all that is ever used, and what lies between if it is little.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Drawn(pub(super) Vec<Range<u32>>);

impl Drawn {
    pub(super) fn of(occupancy: &Occupancy, rows: u32) -> Drawn {
        let mut used: Vec<Range<u32>> = occupancy.lives.iter().map(|l| l.rows.clone()).collect();
        used.sort_by_key(|rows| rows.start);
        let mut parts: Vec<Range<u32>> = Vec::new();
        for next in used {
            match parts.last_mut() {
                Some(last) if next.start <= last.end.saturating_add(rows / 16) => {
                    last.end = last.end.max(next.end);
                }
                _ => parts.push(next),
            }
        }
        if parts.is_empty() {
            parts.push(0..rows.max(1));
        }
        Drawn(parts)
    }

    /// Rows of all parts.
    pub(super) fn rows(&self) -> u32 {
        self.0.iter().map(|part| part.end - part.start).sum()
    }

    /// Where rows of one part lie among the rows of all.
    fn place(&self, rows: &Range<u32>) -> Range<u64> {
        let mut before = 0;
        for part in &self.0 {
            if part.contains(&rows.start) {
                let place = |row: u32| u64::from(before + row - part.start);
                return place(rows.start)..place(rows.end.min(part.end));
            }
            before += part.end - part.start;
        }
        0..0
    }
}

/// Rectangles of cells `[column, row, width, height]` by the value that they show.
pub(super) fn rectangles(
    occupancy: &Occupancy,
    drawn: &Drawn,
    time: Cells,
    space: Cells,
) -> BTreeMap<Value, Vec<[usize; 4]>> {
    let (columns, rows) = (time.count as usize, space.count as usize);
    let mut cells: Vec<BTreeMap<Value, u64>> = vec![BTreeMap::new(); columns * rows];
    for life in &occupancy.lives {
        for (row, height) in space.shares(drawn.place(&life.rows)) {
            for (column, width) in time.shares(life.cycles.clone()) {
                *cells[row * columns + column].entry(life.value).or_default() += width * height;
            }
        }
    }
    let shown = |index: usize| {
        let (row, column) = ((index / columns) as u64, (index % columns) as u64);
        let height = space.edge(row + 1) - space.edge(row);
        let whole = height * (time.edge(column + 1) - time.edge(column));
        let used: u64 = cells[index].values().sum();
        let most = cells[index].iter().max_by_key(|(value, area)| (**area, **value));
        most.filter(|_| 2 * used > whole).map(|(value, _)| *value)
    };
    let mut left: Vec<Option<Value>> = (0..cells.len()).map(shown).collect();
    let mut found: BTreeMap<Value, Vec<[usize; 4]>> = BTreeMap::new();
    for start in 0..left.len() {
        let Some(value) = left[start] else { continue };
        let (row, column) = (start / columns, start % columns);
        let line = |row: usize, columns_of: Range<usize>| {
            row * columns + columns_of.start..row * columns + columns_of.end
        };
        let same = |range: Range<usize>| left[range].iter().all(|other| *other == Some(value));
        let width =
            (column..columns).take_while(|&c| left[row * columns + c] == Some(value)).count();
        let across = column..column + width;
        let height = (row..rows).take_while(|&r| same(line(r, across.clone()))).count();
        for r in row..row + height {
            left[line(r, across.clone())].fill(None);
        }
        found.entry(value).or_default().push([column, row, width, height]);
    }
    found
}

#[cfg(test)]
mod tests {
    use simulator::occupancy::Life;

    use super::*;

    #[test]
    fn a_cell_shows_what_occupies_most_of_it() {
        let life = |rows: Range<u32>, cycles: Range<u64>, node| Life {
            rows,
            cycles,
            value: Value { node, class: None },
        };
        // 10 cycles in 5 columns, 4 rows in 2.
        let (time, space) = (Cells::new(10, 5), Cells::new(4, 2));
        let occupancy = Occupancy {
            lives: vec![
                life(0..2, 0..5, 1),
                life(2..4, 0..4, 1),
                life(0..2, 5..10, 2),
                life(3..4, 4..10, 3),
            ],
            ..Occupancy::default()
        };
        let drawn = Drawn::of(&occupancy, 4);
        let found = rectangles(&occupancy, &drawn, time, space);
        let of = |node| found.get(&Value { node, class: None }).cloned().unwrap_or_default();
        // Of the column that two values share equally the greater one is shown; half of a row is not.
        assert_eq!(of(1), [[0, 0, 2, 2]]);
        assert_eq!(of(2), [[2, 0, 3, 1]]);
        assert!(of(3).is_empty());
    }

    #[test]
    fn rows_that_are_never_used_are_left_out() {
        let life = |rows| Life { rows, cycles: 0..1, value: Value::default() };
        let occupancy = Occupancy {
            lives: vec![life(300..320), life(0..10), life(14..20)],
            ..Default::default()
        };
        let drawn = Drawn::of(&occupancy, 320);
        assert_eq!(drawn, Drawn(vec![0..20, 300..320]));
        assert_eq!(
            (drawn.rows(), drawn.place(&(14..20)), drawn.place(&(301..310))),
            (40, 14..20, 21..30)
        );
        assert_eq!(Drawn::of(&Occupancy::default(), 320).rows(), 320);
    }

    #[test]
    fn cells_share_a_range_exactly() {
        for (whole, most) in [(10, 3), (7, 7), (1, 5), (1000, 480)] {
            let cells = Cells::new(whole, most);
            for (start, end) in [(0, whole), (whole / 3, whole / 2 + 1), (whole - 1, whole)] {
                let sum: u64 = cells.shares(start..end).map(|(_, length)| length).sum();
                assert_eq!(sum, end - start, "{whole} {most} {start} {end}");
            }
        }
    }
}
