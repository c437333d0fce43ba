//! Weights in the order the array eats them, packed to their bit width.

use ir::qgraph::QWeights;

use super::work::ConvWork;

/// Bits a weight takes in DRAM when it must unpack to whole bytes (vector engine): at least 5.
pub(crate) fn byte_lane_bits(bits: u8) -> u8 {
    bits.max(5)
}

/// Appends rows of `elems` signed values of `bits` bits, least significant bits first, each row padded to whole bytes.
pub(crate) struct RowPacker {
    bits: u32,
    /// Packed bytes.
    pub bytes: Vec<u8>,
}

impl RowPacker {
    /// A packer for weights of `bits` bits.
    pub(crate) fn new(bits: u8) -> RowPacker {
        RowPacker { bits: u32::from(bits), bytes: Vec::new() }
    }

    /// Packs one row.
    pub(crate) fn row(&mut self, values: impl Iterator<Item = i8>) {
        let mask = (1u64 << self.bits) - 1;
        let (mut held, mut n) = (0u64, 0u32);
        for value in values {
            held |= (value as u64 & mask) << n;
            n += self.bits;
            while n >= 8 {
                self.bytes.push(held as u8);
                held >>= 8;
                n -= 8;
            }
        }
        if n > 0 {
            self.bytes.push(held as u8);
        }
    }
}

/// Weights of output channel group `group` over input blocks `b0..b1`: array tile by array tile, fold by fold, column by column, as
/// `mxu.conv` reads them. Channels outside a column's convolution group are zero.
pub(crate) fn array_weights(work: &ConvWork<'_>, group: usize, b0: usize, b1: usize) -> Vec<u8> {
    let w = work.weights;
    let [kh, kw] = w.kernel;
    let mut packer = RowPacker::new(w.bits);
    let blocks_per_fold = if work.nibbles { 2 } else { 1 };
    let elems = work.weight_elems();
    for tile in work.array_tiles(group) {
        for b in (b0..b1).step_by(blocks_per_fold) {
            for ky in 0..kh {
                for kx in 0..kw {
                    for oc in tile.clone() {
                        // An odd last block's partner stays zero even if the tensor goes on behind this chunk.
                        let limit = (b1 * work.lanes).min(work.input.c);
                        packer.row((0..elems).map(|k| {
                            let ch = b * work.lanes + k;
                            if ch < limit { tap(w, work.groups, oc, ky, kx, ch) } else { 0 }
                        }));
                    }
                }
            }
        }
    }
    packer.bytes
}

/// Weight of output channel `oc` at a tap for input channel `ch` of the whole tensor; zero outside its group.
fn tap(w: &QWeights, groups: usize, oc: usize, ky: usize, kx: usize, ch: usize) -> i8 {
    let first = oc / (w.oc / groups) * w.ic;
    match ch.checked_sub(first) {
        Some(k) if k < w.ic => w.data[((oc * w.kernel[0] + ky) * w.kernel[1] + kx) * w.ic + k],
        _ => 0,
    }
}

/// Depthwise weights of channel blocks `b0..b1`: block by block, tap by tap, one row of lanes.
pub(crate) fn lane_weights(w: &QWeights, lanes: usize, b0: usize, b1: usize) -> Vec<u8> {
    let [kh, kw] = w.kernel;
    let mut packer = RowPacker::new(byte_lane_bits(w.bits));
    for b in b0..b1 {
        for t in 0..kh * kw {
            packer.row((0..lanes).map(|lane| {
                let oc = b * lanes + lane;
                if oc < w.oc { w.data[oc * kh * kw + t] } else { 0 }
            }));
        }
    }
    packer.bytes
}
