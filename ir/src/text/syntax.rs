//! The grammar that both text forms share: text -> syntax tree. What the names mean is decided afterwards.

use nom::bytes::complete::{tag, take_while, take_while1};
use nom::combinator::{cut, opt};
use nom::error::ErrorKind;
use nom::multi::{many0, separated_list0};
use nom::{IResult, Parser};

use super::error::ParseError;

/// Where parsing stopped, and what would have been right there.
#[derive(Debug)]
pub(super) struct Mismatch<'a> {
    at: &'a str,
    expected: &'static str,
}

impl<'a> nom::error::ParseError<&'a str> for Mismatch<'a> {
    fn from_error_kind(at: &'a str, _: ErrorKind) -> Mismatch<'a> {
        Mismatch { at, expected: "something else" }
    }

    fn append(_: &'a str, _: ErrorKind, other: Mismatch<'a>) -> Mismatch<'a> {
        other
    }
}

type Parsed<'a, T> = IResult<&'a str, T, Mismatch<'a>>;

/// A name or string, with the place where it stands.
#[derive(Debug)]
pub(super) struct Name<'a> {
    pub(super) at: &'a str,
    pub(super) text: String,
}

/// Right side of an attribute.
#[derive(Debug)]
pub(super) enum AttributeValue<'a> {
    /// A number, a word, or hexadecimal bytes.
    Atom(&'a str),
    /// A quoted string.
    Text(Name<'a>),
    /// Atoms in brackets, with the place of the opening one.
    List(&'a str, Vec<&'a str>),
}

/// `name=value`.
#[derive(Debug)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    pub(super) value: AttributeValue<'a>,
}

/// `%name: type[extents] attributes`.
#[derive(Debug)]
pub(super) struct TypedValue<'a> {
    pub(super) name: Name<'a>,
    pub(super) dtype: &'a str,
    pub(super) extents: Vec<&'a str>,
    pub(super) attributes: Vec<Attribute<'a>>,
}

/// One line of the body.
#[derive(Debug)]
pub(super) struct Statement<'a> {
    pub(super) result: TypedValue<'a>,
    pub(super) op: &'a str,
    pub(super) node_name: Option<Name<'a>>,
    pub(super) operands: Vec<Name<'a>>,
    pub(super) attributes: Vec<Attribute<'a>>,
}

/// A whole text.
#[derive(Debug)]
pub(super) struct File<'a> {
    pub(super) source: &'a str,
    pub(super) name: Name<'a>,
    pub(super) attributes: Vec<Attribute<'a>>,
    pub(super) inputs: Vec<TypedValue<'a>>,
    pub(super) outputs: Vec<Name<'a>>,
    pub(super) statements: Vec<Statement<'a>>,
}

/// Parses a text that begins with the word `kind`.
pub(super) fn parse<'a>(source: &'a str, kind: &'static str) -> Result<File<'a>, ParseError> {
    match file(source, kind).map_err(|error| match error {
        nom::Err::Error(mismatch) | nom::Err::Failure(mismatch) => mismatch,
        nom::Err::Incomplete(_) => Mismatch { at: &source[source.len()..], expected: "more text" },
    }) {
        Ok((_, file)) => Ok(file),
        Err(Mismatch { at, expected }) => {
            let found = at
                .chars()
                .next()
                .map_or("the end of the text".to_owned(), |c| format!("`{}`", c.escape_debug()));
            Err(ParseError::new(source, at, format!("found {found}, expected {expected}")))
        }
    }
}

fn file<'a>(source: &'a str, kind: &'static str) -> Parsed<'a, File<'a>> {
    let rest = blank(source)?.0;
    let (rest, found) = word("the word `graph` or `qgraph`")(rest)?;
    if found != kind {
        return Err(fail(
            found,
            if kind == "graph" { "the word `graph`" } else { "the word `qgraph`" },
        ));
    }
    let (rest, name) = string("the graph's name in quotes")(rest)?;
    let (rest, attributes) = many0(attribute).parse(rest)?;
    let (rest, inputs) = list('(', "`(`", typed_value, ')', "`,` or `)`")(rest)?;
    let (rest, _) = symbol("->", "`->`")(rest)?;
    let (rest, outputs) = list('(', "`(`", value_name, ')', "`,` or `)`")(rest)?;
    let (rest, _) = symbol("{", "`{`")(rest)?;
    let (rest, statements) = many0(statement).parse(rest)?;
    let (rest, _) = symbol("}", "`%` or `}`")(rest)?;
    if !rest.is_empty() {
        return Err(fail(rest, "the end of the text"));
    }
    Ok((rest, File { source, name, attributes, inputs, outputs, statements }))
}

fn statement(input: &str) -> Parsed<'_, Statement<'_>> {
    let (rest, result) = typed_value(input)?;
    let (rest, _) = cut(symbol("=", "`=` or an attribute")).parse(rest)?;
    let (rest, op) = cut(word("an operator")).parse(rest)?;
    let (rest, node_name) = opt(string("the node's name in quotes")).parse(rest)?;
    let (rest, operands) = opt(list('(', "`(`", value_name, ')', "`,` or `)`")).parse(rest)?;
    let (rest, attributes) = many0(attribute).parse(rest)?;
    let operands = operands.unwrap_or_default();
    Ok((rest, Statement { result, op, node_name, operands, attributes }))
}

fn typed_value(input: &str) -> Parsed<'_, TypedValue<'_>> {
    let (rest, name) = value_name(input)?;
    let (rest, _) = cut(symbol(":", "`:`")).parse(rest)?;
    let (rest, dtype) = cut(word("an element type")).parse(rest)?;
    let (rest, extents) =
        cut(list('[', "`[`", word("an extent"), ']', "`,` or `]`")).parse(rest)?;
    let (rest, attributes) = many0(attribute).parse(rest)?;
    Ok((rest, TypedValue { name, dtype, extents, attributes }))
}

fn attribute(input: &str) -> Parsed<'_, Attribute<'_>> {
    let (rest, name) = word("an attribute")(input)?;
    let (rest, _) = cut(symbol("=", "`=`")).parse(rest)?;
    let (rest, value) = cut(attribute_value).parse(rest)?;
    Ok((rest, Attribute { name, value }))
}

fn attribute_value(input: &str) -> Parsed<'_, AttributeValue<'_>> {
    match input.chars().next() {
        Some('[') => {
            let (rest, atoms) =
                list('[', "`[`", word("a number or word"), ']', "`,` or `]`")(input)?;
            Ok((rest, AttributeValue::List(input, atoms)))
        }
        Some('"') => {
            string("a string")(input).map(|(rest, text)| (rest, AttributeValue::Text(text)))
        }
        _ => word("a value")(input).map(|(rest, atom)| (rest, AttributeValue::Atom(atom))),
    }
}

/// Items between brackets, separated by commas. Once open, it must be right.
fn list<'a, T>(
    open: char,
    open_expected: &'static str,
    item: impl Fn(&'a str) -> Parsed<'a, T>,
    close: char,
    close_expected: &'static str,
) -> impl FnMut(&'a str) -> Parsed<'a, Vec<T>> {
    move |input| {
        let (rest, _) = character(open, open_expected)(input)?;
        let (rest, items) = separated_list0(character(',', "`,`"), &item).parse(rest)?;
        let (rest, _) = cut(character(close, close_expected)).parse(rest)?;
        Ok((rest, items))
    }
}

/// `%name` or `%"any name"`.
fn value_name(input: &str) -> Parsed<'_, Name<'_>> {
    let Some(rest) = input.strip_prefix('%') else {
        return Err(mismatch(input, "`%` and a value's name"));
    };
    if rest.starts_with('"') {
        let (rest, text) = cut(string("a quoted name")).parse(rest)?;
        return Ok((rest, Name { at: input, text: text.text }));
    }
    let plain: Parsed<'_, &str> = take_while1(is_name_character)(rest);
    let (rest, text) =
        plain.map_err(|_| fail(rest, "a name of letters, digits and `_./-`, or a quoted one"))?;
    Ok((blank(rest)?.0, Name { at: input, text: text.to_owned() }))
}

/// Characters of names that need no quotes.
pub(super) fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_./-".contains(c)
}

/// A number, word or hexadecimal bytes.
fn word<'a>(expected: &'static str) -> impl Fn(&'a str) -> Parsed<'a, &'a str> {
    move |input| {
        let is_word = |c: char| c.is_ascii_alphanumeric() || "_.+-:".contains(c);
        let taken: Parsed<'a, &str> = take_while1(is_word)(input);
        // `->` begins like a negative number.
        match taken {
            Ok((rest, found)) if !(found == "-" && rest.starts_with('>')) => {
                Ok((blank(rest)?.0, found))
            }
            Ok(_) | Err(_) => Err(mismatch(input, expected)),
        }
    }
}

/// A string in double quotes, with `\"`, `\\`, `\n`, `\r`, `\t` and `\u{hex}`.
fn string<'a>(expected: &'static str) -> impl Fn(&'a str) -> Parsed<'a, Name<'a>> {
    move |input| {
        let Some(body) = input.strip_prefix('"') else {
            return Err(mismatch(input, expected));
        };
        let mut text = String::new();
        let mut rest = body;
        loop {
            let mut characters = rest.chars();
            match characters.next() {
                Some('"') => return Ok((blank(characters.as_str())?.0, Name { at: input, text })),
                Some('\\') => {
                    let (after, c) = escape(characters.as_str())?;
                    text.push(c);
                    rest = after;
                }
                Some(c) if c != '\n' => {
                    text.push(c);
                    rest = characters.as_str();
                }
                Some(_) | None => return Err(fail(rest, "a closing quote on the same line")),
            }
        }
    }
}

/// What follows a backslash.
fn escape(input: &str) -> Parsed<'_, char> {
    let expected = "`\"`, `\\`, `n`, `r`, `t` or `u{hex}` after a backslash";
    let mut characters = input.chars();
    let plain = match characters.next() {
        Some(c @ ('"' | '\\')) => c,
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => {
            let inner = characters.as_str().strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let (digits, rest) = inner.ok_or_else(|| fail(input, expected))?;
            let code = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
            return Ok((rest, code.ok_or_else(|| fail(input, "the code of a character"))?));
        }
        Some(_) | None => return Err(fail(input, expected)),
    };
    Ok((characters.as_str(), plain))
}

fn character<'a>(c: char, expected: &'static str) -> impl Fn(&'a str) -> Parsed<'a, ()> {
    move |input| match input.strip_prefix(c) {
        Some(rest) => Ok((blank(rest)?.0, ())),
        None => Err(mismatch(input, expected)),
    }
}

fn symbol<'a>(symbol: &'static str, expected: &'static str) -> impl Fn(&'a str) -> Parsed<'a, ()> {
    move |input| {
        let found: Parsed<'a, &str> = tag(symbol)(input);
        let (rest, _) = found.map_err(|_| mismatch(input, expected))?;
        Ok((blank(rest)?.0, ()))
    }
}

/// Skips white space and comments.
fn blank(input: &str) -> Parsed<'_, ()> {
    let (mut rest, _) = take_while(char::is_whitespace)(input)?;
    while rest.starts_with("//") {
        (rest, _) = take_while(|c| c != '\n')(rest)?;
        (rest, _) = take_while(char::is_whitespace)(rest)?;
    }
    Ok((rest, ()))
}

/// This alternative does not fit here; another may.
fn mismatch<'a>(at: &'a str, expected: &'static str) -> nom::Err<Mismatch<'a>> {
    nom::Err::Error(Mismatch { at, expected })
}

/// The text is wrong here.
fn fail<'a>(at: &'a str, expected: &'static str) -> nom::Err<Mismatch<'a>> {
    nom::Err::Failure(Mismatch { at, expected })
}
