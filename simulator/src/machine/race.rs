//! Hostile orders: whether the bytes depend on how the engines interleave, and if so, on which two words.

use std::hash::{DefaultHasher, Hash, Hasher};

use isa::inst::Engine;
use isa::program::TileNote;

use super::{Location, Machine, Observer, Order, Prepared, SimError};
use crate::exec::Kernels;
use crate::memory::Memory;

/// Two words whose order decides what the program computes, though no semaphore decides their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Race {
    /// The word that may run earlier than usual.
    pub early: Location,
    /// The word that it may overtake.
    pub late: Location,
    /// Where it shows first.
    pub place: String,
}

/// What is compared: what the program noted on its way, and all memories at its end.
struct Ending {
    /// Hashes of noted tiles, sorted, because the orders meet them in different sequence.
    tiles: Vec<(u32, [u32; 3], u64)>,
    /// Memories, or the trap that ended the run.
    memory: Result<Memory, String>,
}

/// The orders of one program on one input, compared with the usual one.
pub struct Interleavings<'p> {
    prepared: &'p Prepared<'p>,
    kernels: Kernels,
    inputs: &'p [Vec<i32>],
    usual: Order,
    ending: Ending,
}

impl<'p> Interleavings<'p> {
    /// Runs the program in the usual order.
    ///
    /// # Errors
    /// When the inputs do not fit the program, or it deadlocks.
    pub fn new(
        prepared: &'p Prepared<'p>,
        kernels: Kernels,
        inputs: &'p [Vec<i32>],
    ) -> Result<Interleavings<'p>, SimError> {
        let usual = Order::round_robin(prepared.program)?;
        let ending = ending(prepared, kernels, inputs, &usual)?;
        Ok(Interleavings { prepared, kernels, inputs, usual, ending })
    }

    /// Runs the program in the hostile order `index` ([`Order::hostile`]); what races if any byte is another.
    ///
    /// # Errors
    /// As [`Interleavings::new`].
    pub fn race(&self, index: usize) -> Result<Option<Race>, SimError> {
        let hostile = Order::hostile(self.prepared.program, index)?;
        match self.difference(&hostile)? {
            None => Ok(None),
            Some(_) => self.find(&hostile).map(Some),
        }
    }

    /// Where the bytes of an order differ from the usual ones.
    fn difference(&self, order: &Order) -> Result<Option<String>, SimError> {
        let other = ending(self.prepared, self.kernels, self.inputs, order)?;
        Ok(self.ending.difference(&other, self.prepared))
    }

    /// The two words whose exchange makes the difference. Orders lie on a line from the usual to the hostile one, each one
    /// exchange of neighbours from the next; bisection finds neighbours on it of which only the first is as usual.
    fn find(&self, hostile: &Order) -> Result<Race, SimError> {
        let count = first(hostile.steps().len(), |count| {
            Ok(self.difference(&hostile.then(count, &self.usual))?.is_some())
        })?;
        // All as usual until the hostile order's word number `count` comes in front.
        let before = hostile.then(count - 1, &self.usual);
        let early = hostile.steps().nth(count - 1).expect("bisection stays inside the order");
        let from = before.position(early).expect("orders of one program have the same words");
        let passed = first(from - (count - 1), |passed| {
            Ok(self.difference(&before.moved(from, from - passed))?.is_some())
        })?;
        let to = from - passed;
        let late = before.steps().nth(to).expect("bisection stays inside the order");
        let place = self.difference(&before.moved(from, to))?.unwrap_or_default();
        let at =
            |(engine, index): (Engine, usize)| Location::new(self.prepared.program, engine, index);
        Ok(Race { early: at(early), late: at(late), place })
    }
}

/// The smallest number in `1..=most` for which `differs`, if that is once false and from then on true; it is true for `most`.
fn first(
    most: usize,
    mut differs: impl FnMut(usize) -> Result<bool, SimError>,
) -> Result<usize, SimError> {
    let (mut equal, mut different) = (0, most);
    while different - equal > 1 {
        let middle = equal + (different - equal) / 2;
        if differs(middle)? {
            different = middle;
        } else {
            equal = middle;
        }
    }
    Ok(different)
}

fn ending(
    prepared: &Prepared<'_>,
    kernels: Kernels,
    inputs: &[Vec<i32>],
    order: &Order,
) -> Result<Ending, SimError> {
    let mut machine = Machine::new(prepared, kernels);
    for (index, values) in inputs.iter().enumerate() {
        machine.write_input(index, values)?;
    }
    let mut tiles = Tiles::default();
    let result = match machine.run(order, Some(&mut tiles)) {
        Ok(()) => Ok(()),
        // Which word traps first may depend on the order, so it is part of the result.
        Err(trap @ SimError::Trap { .. }) => Err(trap.to_string()),
        Err(other) => return Err(other),
    };
    tiles.0.sort_unstable();
    Ok(Ending { tiles: tiles.0, memory: result.map(|()| machine.memory) })
}

impl Ending {
    fn difference(&self, other: &Ending, prepared: &Prepared<'_>) -> Option<String> {
        let (usual, found) = match (&self.memory, &other.memory) {
            (Ok(usual), Ok(found)) => (usual, found),
            (Err(usual), Err(found)) if usual == found => return None,
            (_, Err(trap)) => return Some(format!("trap: {trap}")),
            (Err(trap), Ok(_)) => return Some(format!("no trap, but usually: {trap}")),
        };
        let tile = self.tiles.iter().zip(&other.tiles).find(|(a, b)| a != b);
        let tile = tile.map(|((tensor, [y, x, c], _), _)| {
            let name = &prepared.program.tensors[*tensor as usize].name;
            format!("tensor `{name}`, the tile at [y, x, c] = [{y}, {x}, {c}]")
        });
        tile.or_else(|| usual.difference(found))
    }
}

#[derive(Default)]
struct Tiles(Vec<(u32, [u32; 3], u64)>);

impl Observer for Tiles {
    fn tile(&mut self, tile: &TileNote, values: Vec<i32>) {
        let mut hasher = DefaultHasher::new();
        values.hash(&mut hasher);
        self.0.push((tile.tensor, tile.origin, hasher.finish()));
    }
}
