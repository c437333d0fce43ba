//! The program file: sections with checksums behind a table, and nothing else.
//!
//! ```text
//! bytes 0..8     signature 89 51 43 43 0d 0a 1a 0a: not text, and damaged if someone converts line ends
//!       8..12    format version
//!       12..16   number of sections
//!       16..24   bytes of the file
//!       24..28   CRC-32 of bytes 8..24 and of the table
//! table          per section: number (4 bytes), CRC-32 (4), offset (8), bytes (8)
//! sections       in the order of their numbers, with neither gap nor overlap
//! ```
//!
//! All numbers are little-endian. Every byte is either fixed or under a checksum, and every program has exactly one file, so
//! equal programs have equal hashes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::hardware::Hardware;
use crate::inst::Engine;

use super::wire::Reader;
use super::{Fault, Host, Meta, Program, ProgramError, Section, SectionKind, records};

/// Version of the format; other versions are refused.
pub const FORMAT_VERSION: u32 = 2;

const SIGNATURE: [u8; 8] = *b"\x89QCC\r\n\x1a\n";
const HEADER_BYTES: usize = 28;
const ENTRY_BYTES: usize = 24;

impl Program {
    /// The program as a file.
    ///
    /// # Errors
    /// The first thing for which [`from_bytes`](Self::from_bytes) would refuse the file.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ProgramError> {
        self.check().into_iter().next().map_or(Ok(()), Err)?;
        let mut sections = Vec::new();
        for kind in SectionKind::ALL {
            let payload = self.payload(kind);
            let at = |fault| ProgramError::new(kind, None, fault);
            sections.extend(payload.map_err(at)?.map(|payload| (kind, payload)));
        }
        Ok(assemble(&sections))
    }

    /// Reads a program file and checks all of it: the machine can run a program that was loaded without any further check.
    ///
    /// # Errors
    /// The first fault, with section and byte: damage, a foreign version, or anything [`check`](Self::check) finds.
    pub fn from_bytes(bytes: &[u8]) -> Result<Program, ProgramError> {
        let sections = split(bytes)?;
        let mut loader = Loader { sections, offsets: BTreeMap::new() };
        let program = loader.program()?;
        match program.check().into_iter().next() {
            None => Ok(program),
            Some(error) => Err(loader.place(error)),
        }
    }

    /// SHA-256 of the file, in hexadecimal.
    ///
    /// # Errors
    /// As [`to_bytes`](Self::to_bytes).
    pub fn hash(&self) -> Result<String, ProgramError> {
        self.to_bytes().map(|bytes| hash_bytes(&bytes))
    }

    /// Contents of a section; `None` for an optional one that the program does not have.
    pub(super) fn payload(&self, kind: SectionKind) -> Result<Option<Vec<u8>>, Fault> {
        let mut out = Vec::new();
        match kind {
            SectionKind::Header => return Ok(None),
            SectionKind::Hardware => {
                out.extend_from_slice(&self.hardware.hash().to_le_bytes());
                out.extend_from_slice(self.hardware.to_toml().as_bytes());
            }
            SectionKind::Meta => out = meta_json(&self.meta)?,
            SectionKind::Tensors => records::put_list(&mut out, &self.tensors, records::put_tensor),
            SectionKind::Inputs => records::put_list(&mut out, &self.inputs, records::put_binding),
            SectionKind::Outputs => {
                records::put_list(&mut out, &self.outputs, records::put_binding)
            }
            SectionKind::Nodes => records::put_list(&mut out, &self.nodes, records::put_node),
            SectionKind::Code(engine) => {
                let section = self.section(engine);
                out.extend_from_slice(&section.base.to_le_bytes());
                section.words.iter().try_for_each(|word| records::put_word(&mut out, word))?;
            }
            SectionKind::Notes(engine) => {
                records::put_list(&mut out, &self.section(engine).notes, records::put_note);
            }
            SectionKind::Constants => {
                out.extend_from_slice(&self.dram_bytes.to_le_bytes());
                out.extend_from_slice(&self.constants_base.to_le_bytes());
                out.extend_from_slice(&self.constants);
            }
            SectionKind::Reference => return Ok(self.reference.clone()),
            SectionKind::FloatModel => return Ok(self.float_model.clone()),
            SectionKind::HostHead => return Ok(self.host.head.clone()),
            SectionKind::HostTail => return Ok(self.host.tail.clone()),
        }
        Ok(Some(out))
    }
}

/// SHA-256 of `bytes` in hexadecimal, as [`Program::hash`] gives it for the bytes of a file.
pub fn hash_bytes(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn meta_json(meta: &Meta) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(meta).map_err(|error| Fault::Meta { message: error.to_string() })
}

/// Header, table and payloads in one.
pub(super) fn assemble(sections: &[(SectionKind, Vec<u8>)]) -> Vec<u8> {
    let mut offset = HEADER_BYTES + ENTRY_BYTES * sections.len();
    let mut table = Vec::new();
    for (kind, payload) in sections {
        table.extend_from_slice(&kind.number().to_le_bytes());
        table.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
        table.extend_from_slice(&(offset as u64).to_le_bytes());
        table.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        offset += payload.len();
    }
    let mut out = Vec::with_capacity(offset);
    out.extend_from_slice(&SIGNATURE);
    out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    out.extend_from_slice(&(sections.len() as u32).to_le_bytes());
    out.extend_from_slice(&(offset as u64).to_le_bytes());
    out.extend_from_slice(&header_checksum(&out[SIGNATURE.len()..], &table).to_le_bytes());
    out.extend_from_slice(&table);
    for (_, payload) in sections {
        out.extend_from_slice(payload);
    }
    out
}

fn header_checksum(header: &[u8], table: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(table);
    hasher.finalize()
}

/// A section of a file and where it begins.
type Located<'a> = (u64, &'a [u8]);

/// The sections of a file, after all that can be checked without understanding them.
fn split(bytes: &[u8]) -> Result<BTreeMap<SectionKind, Located<'_>>, ProgramError> {
    let mut header = Reader::new(SectionKind::Header, bytes, 0);
    let signature: [u8; 8] = header.array()?;
    if signature != SIGNATURE {
        let text_damage = signature.starts_with(&SIGNATURE[..4]);
        return Err(header.error_at(0, Fault::Signature { text_damage }));
    }
    let found = u32::from_le_bytes(header.array()?);
    if found != FORMAT_VERSION {
        return Err(header.error_at(8, Fault::Version { found, expected: FORMAT_VERSION }));
    }
    let count = u32::from_le_bytes(header.array()?);
    let needed = u64::from_le_bytes(header.array()?);
    let stored = u32::from_le_bytes(header.array()?);
    let table = header.take(u64::from(count) * ENTRY_BYTES as u64)?;
    let found = header_checksum(&bytes[SIGNATURE.len()..HEADER_BYTES - 4], table);
    if found != stored {
        return Err(header.error_at(24, Fault::Checksum { found, stored }));
    }
    let found = bytes.len() as u64;
    if found < needed {
        return Err(header.error_at(16, Fault::Truncated { needed, found }));
    }

    let mut sections: BTreeMap<SectionKind, Located<'_>> = BTreeMap::new();
    let mut table = Reader::new(SectionKind::Header, table, HEADER_BYTES as u64);
    while table.remaining() > 0 {
        let entry = table.offset();
        let number = u32::from_le_bytes(table.array()?);
        let stored = u32::from_le_bytes(table.array()?);
        let offset = u64::from_le_bytes(table.array()?);
        let len = u64::from_le_bytes(table.array()?);
        let kind = SectionKind::from_number(number)
            .ok_or_else(|| table.error_at(entry, Fault::UnknownSection { number }))?;
        if let Some((&previous, _)) =
            sections.last_key_value().filter(|(previous, _)| **previous >= kind)
        {
            return Err(table.error_at(entry, Fault::SectionOrder { found: kind, previous }));
        }
        let in_section = |fault| ProgramError::new(kind, Some(offset), fault);
        if offset != header.offset() {
            return Err(in_section(Fault::SectionPlace {
                found: offset,
                expected: header.offset(),
            }));
        }
        let payload = header.take(len).map_err(|error| in_section(*error.fault))?;
        let found = crc32fast::hash(payload);
        if found != stored {
            return Err(in_section(Fault::Checksum { found, stored }));
        }
        sections.insert(kind, (offset, payload));
    }
    header.finish()?;
    if header.offset() != needed {
        return Err(
            header.error_at(16, Fault::Trailing { count: header.offset().abs_diff(needed) })
        );
    }
    Ok(sections)
}

/// Turns sections into a program and remembers where each entry stood.
struct Loader<'a> {
    sections: BTreeMap<SectionKind, Located<'a>>,
    offsets: BTreeMap<SectionKind, Vec<u64>>,
}

impl<'a> Loader<'a> {
    fn program(&mut self) -> Result<Program, ProgramError> {
        let hardware = self.hardware()?;
        let meta = self.meta()?;
        let tensors = self.list(SectionKind::Tensors, records::tensor)?;
        let inputs = self.list(SectionKind::Inputs, records::binding)?;
        let outputs = self.list(SectionKind::Outputs, records::binding)?;
        let nodes = self.list(SectionKind::Nodes, records::node)?;
        let mut code: [Section; 4] = Default::default();
        for engine in Engine::ALL {
            code[engine.index()] = self.code(engine)?;
        }
        let mut reader = self.open(SectionKind::Constants)?;
        let dram_bytes = u64::from_le_bytes(reader.array()?);
        let constants_base = u64::from_le_bytes(reader.array()?);
        let constants = reader.rest().to_vec();
        let optional = |kind| self.sections.get(&kind).map(|(_, payload)| payload.to_vec());
        let reference = optional(SectionKind::Reference);
        let float_model = optional(SectionKind::FloatModel);
        let host =
            Host { head: optional(SectionKind::HostHead), tail: optional(SectionKind::HostTail) };
        Ok(Program {
            hardware,
            meta,
            tensors,
            inputs,
            outputs,
            nodes,
            code,
            constants_base,
            constants,
            dram_bytes,
            reference,
            float_model,
            host,
        })
    }

    fn open(&self, kind: SectionKind) -> Result<Reader<'a>, ProgramError> {
        let missing = || ProgramError::new(kind, None, Fault::SectionMissing);
        let &(offset, payload) = self.sections.get(&kind).ok_or_else(missing)?;
        Ok(Reader::new(kind, payload, offset))
    }

    fn hardware(&self) -> Result<Hardware, ProgramError> {
        let mut reader = self.open(SectionKind::Hardware)?;
        let start = reader.offset();
        let stored = u64::from_le_bytes(reader.array()?);
        let offset = reader.offset();
        let text =
            std::str::from_utf8(reader.rest()).map_err(|_| reader.error_at(offset, Fault::Utf8))?;
        let hardware = Hardware::from_toml(text).map_err(|error| reader.error_at(offset, error))?;
        if hardware.to_toml() != text {
            return Err(reader.error_at(offset, Fault::NotCanonical));
        }
        let found = hardware.hash();
        if found != stored {
            return Err(reader.error_at(start, Fault::HardwareHash { found, stored }));
        }
        Ok(hardware)
    }

    fn meta(&self) -> Result<Meta, ProgramError> {
        let mut reader = self.open(SectionKind::Meta)?;
        let offset = reader.offset();
        let json = reader.rest();
        let meta: Meta = serde_json::from_slice(json)
            .map_err(|error| reader.error_at(offset, Fault::Meta { message: error.to_string() }))?;
        let canonical = meta_json(&meta).map_err(|fault| reader.error_at(offset, fault))?;
        if canonical != json {
            return Err(reader.error_at(offset, Fault::NotCanonical));
        }
        Ok(meta)
    }

    fn list<T>(
        &mut self,
        kind: SectionKind,
        entry: impl Fn(&mut Reader<'_>) -> Result<T, ProgramError>,
    ) -> Result<Vec<T>, ProgramError> {
        let mut reader = self.open(kind)?;
        let (list, offsets) = records::list(&mut reader, entry)?;
        reader.finish()?;
        self.offsets.insert(kind, offsets);
        Ok(list)
    }

    fn code(&mut self, engine: Engine) -> Result<Section, ProgramError> {
        let kind = SectionKind::Code(engine);
        let mut reader = self.open(kind)?;
        let base = u64::from_le_bytes(reader.array()?);
        let (words, offsets) = records::words(&mut reader, engine)?;
        self.offsets.insert(kind, offsets);
        let notes = self.list(SectionKind::Notes(engine), records::note)?;
        Ok(Section { base, words, notes })
    }

    /// Adds the byte of the file to a fault of the program that was read from it.
    fn place(&self, error: ProgramError) -> ProgramError {
        let entry =
            error.record.and_then(|record| self.offsets.get(&error.section)?.get(record).copied());
        let section = self.sections.get(&error.section).map(|&(offset, _)| offset);
        ProgramError { offset: entry.or(section), ..error }
    }
}
