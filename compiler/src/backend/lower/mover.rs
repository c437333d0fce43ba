//! The data mover: copies and fills of one tile, collected so that the last word carries the note.

use isa::hardware::Hardware;
use isa::inst::{Engine, Op};
use isa::instructions::{VpuFill, VpuMove, VpuStride};
use isa::program::{Class, TileNote};

use crate::backend::BackendError;
use crate::backend::emitter::Emitter;
use crate::backend::geometry::Rect;
use crate::backend::operand::View;

use super::copies::Group;

/// The view of one byte plane.
pub(super) fn plane_view(view: &View, plane: usize) -> View {
    View { row: view.row + plane * view.plane_stride, ..*view }
}

/// Mover words of one tile, written out together so that the last carries the note.
pub(super) struct Mover {
    lanes: usize,
    words: Vec<(VpuStride, Op)>,
}

impl Mover {
    pub(super) fn new(hw: &Hardware) -> Mover {
        Mover { lanes: hw.array_rows as usize, words: Vec::new() }
    }

    /// Sets all channels of a tile to one byte, row by row.
    pub(super) fn fill_tile(&mut self, out: &View, tile: Rect, channels: usize, value: i8) {
        for block in 0..channels.div_ceil(self.lanes) {
            let stride = VpuStride {
                page: 0,
                src0: 0,
                src1: 0,
                dst0: (out.row_stride * self.lanes) as i32,
                dst1: self.lanes as i32,
            };
            let fill = VpuFill {
                page: 0,
                dst: (out.row + block * out.block_stride) as u32,
                dst_lane: 0,
                outer: tile.h() as u32,
                inner: tile.w() as u32,
                len: self.lanes.min(channels - block * self.lanes) as u32,
                value: i32::from(value),
            };
            self.words.push((stride, fill.into()));
        }
    }

    /// Copies `len` lanes of `h x w` pixels from lane `from.1` of view `from.0` to lane `to.1` of view `to.0`.
    pub(super) fn copy_lanes(
        &mut self,
        from: (&View, usize),
        to: (&View, usize),
        pixels: Rect,
        len: usize,
    ) {
        let ((src, src_lane), (dst, dst_lane)) = (from, to);
        let stride = VpuStride {
            page: 0,
            src0: (src.row_stride * self.lanes) as i32,
            src1: self.lanes as i32,
            dst0: (dst.row_stride * self.lanes) as i32,
            dst1: self.lanes as i32,
        };
        let copy = VpuMove {
            page: 0,
            src: src.row as u32,
            src_lane: src_lane as u32,
            dst: dst.row as u32,
            dst_lane: dst_lane as u32,
            outer: pixels.h() as u32,
            inner: pixels.w() as u32,
            len: len as u32,
        };
        self.words.push((stride, copy.into()));
    }

    /// Copies affine groups of byte runs.
    pub(super) fn copy_groups(&mut self, groups: &[Group]) {
        for g in groups {
            let stride = VpuStride {
                page: 0,
                src0: g.src0 as i32,
                src1: g.src1 as i32,
                dst0: g.dst0 as i32,
                dst1: g.dst1 as i32,
            };
            let copy = VpuMove {
                page: 0,
                src: (g.src / self.lanes) as u32,
                src_lane: (g.src % self.lanes) as u32,
                dst: (g.dst / self.lanes) as u32,
                dst_lane: (g.dst % self.lanes) as u32,
                outer: g.outer as u32,
                inner: g.inner as u32,
                len: g.len as u32,
            };
            self.words.push((stride, copy.into()));
        }
    }

    pub(super) fn flush(self, e: &mut Emitter<'_>, note: TileNote) -> Result<(), BackendError> {
        let n = self.words.len();
        for (i, (stride, op)) in self.words.into_iter().enumerate() {
            let page = e.stream.registers(Engine::Vpu, &[stride.into()]);
            let op: Op = match op {
                Op::VpuMove(m) => VpuMove { page, ..m }.into(),
                Op::VpuFill(f) => VpuFill { page, ..f }.into(),
                other => {
                    return Err(BackendError::Internal(format!(
                        "`{}` is not a mover word",
                        other.mnemonic()
                    )));
                }
            };
            e.stream.push_noted(Engine::Vpu, op, Class::None, (i + 1 == n).then_some(note));
        }
        Ok(())
    }
}
