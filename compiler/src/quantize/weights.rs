//! Weights and biases as integers that provably never overflow the accumulator.
//!
//! Weights are symmetric, with one scale per output channel (or per layer). The scale starts at the largest weight, or for
//! few bits at the clipping of least squared error. It grows where the bias or the largest possible sum would not fit the
//! accumulator, because a coarser weight costs little and a wrong bias or a wrap costs everything. On a machine with
//! coarse multipliers it is rounded so that the multiplier is exact: the weights, rounded anyway, take the error.

pub(super) mod given;

use isa::numerics::accumulator_bound;

use super::params::{Params, ceil_significant, storable};
use super::squant;
use super::{Arithmetic, QuantizeError};
use crate::options::{Granularity, WeightRounding};

/// Up to this many bits, clipping the largest weights pays.
const CLIPPED_BITS: u8 = 6;

/// Candidates for the clipping, from 0.5 to 1 times the largest weight.
const CLIPPINGS: u32 = 26;

/// Multipliers of fewer bits than this are coarser than the weights' own rounding.
const FINE_MULTIPLIER_BITS: u8 = 12;

/// Rounds after which a sum is taken not to fit. Each one divides the sum's excess away, so two or three do.
const MAX_ROUNDS: usize = 64;

/// The float form of a layer's constants.
pub(super) struct Layer<'a> {
    /// Name of the node.
    pub(super) node: &'a str,
    /// `[oc, taps]` row-major.
    pub(super) weights: &'a [f32],
    /// One per output channel; empty for none.
    pub(super) bias: &'a [f32],
    /// Output channels.
    pub(super) channels: usize,
    /// Weights in a row that share an input channel.
    pub(super) kernel: usize,
    /// How the input is stored.
    pub(super) input: Params,
    /// How the result is stored.
    pub(super) output: Params,
}

/// The integer form of a layer's constants.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantized {
    /// In the order of the float weights.
    pub(super) data: Vec<i8>,
    /// `b - Zx * sum w` per output channel.
    pub(super) bias: Vec<i64>,
    /// Real value of one step per output channel.
    pub(super) scale: Vec<f64>,
    /// Largest magnitude of any partial sum per output channel, bias included.
    pub(super) bound: Vec<u64>,
}

/// One output channel as integers.
struct Channel {
    data: Vec<i8>,
    bias: i64,
    bound: u64,
}

/// Quantizes a layer's constants.
///
/// # Errors
/// When a constant is not finite, or when weights would vanish before the sums fit the accumulator.
pub(super) fn quantize(
    layer: &Layer<'_>,
    (granularity, rounding): (Granularity, WeightRounding),
    arithmetic: &Arithmetic,
) -> Result<Quantized, QuantizeError> {
    check_finite(layer, "weight", layer.weights)?;
    check_finite(layer, "bias", layer.bias)?;
    let scales = match granularity {
        Granularity::PerChannel => (0..layer.channels)
            .map(|c| layer.fitting_scale(&[c], rounding, arithmetic))
            .collect::<Result<_, _>>()?,
        Granularity::PerTensor => {
            let all: Vec<usize> = (0..layer.channels).collect();
            vec![layer.fitting_scale(&all, rounding, arithmetic)?; layer.channels]
        }
    };
    let mut result =
        Quantized { data: Vec::new(), bias: Vec::new(), scale: scales, bound: Vec::new() };
    for channel in 0..layer.channels {
        let Channel { data, bias, bound } =
            layer.channel(channel, result.scale[channel], rounding, arithmetic);
        result.data.extend(data);
        result.bias.push(bias);
        result.bound.push(bound);
    }
    Ok(result)
}

impl Layer<'_> {
    fn row(&self, channel: usize) -> &[f32] {
        let taps = self.weights.len() / self.channels;
        &self.weights[channel * taps..(channel + 1) * taps]
    }

    /// The common scale of some channels at which all their sums fit the accumulator.
    fn fitting_scale(
        &self,
        channels: &[usize],
        rounding: WeightRounding,
        arithmetic: &Arithmetic,
    ) -> Result<f64, QuantizeError> {
        let rows: Vec<f32> = channels.iter().flat_map(|&c| self.row(c)).copied().collect();
        let largest = rows.iter().fold(0f32, |m, w| m.max(w.abs()));
        if largest == 0.0 {
            // Only the bias is left: count it in steps of the result.
            return Ok(storable(self.output.scale / self.input.scale));
        }
        let limit = 1u64 << (self.accumulator_bits(arithmetic) - 1);
        let best = best_scale(&rows, largest, arithmetic.weight_limit);
        let mut scale = self.with_exact_multiplier(best, arithmetic);
        if arithmetic.multiplier_bits == 1 {
            // The next power of two may waste almost a bit; the one below clips.
            let limit = f64::from(arithmetic.weight_limit);
            let below = storable(scale / 2.0);
            if squared_error(&rows, below, limit) < squared_error(&rows, scale, limit) {
                scale = below;
            }
        }
        for _ in 0..MAX_ROUNDS {
            let bounds =
                channels.iter().map(|&c| self.channel(c, scale, rounding, arithmetic).bound);
            let bound = bounds.max().unwrap_or(0);
            if bound < limit {
                let vanished = f64::from(largest) < scale / 2.0;
                return if vanished && self.matters(channels) {
                    Err(self.too_narrow(channels[0], arithmetic))
                } else {
                    Ok(scale)
                };
            }
            // Rounding of weights keeps the sum from shrinking in exact proportion.
            let wanted = scale * (bound as f64 / limit as f64).max(1.001) * 1.001;
            scale = self.with_exact_multiplier(wanted, arithmetic);
        }
        Err(self.too_narrow(channels[0], arithmetic))
    }

    /// The smallest scale from `scale` up whose ratio to the result's scale is a multiplier of the machine; `scale`
    /// itself where multipliers are fine.
    fn with_exact_multiplier(&self, scale: f64, arithmetic: &Arithmetic) -> f64 {
        if arithmetic.multiplier_bits >= FINE_MULTIPLIER_BITS {
            return storable(scale);
        }
        let per_scale = self.input.scale / self.output.scale;
        // Scales in single precision miss an exact ratio by less than this.
        let ratio = scale * per_scale * (1.0 - 1e-6);
        storable(ceil_significant(ratio, arithmetic.multiplier_bits) / per_scale)
    }

    /// Whether the weights of some channel can move its result by a step.
    fn matters(&self, channels: &[usize]) -> bool {
        let largest_input = self.input.scale * self.input.span() as f64;
        let reach = |&c: &usize| {
            self.row(c).iter().map(|w| f64::from(w.abs())).sum::<f64>() * largest_input
        };
        channels.iter().map(reach).fold(0.0, f64::max) > self.output.scale
    }

    fn too_narrow(&self, channel: usize, arithmetic: &Arithmetic) -> QuantizeError {
        QuantizeError::Accumulator {
            node: self.node.to_owned(),
            channel,
            acc_bits: self.accumulator_bits(arithmetic),
        }
    }

    fn accumulator_bits(&self, arithmetic: &Arithmetic) -> u8 {
        arithmetic.acc_bits.min(self.input.dtype.accumulator_bits())
    }

    fn channel(
        &self,
        channel: usize,
        scale: f64,
        rounding: WeightRounding,
        arithmetic: &Arithmetic,
    ) -> Channel {
        let limit = f64::from(arithmetic.weight_limit);
        let quantized =
            |w: &f32| (f64::from(*w) / scale).round_ties_even().clamp(-limit, limit) as i8;
        let mut data: Vec<i8> = self.row(channel).iter().map(quantized).collect();
        let flips = match rounding {
            // Between channels less is gained than bias correction gains anyway.
            WeightRounding::Auto | WeightRounding::Gptq | WeightRounding::Descent => {
                self.kernel > 1 && arithmetic.weight_limit < 1 << (CLIPPED_BITS - 1)
            }
            WeightRounding::Nearest => false,
            WeightRounding::Squant => true,
        };
        if flips {
            squant::flip(&mut data, self.row(channel), scale, limit, self.kernel);
        }
        let sum: i64 = data.iter().map(|w| i64::from(*w)).sum();
        let real_bias = self.bias.get(channel).copied().map_or(0.0, f64::from);
        // The cast saturates, and so does the bound.
        let steps = (real_bias / (self.input.scale * scale)).round_ties_even() as i64;
        let bias = steps.saturating_sub(i64::from(self.input.zero_point) * sum);
        let (lo, hi) = self.input.dtype.range();
        let bound = accumulator_bound(&data, lo, hi, bias);
        Channel { data, bias, bound }
    }
}

/// The scale of least squared weight error; without clipping for many bits, where it hardly matters.
fn best_scale(row: &[f32], largest: f32, weight_limit: i8) -> f64 {
    let limit = f64::from(weight_limit);
    let full = f64::from(largest) / limit;
    if weight_limit >= 1 << (CLIPPED_BITS - 1) {
        return full;
    }
    let error = |scale: f64| squared_error(row, scale, limit);
    // From the widest down, so that ties keep the largest weights.
    let candidates =
        (0..CLIPPINGS).map(|i| full * (1.0 - f64::from(i) * 0.5 / f64::from(CLIPPINGS - 1)));
    let best =
        candidates.map(|scale| (error(scale), scale)).reduce(|a, b| if b.0 < a.0 { b } else { a });
    best.map_or(full, |(_, scale)| scale)
}

/// The scale at which weights rounded to symmetric integers of `bits` bits, 2..=8, lose least; 1 for zeros alone.
#[must_use]
pub fn weight_scale(row: &[f32], bits: u8) -> f64 {
    let largest = row.iter().fold(0f32, |m, w| m.max(w.abs()));
    if largest == 0.0 { 1.0 } else { best_scale(row, largest, i8::MAX >> (8 - bits)) }
}

/// Squared error of weights rounded to a scale and clipped at `limit` steps.
fn squared_error(row: &[f32], scale: f64, limit: f64) -> f64 {
    let squared = |w: &f32| {
        let w = f64::from(*w);
        let e = w - (w / scale).round_ties_even().clamp(-limit, limit) * scale;
        e * e
    };
    row.iter().map(squared).sum()
}

fn check_finite(
    layer: &Layer<'_>,
    what: &'static str,
    values: &[f32],
) -> Result<(), QuantizeError> {
    match values.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(QuantizeError::NotFinite {
            node: layer.node.to_owned(),
            what,
            index,
            value: values[index],
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ir::qgraph::QType;
    use proptest::prelude::*;

    const INPUT: Params = Params { dtype: QType::I8, scale: 0.02, zero_point: -10 };
    const OUTPUT: Params = Params { dtype: QType::I8, scale: 0.05, zero_point: 3 };

    const NEAREST: (Granularity, WeightRounding) =
        (Granularity::PerChannel, WeightRounding::Nearest);

    fn layer<'a>(weights: &'a [f32], bias: &'a [f32], channels: usize) -> Layer<'a> {
        Layer { node: "n", weights, bias, channels, kernel: 1, input: INPUT, output: OUTPUT }
    }

    fn arithmetic(weight_limit: i8, acc_bits: u8) -> Arithmetic {
        Arithmetic { acc_bits, multiplier_bits: 24, add_multiplier_bits: 24, weight_limit }
    }

    #[test]
    fn channels_have_their_own_scale_and_a_folded_zero_point() {
        let q = quantize(
            &layer(&[1.27, -0.5, 0.0101, 0.02], &[0.4, 0.0], 2),
            NEAREST,
            &arithmetic(127, 32),
        )
        .unwrap();
        assert_eq!(q.data, [127, -50, 64, 127]);
        // 0.4 / (0.02 * 0.01) = 2000, and -(-10) * (127 - 50).
        assert_eq!(q.bias, [2770, 1910]);
        assert_eq!(q.bound, [128 * 177 + 2770, 128 * 191 + 1910]);
        let q = quantize(
            &layer(&[1.27, -0.5, 0.01, 0.02], &[], 2),
            (Granularity::PerTensor, WeightRounding::Nearest),
            &arithmetic(127, 32),
        )
        .unwrap();
        assert_eq!((q.data, q.scale[0]), (vec![127, -50, 1, 2], q.scale[1]));
    }

    #[test]
    fn few_bits_clip_the_outlier() {
        let row: Vec<f32> =
            (0..64).map(|i| if i == 0 { 1.0 } else { 0.5 - (i % 2) as f32 }).collect();
        let q = quantize(&layer(&row, &[], 1), NEAREST, &arithmetic(1, 32)).unwrap();
        assert!(q.scale[0] < 0.6 && q.data.iter().all(|w| w.abs() == 1));
    }

    #[test]
    fn a_large_bias_coarsens_the_weights_and_fits() {
        let q =
            quantize(&layer(&[1e-6, -3e-7], &[100.0], 1), NEAREST, &arithmetic(127, 32)).unwrap();
        let real = q.bias[0] as f64 * q.scale[0] * INPUT.scale;
        assert!(q.bound[0] < 1 << 31 && (real - 100.0).abs() < 1e-3, "{real}");
    }

    #[test]
    fn wider_accumulators_of_the_machine_are_none_for_int8() {
        let large = layer(&[1e-6, -5e-7], &[100.0], 1);
        let q = quantize(&large, NEAREST, &arithmetic(127, 48)).unwrap();
        assert!((1 << 29..1 << 31).contains(&q.bound[0]), "{}", q.bound[0]);
    }

    #[test]
    fn a_dead_channel_keeps_its_bias_to_half_a_step() {
        let q = quantize(&layer(&[0.0; 3], &[0.42], 1), NEAREST, &arithmetic(127, 32)).unwrap();
        assert_eq!((q.data, q.bias), (vec![0; 3], vec![8]));
    }

    #[test]
    fn narrow_accumulators_and_bad_constants_are_named() {
        let row: Vec<f32> = (0..4000).map(|i| ((i * 37) % 101) as f32 / 101.0 - 0.4).collect();
        let narrow = quantize(&layer(&row, &[], 1), NEAREST, &arithmetic(127, 16));
        assert!(matches!(narrow, Err(QuantizeError::Accumulator { channel: 0, acc_bits: 16, .. })));
        assert!(quantize(&layer(&row, &[], 1), NEAREST, &arithmetic(127, 24)).is_ok());
        let bad = quantize(&layer(&[1.0, f32::NAN], &[], 1), NEAREST, &arithmetic(127, 32));
        assert!(matches!(bad, Err(QuantizeError::NotFinite { what: "weight", index: 1, .. })));
    }

    proptest! {
        #[test]
        fn sums_always_fit(
            weights in prop::collection::vec(-2f32..2.0, 24),
            bias in prop::collection::vec(-1e4f32..1e4, 2),
            limit in prop::sample::select(vec![1i8, 3, 7, 31, 127]),
            acc_bits in 20u8..48,
            kernel in prop::sample::select(vec![1usize, 4]),
            rounding in prop::sample::select(WeightRounding::ALL.to_vec()),
        ) {
            let arithmetic = arithmetic(limit, acc_bits);
            let layer = Layer { kernel, ..layer(&weights, &bias, 2) };
            if let Ok(q) = quantize(&layer, (Granularity::PerChannel, rounding), &arithmetic) {
                prop_assert!(q.bound.iter().all(|b| *b < 1 << (acc_bits.min(32) - 1)));
                prop_assert!(q.data.iter().all(|w| w.abs() <= limit));
                for (c, bias) in bias.iter().enumerate() {
                    let sum: i64 = q.data[c * 12..][..12].iter().map(|w| i64::from(*w)).sum();
                    let real = (q.bias[c] - 10 * sum) as f64 * q.scale[c] * INPUT.scale;
                    prop_assert!((real - f64::from(*bias)).abs() <= 0.51 * q.scale[c] * INPUT.scale);
                }
            }
        }
    }
}
