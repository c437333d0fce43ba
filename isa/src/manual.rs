//! The instruction manual, made from the instruction list.
//!
//! What an instruction does, its fields and their meaning are the list's own doc comments; bit positions come from the declaration; each
//! example is encoded, decoded, disassembled and assembled while the page is made. So the page cannot say what the machine does not do.

use std::fmt::{self, Write as _};

use crate::asm;
use crate::inst::{Engine, EngineSet, Inst, decode, encode};
use crate::instructions::MANUAL;
use crate::operand::{FieldDoc, InstDoc, Kind};

/// Source of the list: its module doc has the notation.
const LIST: &str = include_str!("instructions.rs");

/// The manual in Markdown, for `docs/generated/isa.md`.
pub fn isa_manual() -> String {
    let mut out = String::new();
    // Writing to a `String` cannot fail.
    let _ = write(&mut out);
    out
}

fn write(out: &mut String) -> fmt::Result {
    out.push_str(
        "# Instruction set\n\n\
         Generated from `isa/src/instructions.rs`; do not edit.\n\n\
         A program is four sections of straight-line code, one per engine. The engines run side by side, each executing its \
         own words in order; there are no branches. All arithmetic is on integers and defined in [numerics.md](../numerics.md); how long each \
         word takes is defined in [timing.md](../timing.md); sizes written as parameters are listed in [hardware.md](hardware.md).\n\n\
         ## Engines\n\n| engine | number | task |\n| --- | --- | --- |\n",
    );
    for engine in Engine::ALL {
        writeln!(out, "| `{engine}` | {} | {} |", engine.index(), task(engine))?;
    }
    out.push_str(
        "\n## Words\n\nA word has 128 bits and lies in memory least significant byte first. Bits that no field names must be 0.\n\n",
    );
    for paragraph in notation() {
        writeln!(out, "{paragraph}\n")?;
    }
    out.push_str(
        "Bit `i` of a set stands for an engine:\n\n| engine | bit 0 | bit 1 | bit 2 |\n| --- | --- | --- | --- |\n",
    );
    for engine in Engine::ALL {
        let [a, b, c] = engine.others();
        writeln!(out, "| `{engine}` | `{a}` | `{b}` | `{c}` |")?;
    }
    out.push_str(
        "\n## Semaphores\n\n\
         For each ordered pair of different engines there is one counter, 0..255, which starts at 0. A word issues when the counters from \
         all engines of its wait set to its own engine are at least 1, and takes 1 from each. When it completes it adds 1 to the counters \
         from its own engine to those of its signal set; it does not complete while one of them is full. Each counter has one producer \
         and one consumer, so the n-th wait always meets the n-th signal.\n\n\
         ## Register pages\n\n\
         Tile words do not have room for all geometry. It lies in registers, of which each engine has two pages; a word names one with \
         bit 14. A word that writes registers waits until no earlier word of the engine that names the page is under way. Reading a \
         register that was never written is refused before a program runs.\n\n\
         ## Fields\n\n| kind | meaning |\n| --- | --- |\n",
    );
    for kind in Kind::ALL {
        writeln!(out, "| {} | {} |", kind.name(), kind.meaning())?;
    }
    out.push_str(
        "\nIn assembly every field is written `name=value`, a flag by its name alone if it is set, the sets as `wait=load,mxu` and \
         `signal=store`.\n\n## Instructions\n\n| engine | operation | instruction |\n| --- | --- | --- |\n",
    );
    for InstDoc { mnemonic, opcode, engine, .. } in MANUAL {
        let anchor = mnemonic.replace('.', "");
        writeln!(out, "| {} | {opcode} | [`{mnemonic}`](#{anchor}) |", engine_name(*engine))?;
    }
    MANUAL.iter().try_for_each(|doc| instruction(out, doc))
}

fn instruction(out: &mut String, doc: &InstDoc) -> fmt::Result {
    writeln!(
        out,
        "\n### `{}`\n\nEngine: {}. Operation: {}.\n",
        doc.mnemonic,
        engine_name(doc.engine),
        doc.opcode
    )?;
    writeln!(out, "{}\n", flowed(doc.doc))?;
    if !doc.fields.is_empty() {
        writeln!(
            out,
            "| bits | field | kind | values | meaning |\n| --- | --- | --- | --- | --- |"
        )?;
        for field in doc.fields {
            let FieldDoc { name, kind, lo, hi, doc, .. } = field;
            let (min, max) = (field.min(), field.max());
            let meaning = flowed(doc).replace('|', "\\|");
            writeln!(
                out,
                "| {lo}..{hi} | `{name}` | {} | {min}..={max} | {meaning} |",
                kind.name()
            )?;
        }
        out.push('\n');
    }
    let (word, text) = example(doc);
    writeln!(out, "```text\n{text}\n{word:#034x}\n```")
}

/// A legal word of the instruction, and its text.
fn example(doc: &InstDoc) -> (u128, String) {
    let values: Vec<i128> =
        doc.fields.iter().enumerate().map(|(i, field)| example_value(field, i)).collect();
    let op = (doc.build)(&values).expect("one value per field, each within its range");
    let engine = doc.engine.unwrap_or(Engine::Load);
    let [other, ..] = engine.others();
    let inst = Inst { engine, wait: other.into(), signal: EngineSet::EMPTY, op };
    let word = encode(&inst).expect("every value is within its field");
    let read = decode(word, engine).expect("a word that was encoded");
    let text = read.to_string();
    assert_eq!(
        asm::instruction(&text, engine),
        Ok(inst),
        "text of an instruction is assembled to the same"
    );
    (word, text)
}

fn example_value(field: &FieldDoc, index: usize) -> i128 {
    let value = match field.kind {
        Kind::Page | Kind::Slot | Kind::Flag => 1,
        Kind::Count => index as i128 + 1,
        Kind::Row | Kind::Rows => 16 * (index as i128 + 1),
        Kind::Dram | Kind::Bytes => 0x400 * (index as i128 + 1),
        Kind::Signed => -(index as i128),
    };
    value.clamp(field.min(), field.max())
}

fn task(engine: Engine) -> &'static str {
    match engine {
        Engine::Load => {
            "copies from DRAM to the scratchpad, the parameter slots and the table slots"
        }
        Engine::Mxu => {
            "multiplies and accumulates in the systolic array, scratchpad to accumulators"
        }
        Engine::Vpu => {
            "requantizes accumulators; elementwise, depthwise, pooling, tables, softmax, data movement"
        }
        Engine::Store => "copies from the scratchpad to DRAM",
    }
}

fn engine_name(engine: Option<Engine>) -> String {
    engine.map_or("any".to_owned(), |engine| format!("`{engine}`"))
}

/// The paragraphs of the list's module doc that describe the machine: all behind the one about the macro.
fn notation() -> Vec<String> {
    let doc: Vec<&str> = LIST.lines().map_while(|line| line.strip_prefix("//!")).collect();
    doc.join("\n").split("\n\n").skip(2).map(flowed).collect()
}

/// A doc comment as one line.
fn flowed(doc: &str) -> String {
    let lines: Vec<&str> = doc.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_names_everything() {
        let text = isa_manual();
        for doc in MANUAL {
            let (_, section) = text.split_once(&format!("### `{}`\n", doc.mnemonic)).unwrap();
            let section = section.split("\n### ").next().unwrap();
            assert!(section.contains(&flowed(doc.doc)));
            for FieldDoc { name, lo, hi, .. } in doc.fields {
                assert!(
                    section.contains(&format!("| {lo}..{hi} | `{name}` |")),
                    "{} {name}",
                    doc.mnemonic
                );
            }
        }
        assert!(text.contains("8..11 wait set"));
        assert!(text.contains("Notation: `R` = `array_rows`"));
    }

    #[test]
    fn the_committed_manual_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/generated/isa.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, isa_manual()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(
            committed == isa_manual(),
            "stale: run this test with UPDATE_DOCS=1 and commit {path}"
        );
    }
}
