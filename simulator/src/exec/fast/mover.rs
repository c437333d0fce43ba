//! The data mover, a run at a time.

use isa::instructions::{VpuFill, VpuMove, VpuStride};

use crate::exec::mover::address;
use crate::memory::Memory;

pub(in super::super) fn move_bytes(op: &VpuMove, stride: &VpuStride, memory: &mut Memory) {
    let lanes = memory.lanes();
    for i in 0..op.outer {
        for j in 0..op.inner {
            let src = address(op.src, op.src_lane, lanes, [i, j], [stride.src0, stride.src1]);
            let dst = address(op.dst, op.dst_lane, lanes, [i, j], [stride.dst0, stride.dst1]);
            memory.spad.copy_within(src..src + op.len as usize, dst);
        }
    }
}

pub(in super::super) fn fill(op: &VpuFill, stride: &VpuStride, memory: &mut Memory) {
    let lanes = memory.lanes();
    let [value, ..] = op.value.to_le_bytes();
    for i in 0..op.outer {
        for j in 0..op.inner {
            let dst = address(op.dst, op.dst_lane, lanes, [i, j], [stride.dst0, stride.dst1]);
            memory.spad[dst..dst + op.len as usize].fill(value.cast_signed());
        }
    }
}
