//! Bytes: the lines of `.constants`, `.reference`, `.float_model`, `.host_head` and `.host_tail`.

use crate::numerics::Requant;
use crate::numerics::param::{ParamEntry, ParamLayout};

use super::error::AsmFault;
use super::fields::{Fields, Sink, text};
use super::lex::Item;

/// Most bytes of a block that `.zeros` may reach: a short text must not ask for a huge allocation.
const MAX_BYTES: usize = 1 << 30;

/// Data directives, for messages.
pub(super) const DIRECTIVES: [&str; 7] =
    [".hex", ".zeros", ".bytes", ".i16", ".i32", ".text", ".param"];

/// Appends what a line of `.hex` stands for: pairs of hexadecimal digits, blanks between pairs allowed. The line is read
/// byte by byte, since weights take millions of them.
pub(super) fn hex(sink: &mut Sink<'_>, line: &str, start: usize, out: &mut Vec<u8>) {
    let bytes = line.as_bytes();
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        let digit = |at: usize| bytes.get(at).and_then(|&byte| char::from(byte).to_digit(16));
        match (byte, digit(at), digit(at + 1)) {
            (b' ' | b'\t', ..) => at += 1,
            (b';', ..) => return,
            (b'/', ..) if bytes.get(at + 1) == Some(&b'/') => return,
            (_, Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                at += 2;
            }
            _ => {
                let found = line[at..].chars().next().unwrap_or(' ').to_string();
                let span = at..at + found.len();
                return sink.fail(
                    span,
                    AsmFault::Form { found, expected: "a pair of hexadecimal digits" },
                );
            }
        }
    }
}

/// Appends what another data directive stands for.
pub(super) fn data<'a>(
    sink: &mut Sink<'a>,
    directive: &'static str,
    items: Vec<Item<'a>>,
    layout: ParamLayout,
    out: &mut Vec<u8>,
) {
    let mut items = items.into_iter();
    let Some(head) = items.next() else { return };
    let mut fields = Fields::new(sink, directive, head.span(), items);
    match directive {
        ".zeros" => zeros(&mut fields, out),
        ".param" => param(&mut fields, layout, out),
        ".text" => {
            while let Some(word) = fields.positional() {
                out.extend(text(fields.sink, &word).unwrap_or_default().into_bytes());
            }
        }
        ".i32" => integers(&mut fields, i32::MIN.into(), i32::MAX.into(), 4, out),
        ".i16" => integers(&mut fields, i16::MIN.into(), i16::MAX.into(), 2, out),
        _ => integers(&mut fields, i8::MIN.into(), u8::MAX.into(), 1, out),
    }
    fields.finish();
}

/// `.zeros 128`
fn zeros(fields: &mut Fields<'_, '_>, out: &mut Vec<u8>) {
    let Some(word) = fields.positional() else {
        return fields.lacks("count");
    };
    let room = MAX_BYTES.saturating_sub(out.len());
    let count =
        fields.parse(&word).and_then(|count| fields.within("count", &word, count, 0, room as i128));
    if let Some(count) = count.and_then(|count| usize::try_from(count).ok()) {
        out.resize(out.len() + count, 0);
    }
}

/// `.bytes 1 -2 0x7f`, little-endian in `width` bytes each.
fn integers(fields: &mut Fields<'_, '_>, min: i128, max: i128, width: usize, out: &mut Vec<u8>) {
    while let Some(word) = fields.positional() {
        let value =
            fields.parse(&word).and_then(|value| fields.within("value", &word, value, min, max));
        out.extend_from_slice(&value.unwrap_or(0).to_le_bytes()[..width]);
    }
}

/// `.param bias=-5 multiplier=3 shift=7`: an entry as `load.params` reads it on the machine.
fn param(fields: &mut Fields<'_, '_>, layout: ParamLayout, out: &mut Vec<u8>) {
    let bias = fields.number("bias", i64::MIN.into(), i64::MAX.into());
    let multiplier = fields.required_number("multiplier", 0, u32::MAX.into());
    let shift = fields.number("shift", 0, u8::MAX.into());
    if let Err(error) =
        layout.pack(&ParamEntry { bias, requant: Requant { multiplier, shift } }, out)
    {
        fields.sink.fail_line(error.into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::lex::items;
    use super::*;

    fn bytes(lines: &[&str]) -> Result<Vec<u8>, String> {
        let mut sink = Sink::default();
        let mut out = Vec::new();
        for (i, line) in lines.iter().enumerate() {
            sink.at(i + 1, line);
            let directive =
                *DIRECTIVES.iter().find(|directive| line.starts_with(**directive)).unwrap();
            match directive {
                ".hex" => hex(&mut sink, line, 4, &mut out),
                _ => {
                    data(&mut sink, directive, items(line).unwrap(), ParamLayout::Narrow, &mut out)
                }
            }
        }
        let errors: Vec<String> = sink.errors.iter().map(|error| error.to_string()).collect();
        if errors.is_empty() { Ok(out) } else { Err(errors.join("\n")) }
    }

    #[test]
    fn every_directive_gives_its_bytes() {
        assert_eq!(bytes(&[".hex 00fF 7a ; x", ".hex", ".hex 01//2"]), Ok(vec![0, 255, 0x7a, 1]));
        assert_eq!(bytes(&[".zeros 3", ".bytes 1 -2 0xff"]), Ok(vec![0, 0, 0, 1, 254, 255]));
        assert_eq!(bytes(&[".i16 -2", ".i32 1"]), Ok(vec![254, 255, 1, 0, 0, 0]));
        assert_eq!(bytes(&[".text \"a\\n\" \"é\""]), Ok(b"a\n\xc3\xa9".to_vec()));
        assert_eq!(
            bytes(&[".param bias=-1 multiplier=3 shift=2"]),
            Ok(vec![255, 255, 255, 255, 3, 0, 0, 8])
        );
    }

    #[test]
    fn wrong_data_are_named() {
        insta::assert_snapshot!(bytes(&[
            ".hex 0g",
            ".hex 012",
            ".zeros 99999999999999",
            ".zeros",
            ".bytes 256 x",
            ".i16 1=2",
            ".text a",
            ".param multiplier=67108864",
            ".param shift=1",
            ".param multiplier=1 shift=63",
        ]).unwrap_err(), @r#"
line 1, column 6: `0` is not a pair of hexadecimal digits
line 2, column 8: `2` is not a pair of hexadecimal digits
line 3, column 8: `count` = 99999999999999 does not fit: expected 0..=1073741823
line 4, column 1: `.zeros` lacks `count`
line 5, column 8: `value` = 256 does not fit: expected -128..=255
line 5, column 12: `x` is not a number
line 6, column 6: unknown field `1` of `.i16`
line 7, column 7: `a` is not a "text"
line 8, column 1: multiplier 67108864: must be below 2^26
line 9, column 1: `.param` lacks `multiplier`
line 10, column 1: shift 63: must be 0..=62
"#);
    }
}
