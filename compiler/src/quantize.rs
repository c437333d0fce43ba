//! From the float graph and its ranges to the integer graph.
//!
//! Post-training, static quantization (Jacob et al., 2018; Krishnamoorthi, 2018, "Quantizing deep convolutional networks
//! for efficient inference"): weights symmetric per channel, activations asymmetric int8 or symmetric int16, biases in
//! the accumulator's scale. Nothing stays float: a node without an integer form is an error, all of them at once.

mod bits;
mod check;
mod emit;
mod error;
mod fusion;
mod kept;
mod layout;
mod normalization;
mod params;
mod plateaus;
mod scales;
mod searched;
mod sharing;
mod squant;
mod storages;
mod weights;
mod whole;

use ir::graph::Graph;
use ir::qgraph::QGraph;
use isa::hardware::Hardware;

use crate::calibrate::Calibration;
use crate::options::Options;
use emit::Emitter;
use fusion::Fusion;
use params::Grid;

pub(crate) use emit::slope_axis;
pub(crate) use params::{Storage, ceil_significant};
pub(crate) use storages::Storages;
pub use storages::free_widths;

pub use bits::layer_bits;
pub use check::check;
pub use error::{QuantizeError, Refusal};
pub(crate) use kept::keeps_integers;
pub use kept::{Kept, kept};
pub use sharing::{Clipping, Wanted, wanted};
pub use weights::weight_scale;

/// Widths that bound the integers.
#[derive(Clone, Copy, Debug)]
struct Arithmetic {
    /// Bits of an accumulator.
    acc_bits: u8,
    /// Significant bits of a requantization multiplier.
    multiplier_bits: u8,
    /// Significant bits of an addition's multipliers.
    add_multiplier_bits: u8,
    /// Largest magnitude of a weight.
    weight_limit: i8,
}

impl Arithmetic {
    /// The scales that the machine relates without error.
    fn grid(&self) -> Grid {
        if self.multiplier_bits == 1 || self.add_multiplier_bits == 1 {
            Grid::PowersOfTwo { unit: 1.0 }
        } else {
            Grid::Any
        }
    }

    fn new(options: &Options, hardware: &Hardware) -> Result<Arithmetic, QuantizeError> {
        let bad = |name, found: u32, expected| QuantizeError::Option {
            name,
            found: found.to_string(),
            expected,
        };
        if !(2..=8).contains(&options.weight_bits) {
            return Err(bad("weight_bits", options.weight_bits.into(), "2 to 8"));
        }
        let width = |name, bits: u32, most: u8, expected| {
            u8::try_from(bits)
                .ok()
                .filter(|b| (1..=most).contains(b))
                .ok_or_else(|| bad(name, bits, expected))
        };
        Ok(Arithmetic {
            acc_bits: width("acc_bits", hardware.acc_bits, 63, "1 to 63")?,
            multiplier_bits: width("multiplier_bits", hardware.multiplier_bits, 31, "1 to 31")?,
            add_multiplier_bits: width(
                "add_multiplier_bits",
                hardware.add_multiplier_bits,
                31,
                "1 to 31",
            )?,
            weight_limit: i8::MAX >> (8 - options.weight_bits),
        })
    }

    /// For a layer whose weights have that many bits.
    fn with_bits(&self, bits: u8) -> Arithmetic {
        Arithmetic { weight_limit: i8::MAX >> (8 - bits), ..*self }
    }
}

/// Quantizes `graph`, which must have been through the [passes](crate::passes), for `hardware`.
///
/// `calibration` must hold a range for each value that [`wanted`] lists.
///
/// # Errors
/// When nodes have no integer form, ranges are missing, constants are not finite, or the machine's widths do not suffice.
pub fn quantize(
    graph: &Graph,
    calibration: &Calibration,
    options: &Options,
    hardware: &Hardware,
) -> Result<QGraph, QuantizeError> {
    let arithmetic = Arithmetic::new(options, hardware)?;
    let refusals = check(graph);
    if !refusals.is_empty() {
        return Err(QuantizeError::Refused { refusals });
    }
    let fusion = Fusion::of(graph);
    let bits = layer_bits(graph, options)?;
    let storages = Storages::new(graph, options)?;
    let assigned = scales::assign(graph, &fusion, calibration, &storages, &arithmetic, &bits)?;
    let emitter = Emitter::new(graph, &assigned, options, &arithmetic, &bits, hardware.rounding);
    let quantized = emitter.run(&fusion)?;
    quantized.verify().map_err(|problems| QuantizeError::Invalid { problems })?;
    Ok(quantized)
}

#[cfg(test)]
mod tests;
