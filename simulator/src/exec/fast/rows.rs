//! Image rows of a tensor in the scratchpad: `tw` pixels of `R` lanes that lie one behind the other.

use crate::exec::region::Region;
use crate::memory::Memory;

/// The (high) bytes of the image row that begins at scratchpad row `row`.
pub(super) fn bytes(memory: &Memory, row: u32, pixels: u32) -> &[i8] {
    let start = memory.row_start(row);
    &memory.spad[start..start + pixels as usize * memory.lanes() as usize]
}

pub(super) fn bytes_mut(memory: &mut Memory, row: u32, pixels: u32) -> &mut [i8] {
    let (start, len) = (memory.row_start(row), pixels as usize * memory.lanes() as usize);
    &mut memory.spad[start..start + len]
}

/// Appends the elements of one image row of a tensor, 8 or 16 bits, repeated over pixels and lanes where the region says so.
pub(super) fn read(
    memory: &Memory,
    region: &Region,
    [block, y]: [u32; 2],
    pixels: u32,
    out: &mut Vec<i32>,
) {
    let first = region.row(block, y, 0);
    let distinct = if region.x_stride == 0 { 1 } else { pixels };
    let start = out.len();
    let high = bytes(memory, first, distinct);
    match region.plane_stride {
        None => out.extend(high.iter().map(|&byte| i32::from(byte))),
        Some(plane) => {
            let low = bytes(memory, first + plane, distinct);
            let join =
                |(&high, &low): (&i8, &i8)| i32::from(high) << 8 | i32::from(low.cast_unsigned());
            out.extend(high.iter().zip(low).map(join));
        }
    }
    let lanes = memory.lanes() as usize;
    if region.one_lane {
        for pixel in out[start..].chunks_exact_mut(lanes) {
            pixel.fill(pixel[0]);
        }
    }
    for _ in distinct..pixels {
        out.extend_from_within(start..start + lanes);
    }
}

/// Writes one image row of a tensor.
pub(super) fn write(
    memory: &mut Memory,
    region: &Region,
    [block, y]: [u32; 2],
    pixels: u32,
    values: &[i32],
) {
    let first = region.row(block, y, 0);
    let part = |byte: usize| move |value: &i32| value.to_le_bytes()[byte].cast_signed();
    let assign = |memory: &mut Memory, row, byte| {
        for (lane, value) in
            bytes_mut(memory, row, pixels).iter_mut().zip(values.iter().map(part(byte)))
        {
            *lane = value;
        }
    };
    match region.plane_stride {
        None => assign(memory, first, 0),
        Some(plane) => {
            assign(memory, first, 1);
            assign(memory, first + plane, 0);
        }
    }
}
