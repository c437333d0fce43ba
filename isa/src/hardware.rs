//! Hardware parameters: every number that distinguishes one machine from another, in one list.
//!
//! From [the list](params) follow the struct, its TOML form, `--set name=value`, the range checks, the sweep axes of
//! the explorer and the tables of the manual. Parameters marked timing-only may differ between the machine a program
//! was compiled for and the one it is simulated on, because they change when things happen but never a value.

mod check;
mod error;
mod manual;
#[macro_use]
mod list;
pub mod params;
mod presets;
mod text;

pub use check::{CONSTRAINTS, Constraint};
pub use error::HardwareError;
pub use manual::manual;
pub use params::{Hardware, ParamInfo};
pub use presets::PRESETS;

use crate::numerics::param::ParamLayout;

/// Bytes of one instruction word.
const WORD_BYTES: u64 = 16;

/// Scratchpad row addresses have 20 bits.
pub const MAX_SCRATCHPAD_ROWS: u32 = 1 << 20;

/// Widest weights, in bits, that share a processing element two by two.
pub const PACKED_WEIGHT_BITS: u8 = 4;

impl Hardware {
    /// Scratchpad capacity in bytes.
    #[must_use]
    pub fn scratchpad_bytes(&self) -> u64 {
        u64::from(self.scratchpad_kib) * 1024
    }

    /// Bytes of one scratchpad row: one 8-bit element per array row.
    #[must_use]
    pub fn row_bytes(&self) -> u32 {
        self.array_rows
    }

    /// Rows of the whole scratchpad.
    #[must_use]
    pub fn scratchpad_rows(&self) -> u32 {
        let rows = self.scratchpad_bytes() / u64::from(self.row_bytes().max(1));
        u32::try_from(rows).unwrap_or(u32::MAX)
    }

    /// Rows of one scratchpad bank; bank `b` holds rows `b * rows_per_bank ..`.
    #[must_use]
    pub fn rows_per_bank(&self) -> u32 {
        self.scratchpad_rows() / self.scratchpad_banks.max(1)
    }

    /// Layout of a per-channel parameter entry.
    #[must_use]
    pub fn param_layout(&self) -> ParamLayout {
        ParamLayout::for_widths(self.acc_bits, self.multiplier_bits)
    }

    /// Bytes of a per-channel parameter entry: 8 for accumulators of at most 32 bits with multipliers of at most 26
    /// bits, else 16.
    #[must_use]
    pub fn param_entry_bytes(&self) -> u32 {
        match self.param_layout() {
            ParamLayout::Narrow => 8,
            ParamLayout::Wide => 16,
        }
    }
}

/// Rows of the reduction (K) extent that one processing element holds: 2 for weights of at most 4 bits, else 1.
#[must_use]
pub const fn k_rows_per_pe(weight_bits: u8) -> u32 {
    if weight_bits <= PACKED_WEIGHT_BITS { 2 } else { 1 }
}

/// Passes of the activations through the array: 1 for 8-bit activations; 2 for 16-bit ones (high byte, low byte).
#[must_use]
pub const fn activation_passes(activation_bits: u8) -> u32 {
    if activation_bits <= 8 { 1 } else { 2 }
}

#[cfg(test)]
mod tests;
