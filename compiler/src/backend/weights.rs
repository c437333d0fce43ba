//! Weights in the order the array eats them, packed to their bit width.

use ir::qgraph::QWeights;

use super::work::ConvWork;

/// Bits a weight takes in DRAM when it must unpack to whole bytes (vector engine): at least 5.
pub(crate) fn byte_lane_bits(bits: u8) -> u8 {
    bits.max(5)
}

/// Appends a row of signed values of `bits` bits, least significant bits first, padded to whole bytes.
fn pack_row(bits: u8, values: impl Iterator<Item = i8>, out: &mut Vec<u8>) {
    let mask = (1u64 << bits) - 1;
    let (mut held, mut n) = (0u64, 0u8);
    for value in values {
        held |= (value as u64 & mask) << n;
        n += bits;
        while n >= 8 {
            out.push(held as u8);
            held >>= 8;
            n -= 8;
        }
    }
    if n > 0 {
        out.push(held as u8);
    }
}

/// The order in which weights lie in DRAM: rows of indices into [`QWeights::data`], `None` where the array multiplies by zero.
pub(crate) struct Layout<'a> {
    weights: &'a QWeights,
    /// Bits of one element in DRAM.
    bits: u8,
    /// Elements of a row.
    elems: usize,
    /// Calls its argument with every row.
    rows: Rows<'a>,
}

type Rows<'a> = Box<dyn Fn(&mut dyn FnMut(&[Option<usize>])) + 'a>;

impl Layout<'_> {
    /// The weights as they lie in DRAM.
    pub(crate) fn pack(&self) -> Vec<u8> {
        let (data, mut bytes) = (&self.weights.data, Vec::new());
        (self.rows)(&mut |row| {
            pack_row(self.bits, row.iter().map(|index| index.map_or(0, |i| data[i])), &mut bytes);
        });
        bytes
    }

    /// Puts what lies in DRAM back to its place in `data`; `None` when there are not enough bytes.
    pub(crate) fn unpack(&self, bytes: &[u8], data: &mut [i8]) -> Option<()> {
        let bits = usize::from(self.bits);
        let mut rows = bytes.chunks_exact((self.elems * bits).div_ceil(8));
        let mut complete = Some(());
        (self.rows)(&mut |row| match rows.next() {
            None => complete = None,
            Some(packed) => {
                for (k, index) in row.iter().enumerate() {
                    if let Some(index) = *index {
                        data[index] = element(packed, k * bits, bits);
                    }
                }
            }
        });
        complete
    }
}

/// The signed value of `bits` bits from bit `at` on.
fn element(packed: &[u8], at: usize, bits: usize) -> i8 {
    let byte = |i: usize| packed.get(i).copied().unwrap_or(0);
    let pair = u16::from_le_bytes([byte(at / 8), byte(at / 8 + 1)]) >> (at % 8);
    let unused = 8 - bits;
    ((pair as u8) << unused).cast_signed() >> unused
}

/// Weights of output channel group `group` over input blocks `b0..b1`: array tile by array tile, fold by fold, column by column, as
/// `mxu.conv` reads them. Channels outside a column's convolution group are zero.
pub(crate) fn array_weights<'a>(
    work: &'a ConvWork<'a>,
    group: usize,
    b0: usize,
    b1: usize,
) -> Layout<'a> {
    let w = work.weights;
    let [kh, kw] = w.kernel;
    let blocks_per_fold = if work.nibbles { 2 } else { 1 };
    let elems = work.weight_elems();
    // An odd last block's partner stays zero even if the tensor goes on behind this chunk.
    let limit = (b1 * work.lanes).min(work.input.c);
    let rows: Rows<'a> = Box::new(move |visit| {
        let mut row = vec![None; elems];
        for tile in work.array_tiles(group) {
            for b in (b0..b1).step_by(blocks_per_fold) {
                for ky in 0..kh {
                    for kx in 0..kw {
                        for oc in tile.clone() {
                            for (ch, index) in (b * work.lanes..).zip(&mut row) {
                                let inside = ch < limit;
                                *index =
                                    if inside { tap(w, work.groups, oc, ky, kx, ch) } else { None };
                            }
                            visit(&row);
                        }
                    }
                }
            }
        }
    });
    Layout { weights: w, bits: w.bits, elems, rows }
}

/// Index of the weight of output channel `oc` at a tap for input channel `ch` of the whole tensor; none outside its group.
fn tap(w: &QWeights, groups: usize, oc: usize, ky: usize, kx: usize, ch: usize) -> Option<usize> {
    let first = oc / (w.oc / groups) * w.ic;
    let k = ch.checked_sub(first).filter(|&k| k < w.ic)?;
    Some(((oc * w.kernel[0] + ky) * w.kernel[1] + kx) * w.ic + k)
}

/// Depthwise weights of channel blocks `b0..b1`: block by block, tap by tap, one row of lanes.
pub(crate) fn lane_weights(w: &QWeights, lanes: usize, b0: usize, b1: usize) -> Layout<'_> {
    let taps = w.kernel[0] * w.kernel[1];
    let rows: Rows<'_> = Box::new(move |visit| {
        let mut row = vec![None; lanes];
        for b in b0..b1 {
            for t in 0..taps {
                for (oc, index) in (b * lanes..).zip(&mut row) {
                    *index = (oc < w.oc).then_some(oc * taps + t);
                }
                visit(&row);
            }
        }
    });
    Layout { weights: w, bits: byte_lane_bits(w.bits), elems: lanes, rows }
}
