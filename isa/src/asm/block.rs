//! Directives: the parts of a program, line by line.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::hardware::Hardware;
use crate::inst::{Engine, Inst};
use crate::instructions::Halt;
use crate::program::{Host, Meta, Note, Program, SectionKind};

use super::code::Labels;
use super::error::AsmFault;
use super::fields::{Fields, Sink, unknown};
use super::lex::{self, Item};
use super::place::place;
use super::{code, data, entry};

/// Where each entry of each section stands: line number and line; `None` is the section as a whole.
pub(super) type Lines<'a> = BTreeMap<(SectionKind, Option<usize>), (usize, &'a str)>;

/// Directives other than data.
const DIRECTIVES: [&str; 13] = [
    ".hardware",
    ".meta",
    ".tensor",
    ".input",
    ".output",
    ".node",
    ".constants",
    ".code",
    ".reference",
    ".float_model",
    ".host_head",
    ".host_tail",
    ".dram",
];

/// Directives of which a text may have several.
const REPEATABLE: [&str; 5] = [".tensor", ".input", ".output", ".node", ".code"];

/// Largest number of 64 bits.
const MAX64: i128 = u64::MAX as i128;

/// What lines without a directive belong to.
enum Block {
    Nothing,
    Hardware,
    Meta,
    Code(Engine),
    Constants,
    Reference,
    FloatModel,
    HostHead,
    HostTail,
}

/// A program in the making.
pub(super) struct Assembler<'a> {
    pub(super) sink: Sink<'a>,
    program: Program,
    block: Block,
    /// Directives seen.
    seen: Vec<&'static str>,
    lines: Lines<'a>,
    meta: Map<String, Value>,
    /// Positions in the constants by name.
    labels: Labels,
    /// Instructions wait until every label is known.
    code: Vec<(Engine, usize, &'a str)>,
    /// Engines whose code was seen.
    opened: Vec<Engine>,
    bases: [Option<u64>; 4],
    dram_bytes: Option<u64>,
}

/// The items of a line; none after noting an error.
pub(super) fn items<'a>(sink: &mut Sink<'a>, line: &'a str) -> Vec<Item<'a>> {
    lex::items(line).unwrap_or_else(|(fault, span)| {
        sink.fail(span, fault);
        Vec::new()
    })
}

impl<'a> Assembler<'a> {
    pub(super) fn new() -> Self {
        Assembler {
            sink: Sink::default(),
            program: Program {
                hardware: Hardware::default(),
                meta: Meta::default(),
                tensors: Vec::new(),
                inputs: Vec::new(),
                outputs: Vec::new(),
                nodes: Vec::new(),
                code: Default::default(),
                constants_base: 0,
                constants: Vec::new(),
                dram_bytes: 0,
                reference: None,
                float_model: None,
                host: Host::default(),
            },
            block: Block::Nothing,
            seen: Vec::new(),
            lines: Lines::new(),
            meta: Map::new(),
            labels: Labels::new(),
            code: Vec::new(),
            opened: Vec::new(),
            bases: [None; 4],
            dram_bytes: None,
        }
    }

    /// Takes one line, which the sink is already at.
    pub(super) fn line(&mut self, line: &'a str) {
        let code = line.trim_start();
        if code.starts_with('.') {
            let end = code.find([' ', '\t', ';']).unwrap_or(code.len());
            self.directive(line, &code[..end]);
        } else if !lex::is_blank(line) {
            match self.block {
                Block::Hardware => self.parameters(line),
                Block::Meta => self.fact(line),
                Block::Code(engine) => self.code.push((engine, self.sink.line, line)),
                Block::Constants => self.label(line),
                Block::Nothing
                | Block::Reference
                | Block::FloatModel
                | Block::HostHead
                | Block::HostTail => {
                    let (found, expected) =
                        ("an instruction or setting", "`.code`, `.hardware` or `.meta` first");
                    self.sink.fail_line(AsmFault::Misplaced { found, expected });
                }
            }
        }
    }

    fn directive(&mut self, line: &'a str, name: &str) {
        if let Some(directive) = data::DIRECTIVES.into_iter().find(|directive| *directive == name) {
            return self.data(line, directive);
        }
        let items = items(&mut self.sink, line);
        let Some(head) = items.first().map(Item::span) else { return };
        let Some(name) = DIRECTIVES.into_iter().find(|directive| *directive == name) else {
            let known = DIRECTIVES.into_iter().chain(data::DIRECTIVES);
            return self.sink.fail(head, unknown("directive", name, known));
        };
        if !REPEATABLE.contains(&name) && self.seen.contains(&name) {
            self.sink.fail(head.clone(), AsmFault::Twice { name: name.to_owned() });
        } else if name == ".hardware" && !self.seen.is_empty() {
            let (found, expected) = ("`.hardware`", "it before everything else");
            self.sink.fail(head.clone(), AsmFault::Misplaced { found, expected });
        }
        self.seen.push(name);
        self.block = Block::Nothing;
        let (line_number, program) = (self.sink.line, &mut self.program);
        let lines = &mut self.lines;
        let mut locate = |section, record| {
            lines.insert((section, record), (line_number, line));
        };
        let mut fields = Fields::new(&mut self.sink, name, head, items.into_iter().skip(1));
        match name {
            ".hardware" => {
                self.block = Block::Hardware;
                locate(SectionKind::Hardware, None);
                entry::preset(&mut fields, &mut program.hardware);
            }
            ".meta" => {
                self.block = Block::Meta;
                locate(SectionKind::Meta, None);
            }
            ".tensor" => {
                locate(SectionKind::Tensors, Some(program.tensors.len()));
                program.tensors.push(entry::tensor(&mut fields));
            }
            ".input" => {
                locate(SectionKind::Inputs, Some(program.inputs.len()));
                program.inputs.push(entry::binding(&mut fields));
            }
            ".output" => {
                locate(SectionKind::Outputs, Some(program.outputs.len()));
                program.outputs.push(entry::binding(&mut fields));
            }
            ".node" => {
                locate(SectionKind::Nodes, Some(program.nodes.len()));
                program.nodes.push(entry::node(&mut fields));
            }
            ".constants" => {
                self.block = Block::Constants;
                locate(SectionKind::Constants, None);
                program.constants_base = fields.number("base", 0, MAX64);
            }
            ".code" => {
                if let Some((engine, base)) = entry::code(&mut fields, &self.opened) {
                    self.block = Block::Code(engine);
                    self.opened.push(engine);
                    self.bases[engine.index()] = base;
                    locate(SectionKind::Code(engine), None);
                }
            }
            ".reference" => {
                self.block = Block::Reference;
                program.reference = Some(Vec::new());
            }
            ".float_model" => {
                self.block = Block::FloatModel;
                program.float_model = Some(Vec::new());
            }
            ".host_head" => {
                self.block = Block::HostHead;
                program.host.head = Some(Vec::new());
            }
            ".host_tail" => {
                self.block = Block::HostTail;
                program.host.tail = Some(Vec::new());
            }
            _ => {
                // What has no place of its own in the text is wrong because DRAM is too small.
                for section in SectionKind::ALL {
                    lines.entry((section, None)).or_insert((line_number, line));
                }
                match fields.positional() {
                    Some(word) => self.dram_bytes = fields.converted("bytes", &word, 0, MAX64),
                    None => fields.lacks("bytes"),
                }
            }
        }
        fields.finish();
    }

    /// A line of `.constants`, `.reference`, or of a directive like it.
    fn data(&mut self, line: &'a str, directive: &'static str) {
        let none = Vec::new;
        let out = match self.block {
            Block::Constants => &mut self.program.constants,
            Block::Reference => self.program.reference.get_or_insert_with(none),
            Block::FloatModel => self.program.float_model.get_or_insert_with(none),
            Block::HostHead => self.program.host.head.get_or_insert_with(none),
            Block::HostTail => self.program.host.tail.get_or_insert_with(none),
            Block::Nothing | Block::Hardware | Block::Meta | Block::Code(_) => {
                let expected = "`.constants`, `.reference` or `.float_model` first";
                return self.sink.fail_line(AsmFault::Misplaced { found: "data", expected });
            }
        };
        if directive == ".hex" {
            let start = line.len() - line.trim_start().len() + directive.len();
            return data::hex(&mut self.sink, line, start, out);
        }
        let items = items(&mut self.sink, line);
        data::data(&mut self.sink, directive, items, self.program.hardware.param_layout(), out);
    }

    /// `name = value` of `.hardware`.
    fn parameters(&mut self, line: &'a str) {
        for item in items(&mut self.sink, line) {
            let Some(key) = &item.key else {
                let found = item.value.text.to_owned();
                self.sink.fail(item.span(), AsmFault::Extra { found, expected: "`name = value`" });
                continue;
            };
            if let Err(error) = self.program.hardware.set(key.text, item.value.text) {
                self.sink.fail(item.span(), error.into());
            }
        }
    }

    /// `key = value` of `.meta`, the value in JSON.
    fn fact(&mut self, line: &'a str) {
        let Some((key, rest)) = lex::setting(line) else {
            return self.sink.fail_line(AsmFault::Misplaced {
                found: "a line without `=`",
                expected: "`key = value`",
            });
        };
        let mut values = serde_json::Deserializer::from_str(rest.text).into_iter::<Value>();
        let value = match values.next() {
            Some(Ok(value)) if lex::is_blank(&rest.text[values.byte_offset()..]) => value,
            _ => {
                let found = rest.text.to_owned();
                return self
                    .sink
                    .fail(rest.span, AsmFault::Form { found, expected: "a JSON value" });
            }
        };
        if self.meta.contains_key(key.text) {
            return self.sink.fail(key.span, AsmFault::Twice { name: key.text.to_owned() });
        }
        let alone = Map::from_iter([(key.text.to_owned(), value.clone())]);
        if let Err(error) = serde_json::from_value::<Meta>(alone.into()) {
            let span = key.span.start..rest.span.end;
            return self.sink.fail(span, AsmFault::Meta { message: error.to_string() });
        }
        self.meta.insert(key.text.to_owned(), value);
    }

    /// `name:` in the constants.
    fn label(&mut self, line: &'a str) {
        let items = items(&mut self.sink, line);
        let Some(first) = items.first() else { return };
        let name = first.value.text.strip_suffix(':').filter(|name| is_name(name));
        match name {
            Some(name) if items.len() == 1 && first.key.is_none() => {
                let at = self.program.constants.len() as u64;
                if self.labels.insert(name.to_owned(), at).is_some() {
                    self.sink.fail(first.span(), AsmFault::Twice { name: name.to_owned() });
                }
            }
            _ => {
                let found = first.value.text.to_owned();
                self.sink
                    .fail(first.span(), AsmFault::Extra { found, expected: "`label:` or data" });
            }
        }
    }

    /// The program, where its parts stand in the text, and the errors.
    pub(super) fn finish(mut self) -> (Program, Lines<'a>, Sink<'a>) {
        // Each fact was read alone without an error, so all together can be.
        self.program.meta = serde_json::from_value(self.meta.into()).unwrap_or_default();
        for position in self.labels.values_mut() {
            *position = position.saturating_add(self.program.constants_base);
        }
        for (engine, line_number, line) in self.code {
            self.sink.at(line_number, line);
            if self.sink.is_full() {
                break;
            }
            let items = items(&mut self.sink, line);
            let section = &mut self.program.code[engine.index()];
            if let Some((inst, note)) =
                code::instruction(&mut self.sink, engine, items, &self.labels)
            {
                self.lines.insert(
                    (SectionKind::Code(engine), Some(section.words.len())),
                    (line_number, line),
                );
                section.words.push(inst);
                section.notes.push(note);
            }
        }
        for engine in Engine::ALL.into_iter().filter(|engine| !self.opened.contains(engine)) {
            let section = &mut self.program.code[engine.index()];
            section.words.push(Inst::new(engine, Halt {}));
            section.notes.push(Note::default());
        }
        if self.sink.errors.is_empty() && self.program.hardware.validate().is_ok() {
            place(&mut self.program, self.bases, self.dram_bytes);
        }
        (self.program, self.lines, self.sink)
    }
}

/// Whether `text` can name a label.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
}
