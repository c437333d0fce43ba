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
    /// `[channel block of 16][pair of taps][channel][2]`, filled up with zeros: operands of `vpmaddwd`.
    #[cfg(target_arch = "x86_64")]
    Pairs(Vec<i16>),
}

impl PackedDepthwise {
    /// Packs `w`, row-major `[taps][channels]`.
    ///
    /// # Panics
    /// If `w` does not have `taps * channels` elements.
    pub fn new(w: &[i8], taps: usize, channels: usize) -> Self {
        Self::for_set(InstructionSet::best(), w, taps, channels)
    }

    /// Packs as [`PackedDepthwise::new`] for a chosen instruction set.
    ///
    /// # Panics
    /// If the length of `w` is wrong or this processor does not have `set`.
    pub fn for_set(set: InstructionSet, w: &[i8], taps: usize, channels: usize) -> Self {
        assert_eq!(
            Some(w.len()),
            taps.checked_mul(channels),
            "the weights do not fill their shape"
        );
        assert!(set.is_available(), "this processor does not have {set}");
        let storage = match set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 | InstructionSet::Avx512Vnni => {
                Storage::Pairs(pack_pairs(w, taps, channels))
            }
            _ => Storage::Plain(w.to_vec()),
        };
        Self { set, taps, channels, storage }
    }

    /// Instruction set the weights are packed for.
    pub fn instruction_set(&self) -> InstructionSet {
        self.set
    }
}

/// Channels of one block: two 256-bit vectors of sums.
#[cfg(target_arch = "x86_64")]
pub(crate) const BLOCK: usize = 16;

#[cfg(target_arch = "x86_64")]
fn pack_pairs(w: &[i8], taps: usize, channels: usize) -> Vec<i16> {
    let pairs = taps.div_ceil(2);
    let mut packed = vec![0; channels.div_ceil(BLOCK) * pairs * BLOCK * 2];
    for (i, &weight) in w.iter().enumerate() {
        let (tap, channel) = (i / channels, i % channels);
        let group = (channel / BLOCK * pairs + tap / 2) * BLOCK + channel % BLOCK;
        packed[group * 2 + tap % 2] = i16::from(weight);
    }
    packed
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

    fn run(set: InstructionSet, p: &Product) -> Vec<i32> {
        let channels = p.segment_len;
        let w = &p.w[..p.segments * channels];
        let weights = PackedDepthwise::for_set(set, w, p.segments, channels);
        let mut c: Vec<i32> = p.c.iter().copied().cycle().take(p.rows * channels).collect();
        let mut sums = Sums::new(&mut c, [p.rows, channels], channels, p.accumulate);
        qs8_depthwise(&p.left(), &weights, &mut sums);
        c
    }

    proptest! {
        #[test]
        fn every_set_equals_plain(p in product(1)) {
            let expected = run(InstructionSet::Plain, &p);
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                prop_assert_eq!(&run(set, &p), &expected, "{}", set);
            }
        }
    }
}
