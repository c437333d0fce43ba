//! How a tensor lies in DRAM: the one place where host and machine agree on byte order.
//!
//! The host sees a tensor `[h, w, c]` row-major, channels innermost. The machine moves scratchpad rows of `R` =
//! `array_rows` lanes, so DRAM holds *channel blocks* of `R` channels one after another, each block `[h][w][lanes]`. The
//! last block has only the channels that are left: no padding travels. A 16-bit tensor is two such planes, all signed
//! high bytes first and all unsigned low bytes after them, because the array multiplies them in separate passes.

use thiserror::Error;

/// Why a tensor could not be packed or unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// The host's slice has the wrong number of values.
    #[error("{found} values: expected {expected} for shape {shape:?}")]
    ValueCount {
        /// Values given.
        found: usize,
        /// Values of the shape (saturated at `u64::MAX`).
        expected: u64,
        /// `[h, w, c]`.
        shape: [u32; 3],
    },
    /// The DRAM slice has the wrong number of bytes.
    #[error("{found} bytes: expected {expected} for shape {shape:?}")]
    ByteCount {
        /// Bytes given.
        found: usize,
        /// Bytes of the layout (saturated at `u64::MAX`).
        expected: u64,
        /// `[h, w, c]`.
        shape: [u32; 3],
    },
    /// A value that the tensor's type cannot hold.
    #[error("value {value} at index {index}: expected a signed {bits}-bit integer")]
    ValueRange {
        /// The value.
        value: i32,
        /// Its position in `[h, w, c]` order.
        index: usize,
        /// Bits of the type.
        bits: u8,
    },
    /// Only 8-bit and 16-bit tensors exist.
    #[error("tensor of {bits} bits: expected 8 or 16")]
    Bits {
        /// Bits asked for.
        bits: u8,
    },
    /// A block of no lanes.
    #[error("0 lanes a row: expected at least 1")]
    NoLanes,
}

/// Number of values of a shape; saturates at `u64::MAX`.
#[must_use]
pub const fn value_count(shape: [u32; 3]) -> u64 {
    (shape[0] as u64 * shape[1] as u64).saturating_mul(shape[2] as u64)
}

/// Bytes a tensor of `bits` (8 or 16) takes in DRAM; saturates at `u64::MAX`.
///
/// Independent of the number of lanes, since the last block is not padded.
#[must_use]
pub const fn dram_bytes(shape: [u32; 3], bits: u8) -> u64 {
    value_count(shape).saturating_mul(if bits > 8 { 2 } else { 1 })
}

/// Byte offset of channel block `block` from the start of its plane, for blocks of `lanes` channels; a block past the end
/// starts at the end of the plane. Saturates at `u64::MAX`.
#[must_use]
pub const fn block_offset(shape: [u32; 3], lanes: u32, block: u32) -> u64 {
    let channel = block as u64 * lanes as u64;
    let channel = if channel < shape[2] as u64 { channel } else { shape[2] as u64 };
    (shape[0] as u64 * shape[1] as u64).saturating_mul(channel)
}

/// Channels in channel block `block`: `lanes`, fewer in the last block, 0 past the end.
#[must_use]
pub const fn block_lanes(channels: u32, lanes: u32, block: u32) -> u32 {
    let left = channels as u64 - min(channels as u64, block as u64 * lanes as u64);
    // At most `lanes`, so it fits.
    min(left, lanes as u64) as u32
}

const fn min(a: u64, b: u64) -> u64 {
    if a < b { a } else { b }
}

/// Packs `values` (`[h, w, c]` row-major) into the DRAM form of a `bits`-bit tensor (8 or 16) in blocks of `lanes`.
///
/// # Errors
/// When the number of values does not match the shape, a value does not fit, or `bits` or `lanes` is impossible.
pub fn pack(values: &[i32], shape: [u32; 3], bits: u8, lanes: u32) -> Result<Vec<u8>, LayoutError> {
    let planes = planes(bits, lanes)?;
    let (found, expected) = (values.len(), value_count(shape));
    if found as u64 != expected {
        return Err(LayoutError::ValueCount { found, expected, shape });
    }
    let half = 1 << (bits - 1);
    if let Some(index) = values.iter().position(|v| !(-half..half).contains(v)) {
        return Err(LayoutError::ValueRange { value: values[index], index, bits });
    }
    let mut bytes = vec![0; found * planes];
    for_each_in_dram_order(shape, lanes, |place, index| {
        let [low, high, ..] = values[index].to_le_bytes();
        if planes == 1 {
            bytes[place] = low;
        } else {
            bytes[place] = high;
            bytes[found + place] = low;
        }
    });
    Ok(bytes)
}

/// The inverse of [`pack`]: the values of a tensor, `[h, w, c]` row-major, from its DRAM form.
///
/// # Errors
/// When the number of bytes does not match the shape, or `bits` or `lanes` is impossible.
pub fn unpack(
    bytes: &[u8],
    shape: [u32; 3],
    bits: u8,
    lanes: u32,
) -> Result<Vec<i32>, LayoutError> {
    let planes = planes(bits, lanes)?;
    let (found, expected) = (bytes.len(), dram_bytes(shape, bits));
    if found as u64 != expected {
        return Err(LayoutError::ByteCount { found, expected, shape });
    }
    let count = found / planes;
    let mut values = vec![0; count];
    for_each_in_dram_order(shape, lanes, |place, index| {
        let high = i32::from(bytes[place].cast_signed());
        values[index] =
            if planes == 1 { high } else { high << 8 | i32::from(bytes[count + place]) };
    });
    Ok(values)
}

/// Byte planes of a tensor of `bits`.
fn planes(bits: u8, lanes: u32) -> Result<usize, LayoutError> {
    match (bits, lanes) {
        (_, 0) => Err(LayoutError::NoLanes),
        (8, _) => Ok(1),
        (16, _) => Ok(2),
        _ => Err(LayoutError::Bits { bits }),
    }
}

/// Calls `visit(place in the plane, index in [h, w, c] order)` for every value in the order of DRAM. The caller has
/// compared the shape with the length of a slice, so indices fit.
fn for_each_in_dram_order(shape: [u32; 3], lanes: u32, mut visit: impl FnMut(usize, usize)) {
    if value_count(shape) == 0 {
        return;
    }
    let [pixels, channels] = [shape[0] as usize * shape[1] as usize, shape[2] as usize];
    let mut place = 0;
    for first in (0..channels).step_by(lanes as usize) {
        let last = channels.min(first + lanes as usize);
        for pixel in 0..pixels {
            for channel in first..last {
                visit(place, pixel * channels + channel);
                place += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blocks_are_channel_major_and_the_last_is_narrow() {
        // Two pixels of three channels, two lanes: channels 0, 1 of both pixels, then channel 2 of both.
        let bytes = pack(&[1, 2, 3, 11, 12, -13], [1, 2, 3], 8, 2).unwrap();
        assert_eq!(bytes, [1, 2, 11, 12, 3, 243]);
        assert_eq!(block_offset([1, 2, 3], 2, 1), 4);
        assert_eq!(block_offset([1, 2, 3], 2, 2), 6);
        assert_eq!([0, 1, 2].map(|b| block_lanes(3, 2, b)), [2, 1, 0]);
    }

    #[test]
    fn wide_values_split_into_a_signed_high_and_an_unsigned_low_plane() {
        let bytes = pack(&[0x0102, -1, -32768, 255], [2, 1, 2], 16, 1).unwrap();
        assert_eq!(bytes, [0x01, 0x80, 0xff, 0x00, 0x02, 0x00, 0xff, 0xff]);
    }

    #[test]
    fn wrong_sizes_and_values_are_refused() {
        let shape = [1, 1, 2];
        let count = LayoutError::ValueCount { found: 1, expected: 2, shape };
        assert_eq!(pack(&[1], shape, 8, 4), Err(count));
        let range = LayoutError::ValueRange { value: 128, index: 1, bits: 8 };
        assert_eq!(pack(&[0, 128], shape, 8, 4), Err(range));
        assert_eq!(pack(&[0, 0], shape, 4, 4), Err(LayoutError::Bits { bits: 4 }));
        assert_eq!(pack(&[0, 0], shape, 8, 0), Err(LayoutError::NoLanes));
        let bytes = LayoutError::ByteCount { found: 2, expected: 4, shape };
        assert_eq!(unpack(&[0, 0], shape, 16, 4), Err(bytes));
    }

    #[test]
    fn huge_shapes_do_not_allocate_or_loop() {
        let huge = [u32::MAX; 3];
        assert!(pack(&[], huge, 8, 4).is_err());
        assert!(unpack(&[], huge, 16, 4).is_err());
        assert_eq!(pack(&[], [u32::MAX, u32::MAX, 0], 8, 4), Ok(Vec::new()));
        assert_eq!(dram_bytes(huge, 16), u64::MAX);
    }

    proptest! {
        #[test]
        fn unpack_inverts_pack(
            shape in [1u32..6, 1u32..6, 1u32..20],
            wide: bool,
            lanes in 1u32..9,
            seed: u32,
        ) {
            let bits = if wide { 16 } else { 8 };
            let values: Vec<i32> = (0..value_count(shape))
                .map(|i| {
                    let mixed = seed.wrapping_add(i as u32).wrapping_mul(0x9e37_79b1).cast_signed();
                    mixed >> (32 - bits)
                })
                .collect();
            let bytes = pack(&values, shape, bits as u8, lanes).unwrap();
            prop_assert_eq!(bytes.len() as u64, dram_bytes(shape, bits as u8));
            prop_assert_eq!(unpack(&bytes, shape, bits as u8, lanes).unwrap(), values.clone());
            // Every value lies where `block_offset` says.
            let [_, w, c] = shape;
            for (index, &value) in values.iter().enumerate() {
                let (pixel, channel) = (index as u32 / c, index as u32 % c);
                let (y, x) = (pixel / w, pixel % w);
                let (block, lane) = (channel / lanes, channel % lanes);
                let in_block = (y * w + x) * block_lanes(c, lanes, block) + lane;
                let place = block_offset(shape, lanes, block) + u64::from(in_block);
                let high = i32::from(bytes[place as usize].cast_signed());
                prop_assert_eq!(high, if wide { value >> 8 } else { value });
            }
        }
    }
}
