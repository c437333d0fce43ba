//! What each instruction does to the memories.
//!
//! Each unit exists twice. The reference functions here are the instruction manual turned into loops over single elements: they read
//! and write one address at a time, trap when a partial sum leaves the accumulator, and are watched by the guard. The
//! [`fast`] ones do the same by the row with the kernels of the host runtime. Property tests compare all memories after every
//! instruction. Neither can see a cycle, and no floating point occurs.
#![deny(clippy::float_arithmetic)]

mod array;
mod drain;
mod elementwise;
mod fast;
mod mover;
pub(crate) mod region;
mod table;
mod transfer;
mod window;

#[cfg(test)]
mod tests;

use isa::access::{AccessError, Pages, Space, WindowAxis, access};
use isa::inst::{Inst, Op};
use isa::numerics::{NumericsError, fits};

use crate::memory::Memory;

pub(crate) use fast::Scratch;

/// Which implementation of the instructions to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kernels {
    /// Vector code, a row at a time.
    #[default]
    Fast,
    /// Plain loops that check every partial sum and every address. Slow.
    Reference,
}

/// Why an instruction that is legal by itself could not be executed, or broke a rule while it was.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Trap {
    /// The word is not legal by itself.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A partial sum does not fit the accumulator (reference runs only; fast ones wrap).
    #[error(
        "partial sum {sum} does not fit an accumulator of {bits} bits: the program was compiled without a proof that it does"
    )]
    AccumulatorWrap {
        /// The sum.
        sum: i64,
        /// Width of an accumulator.
        bits: u32,
    },
    /// A parameter entry in DRAM makes no sense.
    #[error("parameter entry {entry}: {source}")]
    Param {
        /// Entry of the slot.
        entry: u32,
        /// What is wrong with it.
        source: NumericsError,
    },
    /// The interpreter touched an address that `isa::access` does not declare: a bug of one of the two.
    #[error("internal error: {} of {space} address {address} is not declared", if *.write { "write" } else { "read" })]
    Undeclared {
        /// Memory.
        space: Space,
        /// Whether it was written.
        write: bool,
        /// Address.
        address: u64,
    },
}

/// Executes one word whose engine's register pages are `pages`, with the fast kernels.
pub(crate) fn execute_fast(
    inst: &Inst,
    pages: &Pages,
    memory: &mut Memory,
    scratch: &mut Scratch,
) -> Result<(), Trap> {
    match &inst.op {
        Op::Load(op) => fast::load(op, pages.load_geom(op.page)?, memory),
        Op::MxuConv(op) => {
            fast::conv(op, pages.mxu_kernel(op.page)?, pages.mxu_input(op.page)?, memory, scratch);
        }
        Op::VpuDrain(op) => fast::drain(op, pages, memory, scratch)?,
        Op::VpuDepthwise(op) => fast::depthwise(op, pages, memory, scratch)?,
        Op::VpuPool(op) => fast::pool(op, pages, memory, scratch)?,
        Op::VpuAdd(op) => fast::add(op, pages, memory, scratch)?,
        Op::VpuMul(op) => fast::mul(op, pages, memory)?,
        Op::VpuMax(op) => fast::max(op, pages, memory)?,
        Op::VpuPrelu(op) => fast::prelu(op, pages, memory)?,
        Op::VpuLut(op) => fast::lut(op, pages, memory)?,
        Op::VpuMove(op) => fast::move_bytes(op, pages.vpu_stride(op.page)?, memory),
        Op::VpuFill(op) => fast::fill(op, pages.vpu_stride(op.page)?, memory),
        Op::Store(op) => fast::store(op, pages.store_geom(op.page)?, memory),
        // The rest costs next to nothing.
        _ => execute_plain(inst, pages, memory)?,
    }
    Ok(())
}

/// Executes one word with the plain loops, comparing every address with the declared accesses.
pub(crate) fn execute_reference(
    inst: &Inst,
    pages: &Pages,
    memory: &mut Memory,
) -> Result<(), Trap> {
    let declared = access(inst, pages, &memory.hardware)?;
    if let Some(guard) = &mut memory.guard {
        guard.begin(&declared);
    }
    execute_plain(inst, pages, memory)?;
    match memory.guard.as_ref().and_then(|guard| guard.violation()) {
        Some(found) => {
            Err(Trap::Undeclared { space: found.space, write: found.write, address: found.address })
        }
        None => Ok(()),
    }
}

fn execute_plain(inst: &Inst, pages: &Pages, memory: &mut Memory) -> Result<(), Trap> {
    match &inst.op {
        Op::Load(op) => transfer::load(op, pages.load_geom(op.page)?, memory),
        Op::LoadParams(op) => transfer::load_params(op, memory)?,
        Op::LoadTable(op) => transfer::load_table(op, memory),
        Op::Store(op) => transfer::store(op, pages.store_geom(op.page)?, memory),
        Op::MxuConv(op) => {
            array::conv(op, pages.mxu_kernel(op.page)?, pages.mxu_input(op.page)?, memory)?
        }
        Op::VpuDrain(op) => drain::drain(op, pages, memory)?,
        Op::VpuDepthwise(op) => window::depthwise(op, pages, memory)?,
        Op::VpuPool(op) => window::pool(op, pages, memory)?,
        Op::VpuAdd(op) => elementwise::add(op, pages, memory)?,
        Op::VpuMul(op) => elementwise::mul(op, pages, memory)?,
        Op::VpuMax(op) => elementwise::max(op, pages, memory)?,
        Op::VpuPrelu(op) => elementwise::prelu(op, pages, memory)?,
        Op::VpuLut(op) => table::lut(op, pages, memory)?,
        Op::VpuSoftmax(op) => table::softmax(op, pages, memory)?,
        Op::VpuMove(op) => mover::move_bytes(op, pages.vpu_stride(op.page)?, memory),
        Op::VpuFill(op) => mover::fill(op, pages.vpu_stride(op.page)?, memory),
        Op::Halt(_)
        | Op::Sync(_)
        | Op::LoadGeom(_)
        | Op::StoreGeom(_)
        | Op::MxuKernel(_)
        | Op::MxuInput(_) => {}
        Op::VpuIn(_) | Op::VpuSide(_) | Op::VpuOut(_) | Op::VpuKernel(_) => {}
        Op::VpuQuant(_) | Op::VpuScale(_) | Op::VpuStride(_) => {}
    }
    Ok(())
}

/// A partial sum, if the accumulator holds it.
fn checked(sum: i64, memory: &Memory) -> Result<i64, Trap> {
    let bits = memory.hardware.acc_bits;
    if fits(sum, u8::try_from(bits).unwrap_or(u8::MAX)) {
        Ok(sum)
    } else {
        Err(Trap::AccumulatorWrap { sum, bits })
    }
}

/// Position of tap `tap` of output `output` along an axis; `None` in the padding.
fn tap_position(axis: &WindowAxis, output: u32, tap: u32) -> Option<u32> {
    let at = i64::from(axis.origin)
        + i64::from(output) * i64::from(axis.step)
        + i64::from(tap) * i64::from(axis.dilation);
    u32::try_from(at).ok().filter(|&at| at < axis.extent)
}
