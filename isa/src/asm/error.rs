//! What can be wrong with assembly text, and how it is shown.

use std::fmt;

use crate::hardware::HardwareError;
use crate::inst::Engine;
use crate::numerics::NumericsError;
use crate::program::ProgramError;

/// Columns of a source line that are shown around an error.
const SHOWN: usize = 120;

/// One fault of a text, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct AsmError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Characters it is about, at least 1.
    pub width: usize,
    /// The line.
    pub source_line: String,
    /// What is wrong.
    pub fault: Box<AsmFault>,
}

impl AsmError {
    /// The message, and the line with the place underlined; `file` is the name shown.
    pub fn render(&self, file: &str) -> String {
        let AsmError { line, column, width, .. } = *self;
        let gutter = " ".repeat(line.to_string().len());
        // A window of the line that begins a little before the place, so that a long line stays readable.
        let skip = if column > SHOWN { column - SHOWN / 2 } else { 0 };
        let shown: String = self.source_line.chars().skip(skip).take(SHOWN).collect();
        let indent: String = shown
            .chars()
            .take(column - 1 - skip)
            .map(|c| if c == '\t' { c } else { ' ' })
            .collect();
        let carets = "^".repeat(width.min(SHOWN.saturating_sub(column - 1 - skip)).max(1));
        let dots = if skip > 0 { "..." } else { "" };
        let pad = " ".repeat(dots.len());
        let fault = &self.fault;
        format!(
            "error: {fault}\n{gutter}--> {file}:{line}:{column}\n{gutter} |\n{line} | {dots}{shown}\n{gutter} | {pad}{indent}{carets}\n"
        )
    }
}

impl fmt::Display for AsmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.fault)
    }
}

impl std::error::Error for AsmError {}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AsmFault {
    /// A character that begins nothing.
    #[error(
        "unexpected `{found}`: expected a word, a \"text\", `key=value`, or a comment after `;`"
    )]
    Unexpected {
        /// The character.
        found: char,
    },
    /// `key=` and nothing behind.
    #[error("expected a value after `=`")]
    NoValue,
    /// A text without its second quote.
    #[error("text without an end: expected `\"`")]
    OpenText,
    /// A text that is not one of JSON.
    #[error("not a text: expected JSON escapes such as `\\n` and `\\u00e9`")]
    Text,
    /// A name that does not exist.
    #[error("unknown {what} `{found}`{}{}", .of.as_ref().map_or(String::new(), |of| format!(" of `{of}`")), suggestion(.expected))]
    Unknown {
        /// What it should be.
        what: &'static str,
        /// The name.
        found: String,
        /// What it should belong to, if anything.
        of: Option<String>,
        /// Similar names if there are any, else all names.
        expected: Expected,
    },
    /// A word that nothing takes.
    #[error("unexpected `{found}`: expected {expected}")]
    Extra {
        /// The word.
        found: String,
        /// What could stand there.
        expected: &'static str,
    },
    /// A field given twice.
    #[error("`{name}` is given twice")]
    Twice {
        /// The field or directive.
        name: String,
    },
    /// Fields that are not given.
    #[error("{what} lacks {}", quoted(.names, "and"))]
    Missing {
        /// Instruction or directive.
        what: String,
        /// The fields.
        names: Vec<&'static str>,
    },
    /// A value of the wrong form.
    #[error("`{found}` is not {expected}")]
    Form {
        /// As written.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A number that is too small or too large.
    #[error("`{name}` = {value} does not fit: expected {min}..={max}")]
    Range {
        /// Field.
        name: String,
        /// The number.
        value: i128,
        /// Smallest.
        min: i128,
        /// Largest.
        max: i128,
    },
    /// An instruction in the code of an engine that does not know it.
    #[error("`{mnemonic}` is an instruction of engine {expected}, this is the code of {found}")]
    WrongEngine {
        /// Instruction.
        mnemonic: &'static str,
        /// Engine whose code it is in.
        found: Engine,
        /// Engine it belongs to.
        expected: Engine,
    },
    /// A semaphore between an engine and itself.
    #[error("engine {engine} cannot wait for or signal itself: expected {}", quoted(&.engine.others().map(Engine::name), "or"))]
    OwnSemaphore {
        /// The engine.
        engine: Engine,
    },
    /// A line where nothing is open that takes it.
    #[error("{found} here: expected {expected}")]
    Misplaced {
        /// What the line is.
        found: &'static str,
        /// What could stand there.
        expected: &'static str,
    },
    /// Machine parameters that were refused.
    #[error(transparent)]
    Hardware(#[from] HardwareError),
    /// Parameters of a channel that have no entry.
    #[error(transparent)]
    Param(#[from] NumericsError),
    /// Facts that cannot be read.
    #[error("{message}")]
    Meta {
        /// The JSON reader's message.
        message: String,
    },
    /// The text is fine, the program is not.
    #[error("{0}")]
    Program(ProgramError),
    /// More faults than are worth showing.
    #[error("too many errors, the rest of the text was not read")]
    TooMany,
}

/// Names that would have been right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A few that look like the one found.
    Similar(Vec<String>),
    /// All there are.
    All(Vec<String>),
}

fn suggestion(expected: &Expected) -> String {
    match expected {
        Expected::Similar(names) => format!(", did you mean {}?", quoted(names, "or")),
        Expected::All(names) if names.is_empty() => String::new(),
        Expected::All(names) => format!(": expected {}", quoted(names, "or")),
    }
}

/// `` `a`, `b` or `c` ``
fn quoted<S: AsRef<str>>(names: &[S], conjunction: &str) -> String {
    let mut text = String::new();
    for (i, name) in names.iter().enumerate() {
        text += &match i {
            0 => String::new(),
            _ if i + 1 == names.len() => format!(" {conjunction} "),
            _ => ", ".to_owned(),
        };
        text += &format!("`{}`", name.as_ref());
    }
    text
}
