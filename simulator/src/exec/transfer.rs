//! Reference for the load and store engines.

use isa::instructions::{Load, LoadGeom, LoadParams, LoadTable, Store, StoreGeom};

use crate::memory::Memory;

use super::Trap;

/// Element `index` of a row of `bits`-bit elements packed least significant bit first, sign-extended.
fn unpack(row: &[u8], index: u32, bits: u32) -> i8 {
    let mut value = 0u8;
    for bit in 0..bits {
        let at = index * bits + bit;
        value |= (row[at as usize / 8] >> (at % 8) & 1) << bit;
    }
    (value << (8 - bits)).cast_signed() >> (8 - bits)
}

pub(super) fn load(op: &Load, geom: &LoadGeom, memory: &mut Memory) {
    let row_bytes = (geom.elems * geom.bits).div_ceil(8);
    for g in 0..op.count {
        for r in 0..geom.rows {
            let from =
                op.src + u64::from(g) * geom.dram_stride + u64::from(r) * u64::from(row_bytes);
            let packed = memory.dram_bytes(from, row_bytes as usize);
            let element =
                |index| if index < geom.elems { unpack(&packed, index, geom.bits) } else { 0 };
            let row = op.dst + g * geom.spad_stride + r;
            for lane in 0..memory.lanes() {
                let byte = if geom.bits <= 4 {
                    element(2 * lane) & 0xf | element(2 * lane + 1) << 4
                } else {
                    element(lane)
                };
                memory.set_byte(row, lane, byte);
            }
        }
    }
}

pub(super) fn load_params(op: &LoadParams, memory: &mut Memory) -> Result<(), Trap> {
    let layout = memory.hardware.param_layout();
    let size = layout.entry_bytes();
    for i in 0..op.count {
        let from = op.src + u64::from(i) * size as u64;
        let entry = op.base + i;
        let value = layout
            .unpack(&memory.dram_bytes(from, size))
            .map_err(|source| Trap::Param { entry, source })?;
        memory.set_param(op.slot, entry, value);
    }
    Ok(())
}

pub(super) fn load_table(op: &LoadTable, memory: &mut Memory) {
    for at in 0..op.bytes {
        let byte = memory.dram_bytes(op.src + u64::from(at), 1)[0];
        memory.set_table_byte(op.slot, at, byte);
    }
}

pub(super) fn store(op: &Store, geom: &StoreGeom, memory: &mut Memory) {
    for g in 0..op.count {
        for r in 0..geom.rows {
            for lane in 0..geom.bytes {
                let byte = memory.byte(op.src + g * geom.spad_stride + r, lane);
                let at = u64::from(r) * u64::from(geom.bytes) + u64::from(lane);
                memory.set_dram_byte(
                    op.dst + u64::from(g) * geom.dram_stride + at,
                    byte.cast_unsigned(),
                );
            }
        }
    }
}
