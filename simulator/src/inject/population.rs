//! The bits that can flip, numbered: every fault of a spec is one number, all equally likely.
//!
//! A fault that is there from the start is a stored bit. A transient one is a bit and a cycle, so that a value is struck in proportion to the
//! bits it takes and the cycles it waits.

use std::ops::Range;

use isa::spelling::similar;
use isa::{Engine, Program};

use super::InjectError;
use super::residency::Residency;
use super::schedule::Schedule;
use super::spec::{FaultSpace, Spec};
use super::stored;
use crate::machine::Cell;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What flips.
    pub place: Place,
    /// Bit of the weight, entry, byte, accumulator or word.
    pub bit: u32,
    /// The cycle it strikes at; `None` for one that is there from the start.
    pub cycle: Option<u64>,
    /// Node that uses what is struck, where the population says so; `u32::MAX` for none.
    pub node: u32,
}

/// A bit of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Bit of a DRAM byte among the constants.
    Constant {
        /// DRAM address.
        byte: u64,
        /// Bit of the byte.
        bit: u32,
    },
    /// Bit of an instruction word.
    Word {
        /// Engine.
        engine: Engine,
        /// Index in its code.
        index: usize,
        /// Bit of the word.
        bit: u32,
    },
    /// Bit of a unit of an on-chip memory: a byte of the scratchpad, or an accumulator.
    OnChip {
        /// The byte or accumulator.
        cell: Cell,
        /// Bit of it.
        bit: u32,
    },
}

/// Elements of equal size, one behind the other, that one node uses; or rows of an on-chip memory during some cycles.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) at: Base,
    /// Elements.
    pub(super) count: u64,
    /// Bits of an element that can flip.
    pub(super) bits: Range<u32>,
    /// Cycles at which they can; `0..1` for what is there from the start.
    pub(super) cycles: Range<u64>,
    pub(super) node: u32,
}

/// First element of a group.
#[derive(Clone, Copy, Debug)]
pub(super) enum Base {
    /// Its first bit, counted from DRAM address 0, and its bits.
    Constant {
        first_bit: u64,
        width: u32,
    },
    Word {
        engine: Engine,
        index: usize,
    },
    OnChip(Cell),
}

/// The numbered faults of a spec.
#[derive(Debug)]
pub(super) struct Population {
    groups: Vec<Group>,
    /// Number behind the last fault of each group.
    ends: Vec<u64>,
    /// Bits of the whole memory.
    pub(super) bits: u64,
    /// Faults that one bit has: the cycles at which it can be struck, 1 where there is no choice of a cycle.
    pub(super) moments: u64,
    /// Share of all faults of the memory that the spec allows.
    pub(super) share: f64,
    residency: Option<Residency>,
}

impl Population {
    /// All faults that `spec` allows, its `at` left aside.
    pub(super) fn new(
        program: &Program,
        schedule: &Schedule,
        spec: &Spec,
    ) -> Result<Population, InjectError> {
        let layer = spec.layer.as_ref().map(|name| node(program, name)).transpose()?;
        let space = spec.space;
        let (mut groups, residency) = match space {
            FaultSpace::Weights | FaultSpace::Params | FaultSpace::Tables => {
                (stored::constants(program, space)?, None)
            }
            FaultSpace::Instructions => (stored::words(program), None),
            FaultSpace::Scratchpad | FaultSpace::Accumulators => {
                let residency = Residency::new(program, schedule, space)?;
                (residency.whole(), Some(residency))
            }
        };
        let size = |groups: &[Group]| groups.iter().map(Group::len).fold(0, u64::saturating_add);
        let all = size(&groups);
        if all == 0 {
            return Err(InjectError::Empty { space, layer: None });
        }
        let bits = all / if space.is_transient() { schedule.cycles } else { 1 };
        let chosen = |group: &Group| layer.is_none_or(|layer| group.node == layer);
        match &residency {
            Some(residency) if spec.live || layer.is_some() => {
                groups = residency.lives();
                groups.retain(chosen);
            }
            _ => groups.retain(chosen),
        }
        if let Some(engine) = spec.engine {
            groups.retain(
                |group| matches!(group.at, Base::Word { engine: own, .. } if own == engine),
            );
        }
        if size(&groups) == 0 {
            return Err(InjectError::Empty { space, layer: spec.layer.clone() });
        }
        if let Some(bit) = spec.bit {
            let widest = groups.iter().map(|group| group.bits.end).max().unwrap_or(0);
            groups.retain(|group| group.bits.contains(&bit));
            groups.iter_mut().for_each(|group| group.bits = bit..bit + 1);
            if groups.is_empty() {
                return Err(InjectError::Bit { bit, space, bits: widest });
            }
        }
        let share = size(&groups) as f64 / all as f64;
        let mut moments = if space.is_transient() { schedule.cycles } else { 1 };
        if let Some(cycle) = spec.cycle {
            moments = 1;
            groups.retain(|group| group.cycles.contains(&cycle));
            groups.iter_mut().for_each(|group| group.cycles = cycle..cycle + 1);
            if groups.is_empty() {
                return Err(InjectError::Cycle { cycle, cycles: schedule.cycles });
            }
        }
        Ok(Population { bits, share, residency, ..Population::of(groups, moments) })
    }

    fn of(groups: Vec<Group>, moments: u64) -> Population {
        let ends = groups
            .iter()
            .scan(0u64, |end, group| {
                *end = end.saturating_add(group.len());
                Some(*end)
            })
            .collect();
        Population { groups, ends, bits: 0, moments, share: 1.0, residency: None }
    }

    /// Number of faults.
    pub(super) fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Fault `number`.
    pub(super) fn fault(&self, number: u64) -> Fault {
        let at = self.ends.partition_point(|&end| end <= number);
        let first = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.groups[at].fault(number - first)
    }

    /// Node that uses what a fault strikes; `u32::MAX` if nothing reads it any more.
    pub(super) fn reader(&self, fault: &Fault) -> u32 {
        self.residency.as_ref().map_or(fault.node, |residency| residency.reader(fault))
    }

    /// Share of the bits and cycles of an on-chip memory that hold a value still to be read.
    pub(super) fn live(&self) -> Option<f64> {
        let residency = self.residency.as_ref()?;
        let size = |groups: Vec<Group>| groups.iter().map(|group| group.len() as f64).sum::<f64>();
        Some(size(residency.lives()) / size(residency.whole()))
    }

    /// The faults at one place, as the user names it: one, or one for each cycle.
    pub(super) fn at(
        &self,
        program: &Program,
        space: FaultSpace,
        unit: u64,
        bit: u32,
    ) -> Result<Population, InjectError> {
        let found = self.groups.iter().find_map(|group| group.single(program, unit, bit));
        let single = found.ok_or_else(|| {
            let units: u64 = self.groups.iter().map(|group| group.count).sum();
            let widest = self.groups.iter().map(|group| group.bits.end).max().unwrap_or(0);
            let expected = match space {
                FaultSpace::Weights | FaultSpace::Params | FaultSpace::Tables => {
                    format!(
                        "bits 0..8 of those bytes 0..{} that hold {space}",
                        program.constants.len()
                    )
                }
                _ => format!("bits 0..{widest} of 0..{units}"),
            };
            InjectError::Place { space, unit, bit, expected }
        })?;
        Ok(Population::of(vec![single], self.moments))
    }
}

impl Group {
    pub(super) fn len(&self) -> u64 {
        let bits = u64::from(self.bits.end - self.bits.start);
        self.count.saturating_mul(bits).saturating_mul(self.cycles.end - self.cycles.start)
    }

    fn fault(&self, number: u64) -> Fault {
        let cycles = self.cycles.end - self.cycles.start;
        let (cell, cycle) = (number / cycles, self.cycles.start + number % cycles);
        let width = u64::from(self.bits.end - self.bits.start);
        let (element, bit) = (cell / width, self.bits.start + (cell % width) as u32);
        let (place, cycle) = match self.at {
            Base::Constant { first_bit, width } => {
                let at = first_bit + element * u64::from(width) + u64::from(bit);
                (Place::Constant { byte: at / 8, bit: (at % 8) as u32 }, None)
            }
            Base::Word { engine, index } => {
                (Place::Word { engine, index: index + element as usize, bit }, None)
            }
            Base::OnChip(cell) => {
                (Place::OnChip { cell: cell.behind(element as usize), bit }, Some(cycle))
            }
        };
        Fault { place, bit, cycle, node: self.node }
    }

    /// The part of the group, one of those of a whole memory, that is bit `bit` of what the user calls unit `unit`.
    fn single(&self, program: &Program, unit: u64, bit: u32) -> Option<Group> {
        let (at, element, bit) = match self.at {
            Base::Constant { first_bit, width } if bit < 8 => {
                let byte = program.constants_base.checked_add(unit)?;
                let offset =
                    byte.checked_mul(8)?.checked_add(bit.into())?.checked_sub(first_bit)?;
                let element = offset / u64::from(width);
                let first_bit = first_bit.checked_add(element.checked_mul(width.into())?)?;
                (Base::Constant { first_bit, width }, element, (offset % u64::from(width)) as u32)
            }
            Base::Constant { .. } => return None,
            Base::Word { engine, index } => {
                let element = unit.checked_sub(index as u64)?;
                (Base::Word { engine, index: usize::try_from(unit).ok()? }, element, bit)
            }
            Base::OnChip(cell) => {
                // Accumulators are numbered through both banks.
                let first = match cell {
                    Cell::Scratchpad { .. } => 0,
                    Cell::Accumulator { bank, .. } => bank as u64 * self.count,
                };
                let element = unit.checked_sub(first)?;
                (Base::OnChip(cell.behind(usize::try_from(element).ok()?)), element, bit)
            }
        };
        let inside = element < self.count && self.bits.contains(&bit);
        inside.then(|| Group { at, count: 1, bits: bit..bit + 1, ..self.clone() })
    }
}

/// The node of a name.
fn node(program: &Program, name: &str) -> Result<u32, InjectError> {
    let at = program.nodes.iter().position(|node| node.name == name);
    at.map(|at| at as u32).ok_or_else(|| {
        let near = similar(name, program.nodes.iter().map(|node| node.name.as_str()));
        InjectError::Layer {
            name: name.to_owned(),
            near: near.first().map(|&near| near.to_owned()),
        }
    })
}
