//! The frame of a program file, written from `docs/program-file.md`: sections out of it and into it, checksums made anew.

use isa::program::hash_bytes;

const HEADER: usize = 28;
const ENTRY: usize = 24;

/// Number and contents of each section; nothing unless all lie in the file.
pub(super) fn split(file: &[u8]) -> Option<Vec<(u32, Vec<u8>)>> {
    let count = u32::from_le_bytes(*file.get(12..)?.first_chunk()?) as usize;
    let table = file.get(HEADER..HEADER.checked_add(ENTRY.checked_mul(count)?)?)?;
    let section = |entry: &[u8; ENTRY]| {
        let number = u32::from_le_bytes(*entry.first_chunk()?);
        let word = |at: usize| Some(u64::from_le_bytes(*entry[at..].first_chunk()?) as usize);
        let (offset, len) = (word(8)?, word(16)?);
        Some((number, file.get(offset..offset.checked_add(len)?)?.to_vec()))
    };
    table.as_chunks::<ENTRY>().0.iter().map(section).collect()
}

/// A file of these sections.
pub(super) fn join(sections: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut offset = (HEADER + ENTRY * sections.len()) as u64;
    let (mut table, mut contents) = (Vec::new(), Vec::new());
    for (number, payload) in sections {
        table.extend_from_slice(&number.to_le_bytes());
        table.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
        table.extend_from_slice(&offset.to_le_bytes());
        table.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        contents.extend_from_slice(payload);
        offset += payload.len() as u64;
    }
    let mut head = 1u32.to_le_bytes().to_vec();
    head.extend_from_slice(&(sections.len() as u32).to_le_bytes());
    head.extend_from_slice(&offset.to_le_bytes());
    let sum = crc32fast::hash(&[&head[..], &table].concat());
    [&b"\x89QCC\r\n\x1a\n"[..], &head, &sum.to_le_bytes(), &table, &contents].concat()
}

/// Hash of the text of the hardware parameters.
pub(super) fn hardware_hash(text: &[u8]) -> [u8; 8] {
    let digits = hash_bytes(text);
    u64::from_str_radix(&digits[..16], 16).unwrap_or(0).to_le_bytes()
}
