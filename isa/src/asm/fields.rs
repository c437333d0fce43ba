//! Fields of a line: taken one by one by name, and whatever nobody took is an error.

use std::ops::Range;

use crate::spelling::similar;

use super::error::{AsmError, AsmFault, Expected};
use super::lex::{Item, Word, number};

/// Errors after which a text is given up.
const MAX_ERRORS: usize = 100;

/// Errors so far, and the line that is being read.
#[derive(Default)]
pub(super) struct Sink<'a> {
    /// In order of lines.
    pub(super) errors: Vec<AsmError>,
    /// Number of the line, from 1.
    pub(super) line: usize,
    /// The line.
    pub(super) text: &'a str,
    /// Whether it was given up.
    full: bool,
}

impl<'a> Sink<'a> {
    /// Moves on to another line.
    pub(super) fn at(&mut self, line: usize, text: &'a str) {
        (self.line, self.text) = (line, text);
    }

    /// Notes a fault of some bytes of the line.
    pub(super) fn fail(&mut self, span: Range<usize>, fault: AsmFault) {
        let chars =
            |bytes: Range<usize>| self.text.get(bytes).map_or(0, |text| text.chars().count());
        let column = chars(0..span.start) + 1;
        let width = chars(span).max(1);
        let source_line = self.text.to_owned();
        self.errors.push(AsmError {
            line: self.line,
            column,
            width,
            source_line,
            fault: Box::new(fault),
        });
    }

    /// Notes a fault of the whole line.
    pub(super) fn fail_line(&mut self, fault: AsmFault) {
        let start = self.text.len() - self.text.trim_start().len();
        self.fail(start..self.text.trim_end().len().max(start), fault);
    }

    /// Whether to give up; says so once.
    pub(super) fn is_full(&mut self) -> bool {
        if self.errors.len() >= MAX_ERRORS && !self.full {
            self.full = true;
            self.fail_line(AsmFault::TooMany);
        }
        self.full
    }
}

/// The fault of a name that is not among `known`.
pub(super) fn unknown<'k>(
    what: &'static str,
    found: &str,
    known: impl IntoIterator<Item = &'k str> + Clone,
) -> AsmFault {
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    let near = similar(found, known.clone());
    let expected = match near.is_empty() {
        true => Expected::All(owned(known.into_iter().collect())),
        false => Expected::Similar(owned(near)),
    };
    AsmFault::Unknown { what, found: found.to_owned(), of: None, expected }
}

/// The same for a name that belongs to something.
fn unknown_of<'k>(
    what: &'static str,
    found: &str,
    owner: &str,
    known: impl IntoIterator<Item = &'k str> + Clone,
) -> AsmFault {
    match unknown(what, found, known) {
        AsmFault::Unknown { what, found, expected, .. } => {
            AsmFault::Unknown { what, found, of: Some(owner.to_owned()), expected }
        }
        other => other,
    }
}

/// The value of a quoted text; `None` after noting that it is none.
pub(super) fn text(sink: &mut Sink<'_>, word: &Word<'_>) -> Option<String> {
    let parsed = serde_json::from_str(word.text).ok();
    if parsed.is_none() {
        let fault = match word.is_text() {
            true => AsmFault::Text,
            false => AsmFault::Form { found: word.text.to_owned(), expected: "a \"text\"" },
        };
        sink.fail(word.span.clone(), fault);
    }
    parsed
}

/// Numbers of 32 bits, joined by `separator`.
fn split(word: &Word<'_>, separator: char) -> Option<Vec<u32>> {
    word.text
        .split(separator)
        .map(|part| number(part).and_then(|value| value.try_into().ok()))
        .collect()
}

/// The items of a line behind its first word.
pub(super) struct Fields<'s, 'a> {
    pub(super) sink: &'s mut Sink<'a>,
    /// Instruction or directive, for messages.
    what: &'s str,
    /// Where it stands.
    head: Range<usize>,
    items: Vec<Option<Item<'a>>>,
    asked: Vec<&'static str>,
    missing: Vec<&'static str>,
}

impl<'s, 'a> Fields<'s, 'a> {
    /// Fields of `what`, which stands at `head`.
    pub(super) fn new(
        sink: &'s mut Sink<'a>,
        what: &'s str,
        head: Range<usize>,
        items: impl Iterator<Item = Item<'a>>,
    ) -> Self {
        let items = items.map(Some).collect();
        Fields { sink, what, head, items, asked: Vec::new(), missing: Vec::new() }
    }

    /// The next word or text without a key.
    pub(super) fn positional(&mut self) -> Option<Word<'a>> {
        let item = self
            .items
            .iter_mut()
            .find(|item| item.as_ref().is_some_and(|item| item.key.is_none()))?;
        item.take().map(|item| item.value)
    }

    /// The value of a field, if given.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<Word<'a>> {
        self.asked.push(name);
        let is_named = |item: &&mut Option<Item<'a>>| {
            item.as_ref().and_then(|item| item.key.as_ref()).is_some_and(|key| key.text == name)
        };
        self.items.iter_mut().find(is_named)?.take().map(|item| item.value)
    }

    /// The value of a field that must be given.
    pub(super) fn required(&mut self, name: &'static str) -> Option<Word<'a>> {
        let word = self.optional(name);
        if word.is_none() {
            self.missing.push(name);
        }
        word
    }

    /// Notes that something is missing.
    pub(super) fn lacks(&mut self, name: &'static str) {
        self.missing.push(name);
    }

    /// A flag: its name alone, or `name=0` or `name=1`; not given is 0.
    pub(super) fn flag(&mut self, name: &'static str) -> i128 {
        let is_alone = |item: &&mut Option<Item<'a>>| {
            item.as_ref().is_some_and(|item| item.key.is_none() && item.value.text == name)
        };
        if self.items.iter_mut().find(is_alone).and_then(Option::take).is_some() {
            self.asked.push(name);
            return 1;
        }
        self.number::<u32>(name, 0, 1).into()
    }

    /// A number field; 0 if not given or not legal.
    pub(super) fn number<T: TryFrom<i128> + Default>(
        &mut self,
        name: &'static str,
        min: i128,
        max: i128,
    ) -> T {
        let word = self.optional(name);
        self.convert(name, word, min, max).unwrap_or_default()
    }

    /// A number field that must be given; 0 after an error.
    pub(super) fn required_number<T>(&mut self, name: &'static str, min: i128, max: i128) -> T
    where
        T: TryFrom<i128> + Default,
    {
        let word = self.required(name);
        self.convert(name, word, min, max).unwrap_or_default()
    }

    /// A number field, if it is given and legal.
    pub(super) fn optional_number<T: TryFrom<i128>>(
        &mut self,
        name: &'static str,
        min: i128,
        max: i128,
    ) -> Option<T> {
        let word = self.optional(name);
        self.convert(name, word, min, max)
    }

    fn convert<T: TryFrom<i128>>(
        &mut self,
        name: &str,
        word: Option<Word<'a>>,
        min: i128,
        max: i128,
    ) -> Option<T> {
        word.and_then(|word| self.converted(name, &word, min, max))
    }

    /// The number that `word` is, if it is one in `min..=max`.
    pub(super) fn converted<T: TryFrom<i128>>(
        &mut self,
        name: &str,
        word: &Word<'_>,
        min: i128,
        max: i128,
    ) -> Option<T> {
        let value = self.parse(word)?;
        self.within(name, word, value, min, max)?.try_into().ok()
    }

    /// The number that `word` is; else an error is noted.
    pub(super) fn parse(&mut self, word: &Word<'_>) -> Option<i128> {
        let value = number(word.text);
        if value.is_none() {
            self.form(word, "a number");
        }
        value
    }

    /// `value`, which `word` stands for, if it is in `min..=max`; else an error is noted.
    pub(super) fn within(
        &mut self,
        name: &str,
        word: &Word<'_>,
        value: i128,
        min: i128,
        max: i128,
    ) -> Option<i128> {
        if (min..=max).contains(&value) {
            return Some(value);
        }
        let name = name.to_owned();
        self.sink.fail(word.span.clone(), AsmFault::Range { name, value, min, max });
        None
    }

    /// A list of numbers of 32 bits, joined by commas; empty if not given.
    pub(super) fn numbers(&mut self, name: &'static str) -> Vec<u32> {
        let Some(word) = self.optional(name) else { return Vec::new() };
        let list = split(&word, ',');
        if list.is_none() {
            self.form(&word, "a list of numbers such as `1,2,3`");
        }
        list.unwrap_or_default()
    }

    /// Three numbers joined by `separator`; zeros if not given.
    pub(super) fn triple(
        &mut self,
        name: &'static str,
        separator: char,
        expected: &'static str,
    ) -> [u32; 3] {
        let Some(word) = self.optional(name) else { return [0; 3] };
        let triple = split(&word, separator).and_then(|list| list.try_into().ok());
        if triple.is_none() {
            self.form(&word, expected);
        }
        triple.unwrap_or_default()
    }

    /// Three numbers that must be given, joined by `x`.
    pub(super) fn extents(&mut self, name: &'static str) -> [u32; 3] {
        if !self
            .items
            .iter()
            .flatten()
            .any(|item| item.key.as_ref().is_some_and(|key| key.text == name))
        {
            self.missing.push(name);
        }
        self.triple(name, 'x', "rows, columns and channels such as `2x3x4`")
    }

    /// A text field; empty if not given.
    pub(super) fn text(&mut self, name: &'static str) -> String {
        let word = self.optional(name);
        word.and_then(|word| text(self.sink, &word)).unwrap_or_default()
    }

    /// One of a few names; the first of them if not given.
    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&'static str, T)],
    ) -> T {
        let Some(word) = self.optional(name) else { return choices[0].1 };
        let chosen = choices.iter().find(|(name, _)| *name == word.text);
        if chosen.is_none() {
            let fault = unknown_of("value", word.text, name, choices.iter().map(|(name, _)| *name));
            self.sink.fail(word.span, fault);
        }
        chosen.unwrap_or(&choices[0]).1
    }

    /// Notes a value of the wrong form.
    pub(super) fn form(&mut self, word: &Word<'_>, expected: &'static str) {
        self.sink.fail(word.span.clone(), AsmFault::Form { found: word.text.to_owned(), expected });
    }

    /// Notes fields that are missing, and items that nobody took.
    pub(super) fn finish(self) {
        let Fields { sink, what, head, items, asked, missing } = self;
        for item in items.into_iter().flatten() {
            let fault = match &item.key {
                Some(key) if asked.contains(&key.text) => {
                    AsmFault::Twice { name: key.text.to_owned() }
                }
                Some(key) => unknown_of("field", key.text, what, asked.iter().copied()),
                None => {
                    AsmFault::Extra { found: item.value.text.to_owned(), expected: "`field=value`" }
                }
            };
            sink.fail(item.span(), fault);
        }
        if !missing.is_empty() {
            sink.fail(head, AsmFault::Missing { what: format!("`{what}`"), names: missing });
        }
    }
}
