//! Typed access to the attributes of a statement, and the names of values.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::error::ParseError;
use super::syntax::{Attribute, AttributeValue, File, Name};
use crate::graph::{ValueId, Window};
use crate::indices::{Indices, Run};

/// The attributes of one statement; each must be asked for, and only once.
pub(super) struct Attributes<'a, 'f> {
    source: &'a str,
    /// Where a missing attribute is reported.
    owner: &'a str,
    left: Vec<&'f Attribute<'a>>,
}

impl<'a, 'f> Attributes<'a, 'f> {
    /// Attributes of what stands at `owner`.
    ///
    /// # Errors
    /// When one is given twice.
    pub(super) fn new(
        source: &'a str,
        owner: &'a str,
        attributes: &'f [Attribute<'a>],
    ) -> Result<Attributes<'a, 'f>, ParseError> {
        let mut left: Vec<&Attribute<'a>> = attributes.iter().collect();
        left.sort_by_key(|attribute| attribute.name);
        if let Some(pair) = left.windows(2).find(|pair| pair[0].name == pair[1].name) {
            let message = format!("attribute `{}` is given twice", pair[1].name);
            return Err(ParseError::new(source, pair[1].name, message));
        }
        Ok(Attributes { source, owner, left })
    }

    pub(super) fn error(&self, at: &str, message: String) -> ParseError {
        ParseError::new(self.source, at, message)
    }

    /// Whether the attribute is given and not yet taken.
    pub(super) fn has(&self, name: &str) -> bool {
        self.left.iter().any(|attribute| attribute.name == name)
    }

    fn take(&mut self, name: &str) -> Result<&'f AttributeValue<'a>, ParseError> {
        match self.left.iter().position(|attribute| attribute.name == name) {
            Some(index) => Ok(&self.left.remove(index).value),
            None => Err(self.error(self.owner, format!("attribute `{name}` is missing"))),
        }
    }

    /// A number, word or hexadecimal bytes.
    pub(super) fn atom(&mut self, name: &str) -> Result<&'a str, ParseError> {
        match self.take(name)? {
            AttributeValue::Atom(atom) => Ok(atom),
            AttributeValue::Text(Name { at, .. }) | AttributeValue::List(at, _) => {
                Err(self.error(at, format!("`{name}` must be a single number or word")))
            }
        }
    }

    /// A quoted string.
    pub(super) fn text(&mut self, name: &str) -> Result<String, ParseError> {
        match self.take(name)? {
            AttributeValue::Text(text) => Ok(text.text.clone()),
            AttributeValue::Atom(at) | AttributeValue::List(at, _) => {
                Err(self.error(at, format!("`{name}` must be a string in quotes")))
            }
        }
    }

    /// One value of a type that parses from text.
    pub(super) fn value<T: FromStr>(&mut self, name: &str) -> Result<T, ParseError> {
        let atom = self.atom(name)?;
        value(self.source, atom)
    }

    /// Values in brackets.
    pub(super) fn list<T: FromStr>(&mut self, name: &str) -> Result<Vec<T>, ParseError> {
        match self.take(name)? {
            AttributeValue::List(_, atoms) => {
                atoms.iter().map(|atom| value(self.source, atom)).collect()
            }
            AttributeValue::Atom(at) | AttributeValue::Text(Name { at, .. }) => {
                Err(self.error(at, format!("`{name}` must be a list in brackets")))
            }
        }
    }

    /// `N` values in brackets.
    pub(super) fn array<T: FromStr, const N: usize>(
        &mut self,
        name: &str,
    ) -> Result<[T; N], ParseError> {
        let at = self
            .left
            .iter()
            .find(|attribute| attribute.name == name)
            .map_or(self.owner, |a| a.name);
        let found = self.list(name)?;
        let count = found.len();
        <[T; N]>::try_from(found)
            .map_err(|_| self.error(at, format!("`{name}` has {count} entries, expected {N}")))
    }

    /// Runs of indices in brackets.
    pub(super) fn indices(&mut self, name: &str) -> Result<Indices, ParseError> {
        Ok(self.list::<Run>(name)?.into_iter().collect())
    }

    /// As [`Attributes::bytes`] if the attribute begins like bytes; else it is not taken.
    pub(super) fn bytes_if_any(&mut self, name: &str) -> Result<Option<Vec<u8>>, ParseError> {
        let is_bytes = |attribute: &Attribute<'_>| {
            attribute.name == name
                && matches!(attribute.value, AttributeValue::Atom(atom) if atom.starts_with("0x"))
        };
        if self.left.iter().any(|attribute| is_bytes(attribute)) {
            self.bytes(name).map(Some)
        } else {
            Ok(None)
        }
    }

    /// The bytes of `0x...`.
    pub(super) fn bytes(&mut self, name: &str) -> Result<Vec<u8>, ParseError> {
        let atom = self.atom(name)?;
        let digits = atom.strip_prefix("0x").filter(|digits| digits.len() % 2 == 0);
        let wrong = || {
            self.error(atom, format!("`{name}` must be `0x` and two hexadecimal digits per byte"))
        };
        let digits = digits.ok_or_else(wrong)?.as_bytes();
        let nibble =
            |digit: u8| (digit as char).to_digit(16).and_then(|value| u8::try_from(value).ok());
        let byte = |pair: &[u8; 2]| Some(nibble(pair[0])? << 4 | nibble(pair[1])?);
        digits.as_chunks::<2>().0.iter().map(byte).collect::<Option<_>>().ok_or_else(wrong)
    }

    /// Whether the attribute is a list.
    pub(super) fn is_list(&self, name: &str) -> bool {
        let found = self.left.iter().find(|attribute| attribute.name == name);
        found.is_some_and(|attribute| matches!(attribute.value, AttributeValue::List(..)))
    }

    /// The four attributes of a window.
    pub(super) fn window(&mut self) -> Result<Window, ParseError> {
        Ok(Window {
            kernel: self.array("kernel")?,
            stride: self.array("stride")?,
            dilation: self.array("dilation")?,
            pad: self.array("pad")?,
        })
    }

    /// Refuses what nobody asked for.
    pub(super) fn finish(self) -> Result<(), ParseError> {
        match self.left.first() {
            None => Ok(()),
            Some(attribute) => Err(self.error(
                attribute.name,
                format!("attribute `{}` has no meaning here", attribute.name),
            )),
        }
    }
}

/// Reads one number or word.
pub(super) fn value<T: FromStr>(source: &str, atom: &str) -> Result<T, ParseError> {
    atom.parse().map_err(|_| {
        let type_name = std::any::type_name::<T>();
        let type_name = type_name.rsplit("::").next().unwrap_or(type_name);
        ParseError::new(source, atom, format!("`{atom}` is not a valid {type_name}"))
    })
}

/// Ids of the values a text names: inputs first, then the results of the statements.
pub(super) struct Names<'a> {
    source: &'a str,
    ids: BTreeMap<String, ValueId>,
}

impl<'a> Names<'a> {
    /// Numbers all values of a text.
    ///
    /// # Errors
    /// When a name is given twice.
    pub(super) fn new(file: &File<'a>) -> Result<Names<'a>, ParseError> {
        let mut ids = BTreeMap::new();
        let values =
            file.inputs.iter().chain(file.statements.iter().map(|statement| &statement.result));
        for (value, id) in values.zip(0..) {
            if ids.insert(value.name.text.clone(), ValueId(id)).is_some() {
                let message = format!("value `{}` is defined twice", value.name.text);
                return Err(ParseError::new(file.source, value.name.at, message));
            }
        }
        Ok(Names { source: file.source, ids })
    }

    /// The id of a value.
    pub(super) fn id(&self, name: &Name<'_>) -> Result<ValueId, ParseError> {
        let missing = || {
            ParseError::new(self.source, name.at, format!("value `{}` is not defined", name.text))
        };
        self.ids.get(&name.text).copied().ok_or_else(missing)
    }

    /// The ids of several values.
    pub(super) fn ids(&self, names: &[Name<'_>]) -> Result<Vec<ValueId>, ParseError> {
        names.iter().map(|name| self.id(name)).collect()
    }
}
