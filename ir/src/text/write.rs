//! Pieces that both printers use.

use std::fmt::{self, Debug, Display, Formatter, Write as _};

use super::syntax::is_name_character;
use crate::graph::Window;
use crate::indices::Indices;

/// `%name`, quoted where it must be.
pub(super) struct ValueName<'a>(pub(super) &'a str);

impl Display for ValueName<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.0.is_empty() && self.0.chars().all(is_name_character) {
            write!(f, "%{}", self.0)
        } else {
            write!(f, "%{}", Quoted(self.0))
        }
    }
}

/// A string in double quotes; control characters are escaped, so it stays on one line.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_control() => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// `[a, b, c]`. Floats print with the fewest digits that read back to the same bits.
pub(super) struct List<'a, T>(pub(super) &'a [T]);

impl<T: Debug> Display for List<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        for (index, item) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{item:?}")?;
        }
        f.write_char(']')
    }
}

/// `[first:count:step, ..]`, one entry per run.
pub(super) struct Runs<'a>(pub(super) &'a Indices);

impl Display for Runs<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        for (index, run) in self.0.runs().iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{run}")?;
        }
        f.write_char(']')
    }
}

/// `(a, b, c)`.
pub(super) fn write_names<'a>(
    f: &mut Formatter<'_>,
    names: impl Iterator<Item = &'a str>,
) -> fmt::Result {
    f.write_char('(')?;
    for (index, name) in names.enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        write!(f, "{separator}{}", ValueName(name))?;
    }
    f.write_char(')')
}

/// `0x` and two digits per byte.
pub(super) fn write_hex(f: &mut Formatter<'_>, bytes: impl Iterator<Item = u8>) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    f.write_str("0x")?;
    for byte in bytes {
        f.write_char(DIGITS[usize::from(byte >> 4)].into())?;
        f.write_char(DIGITS[usize::from(byte & 15)].into())?;
    }
    Ok(())
}

/// The four attributes of a window.
pub(super) fn write_window(f: &mut Formatter<'_>, window: &Window) -> fmt::Result {
    let Window { kernel, stride, dilation, pad } = window;
    write!(
        f,
        " kernel={} stride={} dilation={} pad={}",
        List(kernel),
        List(stride),
        List(dilation),
        List(pad)
    )
}
