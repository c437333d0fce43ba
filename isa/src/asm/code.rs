//! Instructions and their notes.

use std::collections::BTreeMap;

use crate::inst::{Engine, EngineSet, Inst};
use crate::instructions::MANUAL;
use crate::operand::{FieldDoc, Kind};
use crate::program::{Class, Note, TileNote};

use super::error::AsmFault;
use super::fields::{Fields, Sink, unknown};
use super::lex::{Item, Word, number};

/// Labels of the constants, with their DRAM bytes.
pub(super) type Labels = BTreeMap<String, u64>;

/// Traffic classes by name; the first is the default.
pub(crate) const CLASSES: [(&str, Class); 6] = [
    ("none", Class::None),
    ("weights", Class::Weights),
    ("inputs", Class::Inputs),
    ("outputs", Class::Outputs),
    ("spills", Class::Spills),
    ("params", Class::Params),
];

/// Largest number of 32 bits.
const MAX32: i128 = u32::MAX as i128;

/// The instruction of a line in the code of `engine`. `None` after noting an error; other errors may leave zeros in it.
pub(super) fn instruction<'a>(
    sink: &mut Sink<'a>,
    engine: Engine,
    items: Vec<Item<'a>>,
    labels: &Labels,
) -> Option<(Inst, Note)> {
    let mut items = items.into_iter();
    let head = items.next()?;
    let mnemonic = head.value.text;
    let Some(doc) = MANUAL.iter().find(|doc| doc.mnemonic == mnemonic && head.key.is_none()) else {
        let known = MANUAL.iter().filter(|doc| doc.runs_on(engine)).map(|doc| doc.mnemonic);
        sink.fail(head.span(), unknown("instruction", mnemonic, known));
        return None;
    };
    if let Some(expected) = doc.engine.filter(|&own| own != engine) {
        let fault = AsmFault::WrongEngine { mnemonic: doc.mnemonic, found: engine, expected };
        sink.fail(head.span(), fault);
        return None;
    }
    let mut fields = Fields::new(sink, doc.mnemonic, head.span(), items);
    let mut values = Vec::with_capacity(doc.fields.len());
    for field in doc.fields {
        values.push(value(&mut fields, field, labels));
    }
    let wait = engines(&mut fields, "wait", engine);
    let signal = engines(&mut fields, "signal", engine);
    let note = note(&mut fields);
    fields.finish();
    let op = (doc.build)(&values)?;
    Some((Inst { engine, wait, signal, op }, note))
}

/// The value of a field, 0 after an error.
fn value(fields: &mut Fields<'_, '_>, field: &FieldDoc, labels: &Labels) -> i128 {
    if field.kind == Kind::Flag {
        return fields.flag(field.name);
    }
    let Some(word) = fields.required(field.name) else { return 0 };
    let is_label = word.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let value = match field.kind {
        Kind::Dram if is_label => label(fields, &word, labels),
        _ => fields.parse(&word),
    };
    value
        .and_then(|value| fields.within(field.name, &word, value, field.min(), field.max()))
        .unwrap_or(0)
}

/// The address that `label` or `label+offset` stands for.
fn label(fields: &mut Fields<'_, '_>, word: &Word<'_>, labels: &Labels) -> Option<i128> {
    let (name, offset) = word.text.split_once('+').unwrap_or((word.text, "0"));
    let Some(&address) = labels.get(name) else {
        let fault = unknown("label", name, labels.keys().map(String::as_str));
        fields.sink.fail(word.span.clone(), fault);
        return None;
    };
    let Some(offset) = number(offset).filter(|offset| (0..=MAX32).contains(offset)) else {
        fields.form(word, "`label` or `label+bytes`");
        return None;
    };
    Some(i128::from(address) + offset)
}

/// A set of engines other than `own`, joined by commas.
fn engines(fields: &mut Fields<'_, '_>, name: &'static str, own: Engine) -> EngineSet {
    let Some(word) = fields.optional(name) else { return EngineSet::EMPTY };
    let mut set = EngineSet::EMPTY;
    for part in word.text.split(',') {
        match Engine::ALL.into_iter().find(|engine| engine.name() == part) {
            Some(engine) if engine == own => {
                fields.sink.fail(word.span.clone(), AsmFault::OwnSemaphore { engine });
            }
            Some(engine) => set.insert(engine),
            None => {
                let fault = unknown("engine", part, own.others().map(Engine::name));
                fields.sink.fail(word.span.clone(), fault);
            }
        }
    }
    set
}

/// The note of a line: fields that begin with `@`.
fn note(fields: &mut Fields<'_, '_>) -> Note {
    let mut note = Note { class: fields.choice("@class", &CLASSES), ..Note::default() };
    note.node = fields.optional_number("@node", 0, MAX32 - 1).unwrap_or(u32::MAX);
    let Some(tensor) = fields.optional_number("@tile", 0, MAX32) else { return note };
    note.tile = Some(TileNote {
        tensor,
        origin: fields.triple("@origin", ',', "row, column and channel such as `0,1,2`"),
        extent: fields.extents("@extent"),
        row: fields.required_number("@row", 0, MAX32),
        lane: fields.number("@lane", 0, MAX32),
        row_stride: fields.number("@row_stride", 0, MAX32),
        block_stride: fields.number("@block_stride", 0, MAX32),
        plane_stride: fields.number("@plane_stride", 0, MAX32),
    });
    note
}
