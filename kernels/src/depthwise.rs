//! Depthwise convolution: each channel has its own weights.

use crate::matrix::{Rows, Sums};
use crate::{InstructionSet, plain};

/// Depthwise weights in the order in which the kernel reads them.
#[derive(Clone, Debug)]
pub struct PackedDepthwise {
    set: InstructionSet,
    taps: usize,
    channels: usize,
    storage: Storage,
}

#[derive(Clone, Debug)]
enum Storage {
    /// `[tap][channel]`.
    Plain(Vec<i8>),
    /// `[block of 16 channels][pair of taps][channel][2]`, filled up with zeros: operands of `vpmaddwd`.
    #[cfg(target_arch = "x86_64")]
    Pairs(Vec<i16>),
    /// `[block of 64 channels][quad of taps][j][lane][i][4]` for channel `16 * lane + 4 * j + i` of the block, filled up
    /// with zeros: signed operands of `vpdpbusd`. `starts` are `-128 * sum w` per channel, filled up likewise.
    #[cfg(target_arch = "x86_64")]
    Quads { weights: Vec<i8>, starts: Vec<i32> },
}

impl PackedDepthwise {
    /// Packs `w`, row-major `[taps][channels]`.
    ///
    /// # Panics
    /// If there are no taps or channels, or `w` does not have `taps * channels` elements.
    pub fn new(w: &[i8], taps: usize, channels: usize) -> Self {
        Self::for_set(InstructionSet::best(), w, taps, channels)
    }

    /// Packs as [`PackedDepthwise::new`] for a chosen instruction set.
    ///
    /// # Panics
    /// As for [`PackedDepthwise::new`], or if this processor does not have `set`.
    pub fn for_set(set: InstructionSet, w: &[i8], taps: usize, channels: usize) -> Self {
        assert_eq!(
            Some(w.len()),
            taps.checked_mul(channels),
            "the weights do not fill their shape"
        );
        assert!(taps > 0 && channels > 0, "a pixel must have taps and channels");
        assert!(set.is_available(), "this processor does not have {set}");
        let storage = match set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => Storage::Pairs(pack_pairs(w, taps, channels)),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512Vnni => pack_quads(w, taps, channels),
            _ => Storage::Plain(w.to_vec()),
        };
        Self { set, taps, channels, storage }
    }

    /// Instruction set the weights are packed for.
    pub fn instruction_set(&self) -> InstructionSet {
        self.set
    }
}

/// Channels of one block of pairs: two 256-bit vectors of sums.
#[cfg(target_arch = "x86_64")]
pub(crate) const PAIR_CHANNELS: usize = 16;

/// Channels of one block of quads: four 512-bit vectors of sums.
#[cfg(target_arch = "x86_64")]
pub(crate) const QUAD_CHANNELS: usize = 64;

#[cfg(target_arch = "x86_64")]
pub(crate) fn pack_pairs(w: &[i8], taps: usize, channels: usize) -> Vec<i16> {
    let pairs = taps.div_ceil(2);
    let mut packed = vec![0; channels.div_ceil(PAIR_CHANNELS) * pairs * PAIR_CHANNELS * 2];
    for (i, &weight) in w.iter().enumerate() {
        let (tap, channel) = (i / channels, i % channels);
        let group =
            (channel / PAIR_CHANNELS * pairs + tap / 2) * PAIR_CHANNELS + channel % PAIR_CHANNELS;
        packed[group * 2 + tap % 2] = i16::from(weight);
    }
    packed
}

#[cfg(target_arch = "x86_64")]
fn pack_quads(w: &[i8], taps: usize, channels: usize) -> Storage {
    let quads = taps.div_ceil(4);
    let blocks = channels.div_ceil(QUAD_CHANNELS);
    let mut weights = vec![0; blocks * quads * 4 * QUAD_CHANNELS];
    let mut starts = vec![0; blocks * QUAD_CHANNELS];
    for (i, &weight) in w.iter().enumerate() {
        let (tap, channel) = (i / channels, i % channels);
        let (block, c) = (channel / QUAD_CHANNELS, channel % QUAD_CHANNELS);
        let (lane, j, position) = (c / 16, c / 4 % 4, c % 4);
        let vector = (block * quads + tap / 4) * 4 + j;
        weights[vector * 64 + (lane * 4 + position) * 4 + tap % 4] = weight;
        let start: &mut i32 = &mut starts[channel];
        *start = start.wrapping_sub(128 * i32::from(weight));
    }
    Storage::Quads { weights, starts }
}

/// `c[r][j] (+)= sum over taps t of x[r][t][j] * w[t][j]` in wrapping `i32`: row `r` of `x` is one output pixel, its
/// segments are the input pixels under the taps, all channels each.
///
/// # Panics
/// If the shapes of the three do not fit together.
pub fn qs8_depthwise(x: &Rows<'_>, w: &PackedDepthwise, c: &mut Sums<'_>) {
    assert_eq!(
        c.shape(),
        [x.len(), w.channels],
        "the sums need a row per pixel and a column per channel"
    );
    let found = [x.segments(), x.segment_len()];
    assert_eq!(found, [w.taps, w.channels], "pixels and weights have different taps or channels");
    match &w.storage {
        Storage::Plain(w) => plain::qs8_depthwise(x, w, c),
        #[cfg(target_arch = "x86_64")]
        Storage::Pairs(w) => crate::x86::qs8_depthwise_pairs(x, w, c),
        #[cfg(target_arch = "x86_64")]
        Storage::Quads { weights, starts } => {
            crate::x86::qs8_depthwise_quads(x, weights, starts, c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Accumulate;
    use crate::tests::{Product, product};
    use proptest::prelude::*;

    #[test]
    fn small_numbers() {
        // Two pixels of two channels, taps one apart: channel 0 has weights (1, 2), channel 1 (-1, 3).
        let x = [1, 10, 2, 20, 3, 30];
        let weights = PackedDepthwise::new(&[1, -1, 2, 3], 2, 2);
        let mut c = [0; 4];
        let mut sums = Sums::new(&mut c, [2, 2], 2, Accumulate::Replace);
        qs8_depthwise(&Rows::segmented(&x, &[0, 2, 2, 4], 2, 2), &weights, &mut sums);
        assert_eq!(c, [1 + 4, -10 + 60, 2 + 6, -20 + 90]);
    }

    /// Pixels of 1 to 70 channels are too few for two blocks: up to three segments of a product as one.
    fn windows() -> impl Strategy<Value = Product> {
        (product(1), 1..=11_usize).prop_map(|(mut p, taps)| {
            let channels = p.segments * p.segment_len;
            p.data = p.data.iter().copied().cycle().take(channels + 50).collect();
            p.offsets = p.offsets.iter().copied().cycle().take(p.rows * taps).collect();
            p.w = p.data.iter().rev().copied().cycle().take(taps * channels).collect();
            (p.segments, p.segment_len) = (taps, channels);
            p
        })
    }

    fn run(set: InstructionSet, p: &Product) -> Vec<i32> {
        let channels = p.segment_len;
        let w = &p.w[..p.segments * channels];
        let weights = PackedDepthwise::for_set(set, w, p.segments, channels);
        let mut c: Vec<i32> = p.c.iter().copied().cycle().take(p.rows * channels).collect();
        let mut sums = Sums::new(&mut c, [p.rows, channels], channels, p.accumulate);
        qs8_depthwise(&p.left(), &weights, &mut sums);
        c
    }

    #[test]
    fn the_largest_products_do_not_saturate() {
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            for (x, w) in [(-128_i8, -128_i8), (127, -128), (-128, 127), (127, 127)] {
                // 25 taps of 100 channels, all of them the same 100 bytes.
                let weights = PackedDepthwise::for_set(set, &[w; 2500], 25, 100);
                let mut c = [0; 100];
                let mut sums = Sums::new(&mut c, [1, 100], 100, Accumulate::Replace);
                let data = [x; 100];
                qs8_depthwise(&Rows::segmented(&data, &[0; 25], 25, 100), &weights, &mut sums);
                assert_eq!(c, [25 * i32::from(x) * i32::from(w); 100], "{set}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_set_equals_plain(p in windows()) {
            let expected = run(InstructionSet::Plain, &p);
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                prop_assert_eq!(&run(set, &p), &expected, "{}", set);
            }
        }
    }
}
