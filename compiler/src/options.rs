//! What the user decides about a network's integer form.

use std::collections::BTreeMap;

use ir::qgraph::QType;
use serde::{Deserialize, Serialize};

use crate::quantize::Storage;

/// Widths, granularity and calibration of a quantization.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Bits per weight, 2..=8.
    pub weight_bits: u8,
    /// Bits per weight of single layers, by node name; see [`layer_bits`](crate::quantize::layer_bits).
    pub layer_bits: BTreeMap<String, u8>,
    /// Whether `weight_bits` holds for the layers too that few bits would ruin.
    pub weight_bits_everywhere: bool,
    /// How weights become integers.
    pub weight_rounding: WeightRounding,
    /// Bits per activation, 2..=8 or 16.
    pub act_bits: u8,
    /// Bits per activation of the values that single nodes compute, 2..=8 or 16, by name of the node (or of a network input).
    pub layer_act_bits: BTreeMap<String, u8>,
    /// Whether int8 activations have zero in the middle of their range, as int16 ones always have.
    pub symmetric_activations: bool,
    /// One scale for all output channels of a layer, or one each.
    pub granularity: Granularity,
    /// How activation ranges are chosen from what was observed.
    pub observer: Observer,
    /// Percent of the values that [`Observer::Percentile`] keeps, above 50 and up to 100.
    pub percentile: f64,
    /// How the ranges of what decides the answer are chosen.
    pub logits: Logits,
    /// Seed of synthetic inputs.
    pub seed: u64,
    /// Smallest and largest real value of the network's inputs, if known and no data is given.
    pub input_range: Option<(f32, f32)>,
    /// How biases make up for what rounding does to means.
    pub bias_correction: BiasCorrection,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            weight_bits: 8,
            layer_bits: BTreeMap::new(),
            weight_bits_everywhere: false,
            weight_rounding: WeightRounding::Auto,
            act_bits: 8,
            layer_act_bits: BTreeMap::new(),
            symmetric_activations: false,
            granularity: Granularity::PerChannel,
            observer: Observer::Mse,
            percentile: 99.99,
            logits: Logits::MinMax,
            seed: 0,
            input_range: None,
            bias_correction: BiasCorrection::Auto,
        }
    }
}

impl Options {
    /// How activations of that many bits are stored.
    pub(crate) fn storage(&self, bits: u8) -> Storage {
        if bits == 16 {
            Storage::INT16
        } else {
            Storage { dtype: QType::I8, bits, symmetric: self.symmetric_activations }
        }
    }
}

/// How many scales the weights of a layer have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Granularity {
    /// One per output channel.
    #[default]
    PerChannel,
    /// One for the layer.
    PerTensor,
}

/// How an activation range is chosen from observed values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Observer {
    /// All of it: smallest to largest.
    #[serde(rename = "minmax")]
    MinMax,
    /// The mean over the samples, in their order, of each one's smallest and largest value.
    #[serde(rename = "moving-average")]
    MovingAverage,
    /// All but a share of the values at either end.
    #[serde(rename = "percentile")]
    Percentile,
    /// The range whose steps tell most about the distribution (least Kullback-Leibler divergence).
    #[serde(rename = "entropy")]
    Entropy,
    /// The range of least squared error, rounding inside and clipping outside together.
    #[default]
    #[serde(rename = "mse")]
    Mse,
}

/// How the range of values that decide the network's answer is chosen: of outputs, and of what a softmax reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Logits {
    /// All of it, so that nothing is clipped.
    #[default]
    #[serde(rename = "minmax")]
    MinMax,
    /// The range under which most samples keep their largest element; where there are several elements a place, as
    /// [`Logits::MinMax`].
    #[serde(rename = "isotone")]
    Isotone,
    /// That of least squared error.
    #[serde(rename = "mse")]
    Mse,
}

/// How weights become integers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightRounding {
    /// Of at most six bits: flips for kernels of more than one position, nearest for others; where there are samples,
    /// gptq and descent if held-out ones agree. Nearest for more bits.
    #[default]
    Auto,
    /// To the nearest integer, each weight alone.
    Nearest,
    /// Some to the other neighbour, so that the errors of a kernel and of a channel cancel.
    Squant,
    /// On samples: one after the other, so that those still to come make up for each.
    Gptq,
    /// On samples: changed by single steps as long as that brings the layer closer to the float one.
    Descent,
}

impl WeightRounding {
    /// All ways.
    pub const ALL: [WeightRounding; 5] = [
        WeightRounding::Auto,
        WeightRounding::Nearest,
        WeightRounding::Squant,
        WeightRounding::Gptq,
        WeightRounding::Descent,
    ];

    /// Name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            WeightRounding::Auto => "auto",
            WeightRounding::Nearest => "nearest",
            WeightRounding::Squant => "squant",
            WeightRounding::Gptq => "gptq",
            WeightRounding::Descent => "descent",
        }
    }

    /// The way with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<WeightRounding> {
        WeightRounding::ALL.into_iter().find(|way| way.name() == name)
    }
}

/// Whether factors are moved between layers, so that channels have equal ranges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Equalize {
    /// Where no rounding is predicted to cost more then, and some by far less. The float function stays what it was, to the bit.
    #[default]
    Auto,
    /// Wherever it can be done; and what channels hardly ever fall below is moved into the next layer's biases, which changes the
    /// function where they do.
    On,
    /// Nowhere.
    Off,
}

impl Equalize {
    /// All ways.
    pub const ALL: [Equalize; 3] = [Equalize::Auto, Equalize::On, Equalize::Off];

    /// Name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Equalize::Auto => "auto",
            Equalize::On => "on",
            Equalize::Off => "off",
        }
    }

    /// The way with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Equalize> {
        Equalize::ALL.into_iter().find(|way| way.name() == name)
    }
}

/// How the bias of each output channel is corrected so that its mean stays that of the float network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BiasCorrection {
    /// That of the others whose answers to held-out samples are closest to the float network's; mixed where there are none.
    #[default]
    Auto,
    /// Analytic where batch norms tell the mean of a layer's input, empirical for other layers if there are samples.
    Mixed,
    /// By the means of the integers on samples, layer after layer.
    Empirical,
    /// By the mean inputs that batch norms tell.
    Analytic,
    /// Not at all: biases are rounded alone.
    Off,
}

impl BiasCorrection {
    /// All ways.
    pub const ALL: [BiasCorrection; 5] = [
        BiasCorrection::Auto,
        BiasCorrection::Mixed,
        BiasCorrection::Empirical,
        BiasCorrection::Analytic,
        BiasCorrection::Off,
    ];

    /// Name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            BiasCorrection::Auto => "auto",
            BiasCorrection::Mixed => "mixed",
            BiasCorrection::Empirical => "empirical",
            BiasCorrection::Analytic => "analytic",
            BiasCorrection::Off => "off",
        }
    }

    /// The way with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<BiasCorrection> {
        BiasCorrection::ALL.into_iter().find(|way| way.name() == name)
    }
}

impl Observer {
    /// All observers.
    pub const ALL: [Observer; 5] = [
        Observer::MinMax,
        Observer::MovingAverage,
        Observer::Percentile,
        Observer::Entropy,
        Observer::Mse,
    ];

    /// Name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Observer::MinMax => "minmax",
            Observer::MovingAverage => "moving-average",
            Observer::Percentile => "percentile",
            Observer::Entropy => "entropy",
            Observer::Mse => "mse",
        }
    }

    /// The observer with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Observer> {
        Observer::ALL.into_iter().find(|observer| observer.name() == name)
    }
}

impl Logits {
    /// All ways.
    pub const ALL: [Logits; 3] = [Logits::MinMax, Logits::Isotone, Logits::Mse];

    /// Name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Logits::MinMax => "minmax",
            Logits::Isotone => "isotone",
            Logits::Mse => "mse",
        }
    }

    /// The way with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Logits> {
        Logits::ALL.into_iter().find(|logits| logits.name() == name)
    }
}
