//! Lines as words: the one shape that every line of assembly has.
//!
//! A line is a sequence of items, each a word, a quoted text, or `key=value` with one of them as the value, up to a comment
//! (`;` or `//`) or the end. Texts are written as in JSON.

use std::ops::Range;

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{escaped, tag, take_while1};
use nom::character::complete::{anychar, char, none_of, not_line_ending, space0};
use nom::combinator::{all_consuming, opt, recognize};
use nom::multi::many0;
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Offset};

use super::error::AsmFault;

/// A word or text of a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word<'a> {
    /// As written; with the quotes if it is a text.
    pub(super) text: &'a str,
    /// Bytes of the line.
    pub(super) span: Range<usize>,
}

impl<'a> Word<'a> {
    /// A piece of `line`.
    fn of(line: &'a str, text: &'a str) -> Self {
        let start = line.offset(text);
        Word { text, span: start..start + text.len() }
    }

    /// Whether it is a quoted text.
    pub(super) fn is_text(&self) -> bool {
        self.text.starts_with('"')
    }
}

/// A word, or `key=value`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item<'a> {
    /// The key, if there is one.
    pub(super) key: Option<Word<'a>>,
    /// The value, or the word itself.
    pub(super) value: Word<'a>,
}

impl Item<'_> {
    /// Bytes of the line.
    pub(super) fn span(&self) -> Range<usize> {
        self.key.as_ref().map_or(self.value.span.start, |key| key.span.start)..self.value.span.end
    }
}

/// The items of a line, or what stops them and where.
pub(super) fn items(line: &str) -> Result<Vec<Item<'_>>, (AsmFault, Range<usize>)> {
    let (rest, pairs) =
        preceded(space0, many0(terminated(pair, space0))).parse(line).unwrap_or((line, Vec::new()));
    if all_consuming(opt(comment)).parse(rest).is_err() {
        let at = line.offset(rest);
        let found = rest.chars().next().unwrap_or(' ');
        let fault = match found {
            '=' => AsmFault::NoValue,
            '"' => AsmFault::OpenText,
            found => AsmFault::Unexpected { found },
        };
        return Err((fault, at..at + found.len_utf8()));
    }
    let item = |(first, second)| match second {
        Some(value) => Item { key: Some(Word::of(line, first)), value: Word::of(line, value) },
        None => Item { key: None, value: Word::of(line, first) },
    };
    Ok(pairs.into_iter().map(item).collect())
}

/// Splits `key = rest of the line`, for settings whose value has a syntax of its own.
pub(super) fn setting(line: &str) -> Option<(Word<'_>, Word<'_>)> {
    let assign = delimited(space0, char('='), space0);
    let parsed: IResult<&str, (&str, char)> = preceded(space0, (bare, assign)).parse(line);
    let (rest, (key, _)) = parsed.ok()?;
    Some((Word::of(line, key), Word::of(line, rest)))
}

/// Whether nothing but a comment is left.
pub(super) fn is_blank(rest: &str) -> bool {
    all_consuming(preceded(space0, opt(comment))).parse(rest).is_ok()
}

/// A number: decimal, or hexadecimal after `0x`, with `_` between digits and a sign in front if wanted.
pub(super) fn number(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (radix, digits) = match digits.strip_prefix("0x") {
        Some(digits) => (16, digits),
        None => (10, digits),
    };
    let digits = digits.replace('_', "");
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i128::from_str_radix(&digits, radix).ok().map(|value| sign * value)
}

fn pair(input: &str) -> IResult<&str, (&str, Option<&str>)> {
    let assign = delimited(space0, char('='), space0);
    (value, opt(preceded(assign, value))).parse(input)
}

fn value(input: &str) -> IResult<&str, &str> {
    alt((quoted, bare)).parse(input)
}

fn bare(input: &str) -> IResult<&str, &str> {
    take_while1(|c: char| c.is_ascii_alphanumeric() || "_.,-+:@".contains(c)).parse(input)
}

fn quoted(input: &str) -> IResult<&str, &str> {
    let inside = opt(escaped(none_of("\"\\"), '\\', anychar));
    recognize((char('"'), inside, char('"'))).parse(input)
}

fn comment(input: &str) -> IResult<&str, &str> {
    preceded(alt((tag(";"), tag("//"))), not_line_ending).parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> Vec<String> {
        let show = |item: &Item<'_>| {
            assert_eq!(line[item.value.span.clone()], *item.value.text);
            format!("{}>{}", item.key.as_ref().map_or("", |key| key.text), item.value.text)
        };
        items(line).unwrap().iter().map(show).collect()
    }

    #[test]
    fn items_are_words_texts_and_settings() {
        assert_eq!(
            shown("  load dst=16 wait = mxu,vpu @node=3 ; x=1"),
            [">load", "dst>16", "wait>mxu,vpu", "@node>3"]
        );
        assert_eq!(
            shown(r#".node "a \" ; // =" op="" // "b"#),
            [">.node", r#">"a \" ; // =""#, r#"op>"""#]
        );
        assert_eq!(shown("weights:"), [">weights:"]);
        assert!(shown(" \t// all").is_empty());
    }

    #[test]
    fn what_stops_a_line_is_named() {
        let stop = |line| items(line).unwrap_err();
        assert_eq!(stop("load dst= ; x"), (AsmFault::NoValue, 8..9));
        assert_eq!(stop("a \"b"), (AsmFault::OpenText, 2..3));
        assert_eq!(stop("a ü"), (AsmFault::Unexpected { found: 'ü' }, 2..4));
        assert_eq!(stop("a / b"), (AsmFault::Unexpected { found: '/' }, 2..3));
    }

    #[test]
    fn numbers_have_three_forms() {
        assert_eq!(number("-12"), Some(-12));
        assert_eq!(number("0xff_FF"), Some(0xffff));
        assert_eq!(number("-0x10"), Some(-16));
        for wrong in ["", "-", "0x", "1.5", "--1", "+1", "-+1", "ten"] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn settings_keep_the_rest_of_the_line() {
        let (key, rest) = setting("  labels = [\"a ; b\"] ; c").unwrap();
        assert_eq!((key.text, rest.text, rest.span.start), ("labels", "[\"a ; b\"] ; c", 11));
        assert!(setting("labels").is_none());
    }
}
