//! Where code lies in DRAM if the text does not say.

use crate::access::{Pages, Space, access};
use crate::inst::Engine;
use crate::program::Program;

/// Gives every code section without a base the next free bursts behind everything else, and `dram_bytes`, if the text
/// has none, the end of it all.
pub(super) fn place(program: &mut Program, bases: [Option<u64>; 4], dram_bytes: Option<u64>) {
    for engine in Engine::ALL {
        program.code[engine.index()].base = bases[engine.index()].unwrap_or(0);
    }
    let burst = u64::from(program.hardware.dram_burst_bytes).max(1);
    let align = |end: u64| end.checked_next_multiple_of(burst).unwrap_or(u64::MAX);
    let mut end = align(used(program, bases));
    for (section, base) in program.code.iter_mut().zip(bases) {
        if base.is_none() {
            section.base = end;
            end = align(section.bytes().end);
        }
    }
    program.dram_bytes = dram_bytes.unwrap_or(end);
}

/// End of the DRAM that the text itself gives addresses of: data, inputs and outputs, code with a base, transfers.
fn used(program: &Program, bases: [Option<u64>; 4]) -> u64 {
    let mut end = program.constants_bytes().end;
    for binding in program.inputs.iter().chain(&program.outputs) {
        end = end.max(program.binding_bytes(binding).end);
    }
    for (section, base) in program.code.iter().zip(bases) {
        if base.is_some() {
            end = end.max(section.bytes().end);
        }
        let mut pages = Pages::default();
        for inst in &section.words {
            // Illegal words are reported when the whole program is checked.
            let accesses = access(inst, &pages, &program.hardware).unwrap_or_default();
            for access in accesses.iter().filter(|access| access.space == Space::Dram) {
                end = end.max(u64::try_from(access.rows.bounds().end).unwrap_or(0));
            }
            pages.apply(inst);
        }
    }
    end
}
