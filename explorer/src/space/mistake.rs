//! What is wrong with a space file, and where.

use std::fmt;

/// One mistake in a space file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong, for people.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "; {}", self.hint) }
    }
}

/// Gathers the mistakes of one text.
pub(super) struct Mistakes<'t> {
    text: &'t str,
    found: Vec<Mistake>,
}

impl<'t> Mistakes<'t> {
    pub(super) fn of(text: &'t str) -> Mistakes<'t> {
        Mistakes { text, found: Vec::new() }
    }

    /// A mistake at a byte of the text.
    pub(super) fn at(&mut self, byte: usize, message: impl Into<String>, hint: impl Into<String>) {
        let before = self.text.get(..byte).unwrap_or(self.text);
        let line = 1 + before.matches('\n').count();
        self.found.push(Mistake { line, message: message.into(), hint: hint.into() });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All of them, in the order of their lines.
    pub(super) fn sorted(mut self) -> Vec<Mistake> {
        self.found.sort_by_key(|mistake| mistake.line);
        self.found
    }
}

/// `did you mean ..?` for a misspelt name, or what stands in `otherwise`.
pub(super) fn spelling<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    otherwise: &str,
) -> String {
    match isa::spelling::similar(name, known).as_slice() {
        [] => otherwise.to_owned(),
        near => format!("did you mean `{}`?", near.join("` or `")),
    }
}
