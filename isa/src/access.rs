//! Which memory an instruction touches, and whether it is legal taken by itself.
//!
//! Bank ports in the timing cores, semaphores in the compiler, the race proof of the verifier and the guard of the reference
//! interpreter all ask the same question; this is the only answer. It depends on the word, on the register page it names
//! and on the machine, never on values. An instruction for which [`access`] gives an answer can be executed without any further
//! check, apart from the size of DRAM, which belongs to the program ([`check_dram`]).
//!
//! Addresses are complete but not always minimal: a window declares the bounding rectangle of its taps in the region, as the
//! timing rules count it, although strides may skip rows of it; a pooling average by count declares every entry between
//! the least and the most valid taps. All else is exact.

mod array;
mod error;
mod pages;
mod strided;
mod transfer;
mod vector;
mod window;

#[cfg(test)]
mod tests;

pub use error::AccessError;
pub use pages::Pages;
pub use strided::Strided;
pub use window::WindowAxis;

use crate::hardware::Hardware;
use crate::inst::{Inst, Op, encode};

/// Bytes of a table slot of the vector engine.
pub const TABLE_BYTES: u32 = 2048;

/// Bytes of a 256-entry table of 8-bit results.
pub const LUT8_BYTES: u32 = 256;

/// Bytes of a table of 513 nodes of 16 bits.
pub const LUT16_BYTES: u32 = 2 * crate::numerics::LUT16_NODES as u32;

/// Bytes of the table of 256 exponentials of 32 bits.
pub const EXP_BYTES: u32 = 4 * 256;

/// A memory of the machine, with what an address counts in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    /// The scratchpad, in rows of `array_rows` bytes.
    Spad,
    /// An accumulator bank, in rows of `array_cols` words.
    Acc(u32),
    /// A parameter slot, in entries.
    Params(u32),
    /// A table slot, in bytes.
    Table(u32),
    /// DRAM, in bytes.
    Dram,
}

/// What an instruction uses an access for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// Source of a load in DRAM.
    LoadRead,
    /// Destination of a load: scratchpad, parameter slot or table slot.
    LoadWrite,
    /// Activations of the systolic array.
    MxuAct,
    /// Weights of the systolic array.
    MxuWeights,
    /// Accumulators, written by the array and, when it adds, read.
    MxuSums,
    /// Accumulators, read by the vector engine.
    VpuSums,
    /// Operand `a` of the vector engine (source of a move).
    VpuA,
    /// Operand `b` of the vector engine.
    VpuB,
    /// Depthwise weights.
    VpuWeights,
    /// Requantization parameters.
    VpuParams,
    /// Lookup table.
    VpuTable,
    /// Result of the vector engine.
    VpuWrite,
    /// Source of a store in the scratchpad.
    StoreRead,
    /// Destination of a store in DRAM.
    StoreWrite,
}

/// One set of addresses that an instruction reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// What for.
    pub stream: Stream,
    /// Memory.
    pub space: Space,
    /// Written instead of read.
    pub write: bool,
    /// Addresses.
    pub rows: Strided,
}

impl Access {
    /// Scratchpad banks whose port the access takes, bit `b` for bank `b`: all from the bank of its lowest to the bank of its highest
    /// row (rule T9 of `docs/timing.md`). 0 for other memories.
    pub fn banks(&self, hardware: &Hardware) -> u64 {
        if self.space != Space::Spad {
            return 0;
        }
        let bounds = self.rows.bounds();
        let bank = |row: i64| (row / i64::from(hardware.rows_per_bank().max(1))).clamp(0, 63);
        let (first, last) = (bank(bounds.start), bank(bounds.end - 1));
        u64::MAX >> (63 - last) & (u64::MAX << first)
    }

    /// Whether the two touch a common address and at least one of them writes it. Exact in the sense of [`Strided::overlaps`].
    pub fn conflicts_with(&self, other: &Access) -> bool {
        self.space == other.space && (self.write || other.write) && self.rows.overlaps(&other.rows)
    }

    fn read(stream: Stream, space: Space, rows: Strided) -> Access {
        Access { stream, space, write: false, rows }
    }

    fn write(stream: Stream, space: Space, rows: Strided) -> Access {
        Access { stream, space, write: true, rows }
    }
}

/// Every access of a word, given the register pages as the earlier words of its engine left them. Register words, `sync` and
/// `halt` have none. `hardware` must be [valid](Hardware::validate). Operands that a word does not read (`b` with a multiplier of 0, windows wholly in the padding) have none.
///
/// # Errors
/// When the word is not legal by itself: fields that have no encoding, registers never written, zero extents, ranges that leave
/// a memory of `hardware`, a result that overlaps an operand, widths or saturation bounds that do not fit the result.
pub fn access(inst: &Inst, pages: &Pages, hardware: &Hardware) -> Result<Vec<Access>, AccessError> {
    encode(inst)?;
    let accesses = match &inst.op {
        Op::Halt(_)
        | Op::Sync(_)
        | Op::LoadGeom(_)
        | Op::StoreGeom(_)
        | Op::MxuKernel(_)
        | Op::MxuInput(_) => vec![],
        Op::VpuIn(_) | Op::VpuSide(_) | Op::VpuOut(_) | Op::VpuKernel(_) => vec![],
        Op::VpuQuant(_) | Op::VpuScale(_) | Op::VpuStride(_) => vec![],
        Op::Load(op) => transfer::load(op, pages, hardware)?,
        Op::LoadParams(op) => transfer::load_params(op, hardware)?,
        Op::LoadTable(op) => transfer::load_table(op)?,
        Op::Store(op) => transfer::store(op, pages, hardware)?,
        Op::MxuConv(op) => array::conv(op, pages, hardware)?,
        Op::VpuDrain(op) => vector::drain(op, pages, hardware)?,
        Op::VpuDepthwise(op) => vector::depthwise(op, pages, hardware)?,
        Op::VpuPool(op) => vector::pool(op, pages)?,
        Op::VpuAdd(op) => vector::add(op, pages)?,
        Op::VpuMul(op) => vector::mul(op, pages)?,
        Op::VpuMax(op) => vector::max(op, pages)?,
        Op::VpuPrelu(op) => vector::prelu(op, pages, hardware)?,
        Op::VpuLut(op) => vector::lut(op, pages)?,
        Op::VpuSoftmax(op) => vector::softmax(op, pages, hardware)?,
        Op::VpuMove(op) => vector::move_bytes(op, pages, hardware)?,
        Op::VpuFill(op) => vector::fill(op, pages, hardware)?,
    };
    for access in &accesses {
        let limit = match access.space {
            Space::Spad => hardware.scratchpad_rows().into(),
            Space::Acc(_) => hardware.acc_rows.into(),
            Space::Params(_) => hardware.param_entries.into(),
            Space::Table(_) => TABLE_BYTES.into(),
            Space::Dram => i64::MAX,
        };
        within(access, limit)?;
    }
    Ok(accesses)
}

/// Checks that the DRAM ranges among `accesses` lie in the first `dram_bytes` bytes.
///
/// # Errors
/// The first range that does not.
pub fn check_dram(accesses: &[Access], dram_bytes: u64) -> Result<(), AccessError> {
    let limit = i64::try_from(dram_bytes).unwrap_or(i64::MAX);
    accesses
        .iter()
        .filter(|access| access.space == Space::Dram)
        .try_for_each(|access| within(access, limit))
}

fn within(access: &Access, limit: i64) -> Result<(), AccessError> {
    let bounds = access.rows.bounds();
    if bounds.start >= 0 && bounds.end <= limit {
        return Ok(());
    }
    let Access { stream, space, .. } = *access;
    Err(AccessError::Outside { stream, space, low: bounds.start, high: bounds.end, limit })
}

/// Checks a field against the values that make sense on the machine.
fn expect(
    field: &'static str,
    found: impl Into<i64>,
    min: i64,
    max: impl Into<i64>,
) -> Result<(), AccessError> {
    let (found, max) = (found.into(), max.into());
    if (min..=max).contains(&found) {
        Ok(())
    } else {
        Err(AccessError::Field { field, found, min, max })
    }
}

/// Checks several extents that must not be 0.
fn positive<const N: usize>(fields: [(&'static str, u32); N]) -> Result<(), AccessError> {
    fields.into_iter().try_for_each(|(field, found)| expect(field, found, 1, u32::MAX))
}
