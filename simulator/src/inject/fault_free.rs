//! What a program computes without faults: outputs, and a hash of every piece of every layer.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use isa::Program;
use isa::program::TileNote;

use crate::machine::Observer;

/// The pieces of tensors that a program notes, by tensor and origin.
#[derive(Debug)]
pub(super) struct Pieces {
    numbers: BTreeMap<(u32, [u32; 3]), usize>,
    /// Node that makes each piece.
    pub(super) nodes: Vec<u32>,
}

impl Pieces {
    pub(super) fn new(program: &Program) -> Pieces {
        let mut pieces = Pieces { numbers: BTreeMap::new(), nodes: Vec::new() };
        for note in program.code.iter().flat_map(|section| &section.notes) {
            let Some(tile) = note.tile else { continue };
            pieces.numbers.entry((tile.tensor, tile.origin)).or_insert_with(|| {
                pieces.nodes.push(note.node);
                pieces.nodes.len() - 1
            });
        }
        pieces
    }

    pub(super) fn watch(&self) -> Watch<'_> {
        Watch { pieces: self, hashes: vec![0; self.nodes.len()] }
    }
}

/// Hashes the pieces as the machine completes them.
pub(super) struct Watch<'a> {
    pieces: &'a Pieces,
    pub(super) hashes: Vec<u64>,
}

impl Observer for Watch<'_> {
    fn tile(&mut self, tile: &TileNote, values: Vec<i32>) {
        if let Some(&number) = self.pieces.numbers.get(&(tile.tensor, tile.origin)) {
            let mut hasher = DefaultHasher::new();
            values.hash(&mut hasher);
            self.hashes[number] = hasher.finish();
        }
    }
}

/// What one sample gives without faults.
#[derive(Debug)]
pub(super) struct FaultFree {
    pub(super) outputs: Vec<Vec<i32>>,
    pub(super) hashes: Vec<u64>,
}

/// Index of the largest value; the first of equals.
pub(super) fn top1(values: &[i32]) -> usize {
    let largest =
        values.iter().enumerate().max_by_key(|&(at, value)| (value, std::cmp::Reverse(at)));
    largest.map_or(0, |(at, _)| at)
}

/// Whether element `at` is among the five largest; of equals the first.
pub(super) fn in_top5(values: &[i32], at: usize) -> bool {
    let Some(&own) = values.get(at) else { return false };
    let above = |&(i, &value): &(usize, &i32)| value > own || (value == own && i < at);
    values.iter().enumerate().filter(above).count() < 5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_break_ties_by_position() {
        assert_eq!((top1(&[1, 3, 3]), top1(&[]), top1(&[-5, -9])), (1, 0, 0));
        let values = [4, 4, 4, 4, 4, 4, 9];
        let five: Vec<bool> = (0..8).map(|at| in_top5(&values, at)).collect();
        assert_eq!(five, [true, true, true, true, false, false, true, false]);
    }
}
