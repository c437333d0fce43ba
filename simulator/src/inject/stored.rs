//! Bits in DRAM: the constants that a program loads, by what they are, and its words.

use std::collections::BTreeMap;

use isa::access::{EXP_BYTES, LUT16_BYTES, Pages};
use isa::instructions::{Load, LoadGeom};
use isa::{Engine, Op, Program};

use super::InjectError;
use super::population::{Base, Group};
use super::spec::FaultSpace;

/// Elements from a DRAM byte on.
#[derive(Clone, Copy)]
struct Run {
    elements: u64,
    width: u32,
    node: u32,
}

/// The constants that are loaded as `space`. What several nodes load counts once, for the first.
pub(super) fn constants(program: &Program, space: FaultSpace) -> Result<Vec<Group>, InjectError> {
    let held = program.constants_bytes();
    let mut runs: BTreeMap<u64, Run> = BTreeMap::new();
    let mut note = |byte: u64, run: Run| {
        let bytes = (run.elements * u64::from(run.width)).div_ceil(8);
        if held.start <= byte && byte + bytes <= held.end {
            runs.entry(byte).or_insert(run);
        }
    };
    let section = program.section(Engine::Load);
    let mut pages = Pages::default();
    for (index, inst) in section.words.iter().enumerate() {
        pages.apply(inst);
        let node = section.notes.get(index).map_or(u32::MAX, |note| note.node);
        match (&inst.op, space) {
            (Op::Load(op), FaultSpace::Weights) => {
                let geom = pages.load_geom(op.page).map_err(|source| InjectError::Illegal {
                    engine: Engine::Load,
                    index,
                    source: Box::new(source),
                })?;
                rows(op, geom, |byte, elements| {
                    note(byte, Run { elements, width: geom.bits, node });
                });
            }
            (Op::LoadParams(op), FaultSpace::Params) => {
                let width = 8 * program.hardware.param_entry_bytes();
                note(op.src, Run { elements: op.count.into(), width, node });
            }
            (Op::LoadTable(op), FaultSpace::Tables) => {
                // Tables of 256 bytes, of 513 nodes of 16 bits, of 256 exponentials of 32 bits.
                let width = match op.bytes {
                    EXP_BYTES => 32,
                    LUT16_BYTES => 16,
                    _ => 8,
                };
                note(op.src, Run { elements: u64::from(op.bytes * 8 / width), width, node });
            }
            _ => {}
        }
    }
    Ok(groups(runs))
}

/// First byte and elements of each row that a word loads.
fn rows(op: &Load, geom: &LoadGeom, mut visit: impl FnMut(u64, u64)) {
    let row_bytes = u64::from((geom.elems * geom.bits).div_ceil(8));
    for g in 0..u64::from(op.count) {
        for r in 0..u64::from(geom.rows) {
            visit(op.src + g * geom.dram_stride + r * row_bytes, geom.elems.into());
        }
    }
}

/// Runs that touch, of the same kind and node, in one group; what an earlier run has counted is left out.
fn groups(runs: BTreeMap<u64, Run>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut end = 0;
    for (byte, Run { elements, width, node }) in runs {
        let first_bit = 8 * byte;
        if first_bit < end {
            continue;
        }
        let joins = first_bit == end;
        end = first_bit + elements * u64::from(width);
        match groups.last_mut() {
            Some(last) if joins && (last.bits.end, last.node) == (width, node) => {
                last.count += elements;
            }
            _ => groups.push(Group {
                at: Base::Constant { first_bit, width },
                count: elements,
                bits: 0..width,
                cycles: 0..1,
                node,
            }),
        }
    }
    groups
}

/// Every bit of the code; neighbouring words of one node in one group.
pub(super) fn words(program: &Program) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for engine in Engine::ALL {
        let section = program.section(engine);
        let mut previous = None;
        for index in 0..section.words.len() {
            let node = section.notes.get(index).map_or(u32::MAX, |note| note.node);
            match groups.last_mut() {
                Some(last) if previous == Some(node) => last.count += 1,
                _ => groups.push(Group {
                    at: Base::Word { engine, index },
                    count: 1,
                    bits: 0..128,
                    cycles: 0..1,
                    node,
                }),
            }
            previous = Some(node);
        }
    }
    groups
}
