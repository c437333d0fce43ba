//! Reference for the data mover.

use isa::instructions::{VpuFill, VpuMove, VpuStride};

use crate::memory::Memory;

/// Byte address of run `(i, j)`; a legal instruction's are never negative.
pub(super) fn address(
    row: u32,
    lane: u32,
    lanes: u32,
    [i, j]: [u32; 2],
    strides: [i32; 2],
) -> usize {
    let first = i64::from(row) * i64::from(lanes) + i64::from(lane);
    let at = first + i64::from(i) * i64::from(strides[0]) + i64::from(j) * i64::from(strides[1]);
    usize::try_from(at).expect("a legal run begins inside the scratchpad")
}

/// Row and lane of a byte address.
fn split(address: usize, lanes: u32) -> (u32, u32) {
    let address = u32::try_from(address).expect("the scratchpad has fewer than 2^32 bytes");
    (address / lanes, address % lanes)
}

pub(super) fn move_bytes(op: &VpuMove, stride: &VpuStride, memory: &mut Memory) {
    let lanes = memory.lanes();
    for i in 0..op.outer {
        for j in 0..op.inner {
            let src = address(op.src, op.src_lane, lanes, [i, j], [stride.src0, stride.src1]);
            let dst = address(op.dst, op.dst_lane, lanes, [i, j], [stride.dst0, stride.dst1]);
            for k in 0..op.len as usize {
                let (row, lane) = split(src + k, lanes);
                let byte = memory.byte(row, lane);
                let (row, lane) = split(dst + k, lanes);
                memory.set_byte(row, lane, byte);
            }
        }
    }
}

pub(super) fn fill(op: &VpuFill, stride: &VpuStride, memory: &mut Memory) {
    let lanes = memory.lanes();
    for i in 0..op.outer {
        for j in 0..op.inner {
            let dst = address(op.dst, op.dst_lane, lanes, [i, j], [stride.dst0, stride.dst1]);
            for k in 0..op.len as usize {
                let (row, lane) = split(dst + k, lanes);
                memory.set_byte(row, lane, op.value.to_le_bytes()[0].cast_signed());
            }
        }
    }
}
