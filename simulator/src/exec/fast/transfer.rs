//! Loads and stores, a row at a time.

use isa::instructions::{Load, LoadGeom, Store, StoreGeom};

use crate::memory::Memory;

pub(in super::super) fn load(op: &Load, geom: &LoadGeom, memory: &mut Memory) {
    let row_bytes = (geom.elems * geom.bits).div_ceil(8) as usize;
    let lanes = memory.lanes() as usize;
    for g in 0..op.count {
        let first = memory.row_start(op.dst + g * geom.spad_stride);
        let at = op.src + u64::from(g) * geom.dram_stride;
        let packed = memory.dram.read(at, geom.rows as usize * row_bytes);
        let rows = memory.spad[first..].chunks_exact_mut(lanes);
        for (row, packed) in rows.zip(packed.chunks_exact(row_bytes)) {
            unpack_row(packed, geom, row);
        }
    }
}

/// Spreads one packed row over the lanes and clears those that are left.
fn unpack_row(packed: &[u8], geom: &LoadGeom, row: &mut [i8]) {
    let elems = geom.elems as usize;
    let written = match geom.bits {
        8 => copy(packed, row),
        4 => {
            // Nibbles lie in DRAM as they lie in the row; an odd last one has a neighbour that means nothing.
            let written = copy(packed, row);
            if elems % 2 == 1 {
                row[written - 1] &= 0xf;
            }
            written
        }
        bits @ 5.. => {
            for (index, lane) in row[..elems].iter_mut().enumerate() {
                *lane = element(packed, index, bits);
            }
            elems
        }
        bits => {
            for (pair, lane) in row[..elems.div_ceil(2)].iter_mut().enumerate() {
                let high =
                    if 2 * pair + 1 < elems { element(packed, 2 * pair + 1, bits) } else { 0 };
                *lane = element(packed, 2 * pair, bits) & 0xf | high << 4;
            }
            elems.div_ceil(2)
        }
    };
    row[written..].fill(0);
}

fn copy(packed: &[u8], row: &mut [i8]) -> usize {
    for (lane, byte) in row.iter_mut().zip(packed) {
        *lane = byte.cast_signed();
    }
    packed.len()
}

/// Element `index` of `bits` (less than 8) bits, sign-extended: at most two bytes hold it.
fn element(packed: &[u8], index: usize, bits: u32) -> i8 {
    let at = index * bits as usize;
    let next = packed.get(at / 8 + 1).copied().unwrap_or(0);
    let both = u16::from_le_bytes([packed[at / 8], next]);
    let [value, _] = (both >> (at % 8)).to_le_bytes();
    (value << (8 - bits)).cast_signed() >> (8 - bits)
}

pub(in super::super) fn store(op: &Store, geom: &StoreGeom, memory: &mut Memory) {
    let (row_bytes, lanes) = (geom.bytes as usize, memory.lanes() as usize);
    let mut run = Vec::with_capacity(geom.rows as usize * row_bytes);
    for g in 0..op.count {
        let first = memory.row_start(op.src + g * geom.spad_stride);
        run.clear();
        for row in memory.spad[first..].chunks_exact(lanes).take(geom.rows as usize) {
            run.extend(row[..row_bytes].iter().map(|byte| byte.cast_unsigned()));
        }
        memory.dram.write(op.dst + u64::from(g) * geom.dram_stride, &run);
    }
}
