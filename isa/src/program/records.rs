//! The payload of each section, to bytes and back.
//!
//! Lists are a count and the entries. No count is trusted: a vector grows with the bytes that were read for it.

use crate::inst::{Engine, Inst, WORD_BYTES, decode, encode};

use super::wire::{Reader, put_number, put_signed, put_text};
use super::{Class, Fault, IoBinding, NodeInfo, Note, ProgramError, TensorInfo, TileNote, Unit};

/// Bit of a note's first byte that says a tile follows; the bits below are the class.
const HAS_TILE: u8 = 8;

/// Classes by number.
const CLASSES: [Class; 6] =
    [Class::None, Class::Weights, Class::Inputs, Class::Outputs, Class::Spills, Class::Params];

/// Units by number.
const UNITS: [Unit; 3] = [Unit::Array, Unit::Vector, Unit::None];

/// Appends a list.
pub(super) fn put_list<T>(out: &mut Vec<u8>, entries: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    put_number(out, entries.len() as u64);
    for entry in entries {
        put(out, entry);
    }
}

/// Reads a list; also gives the byte of the file at which each entry begins.
pub(super) fn list<T>(
    reader: &mut Reader<'_>,
    entry: impl Fn(&mut Reader<'_>) -> Result<T, ProgramError>,
) -> Result<(Vec<T>, Vec<u64>), ProgramError> {
    let count = reader.number()?;
    entries(reader, count, entry)
}

fn entries<T>(
    reader: &mut Reader<'_>,
    count: u64,
    entry: impl Fn(&mut Reader<'_>) -> Result<T, ProgramError>,
) -> Result<(Vec<T>, Vec<u64>), ProgramError> {
    let (mut list, mut offsets) = (Vec::new(), Vec::new());
    for record in 0..count {
        offsets.push(reader.offset());
        let read = entry(reader)
            .map_err(|error| ProgramError { record: usize::try_from(record).ok(), ..error })?;
        list.push(read);
    }
    Ok((list, offsets))
}

pub(super) fn put_tensor(out: &mut Vec<u8>, tensor: &TensorInfo) {
    put_text(out, &tensor.name);
    put_extents(out, tensor.shape);
    out.push(tensor.bits);
    out.extend_from_slice(&tensor.scale.to_bits().to_le_bytes());
    put_signed(out, tensor.zero_point);
    put_list(out, &tensor.onnx_shape, |out, &extent| put_number(out, extent.into()));
    put_list(out, &tensor.perm, |out, &axis| put_number(out, axis.into()));
}

pub(super) fn tensor(reader: &mut Reader<'_>) -> Result<TensorInfo, ProgramError> {
    Ok(TensorInfo {
        name: reader.text()?,
        shape: extents(reader)?,
        bits: byte(reader)?,
        scale: f64::from_bits(u64::from_le_bytes(reader.array()?)),
        zero_point: reader.signed()?,
        onnx_shape: list(reader, |reader| reader.number32())?.0,
        perm: list(reader, |reader| reader.number32())?.0,
    })
}

pub(super) fn put_binding(out: &mut Vec<u8>, binding: &IoBinding) {
    put_number(out, binding.tensor.into());
    put_number(out, binding.dram);
}

pub(super) fn binding(reader: &mut Reader<'_>) -> Result<IoBinding, ProgramError> {
    Ok(IoBinding { tensor: reader.number32()?, dram: reader.number()? })
}

pub(super) fn put_node(out: &mut Vec<u8>, node: &NodeInfo) {
    put_text(out, &node.name);
    put_text(out, &node.op);
    put_number(out, node.macs);
    out.push(node.unit as u8);
    out.push(node.weight_bits);
    out.push(node.act_bits);
    put_text(out, &node.tile);
}

pub(super) fn node(reader: &mut Reader<'_>) -> Result<NodeInfo, ProgramError> {
    Ok(NodeInfo {
        name: reader.text()?,
        op: reader.text()?,
        macs: reader.number()?,
        unit: choice(reader, "unit", &UNITS, "at most 2")?,
        weight_bits: byte(reader)?,
        act_bits: byte(reader)?,
        tile: reader.text()?,
    })
}

pub(super) fn put_word(out: &mut Vec<u8>, inst: &Inst) -> Result<(), Fault> {
    out.extend_from_slice(&encode(inst)?.to_le_bytes());
    Ok(())
}

/// Reads the words of an engine to the end of the section.
pub(super) fn words(
    reader: &mut Reader<'_>,
    engine: Engine,
) -> Result<(Vec<Inst>, Vec<u64>), ProgramError> {
    let count = reader.remaining().div_ceil(WORD_BYTES);
    entries(reader, count as u64, |reader| {
        let offset = reader.offset();
        let word = u128::from_le_bytes(reader.array()?);
        decode(word, engine).map_err(|error| reader.error_at(offset, error))
    })
}

pub(super) fn put_note(out: &mut Vec<u8>, note: &Note) {
    out.push(note.class as u8 | if note.tile.is_some() { HAS_TILE } else { 0 });
    put_number(out, note.node.wrapping_add(1).into());
    if let Some(tile) = &note.tile {
        put_number(out, tile.tensor.into());
        put_extents(out, tile.origin);
        put_extents(out, tile.extent);
        for value in [tile.row, tile.lane, tile.row_stride, tile.block_stride, tile.plane_stride] {
            put_number(out, value.into());
        }
    }
}

pub(super) fn note(reader: &mut Reader<'_>) -> Result<Note, ProgramError> {
    let offset = reader.offset();
    let flags = byte(reader)?;
    let class = CLASSES.get(usize::from(flags & !HAS_TILE)).copied();
    let class =
        class.ok_or_else(|| reader.illegal(offset, "note kind", flags, "0..=5 or 8..=13"))?;
    let node = reader.number32()?.wrapping_sub(1);
    let tile = if flags & HAS_TILE != 0 { Some(tile(reader)?) } else { None };
    Ok(Note { node, class, tile })
}

fn tile(reader: &mut Reader<'_>) -> Result<TileNote, ProgramError> {
    Ok(TileNote {
        tensor: reader.number32()?,
        origin: extents(reader)?,
        extent: extents(reader)?,
        row: reader.number32()?,
        lane: reader.number32()?,
        row_stride: reader.number32()?,
        block_stride: reader.number32()?,
        plane_stride: reader.number32()?,
    })
}

fn put_extents(out: &mut Vec<u8>, extents: [u32; 3]) {
    for extent in extents {
        put_number(out, extent.into());
    }
}

fn extents(reader: &mut Reader<'_>) -> Result<[u32; 3], ProgramError> {
    Ok([reader.number32()?, reader.number32()?, reader.number32()?])
}

fn byte(reader: &mut Reader<'_>) -> Result<u8, ProgramError> {
    reader.array().map(|[byte]| byte)
}

fn choice<T: Copy>(
    reader: &mut Reader<'_>,
    what: &'static str,
    choices: &[T],
    expected: &'static str,
) -> Result<T, ProgramError> {
    let offset = reader.offset();
    let number = byte(reader)?;
    choices
        .get(usize::from(number))
        .copied()
        .ok_or_else(|| reader.illegal(offset, what, number, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_choices_are_their_positions() {
        assert!(CLASSES.iter().enumerate().all(|(i, &class)| class as usize == i));
        assert!(UNITS.iter().enumerate().all(|(i, &unit)| unit as usize == i));
    }
}
