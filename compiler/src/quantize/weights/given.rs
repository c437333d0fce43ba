//! Weights that the file stores as integers: kept, every one.
//!
//! The machine multiplies by 8-bit weights. Those of a file with a zero point may reach 9 bits once it is subtracted; they are
//! cut into parts of 8 bits that multiply copies of the same input, which gives exactly the same sums. Wider ones are quantized anew.

use ir::quantized::Quantized as Integers;
use ir::tensor::Tensor;
use isa::numerics::accumulator_bound;

use super::super::QuantizeError;
use super::super::params::Params;
use super::{Channel, Quantized};

/// How far the scale of a bias may be from the product of the other two scales, relative to it: some tools round it otherwise.
const SAME_SCALE: f64 = 1e-6;

/// Largest magnitude of an 8-bit weight less its zero point.
const LARGEST_WEIGHT: u32 = 255;

/// A layer's constants as the file has them.
pub(in crate::quantize) struct Given<'a> {
    /// Name of the node.
    pub(in crate::quantize) node: &'a str,
    /// `[oc, ic, taps]` row-major, less the zero point.
    pub(in crate::quantize) integers: &'a [i32],
    /// Real value of one step per output channel.
    pub(in crate::quantize) scales: Vec<f32>,
    /// One per output channel.
    pub(in crate::quantize) bias: Option<&'a Tensor>,
    /// Elements of one input channel's kernel.
    pub(in crate::quantize) taps: usize,
    /// How the input is stored.
    pub(in crate::quantize) input: Params,
}

/// The integer form of given constants.
pub(in crate::quantize) struct Kept {
    /// `data` is `[oc, ic, copies, taps]`.
    pub(in crate::quantize) constants: Quantized,
    /// Times that each input channel must be there, one after the other.
    pub(in crate::quantize) copies: usize,
    /// Bits that hold every weight: 4 or 8.
    pub(in crate::quantize) bits: u8,
    /// Channels whose integers are not the file's.
    pub(in crate::quantize) coarsened: Vec<usize>,
}

/// Scales of the rows of weights, if the file stores them so that they can be kept.
pub(in crate::quantize) fn row_scales(
    weights: &Tensor,
    rows: usize,
) -> Option<(&Integers, Vec<f32>)> {
    let integers = weights.quantized()?;
    let scales = integers.row_scales(rows)?;
    let sound = scales.iter().all(|scale| scale.is_normal() && *scale > 0.0);
    let small = integers.integers().iter().all(|q| q.unsigned_abs() <= LARGEST_WEIGHT);
    (sound && small).then_some((integers, scales))
}

/// Whether a bias counts in steps of the accumulator.
pub(in crate::quantize) fn counts_in(
    bias: &Integers,
    channel: usize,
    rows: usize,
    step: f64,
) -> bool {
    let scale = bias.row_scales(rows).map(|scales| f64::from(scales[channel]));
    scale.is_some_and(|scale| (scale - step).abs() <= SAME_SCALE * step)
}

/// The constants of a layer. Integers change only in channels whose sums might leave `acc_bits` bits (tools give a channel without
/// weights a scale so fine that its bias saturates): these count in steps that are coarser by a power of two.
///
/// # Errors
/// When that costs all bits of the weights, or the bias is not finite.
pub(in crate::quantize) fn keep(given: &Given<'_>, acc_bits: u8) -> Result<Kept, QuantizeError> {
    let channels = given.scales.len();
    let most = given.integers.iter().map(|q| q.unsigned_abs()).max().unwrap_or(0);
    let fits = |lo: i32, hi: i32| given.integers.iter().all(|q| (lo..=hi).contains(q));
    let copies = if fits(-128, 127) { 1 } else { most.div_ceil(127) as usize };
    let bits = if fits(-8, 7) { 4 } else { 8 };
    let acc_bits = acc_bits.min(given.input.dtype.accumulator_bits());
    let row = given.integers.len() / channels;
    let mut constants = Quantized {
        data: Vec::with_capacity(given.integers.len() * copies),
        bias: Vec::new(),
        scale: Vec::new(),
        bound: Vec::new(),
    };
    let mut coarsened = Vec::new();
    for (channel, integers) in given.integers.chunks_exact(row).enumerate() {
        let bias = given.bias(channel, channels)?;
        let shifts =
            (0..u8::BITS).map(|shift| (shift, given.coarser(integers, bias, shift, copies)));
        let found = shifts.into_iter().find(|(_, made)| made.bound < 1 << (acc_bits - 1));
        let Some((shift, Channel { data, bias, bound })) = found else {
            let node = given.node.to_owned();
            return Err(QuantizeError::Accumulator { node, channel, acc_bits });
        };
        if shift > 0 {
            coarsened.push(channel);
        }
        constants.data.extend(data);
        constants.bias.push(bias);
        constants.scale.push(f64::from(given.scales[channel]) * f64::from(1u32 << shift));
        constants.bound.push(bound);
    }
    Ok(Kept { constants, copies, bits, coarsened })
}

impl Given<'_> {
    /// A channel in steps of `2^shift` of the file's.
    fn coarser(&self, integers: &[i32], bias: i64, shift: u32, copies: usize) -> Channel {
        let step = f64::from(1u32 << shift);
        let round = |q: f64| (q / step).round_ties_even();
        let coarse: Vec<i32> = integers.iter().map(|&q| round(q.into()) as i32).collect();
        let sum: i64 = coarse.iter().map(|&q| i64::from(q)).sum();
        // Biases are far below 2^53.
        let bias = round(bias as f64) as i64 - i64::from(self.input.zero_point) * sum;
        let data = parts(&coarse, self.taps, copies);
        let (lo, hi) = self.input.dtype.range();
        let bound = accumulator_bound(&data, lo, hi, bias);
        Channel { data, bias, bound }
    }

    /// The bias in steps of the accumulator: the file's integer where it counts in these steps.
    fn bias(&self, channel: usize, channels: usize) -> Result<i64, QuantizeError> {
        let Some(bias) = self.bias else {
            return Ok(0);
        };
        // Single precision, as the file's own tool multiplied them.
        let step = f64::from(self.input.scale as f32 * self.scales[channel]);
        if let Some(integers) = bias.quantized()
            && counts_in(integers, channel, channels, step)
        {
            return Ok(integers.integers()[channel].into());
        }
        let value = bias.f32_values().map_or(0.0, |values| values[channel]);
        if !value.is_finite() {
            let (node, what, index) = (self.node.to_owned(), "bias", channel);
            return Err(QuantizeError::NotFinite { node, what, index, value });
        }
        let steps = f64::from(value) / (self.input.scale * f64::from(self.scales[channel]));
        // The cast saturates, and so does the bound.
        Ok((steps.round_ties_even() as i64).clamp(-(1 << 52), 1 << 52))
    }
}

/// Each kernel as `copies` kernels whose elements sum to it.
fn parts(integers: &[i32], taps: usize, copies: usize) -> Vec<i8> {
    if copies == 1 {
        return integers.iter().map(|&q| q as i8).collect();
    }
    let mut data = Vec::with_capacity(integers.len() * copies);
    for kernel in integers.chunks(taps) {
        let mut rest = kernel.to_vec();
        for _ in 0..copies {
            for q in &mut rest {
                let part = (*q).clamp(-127, 127);
                *q -= part;
                data.push(part as i8);
            }
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use ir::qgraph::QType;
    use ir::tensor::Data;

    const INPUT: Params = Params { dtype: QType::I8, scale: 0.5, zero_point: -10 };

    fn given<'a>(integers: &'a [i32], scales: &[f32], bias: Option<&'a Tensor>) -> Given<'a> {
        Given { node: "n", integers, scales: scales.to_vec(), bias, taps: 2, input: INPUT }
    }

    fn bias(integers: &[i32], scale: f32) -> Tensor {
        let stored = Integers::new(integers.to_vec(), vec![scale], 1).unwrap();
        Tensor::new(vec![integers.len()], Data::Quantized(stored)).unwrap()
    }

    #[test]
    fn integers_and_biases_stay() {
        let own = bias(&[16_777_217, -5], 0.125);
        let kept = keep(&given(&[127, -128, 3, 4], &[0.25, 0.25], Some(&own)), 32).unwrap();
        assert_eq!((kept.copies, kept.bits), (1, 8));
        assert_eq!(kept.constants.data, [127, -128, 3, 4]);
        assert_eq!(kept.constants.bias, [16_777_217 - 10, -5 + 70]);
        let other = bias(&[100, 100], 0.25);
        let kept = keep(&given(&[1, 2, -8, 7], &[0.25, 0.25], Some(&other)), 32).unwrap();
        assert_eq!(kept.constants.bias, [200 + 30, 200 - 10], "25 in steps of 0.125");
        assert_eq!(kept.bits, 4);
    }

    #[test]
    fn nine_bits_become_parts_of_eight() {
        for reach in [200, 254, 255] {
            let integers = [reach, -reach, 5, -128, 127, 0, 1, -2];
            let kept = keep(&given(&integers, &[1.0], None), 32).unwrap();
            assert_eq!(kept.copies, if reach == 255 { 3 } else { 2 });
            let data = &kept.constants.data;
            for (i, &q) in integers.iter().enumerate() {
                let (kernel, tap) = (i / 2, i % 2);
                let part = |copy: usize| i32::from(data[(kernel * kept.copies + copy) * 2 + tap]);
                assert_eq!((0..kept.copies).map(part).sum::<i32>(), q);
            }
        }
    }

    #[test]
    fn a_channel_whose_sums_might_not_fit_counts_in_coarser_steps() {
        let own = bias(&[i32::MAX, 5], 0.125);
        let kept = keep(&given(&[4, -6, 3, 4], &[0.25, 0.25], Some(&own)), 32).unwrap();
        assert_eq!(kept.coarsened, [0]);
        assert_eq!(kept.constants.data, [2, -3, 3, 4]);
        assert_eq!(kept.constants.scale, [0.5, 0.25]);
        assert_eq!(kept.constants.bias, [(1 << 30) - 10, 5 + 70]);
    }

    #[test]
    fn sums_that_do_not_fit_and_biases_that_are_no_numbers_are_refused() {
        let error = keep(&given(&[127, 127, 127, 127], &[1.0], None), 8).map(|_| ());
        assert!(matches!(error, Err(QuantizeError::Accumulator { channel: 0, acc_bits: 8, .. })));
        let nan = Tensor::from_f32(&[1], vec![f32::NAN]).unwrap();
        let error = keep(&given(&[1, 1], &[1.0], Some(&nan)), 32).map(|_| ());
        assert!(matches!(error, Err(QuantizeError::NotFinite { what: "bias", .. })));
    }
}
