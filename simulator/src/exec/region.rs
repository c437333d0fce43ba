//! Where a tensor lies in the scratchpad.

use isa::instructions::{MxuInput, VpuIn, VpuOut, VpuSide};
use isa::program::TileNote;

/// Address arithmetic of a tensor in the scratchpad: channel blocks, image rows, pixels, planes. All in scratchpad rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    /// Row of pixel (0, 0), block 0.
    pub(crate) first: u32,
    /// Distance of image rows.
    pub(crate) row_stride: u32,
    /// Distance of channel blocks.
    pub(crate) block_stride: u32,
    /// Distance of pixels: 1, or 0 for one pixel that serves the whole image row.
    pub(crate) x_stride: u32,
    /// Distance from the high to the low bytes of a 16-bit tensor.
    pub(crate) plane_stride: Option<u32>,
    /// Whether lane 0 of block 0 serves all channels.
    pub(crate) one_lane: bool,
}

impl Region {
    /// The region of an operand of the systolic array.
    pub(crate) fn array(act: u32, regs: &MxuInput, wide: bool) -> Region {
        Region {
            first: act,
            row_stride: regs.row_stride,
            block_stride: regs.block_stride,
            x_stride: 1,
            plane_stride: wide.then_some(regs.plane_stride),
            one_lane: false,
        }
    }

    /// Operand `a` of the vector engine.
    pub(crate) fn operand(a: u32, regs: &VpuIn) -> Region {
        Region {
            first: a,
            row_stride: regs.row_stride,
            block_stride: regs.block_stride,
            x_stride: 1,
            plane_stride: regs.wide.then_some(regs.plane_stride),
            one_lane: false,
        }
    }

    /// Operand `b` of the vector engine.
    pub(crate) fn side(b: u32, regs: &VpuSide) -> Region {
        Region {
            first: b,
            row_stride: regs.row_stride,
            block_stride: regs.block_stride,
            x_stride: regs.x_stride,
            plane_stride: regs.wide.then_some(regs.plane_stride),
            one_lane: regs.lane_broadcast,
        }
    }

    /// Result of the vector engine.
    pub(crate) fn result(dst: u32, regs: &VpuOut) -> Region {
        Region {
            first: dst,
            row_stride: regs.row_stride,
            block_stride: regs.block_stride,
            x_stride: 1,
            plane_stride: regs.wide.then_some(regs.plane_stride),
            one_lane: false,
        }
    }

    /// A noted piece of a tensor.
    pub(crate) fn noted(note: &TileNote, wide: bool) -> Region {
        Region {
            first: note.row,
            row_stride: note.row_stride,
            block_stride: note.block_stride,
            x_stride: 1,
            plane_stride: wide.then_some(note.plane_stride),
            one_lane: false,
        }
    }

    /// Row of the (high) bytes of pixel `(y, x)` in channel block `block`.
    pub(crate) fn row(&self, block: u32, y: u32, x: u32) -> u32 {
        let block = if self.one_lane { 0 } else { block };
        self.first + block * self.block_stride + y * self.row_stride + x * self.x_stride
    }

    /// Lane in which the element of lane `lane` is found.
    pub(crate) fn lane(&self, lane: u32) -> u32 {
        if self.one_lane { 0 } else { lane }
    }
}
