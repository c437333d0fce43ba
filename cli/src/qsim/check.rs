//! `qsim --check`: every layer of a sample against the host's integer runtime.

use ir::qgraph::QGraph;
use isa::Program;
use isa::program::TileNote;
use runtime::QTensor;
use simulator::machine::Observer;
use simulator::report::Mismatch;

/// Collects the pieces of tensors that the machine completes and compares each with what the host computed.
pub(crate) struct Checker<'a> {
    program: &'a Program,
    expected: &'a [QTensor],
    sample: u64,
    /// Elements seen of each tensor.
    seen: Vec<u64>,
    /// Elements that differ.
    pub mismatches: u64,
    /// The first of them.
    pub first: Option<Mismatch>,
}

impl<'a> Checker<'a> {
    /// A checker for one sample; `expected` holds every value of the reference graph.
    pub(crate) fn new(program: &'a Program, expected: &'a [QTensor], sample: u64) -> Checker<'a> {
        Checker {
            program,
            expected,
            sample,
            seen: vec![0; expected.len()],
            mismatches: 0,
            first: None,
        }
    }

    /// Compares one piece: `values` in `[h, w, c]` order of the note's box.
    fn piece(&mut self, note: &TileNote, values: &[i32]) {
        let tensor = note.tensor as usize;
        let Some(expected) = self.expected.get(tensor) else { return };
        let [h, w, c] = note.extent.map(|n| n as usize);
        let [y0, x0, c0] = note.origin.map(|n| n as usize);
        self.seen[tensor] += values.len() as u64;
        for y in 0..h {
            for x in 0..w {
                for ch in 0..c {
                    let found = values[(y * w + x) * c + ch];
                    let wanted = expected.at(y0 + y, x0 + x, c0 + ch);
                    if found != wanted {
                        self.mismatches += 1;
                        if self.first.is_none() {
                            self.first = Some(Mismatch {
                                node: self.producer(note.tensor),
                                tensor: self.program.tensors[tensor].name.clone(),
                                sample: self.sample,
                                position: vec![(y0 + y) as u32, (x0 + x) as u32, (c0 + ch) as u32],
                                found: found.into(),
                                expected: wanted.into(),
                            });
                        }
                    }
                }
            }
        }
    }

    /// Name of the node that computes a tensor.
    fn producer(&self, tensor: u32) -> String {
        let notes = self.program.code.iter().flat_map(|s| &s.notes);
        let node = notes
            .filter(|n| n.tile.is_some_and(|t| t.tensor == tensor))
            .find_map(|n| self.program.nodes.get(n.node as usize));
        node.map_or_else(String::new, |n| n.name.clone())
    }

    /// Tensors of which every element was seen exactly once.
    pub(crate) fn layers(&self) -> u64 {
        self.seen
            .iter()
            .zip(self.expected)
            .filter(|(seen, t)| **seen == t.len() as u64 && !t.is_empty())
            .count() as u64
    }
}

impl Observer for Checker<'_> {
    fn tile(&mut self, tile: &TileNote, values: Vec<i32>) {
        self.piece(tile, &values);
    }
}

/// Tensors that a program computes where they can be seen: results of nodes that are not fused away.
pub(crate) fn visible(program: &Program, graph: &QGraph) -> u64 {
    let mut held = vec![false; graph.values.len()];
    for note in program.code.iter().flat_map(|s| &s.notes).filter_map(|n| n.tile) {
        if let Some(slot) = held.get_mut(note.tensor as usize) {
            *slot = true;
        }
    }
    held.into_iter().filter(|h| *h).count() as u64
}
