//! The systolic array as a matrix product.
//!
//! A pixel of the tile is a row of the product, an output channel a column. What a pixel sees is a list of *segments*: the lanes of
//! one channel block at one tap, which is one scratchpad row, or the padding row behind the scratchpad. So windows need
//! not be copied together (the indirect convolution of Dukhan 2019).

use std::ops::Range;

use isa::instructions::{MxuConv, MxuInput, MxuKernel};
use isa::numerics::wrap;
use kernels::{Accumulate, Rows, Sums, qs8_gemm_unpacked, qs16_gemm};

use super::taps::TapRows;
use super::{BUFFER, SAFE_PRODUCTS, Scratch};
use crate::exec::array::{axes, nibble};
use crate::exec::region::Region;
use crate::memory::Memory;

pub(in super::super) fn conv(
    op: &MxuConv,
    kernel: &MxuKernel,
    input: &MxuInput,
    memory: &mut Memory,
    scratch: &mut Scratch,
) {
    let region = Region::array(op.act, input, kernel.wide);
    let unit = Unit { op, kernel, rows: TapRows::new(&axes(op, kernel, input), &region), region };
    let lanes = memory.lanes() as usize;
    let [taps, blocks] = [kernel.kh * kernel.kw, op.blocks];
    // Segments per piece: few enough for exact sums, and for the buffers.
    let most = u32::try_from(SAFE_PRODUCTS / lanes).expect("a small constant");
    let [block_step, tap_step] = [blocks.min(most), (most / blocks.min(most)).min(taps)];
    let mut add = op.add;
    for tap in (0..taps).step_by(tap_step as usize) {
        for block in (0..blocks).step_by(block_step as usize) {
            let piece = Piece {
                taps: tap..taps.min(tap + tap_step),
                blocks: block..blocks.min(block + block_step),
            };
            unit.gather_weights(&piece, memory, &mut scratch.weights);
            unit.multiply(&piece, add, memory, scratch);
            add = true;
        }
    }
}

struct Unit<'a> {
    op: &'a MxuConv,
    kernel: &'a MxuKernel,
    rows: TapRows,
    region: Region,
}

/// The part of the sum that one product computes.
struct Piece {
    taps: Range<u32>,
    blocks: Range<u32>,
}

impl Piece {
    fn segments(&self) -> usize {
        self.taps.len() * self.blocks.len()
    }
}

impl Unit<'_> {
    /// Weights `[column][tap][block][lane]` of a piece.
    fn gather_weights(&self, piece: &Piece, memory: &Memory, weights: &mut Vec<i8>) {
        let lanes = memory.lanes() as usize;
        let taps = self.kernel.kh * self.kernel.kw;
        weights.clear();
        for column in 0..self.kernel.cols {
            for tap in piece.taps.clone() {
                for block in piece.blocks.clone() {
                    let fold = if self.kernel.nibbles { block / 2 } else { block } * taps + tap;
                    let start = memory.row_start(self.op.wgt + fold * self.kernel.cols + column);
                    let row = &memory.spad[start..start + lanes];
                    if self.kernel.nibbles {
                        // The first block of a fold has the first half of its 2R channels.
                        let first = block % 2 * memory.lanes();
                        let channels = first..first + memory.lanes();
                        weights.extend(
                            channels.map(|channel| nibble(row[channel as usize / 2], channel)),
                        );
                    } else {
                        weights.extend_from_slice(row);
                    }
                }
            }
        }
    }

    /// Multiplies the tile's pixels, as many at a time as the buffers hold, with the gathered weights.
    fn multiply(&self, piece: &Piece, add: bool, memory: &mut Memory, scratch: &mut Scratch) {
        let columns = self.kernel.cols as usize;
        let pixels = self.op.th * self.op.tw;
        let depth = piece.segments() * if self.kernel.wide { memory.lanes() as usize } else { 1 };
        let step = u32::try_from(BUFFER / depth).unwrap_or(1).max(1);
        for first in (0..pixels).step_by(step as usize) {
            let pixels = first..pixels.min(first + step);
            if self.kernel.wide {
                self.multiply_wide(piece, pixels.clone(), memory, scratch);
                self.accumulate(add, pixels, scratch.wide_sums.chunks_exact(columns), memory);
            } else {
                self.multiply_narrow(piece, pixels.clone(), memory, scratch);
                self.accumulate(add, pixels, scratch.sums.chunks_exact(columns), memory);
            }
        }
    }

    fn multiply_narrow(
        &self,
        piece: &Piece,
        pixels: Range<u32>,
        memory: &mut Memory,
        scratch: &mut Scratch,
    ) {
        let lanes = memory.lanes();
        let pad_start = memory.fill_padding(self.kernel.pad);
        scratch.offsets.clear();
        let rows = pixels.len();
        let (blocks, block_stride) = (piece.blocks.clone(), self.region.block_stride);
        for pixel in pixels {
            self.rows.for_each(pixel, piece.taps.clone(), |row| match row {
                Some(row) => {
                    let starts = blocks.clone().map(|block| (row + block * block_stride) * lanes);
                    scratch.offsets.extend(starts);
                }
                None => scratch.offsets.extend(std::iter::repeat_n(pad_start, blocks.len())),
            });
        }
        let columns = self.kernel.cols as usize;
        scratch.sums.clear();
        scratch.sums.resize(rows * columns, 0);
        let left =
            Rows::segmented(&memory.spad, &scratch.offsets, piece.segments(), lanes as usize);
        let mut sums = Sums::new(&mut scratch.sums, [rows, columns], columns, Accumulate::Replace);
        qs8_gemm_unpacked(&left, &scratch.weights, &mut sums);
    }

    fn multiply_wide(
        &self,
        piece: &Piece,
        pixels: Range<u32>,
        memory: &Memory,
        scratch: &mut Scratch,
    ) {
        let lanes = memory.lanes() as usize;
        let (windows, rows) = (&mut scratch.windows, pixels.len());
        let pad = i16::try_from(self.kernel.pad).expect("the field has 16 bits");
        let plane_stride = self.region.plane_stride.unwrap_or(0);
        windows.clear();
        for pixel in pixels {
            self.rows.for_each(pixel, piece.taps.clone(), |row| {
                for block in piece.blocks.clone() {
                    let Some(row) = row else {
                        windows.extend(std::iter::repeat_n(pad, lanes));
                        continue;
                    };
                    let row = row + block * self.region.block_stride;
                    let [high, low] = [row, row + plane_stride]
                        .map(|row| &memory.spad[memory.row_start(row)..][..lanes]);
                    windows.extend(high.iter().zip(low).map(|(&high, &low)| {
                        i16::from_le_bytes([low.cast_unsigned(), high.cast_unsigned()])
                    }));
                }
            });
        }
        let (columns, depth) = (self.kernel.cols as usize, piece.segments() * lanes);
        scratch.wide_sums.clear();
        scratch.wide_sums.resize(rows * columns, 0);
        let left = Rows::dense(windows, rows, depth, depth);
        let mut sums =
            Sums::new(&mut scratch.wide_sums, [rows, columns], columns, Accumulate::Replace);
        qs16_gemm(&left, &scratch.weights, &mut sums);
    }

    /// Adds rows of sums to the accumulators, or overwrites them.
    fn accumulate<'s, T>(
        &self,
        add: bool,
        pixels: Range<u32>,
        rows: impl Iterator<Item = &'s [T]>,
        memory: &mut Memory,
    ) where
        T: Copy + Into<i64> + 's,
    {
        let stride = memory.columns();
        let bits = u8::try_from(memory.hardware.acc_bits).unwrap_or(u8::MAX);
        let start = (self.op.acc + pixels.start) as usize * stride;
        let bank = &mut memory.sums[self.op.bank as usize][start..];
        for (accumulators, sums) in bank.chunks_exact_mut(stride).zip(rows) {
            let pairs = accumulators.iter_mut().zip(sums);
            match (add, bits) {
                // By far the most frequent case, in a form that compilers turn into vector code.
                (false, 32) => pairs.for_each(|(old, &sum)| *old = i64::from(sum.into() as i32)),
                (true, 32) => {
                    pairs.for_each(|(old, &sum)| *old = i64::from((*old + sum.into()) as i32))
                }
                (false, _) => pairs.for_each(|(old, &sum)| *old = wrap(sum.into(), bits)),
                (true, _) => pairs.for_each(|(old, &sum)| *old = wrap(*old + sum.into(), bits)),
            }
        }
    }
}
