//! Random words: a tile word of each kind with register words that suit it, small enough that a program is short.
//!
//! Whether a word is legal is not decided here: the caller asks `isa::access` and tries again.

use isa::instructions::{
    Load, LoadGeom, LoadParams, LoadTable, MxuConv, MxuInput, MxuKernel, Store, StoreGeom, VpuAdd,
    VpuDepthwise, VpuDrain, VpuFill, VpuIn, VpuKernel, VpuLut, VpuMax, VpuMove, VpuMul, VpuOut,
    VpuPool, VpuPrelu, VpuQuant, VpuScale, VpuSide, VpuSoftmax, VpuStride,
};
use isa::{Engine, Hardware, Op};

use crate::rng::Rng;

/// A tile word, and the register words to be written before it if its page does not suit it already.
pub(crate) struct Tile {
    /// Register words of the same page.
    pub(crate) registers: Vec<Op>,
    /// The word that reads them.
    pub(crate) word: Op,
}

/// A tile word of an engine; likely legal.
pub(crate) fn tile(rng: &mut Rng, hw: &Hardware, engine: Engine) -> Tile {
    let mut words = Words { hw, page: rng.below(2), shape: Shape::new(rng), rng };
    match engine {
        Engine::Load => words.load(),
        Engine::Mxu => words.conv(),
        Engine::Vpu => words.vector(),
        Engine::Store => words.store(),
    }
}

/// Extents of a tile.
#[derive(Clone, Copy)]
struct Shape {
    th: u32,
    tw: u32,
    blocks: u32,
}

impl Shape {
    fn new(rng: &mut Rng) -> Shape {
        let most = rng.pick(&[2, 3, 5, 8]);
        Shape { th: rng.within(1..=most), tw: rng.within(1..=most), blocks: rng.within(1..=3) }
    }
}

struct Words<'a> {
    rng: &'a mut Rng,
    hw: &'a Hardware,
    page: u32,
    shape: Shape,
}

impl Words<'_> {
    /// Any scratchpad row; the higher ones are less likely, so that tiles often fit and meet.
    fn row(&mut self) -> u32 {
        let rows = self.hw.scratchpad_rows();
        let most = self.rng.pick(&[1, 2, 4]);
        self.rng.below(rows / most)
    }

    fn dram(&mut self) -> u64 {
        u64::from(self.rng.below(1 << 16))
    }

    fn load(&mut self) -> Tile {
        let (page, slot) = (self.page, self.rng.below(2));
        let word = match self.rng.below(8) {
            0 => {
                let count = self.rng.within(1..=16);
                let base = self.rng.below(self.hw.param_entries);
                LoadParams { slot, src: self.dram(), base, count }.into()
            }
            1 => LoadTable { slot, src: self.dram(), bytes: self.rng.within(1..=300) }.into(),
            _ => {
                let bits = self.rng.within(2..=8);
                let widest = self.hw.array_rows * if bits <= 4 { 2 } else { 1 };
                let elems = if self.rng.chance(50) { widest } else { self.rng.within(1..=widest) };
                let (rows, count) = self.runs();
                let run_bytes = rows * (elems * bits).div_ceil(8);
                let spad_stride = rows + self.rng.pick(&[0, 0, 1, 7]);
                let dram_stride = self.stride(run_bytes);
                let registers =
                    vec![LoadGeom { page, rows, elems, bits, spad_stride, dram_stride }.into()];
                let word = Load { page, dst: self.row(), src: self.dram(), count }.into();
                return Tile { registers, word };
            }
        };
        Tile { registers: vec![], word }
    }

    fn store(&mut self) -> Tile {
        let page = self.page;
        let widest = self.hw.array_rows;
        let bytes = if self.rng.chance(50) { widest } else { self.rng.within(1..=widest) };
        let (rows, count) = self.runs();
        let dram_stride = self.stride(rows * bytes);
        let spad_stride = self.rng.below(12);
        Tile {
            registers: vec![StoreGeom { page, rows, bytes, spad_stride, dram_stride }.into()],
            word: Store { page, src: self.row(), dst: self.dram(), count }.into(),
        }
    }

    /// Rows of a run, and runs.
    fn runs(&mut self) -> (u32, u32) {
        let most = self.rng.pick(&[1, 4, 40]);
        (self.rng.within(1..=most), self.rng.within(1..=40 / most))
    }

    /// A distance of runs in DRAM, often such that they touch.
    fn stride(&mut self, run_bytes: u32) -> u64 {
        u64::from(run_bytes + self.rng.pick(&[0, 0, 1, 5, 64]))
    }

    fn conv(&mut self) -> Tile {
        let (page, Shape { th, tw, blocks }) = (self.page, self.shape);
        let rng = &mut *self.rng;
        let cols =
            if rng.chance(50) { self.hw.array_cols } else { rng.within(1..=self.hw.array_cols) };
        let kernel = MxuKernel {
            page,
            kh: rng.within(1..=3),
            kw: rng.within(1..=3),
            sy: rng.within(1..=2),
            sx: rng.within(1..=2),
            dy: rng.within(1..=2),
            dx: rng.within(1..=2),
            cols,
            nibbles: rng.chance(30),
            wide: rng.chance(20),
            pad: rng.signed(-128, 127),
        };
        let (h, w) = (rng.within(1..=9), rng.within(1..=9));
        let input = MxuInput {
            page,
            h,
            w,
            row_stride: w + rng.below(3),
            block_stride: h * w + rng.below(9),
            plane_stride: rng.below(40),
        };
        let conv = MxuConv {
            page,
            acc: rng.below(4),
            bank: rng.below(2),
            th,
            tw,
            iy0: rng.signed(-4, 9),
            ix0: rng.signed(-4, 9),
            blocks,
            add: rng.chance(50),
            act: self.row(),
            wgt: self.row(),
        };
        Tile { registers: vec![kernel.into(), input.into()], word: conv.into() }
    }

    fn vector(&mut self) -> Tile {
        let (page, Shape { th, tw, blocks }) = (self.page, self.shape);
        let (a, b, dst) = (self.row(), self.row(), self.row());
        let (slot, acc, bank) = (self.rng.below(2), self.rng.below(4), self.rng.below(2));
        let (iy0, ix0) = (self.rng.signed(-2, 5), self.rng.signed(-2, 5));
        let base = self.rng.below(16);
        let (quant, scale) = (self.quant(), self.scale());
        let (input, side, out) = (self.input(), self.side(), self.out());
        match self.rng.below(11) {
            0 => {
                let lane = self.rng.below(self.hw.array_rows);
                let cols = self.rng.within(1..=self.hw.array_cols);
                let add = self.rng.chance(50);
                let word =
                    VpuDrain { page, acc, bank, dst, lane, th, tw, cols, slot, base, b, add }
                        .into();
                Tile { registers: vec![out, quant, scale, side], word }
            }
            1 => {
                let word =
                    VpuDepthwise { page, a, dst, th, tw, iy0, ix0, blocks, slot, base }.into();
                Tile { registers: vec![input, out, self.kernel(), quant], word }
            }
            2 => {
                let average = self.rng.chance(50);
                let word =
                    VpuPool { page, a, dst, th, tw, iy0, ix0, blocks, slot, base, average }.into();
                Tile { registers: vec![input, out, self.kernel(), quant], word }
            }
            3 => {
                let word = VpuAdd { page, a, b, dst, th, tw, blocks }.into();
                Tile { registers: vec![input, side, out, quant, scale], word }
            }
            4 => {
                let word = VpuMul { page, a, b, dst, th, tw, blocks }.into();
                Tile { registers: vec![input, side, out, quant, scale], word }
            }
            5 => Tile {
                registers: vec![input, out],
                word: VpuLut { page, a, dst, th, tw, blocks, slot }.into(),
            },
            6 => {
                let channels = self.rng.within(1..=2 * self.hw.array_rows);
                let word = VpuSoftmax { page, a, dst, th, tw, channels, slot }.into();
                Tile { registers: vec![input, out], word }
            }
            7 => {
                let least = self.rng.chance(50);
                let word = VpuMax { page, a, b, dst, th, tw, blocks, least }.into();
                Tile { registers: vec![input, side, out, quant, scale], word }
            }
            8 => {
                let word = VpuPrelu { page, a, dst, th, tw, blocks, slot, base }.into();
                Tile { registers: vec![input, out, quant, scale], word }
            }
            9 => self.mover(true),
            _ => self.mover(false),
        }
    }

    fn mover(&mut self, copies: bool) -> Tile {
        let (page, Shape { th, tw, .. }) = (self.page, self.shape);
        let (src, dst) = (self.row(), self.row());
        let lanes = self.hw.array_rows;
        let (src_lane, dst_lane) = (self.rng.below(lanes), self.rng.below(lanes));
        let len = self.rng.within(1..=40);
        let mut byte_stride = || self.rng.signed(-50, 50);
        let (src0, src1, dst0, dst1) = (byte_stride(), byte_stride(), byte_stride(), byte_stride());
        let word = if copies {
            VpuMove { page, src, src_lane, dst, dst_lane, outer: th, inner: tw, len }.into()
        } else {
            VpuFill { page, dst, dst_lane, outer: th, inner: tw, len, value: 3 }.into()
        };
        Tile { registers: vec![VpuStride { page, src0, src1, dst0, dst1 }.into()], word }
    }

    fn input(&mut self) -> Op {
        let rng = &mut *self.rng;
        let (h, w) = (rng.within(1..=9), rng.within(1..=14));
        let (row_stride, block_stride, plane_stride) =
            (w + rng.below(3), h * w + rng.below(9), rng.below(40));
        VpuIn {
            page: self.page,
            h,
            w,
            row_stride,
            block_stride,
            plane_stride,
            wide: rng.chance(25),
        }
        .into()
    }

    fn side(&mut self) -> Op {
        let rng = &mut *self.rng;
        let (x_stride, lane_broadcast, wide) = (rng.below(2), rng.chance(30), rng.chance(25));
        let (row_stride, block_stride, plane_stride) = (rng.below(9), rng.below(40), rng.below(40));
        VpuSide {
            page: self.page,
            row_stride,
            block_stride,
            plane_stride,
            x_stride,
            lane_broadcast,
            wide,
        }
        .into()
    }

    /// A result that does not overwrite itself.
    fn out(&mut self) -> Op {
        let (rng, Shape { th, tw, blocks }) = (&mut *self.rng, self.shape);
        let row_stride = tw + rng.below(2);
        let block_stride = th * row_stride + rng.below(3);
        let plane_stride = blocks.max(2) * block_stride + rng.below(3);
        VpuOut { page: self.page, row_stride, block_stride, plane_stride, wide: rng.chance(40) }
            .into()
    }

    fn kernel(&mut self) -> Op {
        let weights = self.row();
        let rng = &mut *self.rng;
        VpuKernel {
            page: self.page,
            kh: rng.within(1..=4),
            kw: rng.within(1..=4),
            sy: rng.within(1..=2),
            sx: rng.within(1..=2),
            dy: rng.within(1..=2),
            dx: rng.within(1..=2),
            pad: rng.signed(-128, 127),
            weights,
            by_count: rng.chance(30),
        }
        .into()
    }

    fn quant(&mut self) -> Op {
        VpuQuant { page: self.page, zero0: 1, lo0: -128, hi0: 127, zero1: -1, lo1: -100, hi1: 100 }
            .into()
    }

    fn scale(&mut self) -> Op {
        let mb = self.rng.pick(&[0, 5, 5]);
        VpuScale { page: self.page, ma: 3, mb, shift: 4, za: 1, zb: 2 }.into()
    }
}
