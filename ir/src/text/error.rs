//! Where a text is wrong, shown with its line and a caret.

use std::fmt;

use thiserror::Error;

/// Widest part of a line that is shown; lines with constants can be megabytes long.
const SHOWN_CHARS: usize = 72;

/// A text is not a graph.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// The part of the line around the place.
    excerpt: String,
    /// Characters of the excerpt in front of the place.
    caret: usize,
}

impl ParseError {
    /// An error where `at`, a part of `source`, begins.
    pub(super) fn new(source: &str, at: &str, message: String) -> ParseError {
        // `at` is a subslice, so its address tells the offset; anything else is shown at the end.
        let offset =
            (at.as_ptr() as usize).wrapping_sub(source.as_ptr() as usize).min(source.len());
        let before = source.get(..offset).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before[line_start..].chars().count();
        let line = source[line_start..].lines().next().unwrap_or_default();
        let skipped = column.saturating_sub(SHOWN_CHARS / 2);
        ParseError {
            line: before.matches('\n').count() + 1,
            column: column + 1,
            message,
            excerpt: line.chars().skip(skipped).take(SHOWN_CHARS).collect(),
            caret: column - skipped,
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "line {}, column {}: {}", self.line, self.column, self.message)?;
        writeln!(f, "  | {}", self.excerpt)?;
        // Tabs stay tabs, so that the caret stands below its place.
        let indent: String = self
            .excerpt
            .chars()
            .take(self.caret)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        write!(f, "  | {indent}^")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_the_place() {
        let source = "one\ntwo three\nfour";
        let error = ParseError::new(source, &source[8..], "wrong".to_owned());
        assert_eq!(error.to_string(), "line 2, column 5: wrong\n  | two three\n  |     ^");
        let error = ParseError::new(source, &source[source.len()..], "ends".to_owned());
        assert_eq!((error.line, error.column), (3, 5));
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let source = format!("{}!{}", "é".repeat(1000), "b".repeat(1000));
        let at = source.find('!').unwrap();
        let error = ParseError::new(&source, &source[at..], "here".to_owned());
        assert_eq!(error.column, 1001);
        assert_eq!(error.excerpt.chars().count(), SHOWN_CHARS);
        assert_eq!(error.excerpt.chars().nth(error.caret), Some('!'));
    }
}
