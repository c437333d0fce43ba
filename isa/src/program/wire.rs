//! Numbers and texts as bytes: the primitives of a program file.
//!
//! Integers are written in groups of 7 bits, low group first, the top bit saying that more follow (LEB128); signed ones
//! with the sign in the lowest bit. Only the shortest form is read, so that each value has exactly one encoding.

use super::{Fault, ProgramError, SectionKind};

/// Appends an unsigned number.
pub(super) fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number.
pub(super) fn put_signed(out: &mut Vec<u8>, value: i32) {
    put_number(out, ((value << 1) ^ (value >> 31)) as u32 as u64);
}

/// Appends a text: its bytes, then the bytes.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Reads one section; every error names it and the byte of the file.
pub(super) struct Reader<'a> {
    section: SectionKind,
    bytes: &'a [u8],
    /// Position in `bytes`.
    at: usize,
    /// Byte of the file where `bytes` begins.
    start: u64,
}

impl<'a> Reader<'a> {
    /// A reader of `bytes`, which begin at byte `start` of the file.
    pub(super) fn new(section: SectionKind, bytes: &'a [u8], start: u64) -> Self {
        Reader { section, bytes, at: 0, start }
    }

    /// Byte of the file that comes next.
    pub(super) fn offset(&self) -> u64 {
        self.start + self.at as u64
    }

    /// Bytes not yet read.
    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// An error at a byte of the file.
    pub(super) fn error_at(&self, offset: u64, fault: impl Into<Fault>) -> ProgramError {
        ProgramError::new(self.section, Some(offset), fault)
    }

    /// An error about a value that is not legal.
    pub(super) fn illegal(
        &self,
        offset: u64,
        what: &'static str,
        found: impl ToString,
        expected: &'static str,
    ) -> ProgramError {
        self.error_at(offset, Fault::Value { what, found: found.to_string(), expected })
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: u64) -> Result<&'a [u8], ProgramError> {
        let rest = &self.bytes[self.at..];
        match usize::try_from(count).ok().and_then(|count| rest.get(..count)) {
            Some(taken) => {
                self.at += taken.len();
                Ok(taken)
            }
            None => Err(self.error_at(
                self.offset(),
                Fault::Truncated { needed: count, found: rest.len() as u64 },
            )),
        }
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        self.at = self.bytes.len();
        rest
    }

    /// The next bytes, as an array.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], ProgramError> {
        let taken = self.take(N as u64)?;
        Ok(taken.try_into().expect("take gives as many bytes as asked for"))
    }

    /// An unsigned number.
    pub(super) fn number(&mut self) -> Result<u64, ProgramError> {
        let offset = self.offset();
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let group = u64::from(byte & 0x7f);
            if group << shift >> shift != group {
                return Err(self.illegal(offset, "number", "of more than 64 bits", "at most 64"));
            }
            value |= group << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(self.illegal(offset, "number", "in a long form", "the shortest"));
                }
                return Ok(value);
            }
        }
        Err(self.illegal(offset, "number", "of more than 64 bits", "at most 64"))
    }

    /// An unsigned number of 32 bits.
    pub(super) fn number32(&mut self) -> Result<u32, ProgramError> {
        let offset = self.offset();
        let value = self.number()?;
        value.try_into().map_err(|_| self.illegal(offset, "number", value, "at most 4294967295"))
    }

    /// A signed number.
    pub(super) fn signed(&mut self) -> Result<i32, ProgramError> {
        let raw = self.number32()?;
        Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    /// A text.
    pub(super) fn text(&mut self) -> Result<String, ProgramError> {
        let len = self.number()?;
        let offset = self.offset();
        let bytes = self.take(len)?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.error_at(offset, Fault::Utf8))?;
        Ok(text.to_owned())
    }

    /// Ends the section.
    pub(super) fn finish(&self) -> Result<(), ProgramError> {
        match self.remaining() {
            0 => Ok(()),
            count => Err(self.error_at(self.offset(), Fault::Trailing { count: count as u64 })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read<T>(
        bytes: &[u8],
        read: impl Fn(&mut Reader<'_>) -> Result<T, ProgramError>,
    ) -> Result<T, ProgramError> {
        let mut reader = Reader::new(SectionKind::Nodes, bytes, 100);
        let value = read(&mut reader)?;
        reader.finish().map(|()| value)
    }

    proptest! {
        #[test]
        fn values_come_back(number: u64, signed: i32, text: String, shift in 0u32..64) {
            let mut out = Vec::new();
            put_number(&mut out, number >> shift);
            prop_assert_eq!(read(&out, |r| r.number()), Ok(number >> shift));
            out.clear();
            put_signed(&mut out, signed);
            prop_assert_eq!(read(&out, |r| r.signed()), Ok(signed));
            out.clear();
            put_text(&mut out, &text);
            prop_assert_eq!(read(&out, |r| r.text()), Ok(text));
        }

        #[test]
        fn what_can_be_read_has_one_form(bytes in proptest::collection::vec(any::<u8>(), 1..12)) {
            if let Ok(value) = read(&bytes, |r| r.number()) {
                let mut out = Vec::new();
                put_number(&mut out, value);
                prop_assert_eq!(out, bytes);
            }
        }
    }

    #[test]
    fn long_forms_and_long_texts_are_refused() {
        let error = |bytes: &[u8]| read(bytes, |r| r.number()).unwrap_err().to_string();
        assert_eq!(
            error(&[0x80, 0]),
            "nodes at byte 100: number in a long form, expected the shortest"
        );
        assert_eq!(
            error(&[0xff; 12]),
            "nodes at byte 100: number of more than 64 bits, expected at most 64"
        );
        assert_eq!(error(&[1, 2]), "nodes at byte 101: 1 bytes follow the end");
        let mut huge = Vec::new();
        put_number(&mut huge, u64::MAX);
        let text = read(&huge, |r| r.text()).unwrap_err();
        assert_eq!(*text.fault, Fault::Truncated { needed: u64::MAX, found: 0 });
    }
}
