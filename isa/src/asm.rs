//! The assembler: a whole program as text.
//!
//! Text and file hold the same things, so a file that is disassembled and assembled again has the same bytes. Whatever a
//! person writing by hand has no use for may be left out.
//!
//! ```text
//! .hardware tiny8                    ; a preset (`edge16` if none is named), then `name = value` lines; first if present
//!   dram_latency_cycles = 20
//! .meta                              ; facts: `key = JSON value` lines
//!   model = "example"
//! .tensor "x" shape=2x3x8 bits=8 scale=0.5 zero=-128 onnx=1,8,2,3 perm=0,2,3,1
//! .input tensor=0 dram=0x1000        ; tensors and nodes are counted from 0 in order
//! .output tensor=0 dram=0x1000
//! .node "conv1" op="Conv" macs=384 unit=array weight_bits=8 act_bits=8 tile="2x3x8"
//! .constants base=0x0                ; data lines; `name:` is a label for what follows
//! weights:
//!   .hex 0102 fe00
//!   .zeros 60
//! params:
//!   .param bias=-5 multiplier=3 shift=7
//! .code load base=0x2000             ; `.code` of load, mxu, vpu, store; without a base: behind everything else
//!   load.geom page=0 rows=4 elems=8 bits=8 spad_stride=4 dram_stride=0
//!   load page=0 dst=16 src=weights count=1 signal=mxu @node=0 @class=weights
//!   halt
//! .reference                         ; data lines; .float_model, .host_head and .host_tail likewise
//!   .text "..."
//! .dram 0x4000                       ; bytes of DRAM; if absent, as much as is used
//! ```
//!
//! Data lines are `.hex`, `.zeros count`, `.bytes`, `.i16`, `.i32` (little-endian), `.text`, and `.param`, one entry of
//! `load.params` in the layout of the machine. Instruction fields are all written, flags only if set. What begins with `@` is the
//! word's [`Note`](crate::program::Note). An engine without `.code` has a `halt`.

mod block;
mod code;
mod data;
mod entry;
mod error;
mod fields;
mod lex;
mod place;

#[cfg(test)]
mod tests;

use crate::inst::{Engine, Inst};
use crate::program::{Program, SectionKind};

pub use error::{AsmError, AsmFault, Expected};

pub(crate) use code::CLASSES;
pub(crate) use entry::UNITS;

use block::{Assembler, Lines};
use fields::Sink;

/// The program that `text` describes, checked like one that was loaded.
///
/// # Errors
/// Everything that is wrong with the text, or if nothing is, with the program; at most about a hundred.
pub fn assemble(text: &str) -> Result<Program, Vec<AsmError>> {
    let mut assembler = Assembler::new();
    for (i, line) in text.lines().enumerate() {
        assembler.sink.at(i + 1, line);
        assembler.line(line);
        if assembler.sink.is_full() {
            break;
        }
    }
    let (program, lines, mut sink) = assembler.finish();
    if sink.errors.is_empty() {
        for error in program.check() {
            let (line, text) = place(&lines, error.section, error.record);
            sink.at(line, text);
            sink.fail_line(AsmFault::Program(error));
            if sink.is_full() {
                break;
            }
        }
    }
    // Instructions are read last, when every label is known.
    sink.errors.sort_by_key(|error| (*error.fault == AsmFault::TooMany, error.line, error.column));
    if sink.errors.is_empty() { Ok(program) } else { Err(sink.errors) }
}

/// The instruction that one line of the code of `engine` describes; labels and notes are not known here.
///
/// # Errors
/// Everything that is wrong with the line.
pub fn instruction(line: &str, engine: Engine) -> Result<Inst, Vec<AsmError>> {
    let mut sink = Sink::default();
    sink.at(1, line);
    let items = block::items(&mut sink, line);
    let found = code::instruction(&mut sink, engine, items, &code::Labels::new());
    match found {
        Some((inst, _)) if sink.errors.is_empty() => Ok(inst),
        _ => {
            if sink.errors.is_empty() {
                sink.fail_line(AsmFault::Misplaced {
                    found: "an empty line",
                    expected: "an instruction",
                });
            }
            Err(sink.errors)
        }
    }
}

/// The line that a fault of the program is about: the one of the entry, or of the block.
fn place<'a>(lines: &Lines<'a>, section: SectionKind, record: Option<usize>) -> (usize, &'a str) {
    let section = match section {
        SectionKind::Notes(engine) => SectionKind::Code(engine),
        section => section,
    };
    let entry = lines.get(&(section, record)).or_else(|| lines.get(&(section, None)));
    entry.copied().unwrap_or((1, ""))
}
