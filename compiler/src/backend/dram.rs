//! The DRAM map: network inputs and outputs, spilled tensors, constants, code; in that order, aligned to bursts.

use std::collections::BTreeMap;

use ir::qgraph::{QGraph, ValueId};
use isa::hardware::Hardware;

use super::geometry::{blocks, planes};

/// Addresses of tensors in DRAM.
#[derive(Clone, Debug)]
pub(crate) struct DramMap {
    /// First byte of each value that has a place in DRAM.
    pub tensors: Vec<Option<u64>>,
    /// First byte behind all tensors: where constants begin.
    pub end: u64,
}

/// Gives every value for which `wanted` says so a place in DRAM.
pub(crate) fn map_tensors(
    graph: &QGraph,
    hw: &Hardware,
    wanted: impl Fn(ValueId) -> bool,
) -> DramMap {
    let mut tensors = vec![None; graph.values.len()];
    let mut end = 0;
    for (i, value) in graph.values.iter().enumerate() {
        if wanted(ValueId(i as u32)) {
            tensors[i] = Some(end);
            let bytes = planes(value.dtype) * value.shape.h * value.shape.w * value.shape.c;
            end = align(end + bytes as u64, hw);
        }
    }
    DramMap { tensors, end }
}

/// Rounds up to a whole burst, and to 64 bytes.
pub(crate) fn align(bytes: u64, hw: &Hardware) -> u64 {
    bytes.next_multiple_of(u64::from(hw.dram_burst_bytes).max(64))
}

/// Byte offset of pixel `(y, x)` of channel block `block` in plane `plane` of a value, and the bytes of one pixel of that block.
pub(crate) fn pixel_offset(
    graph: &QGraph,
    value: ValueId,
    lanes: usize,
    plane: usize,
    block: usize,
    y: usize,
    x: usize,
) -> (u64, usize) {
    let shape = graph.values[value.0 as usize].shape;
    let area = shape.h * shape.w;
    let width = lanes.min(shape.c - block * lanes);
    let offset = plane * area * shape.c + block * lanes * area + (y * shape.w + x) * width;
    debug_assert!(block < blocks(shape.c, lanes));
    (offset as u64, width)
}

/// What a run of constants is, so that it is stored once however often it is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ConstantKey {
    /// Weights of a step, by channel group and first channel block.
    Weights {
        /// Step.
        step: usize,
        /// Output channel group.
        group: usize,
        /// First input channel block.
        block: usize,
    },
    /// Parameter entries of a step, by first channel.
    Params {
        /// Step.
        step: usize,
        /// First channel.
        channel: usize,
    },
    /// The table of a step.
    Table {
        /// Step.
        step: usize,
    },
}

/// Constants in DRAM order.
#[derive(Clone, Debug)]
pub(crate) struct Constants {
    /// First byte in DRAM.
    pub base: u64,
    /// Bytes so far.
    pub bytes: Vec<u8>,
    places: BTreeMap<ConstantKey, u64>,
    align: usize,
}

impl Constants {
    /// An empty section at `base`.
    pub(crate) fn new(base: u64, hw: &Hardware) -> Constants {
        Constants {
            base,
            bytes: Vec::new(),
            places: BTreeMap::new(),
            align: hw.dram_burst_bytes.max(64) as usize,
        }
    }

    /// Step and address of every run of weights, in the order of step, channel group and first channel block.
    pub(crate) fn weights(&self) -> impl Iterator<Item = (usize, u64)> {
        self.places.iter().filter_map(|(key, &at)| match *key {
            ConstantKey::Weights { step, .. } => Some((step, at)),
            ConstantKey::Params { .. } | ConstantKey::Table { .. } => None,
        })
    }

    /// Address of a constant, made on first use.
    pub(crate) fn get<E>(
        &mut self,
        key: ConstantKey,
        make: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<u64, E> {
        if let Some(&at) = self.places.get(&key) {
            return Ok(at);
        }
        let at = self.base + self.bytes.len() as u64;
        self.bytes.extend(make()?);
        let padded = self.bytes.len().next_multiple_of(self.align);
        self.bytes.resize(padded, 0);
        self.places.insert(key, at);
        Ok(at)
    }
}
