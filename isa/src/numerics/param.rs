//! Per-channel parameters as they lie in DRAM: bias, multiplier and shift of one output channel.
//!
//! A narrow entry has 8 bytes and serves 32-bit accumulators with multipliers of up to 26 bits; wider machines use 16
//! bytes. Both are little endian.
//!
//! | layout | bias | multiplier | shift | zero |
//! | --- | --- | --- | --- | --- |
//! | narrow (`u64`) | bits 0..32, signed | bits 32..58 | bits 58..64 | - |
//! | wide (`u128`) | bits 0..64, signed | bits 64..96 | bits 96..102 | bits 102..128 |

use super::{NumericsError, Requant};

/// Multiplier bits of a narrow entry.
pub const NARROW_MULTIPLIER_BITS: u8 = 26;

/// Bias bits of a narrow entry.
pub const NARROW_BIAS_BITS: u8 = 32;

/// Parameters of one output channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParamEntry {
    /// `B'`: bias with the input zero point folded in.
    pub bias: i64,
    /// Multiplier and shift.
    pub requant: Requant,
}

/// Size and bit fields of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamLayout {
    /// 8 bytes: 32-bit bias, 26-bit multiplier.
    Narrow,
    /// 16 bytes: 64-bit bias, 31-bit multiplier.
    Wide,
}

impl ParamLayout {
    /// The layout of a machine with these widths.
    #[must_use]
    pub const fn for_widths(acc_bits: u32, multiplier_bits: u32) -> Self {
        let narrow =
            acc_bits <= NARROW_BIAS_BITS as u32 && multiplier_bits <= NARROW_MULTIPLIER_BITS as u32;
        if narrow { ParamLayout::Narrow } else { ParamLayout::Wide }
    }

    /// Bytes of one entry: 8 or 16.
    #[must_use]
    pub const fn entry_bytes(self) -> usize {
        match self {
            ParamLayout::Narrow => 8,
            ParamLayout::Wide => 16,
        }
    }

    /// Appends one entry to `out`.
    ///
    /// # Errors
    /// When a field does not hold its value; nothing is appended then.
    pub fn pack(self, entry: &ParamEntry, out: &mut Vec<u8>) -> Result<(), NumericsError> {
        let Requant { multiplier, shift } = entry.requant;
        Requant::new(multiplier, shift)?;
        match self {
            ParamLayout::Narrow => {
                let bias = i32::try_from(entry.bias).map_err(|_| NumericsError::BiasTooWide {
                    bias: entry.bias,
                    bits: NARROW_BIAS_BITS,
                })?;
                if multiplier >> NARROW_MULTIPLIER_BITS != 0 {
                    let bits = NARROW_MULTIPLIER_BITS;
                    return Err(NumericsError::MultiplierTooWide { multiplier, bits });
                }
                let high = multiplier | u32::from(shift) << NARROW_MULTIPLIER_BITS;
                out.extend(bias.to_le_bytes());
                out.extend(high.to_le_bytes());
            }
            ParamLayout::Wide => {
                out.extend(entry.bias.to_le_bytes());
                out.extend(multiplier.to_le_bytes());
                out.extend(u32::from(shift).to_le_bytes());
            }
        }
        Ok(())
    }

    /// Reads one entry from exactly [`entry_bytes`](Self::entry_bytes) bytes.
    ///
    /// # Errors
    /// When the length is wrong, the shift is above 62, the multiplier is 2^31 or more, or a reserved bit is set.
    pub fn unpack(self, bytes: &[u8]) -> Result<ParamEntry, NumericsError> {
        let wrong_length =
            |_| NumericsError::EntryLength { found: bytes.len(), expected: self.entry_bytes() };
        match self {
            ParamLayout::Narrow => {
                let word = u64::from_le_bytes(bytes.try_into().map_err(wrong_length)?);
                let [low, high] = [low_word(word), low_word(word >> 32)];
                let multiplier = high & ((1 << NARROW_MULTIPLIER_BITS) - 1);
                let requant =
                    Requant::new(multiplier, shift_field(high >> NARROW_MULTIPLIER_BITS))?;
                Ok(ParamEntry { bias: i64::from(low.cast_signed()), requant })
            }
            ParamLayout::Wide => {
                let word = u128::from_le_bytes(bytes.try_into().map_err(wrong_length)?);
                let low = u64::try_from(word & u128::from(u64::MAX)).expect("masked to 64 bits");
                let high = u64::try_from(word >> 64).expect("64 bits remain");
                let tail = low_word(high >> 32);
                if tail >> 6 != 0 {
                    return Err(NumericsError::ReservedBits { bits: tail >> 6 });
                }
                let requant = Requant::new(low_word(high), shift_field(tail))?;
                Ok(ParamEntry { bias: low.cast_signed(), requant })
            }
        }
    }
}

/// Bits 0..32 of a word.
fn low_word(word: u64) -> u32 {
    u32::try_from(word & u64::from(u32::MAX)).expect("masked to 32 bits")
}

/// A shift field; its six bits fit.
fn shift_field(bits: u32) -> u8 {
    u8::try_from(bits).expect("at most six bits")
}
