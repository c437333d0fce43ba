//! Accesses of the load and store engines.

use crate::hardware::Hardware;
use crate::instructions::{Load, LoadParams, LoadTable, Store};

use super::{Access, AccessError, Pages, Space, Stream, Strided, TABLE_BYTES, expect, positive};

/// `count` runs of `rows` scratchpad rows and of `run_bytes` DRAM bytes.
struct Runs {
    count: u32,
    rows: u32,
    spad: u32,
    spad_stride: u32,
    dram: u64,
    dram_stride: u64,
    run_bytes: i64,
}

impl Runs {
    fn rows(&self) -> Strided {
        Strided::run(self.spad.into(), self.rows.into()).repeat(self.count, self.spad_stride.into())
    }

    fn bytes(&self) -> Strided {
        // Encoded addresses have 36 bits and strides 32.
        Strided::run(self.dram.cast_signed(), self.run_bytes)
            .repeat(self.count, self.dram_stride.cast_signed())
    }
}

pub(super) fn load(
    op: &Load,
    pages: &Pages,
    hardware: &Hardware,
) -> Result<Vec<Access>, AccessError> {
    let geom = pages.load_geom(op.page)?;
    positive([("count", op.count), ("load.geom rows", geom.rows)])?;
    expect("load.geom bits", geom.bits, 2, 8)?;
    let widest = hardware.array_rows * if geom.bits <= 4 { 2 } else { 1 };
    expect("load.geom elems", geom.elems, 1, widest)?;
    let row_bytes = (geom.elems * geom.bits).div_ceil(8);
    let runs = Runs {
        count: op.count,
        rows: geom.rows,
        spad: op.dst,
        spad_stride: geom.spad_stride,
        dram: op.src,
        dram_stride: geom.dram_stride,
        run_bytes: i64::from(geom.rows) * i64::from(row_bytes),
    };
    Ok(vec![
        Access::read(Stream::LoadRead, Space::Dram, runs.bytes()),
        injective(Access::write(Stream::LoadWrite, Space::Spad, runs.rows()))?,
    ])
}

pub(super) fn load_params(
    op: &LoadParams,
    hardware: &Hardware,
) -> Result<Vec<Access>, AccessError> {
    positive([("count", op.count)])?;
    let bytes = i64::from(op.count) * i64::from(hardware.param_entry_bytes());
    let entries = Strided::run(op.base.into(), op.count.into());
    Ok(vec![
        Access::read(Stream::LoadRead, Space::Dram, Strided::run(op.src.cast_signed(), bytes)),
        Access::write(Stream::LoadWrite, Space::Params(op.slot), entries),
    ])
}

pub(super) fn load_table(op: &LoadTable) -> Result<Vec<Access>, AccessError> {
    expect("bytes", op.bytes, 1, TABLE_BYTES)?;
    let bytes = i64::from(op.bytes);
    Ok(vec![
        Access::read(Stream::LoadRead, Space::Dram, Strided::run(op.src.cast_signed(), bytes)),
        Access::write(Stream::LoadWrite, Space::Table(op.slot), Strided::run(0, bytes)),
    ])
}

pub(super) fn store(
    op: &Store,
    pages: &Pages,
    hardware: &Hardware,
) -> Result<Vec<Access>, AccessError> {
    let geom = pages.store_geom(op.page)?;
    positive([("count", op.count), ("store.geom rows", geom.rows)])?;
    expect("store.geom bytes", geom.bytes, 1, hardware.array_rows)?;
    let runs = Runs {
        count: op.count,
        rows: geom.rows,
        spad: op.src,
        spad_stride: geom.spad_stride,
        dram: op.dst,
        dram_stride: geom.dram_stride,
        run_bytes: i64::from(geom.rows) * i64::from(geom.bytes),
    };
    Ok(vec![
        Access::read(Stream::StoreRead, Space::Spad, runs.rows()),
        injective(Access::write(Stream::StoreWrite, Space::Dram, runs.bytes()))?,
    ])
}

/// A result must not overwrite parts of itself: which of them remains would be an accident of timing.
pub(super) fn injective(access: Access) -> Result<Access, AccessError> {
    if access.rows.is_plainly_injective() {
        Ok(access)
    } else {
        Err(AccessError::SelfOverlap { stream: access.stream })
    }
}
