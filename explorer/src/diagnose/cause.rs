//! What a source of noise is, in words, and what would remove it.

use compiler::options::{Granularity, Options};
use ir::qgraph::QType;

use super::measure::Noise;
use super::source::{Kind, Source, Storage, Weights};

/// Share of a source's noise from which on one part of it is the cause.
const MOSTLY: f64 = 0.5;

/// How much coarser than its own range needs a value must be stored for that to be the cause.
const COARSE: f64 = 2.0;

/// Deviations within which few ranges stay: beyond, outliers make the steps coarse.
const OUTLIER_DEVIATIONS: f64 = 16.0;

/// Noise of 16-bit values over that of 8-bit ones: steps are 256 times finer.
const SIXTEEN_BITS: f64 = 1.0 / 65536.0;

/// A cause and its remedy.
pub(super) struct Remedy {
    /// The cause, with its number.
    pub cause: String,
    /// Option of `qcc`, if one helps.
    pub fix: Option<String>,
    /// Share of the source's noise that it removes.
    pub removed: f64,
}

/// What to say of a source.
pub(super) fn remedy(source: &Source, noise: &Noise, options: &Options, corrected: bool) -> Remedy {
    match &source.kind {
        Kind::Weights(weights) => of_weights(source, weights, noise, options, corrected),
        Kind::Storage(storage) => of_value(source, storage, noise, options),
        Kind::Table { .. } => Remedy {
            cause: "a smooth function is interpolated between 513 nodes".into(),
            fix: None,
            removed: 0.0,
        },
    }
}

fn of_weights(
    source: &Source,
    weights: &Weights,
    noise: &Noise,
    options: &Options,
    corrected: bool,
) -> Remedy {
    let bits = weights.bits;
    let shifted = noise.shift / (noise.local + if corrected { noise.shift } else { 0.0 });
    if !corrected && shifted > MOSTLY {
        return Remedy {
            cause: format!(
                "rounded weights shift the means of channels: {} of this noise",
                percent(shifted)
            ),
            fix: Some("--bias-correction auto".into()),
            removed: shifted,
        };
    }
    let most = weights.largest.iter().fold(0f32, |most, &w| most.max(w));
    let spread: Vec<f64> = weights.largest.iter().map(|&w| f64::from(w / most)).collect();
    let narrow = spread.iter().map(|share| share * share).sum::<f64>() / spread.len().max(1) as f64;
    if options.granularity == Granularity::PerTensor && narrow < MOSTLY {
        return Remedy {
            cause: format!(
                "one scale for channels whose largest weights differ {:.0} times",
                times(&weights.largest)
            ),
            fix: Some("leave out --per-tensor".into()),
            removed: 1.0 - narrow,
        };
    }
    let few = bits < 8;
    Remedy {
        cause: format!("weights have {bits} bits"),
        fix: few.then(|| format!("--layer-bits {}=8", source.name)),
        removed: if few { 1.0 - libm::pow(4.0, f64::from(bits) - 8.0) } else { 0.0 },
    }
}

fn of_value(source: &Source, storage: &Storage, noise: &Noise, options: &Options) -> Remedy {
    let wide = |cause: String| {
        let narrow = storage.dtype == QType::I8;
        Remedy {
            cause,
            fix: narrow.then(|| format!("--layer-act-bits {}=16", source.name)),
            removed: if narrow { 1.0 - SIXTEEN_BITS } else { 0.0 },
        }
    };
    let clipped = noise.clipped / noise.local;
    if clipped > MOSTLY {
        let elements = noise.clipped_elements as f64 / (noise.elements as f64).max(1.0);
        return wide(format!(
            "{} of the values lie beyond the range, and clipping them makes {} of this noise",
            percent(elements),
            percent(clipped)
        ));
    }
    // Zero is always stored.
    let own = f64::from(noise.most.max(0.0)) - f64::from(noise.least.min(0.0));
    let steps = if storage.dtype == QType::I8 {
        f64::from(1u32 << options.act_bits.min(8))
    } else {
        65536.0
    };
    let coarser = storage.scale * steps / own;
    if coarser > COARSE {
        return wide(format!(
            "stored in steps {coarser:.1} times coarser than its own range needs"
        ));
    }
    let deviations = own / noise.deviation();
    if deviations > OUTLIER_DEVIATIONS {
        return wide(format!("outliers: the range is {deviations:.0} standard deviations wide"));
    }
    let steps = noise.deviation() / storage.scale;
    wide(format!("rounding: a standard deviation has {steps:.1} steps"))
}

/// Largest over smallest, the zeros apart.
fn times(largest: &[f32]) -> f32 {
    let most = largest.iter().fold(0f32, |most, &w| most.max(w));
    let least = largest.iter().filter(|w| **w > 0.0).fold(f32::INFINITY, |least, &w| least.min(w));
    if least.is_finite() { most / least } else { 1.0 }
}

pub(super) fn percent(share: f64) -> String {
    if share < 0.001 { format!("{:.4}%", 100.0 * share) } else { format!("{:.1}%", 100.0 * share) }
}
