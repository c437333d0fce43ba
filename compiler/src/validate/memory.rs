//! The memories of the machine, holding tags, and the words that only move bytes between them.

use std::collections::BTreeMap;

use isa::instructions::{
    Load, LoadGeom, LoadParams, LoadTable, Store, StoreGeom, VpuFill, VpuMove, VpuStride,
};
use isa::numerics::param::ParamEntry;
use isa::program::Program;

use super::finding::Problem;
use super::tags::{Tag, UNKNOWN, constant};

/// Bytes of DRAM that get their tags together.
const PAGE: u64 = 1 << 16;

/// Contents of all memories but the accumulators.
pub(super) struct Memory<'a> {
    program: &'a Program,
    lanes: usize,
    spad: Vec<Tag>,
    /// Tags of DRAM below the constants, by page.
    dram: BTreeMap<u64, Box<[Tag]>>,
    params: [Vec<Option<ParamEntry>>; 2],
    tables: [Vec<u8>; 2],
}

/// Where a piece of a tensor lies in the scratchpad; distances in rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    pub first: u32,
    pub row_stride: u32,
    pub block_stride: u32,
    pub x_stride: u32,
    pub plane_stride: u32,
    /// Whether elements have two bytes, in planes of their own.
    pub wide: bool,
}

impl Region {
    /// Row of a pixel of a channel block.
    pub(super) fn row(&self, plane: usize, block: usize, y: usize, x: usize) -> usize {
        let far = |n: usize, stride: u32| n * stride as usize;
        self.first as usize
            + far(plane, self.plane_stride)
            + far(block, self.block_stride)
            + far(y, self.row_stride)
            + far(x, self.x_stride)
    }
}

impl<'a> Memory<'a> {
    /// Memories of the program's machine, with nothing in them.
    pub(super) fn new(program: &'a Program) -> Memory<'a> {
        let hw = &program.hardware;
        let lanes = hw.array_rows as usize;
        Memory {
            program,
            lanes,
            spad: vec![UNKNOWN; hw.scratchpad_rows() as usize * lanes],
            dram: BTreeMap::new(),
            params: [(); 2].map(|()| vec![None; hw.param_entries as usize]),
            tables: [(); 2].map(|()| Vec::new()),
        }
    }

    /// Lanes of a scratchpad row.
    pub(super) fn lanes(&self) -> usize {
        self.lanes
    }

    /// Tags of a scratchpad row; empty outside the scratchpad.
    pub(super) fn row(&self, row: usize) -> &[Tag] {
        self.spad.get(row * self.lanes..(row + 1) * self.lanes).unwrap_or(&[])
    }

    /// Tags a byte of the scratchpad.
    pub(super) fn set(&mut self, row: usize, lane: usize, tag: Tag) {
        if let Some(place) = self.spad.get_mut(row * self.lanes + lane) {
            *place = tag;
        }
    }

    /// Tag of a byte of the scratchpad.
    pub(super) fn get(&self, row: usize, lane: usize) -> Tag {
        self.spad.get(row * self.lanes + lane).copied().unwrap_or(UNKNOWN)
    }

    /// A parameter entry, if one was loaded.
    pub(super) fn param(&self, slot: u32, entry: usize) -> Option<ParamEntry> {
        self.params.get(slot as usize)?.get(entry).copied().flatten()
    }

    /// What a table slot holds.
    pub(super) fn table(&self, slot: u32) -> &[u8] {
        self.tables.get(slot as usize).map_or(&[], Vec::as_slice)
    }

    /// Tag of a byte of DRAM.
    pub(super) fn dram(&self, at: u64) -> Tag {
        if let Some(byte) = self.constant_bytes(at, 1) {
            return constant(byte[0].cast_signed());
        }
        self.dram.get(&(at / PAGE)).map_or(UNKNOWN, |page| page[(at % PAGE) as usize])
    }

    /// Tags a byte of DRAM.
    pub(super) fn set_dram(&mut self, at: u64, tag: Tag) {
        let page = self
            .dram
            .entry(at / PAGE)
            .or_insert_with(|| vec![UNKNOWN; PAGE as usize].into_boxed_slice());
        page[(at % PAGE) as usize] = tag;
    }

    /// Bytes of the constants from DRAM address `at` on.
    fn constant_bytes(&self, at: u64, len: usize) -> Option<&'a [u8]> {
        let first = usize::try_from(at.checked_sub(self.program.constants_base)?).ok()?;
        self.program.constants.get(first..first.checked_add(len)?)
    }

    pub(super) fn load(&mut self, op: &Load, geom: &LoadGeom) {
        let (elems, bits) = (geom.elems as usize, geom.bits as usize);
        let row_bytes = (elems * bits).div_ceil(8);
        for g in 0..op.count {
            for r in 0..geom.rows {
                let from =
                    op.src + u64::from(g) * geom.dram_stride + u64::from(r) * row_bytes as u64;
                let row = (op.dst + g * geom.spad_stride + r) as usize;
                let packed = self.constant_bytes(from, row_bytes);
                for lane in 0..self.lanes {
                    let tag = match packed {
                        Some(packed) => constant(unpacked(packed, lane, elems, bits)),
                        None if bits == 8 && lane < elems => self.dram(from + lane as u64),
                        None if bits == 8 => constant(0),
                        None => UNKNOWN,
                    };
                    self.set(row, lane, tag);
                }
            }
        }
    }

    /// Fails on bytes that are no parameter entry, which the machine refuses whether or not anybody uses the entry.
    pub(super) fn load_params(&mut self, op: &LoadParams) -> Result<(), Problem> {
        let layout = self.program.hardware.param_layout();
        let size = layout.entry_bytes();
        for i in 0..op.count {
            let entry = (op.base + i) as usize;
            let bytes = self.constant_bytes(op.src + u64::from(i) * size as u64, size);
            let found = bytes.and_then(|bytes| layout.unpack(bytes).ok());
            if found.is_none() {
                let (found, expected) = ("damaged".into(), "a parameter entry".into());
                return Err(Problem::Param { entry, found, expected });
            }
            let slot = self.params.get_mut(op.slot as usize);
            if let Some(place) = slot.and_then(|s| s.get_mut(entry)) {
                *place = found;
            }
        }
        Ok(())
    }

    pub(super) fn load_table(&mut self, op: &LoadTable) {
        let bytes = self.constant_bytes(op.src, op.bytes as usize).unwrap_or(&[]).to_vec();
        if let Some(slot) = self.tables.get_mut(op.slot as usize) {
            // A shorter table leaves the rest of the slot as it was.
            let kept = slot.get(bytes.len()..).unwrap_or(&[]).to_vec();
            *slot = bytes;
            slot.extend(kept);
        }
    }

    pub(super) fn store(&mut self, op: &Store, geom: &StoreGeom) {
        for g in 0..op.count {
            for r in 0..geom.rows {
                let row = (op.src + g * geom.spad_stride + r) as usize;
                let to =
                    op.dst + u64::from(g) * geom.dram_stride + u64::from(r) * u64::from(geom.bytes);
                for lane in 0..geom.bytes as usize {
                    self.set_dram(to + lane as u64, self.get(row, lane));
                }
            }
        }
    }

    pub(super) fn move_bytes(&mut self, op: &VpuMove, stride: &VpuStride) {
        for [i, j] in steps(op.outer, op.inner) {
            let src = self.address(op.src, op.src_lane, i * stride.src0 + j * stride.src1);
            let dst = self.address(op.dst, op.dst_lane, i * stride.dst0 + j * stride.dst1);
            for k in 0..op.len as usize {
                self.set(0, dst + k, self.get(0, src + k));
            }
        }
    }

    pub(super) fn fill(&mut self, op: &VpuFill, stride: &VpuStride) {
        for [i, j] in steps(op.outer, op.inner) {
            let dst = self.address(op.dst, op.dst_lane, i * stride.dst0 + j * stride.dst1);
            for k in 0..op.len as usize {
                self.set(0, dst + k, constant(op.value as i8));
            }
        }
    }

    /// Byte address in the scratchpad; outside of it, an address that no byte has.
    fn address(&self, row: u32, lane: u32, offset: i32) -> usize {
        let at = row as usize * self.lanes + lane as usize;
        at.checked_add_signed(offset as isize).unwrap_or(usize::MAX / 2)
    }
}

fn steps(outer: u32, inner: u32) -> impl Iterator<Item = [i32; 2]> {
    (0..outer.cast_signed()).flat_map(move |i| (0..inner.cast_signed()).map(move |j| [i, j]))
}

/// The byte that a load writes to a lane from a packed row.
fn unpacked(packed: &[u8], lane: usize, elems: usize, bits: usize) -> i8 {
    let element = |index: usize| {
        if index >= elems {
            return 0;
        }
        let (byte, shift) = (index * bits / 8, index * bits % 8);
        let next = packed.get(byte + 1).copied().unwrap_or(0);
        let value = (u16::from_le_bytes([packed[byte], next]) >> shift) as u8;
        (value << (8 - bits)).cast_signed() >> (8 - bits)
    };
    if bits <= 4 { element(2 * lane) & 0xf | element(2 * lane + 1) << 4 } else { element(lane) }
}
