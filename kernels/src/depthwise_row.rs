//! Depthwise convolution of whole rows of pixels, with its results requantized.

use crate::InstructionSet;
use crate::panel_requant::{ColumnRequant, PanelRequant};

/// How the windows of a row lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseShape {
    /// Taps down and across.
    pub kernel: [usize; 2],
    /// Pixels from a window to the next.
    pub stride: usize,
    /// Pixels from a tap to the next across.
    pub dilation: usize,
    /// Channels of a pixel.
    pub channels: usize,
}

/// Activations of one row of windows, each 128 more than the integer it stands for.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseRow<'a> {
    /// From the first tap of the first window on.
    pub data: &'a [u8],
    /// Elements from a tap to the next below.
    pub below: usize,
}

/// Weights and requantization in the order in which the kernel reads them.
#[derive(Clone, Debug)]
pub struct PackedDepthwiseRow {
    pub(crate) shape: DepthwiseShape,
    pub(crate) requant: PanelRequant,
    storage: Storage,
}

#[derive(Clone, Debug)]
enum Storage {
    /// `[tap][channel]`.
    Plain(Vec<i8>),
    /// `[block of 16 channels][pair of taps][channel][2]`, filled up with zeros: operands of `vpmaddwd`.
    #[cfg(target_arch = "x86_64")]
    Pairs(Vec<i16>),
    /// Operands of `vpdpbusd`.
    #[cfg(target_arch = "x86_64")]
    Columns(TapColumns),
}

/// `[block of 64 channels][p][j][quad of taps down][v][64]` for the tap `p * stride + j` across. Vector `v` has four taps each of
/// the channels `16 * lane + 4 * v + i` for lane and i of 0 to 3: what interleaving four vectors of activations within lanes of 128
/// bits gives. Taps and channels that do not exist have zeros.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Debug)]
pub(crate) struct TapColumns {
    pub(crate) weights: Vec<i8>,
    /// `-128 * sum w` by block and vector.
    pub(crate) starts: Vec<i32>,
    pub(crate) quads: usize,
    /// Windows that a column of taps belongs to.
    pub(crate) pending: usize,
}

/// Channels of one block: four 512-bit vectors of sums.
#[cfg(target_arch = "x86_64")]
pub(crate) const BLOCK: usize = 64;

/// Most windows whose sums are kept at a time: more do not fit the registers.
#[cfg(target_arch = "x86_64")]
pub(crate) const MOST_PENDING: usize = 5;

/// Channel of slot `slot` of the vectors of [`TapColumns`].
#[cfg(target_arch = "x86_64")]
fn channel_of(slot: usize) -> usize {
    slot / BLOCK * BLOCK + slot % 16 / 4 * 16 + slot % BLOCK / 16 * 4 + slot % 4
}

impl PackedDepthwiseRow {
    /// Packs `w`, row-major `[taps down][taps across][channels]`; `output` is zero point, smallest and largest result. `None` if
    /// some channel's requantization has no form for it ([`PanelRequant::new`]).
    ///
    /// # Panics
    /// If an extent is 0, or weights or `columns` do not fill the shape.
    pub fn new(
        w: &[i8],
        shape: DepthwiseShape,
        columns: &[ColumnRequant],
        output: [i32; 3],
    ) -> Option<Self> {
        Self::for_set(InstructionSet::best(), w, shape, (columns, output))
    }

    pub(crate) fn for_set(
        set: InstructionSet,
        w: &[i8],
        shape: DepthwiseShape,
        (columns, output): (&[ColumnRequant], [i32; 3]),
    ) -> Option<Self> {
        let DepthwiseShape { kernel: [down, across], stride, dilation, channels } = shape;
        let extents = [down, across, stride, dilation, channels];
        assert!(extents.iter().all(|&n| n > 0), "every extent is positive");
        assert_eq!(w.len(), down * across * channels, "the weights do not fill their shape");
        assert_eq!(columns.len(), channels, "every channel needs its constants");
        assert!(set.is_available(), "this processor does not have {set}");
        let natural = || PanelRequant::new(columns, output);
        let (storage, requant) = match set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512Vnni
                if dilation == 1 && across.div_ceil(stride) <= MOST_PENDING =>
            {
                let slots = channels.next_multiple_of(BLOCK);
                let requant = PanelRequant::ordered(columns, output, slots, channel_of);
                (Storage::Columns(TapColumns::new(w, &shape)), requant)
            }
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 | InstructionSet::Avx512Vnni => {
                let pairs = crate::depthwise::pack_pairs(w, down * across, channels);
                (Storage::Pairs(pairs), natural())
            }
            _ => (Storage::Plain(w.to_vec()), natural()),
        };
        Some(Self { shape, requant: requant?, storage })
    }
}

#[cfg(target_arch = "x86_64")]
impl TapColumns {
    fn new(w: &[i8], shape: &DepthwiseShape) -> Self {
        let &DepthwiseShape { kernel: [down, across], stride, channels, .. } = shape;
        let (quads, pending) = (down.div_ceil(4), across.div_ceil(stride));
        let slots = channels.next_multiple_of(BLOCK);
        let mut weights = Vec::with_capacity(slots * pending * stride * quads * 4);
        let weight = |y: usize, x: usize, channel: usize| {
            let exists = y < down && x < across && channel < channels;
            if exists { w[(y * across + x) * channels + channel] } else { 0 }
        };
        for block in 0..slots / BLOCK {
            for (x, quad) in (0..pending * stride).flat_map(|x| (0..quads).map(move |q| (x, q))) {
                for slot in block * BLOCK..(block + 1) * BLOCK {
                    let taps = quad * 4..quad * 4 + 4;
                    weights.extend(taps.map(|y| weight(y, x, channel_of(slot))));
                }
            }
        }
        let sum = |slot: usize| {
            let taps = w.iter().skip(channel_of(slot)).step_by(channels);
            taps.map(|&w| i32::from(w)).fold(0, i32::wrapping_add)
        };
        let exists = |slot: usize| channel_of(slot) < channels;
        let start = |slot| if exists(slot) { sum(slot).wrapping_mul(-128) } else { 0 };
        Self { weights, starts: (0..slots).map(start).collect(), quads, pending }
    }
}

/// One row of results, `[pixel][channel]`: sums over the taps of each window as [`PanelRequant`] defines them.
///
/// # Panics
/// If `out` is no whole number of pixels or a window reaches beyond the data.
pub fn qs8_depthwise_row(x: &DepthwiseRow<'_>, w: &PackedDepthwiseRow, out: &mut [i8]) {
    let DepthwiseShape { kernel: [down, across], stride, dilation, channels } = w.shape;
    assert!(out.len().is_multiple_of(channels), "pixels must be complete");
    let Some(last) = (out.len() / channels).checked_sub(1) else { return };
    let last = (down - 1) * x.below + (last * stride + (across - 1) * dilation) * channels;
    assert!(last + channels <= x.data.len(), "a window reaches beyond the data");
    match &w.storage {
        Storage::Plain(weights) => plain_row(x, weights, w, out),
        #[cfg(target_arch = "x86_64")]
        Storage::Pairs(weights) => crate::x86::qs8_depthwise_row_pairs(x, weights, w, out),
        #[cfg(target_arch = "x86_64")]
        Storage::Columns(columns) => crate::x86::qs8_depthwise_row_columns(x, columns, w, out),
    }
}

/// The plain loop, which defines the row.
fn plain_row(x: &DepthwiseRow<'_>, weights: &[i8], w: &PackedDepthwiseRow, out: &mut [i8]) {
    let DepthwiseShape { kernel: [_, across], stride, dilation, channels } = w.shape;
    for (pixel, out) in out.chunks_exact_mut(channels).enumerate() {
        for (channel, out) in out.iter_mut().enumerate() {
            let taps = weights.iter().skip(channel).step_by(channels).enumerate();
            let product = |(tap, &weight): (usize, &i8)| {
                let (y, column) = (tap / across, pixel * stride + tap % across * dilation);
                let x = i32::from(x.data[y * x.below + column * channels + channel]) - 128;
                x * i32::from(weight)
            };
            let sum = taps.map(product).fold(0, i32::wrapping_add);
            *out = w.requant.one(channel, sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::element;
    use proptest::prelude::*;

    #[test]
    fn small_numbers() {
        // Two windows of 1 x 2 taps over three pixels of two channels; weights (1, 2) and (-1, 3).
        // A little more than an eighth.
        let multiplier = (1 << 29) + 1;
        let columns = [ColumnRequant { bias: 0, multiplier, shift: 32, largest: 1000 }; 2];
        let shape = DepthwiseShape { kernel: [1, 2], stride: 1, dilation: 1, channels: 2 };
        let w = PackedDepthwiseRow::new(&[1, -1, 2, 3], shape, &columns, [0, -128, 127]);
        let data = [1_u8, 10, 2, 20, 3, 30].map(|x| x + 128);
        let mut out = [0; 4];
        qs8_depthwise_row(&DepthwiseRow { data: &data, below: 0 }, &w.unwrap(), &mut out);
        // 5, 50, 8 and 70 eighths
        assert_eq!(out, [1, 6, 1, 9]);
    }

    #[derive(Clone, Debug)]
    struct Case {
        shape: DepthwiseShape,
        pixels: usize,
        below: usize,
        data: Vec<u8>,
        w: Vec<i8>,
        columns: Vec<ColumnRequant>,
    }

    fn case() -> impl Strategy<Value = Case> {
        let extents = (1..=6_usize, 1..=6_usize, 1..=3_usize, 1..=2_usize, 1..=150_usize);
        (extents, 1..=9_usize, 0..=5_usize).prop_flat_map(|(extents, pixels, gap)| {
            let (down, across, stride, dilation, channels) = extents;
            let shape = DepthwiseShape { kernel: [down, across], stride, dilation, channels };
            let below = ((pixels - 1) * stride + (across - 1) * dilation + 1) * channels + gap;
            let column = (-500..500_i32, 1..1_u32 << 24, 26..40_u8);
            (
                prop::collection::vec(any::<u8>(), down * below),
                prop::collection::vec(element(), down * across * channels),
                prop::collection::vec(column, channels),
            )
                .prop_map(move |(data, w, columns)| {
                    let columns = columns
                        .into_iter()
                        .map(|(bias, multiplier, shift)| ColumnRequant {
                            bias,
                            multiplier: multiplier | 1,
                            shift,
                            largest: 128 * 128 * 36,
                        })
                        .collect();
                    Case { shape, pixels, below, data, w, columns }
                })
        })
    }

    proptest! {
        #[test]
        fn every_set_equals_plain(case in case(), zero in -128..=127_i32, lo in -128..=0_i32) {
            let run = |set| {
                let constants = (&case.columns[..], [zero, lo, 127]);
                let w = PackedDepthwiseRow::for_set(set, &case.w, case.shape, constants);
                let mut out = vec![0; case.pixels * case.shape.channels];
                let x = DepthwiseRow { data: &case.data, below: case.below };
                qs8_depthwise_row(&x, &w.unwrap(), &mut out);
                out
            };
            let expected = run(InstructionSet::Plain);
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                prop_assert_eq!(&run(set), &expected, "{}", set);
            }
        }
    }
}
