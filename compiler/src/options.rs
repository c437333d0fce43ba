//! What the user decides about a network's integer form.

use serde::{Deserialize, Serialize};

/// Widths, granularity and calibration of a quantization.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Bits per weight, 2..=8.
    pub weight_bits: u8,
    /// Bits per activation, 8 or 16.
    pub act_bits: u8,
    /// One scale for all output channels of a layer, or one each.
    pub granularity: Granularity,
    /// How activation ranges are chosen from what was observed.
    pub observer: Observer,
    /// Seed of synthetic inputs.
    pub seed: u64,
    /// Smallest and largest real value of the network's inputs, if known and no data is given.
    pub input_range: Option<(f32, f32)>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            weight_bits: 8,
            act_bits: 8,
            granularity: Granularity::PerChannel,
            observer: Observer::Mse,
            seed: 0,
            input_range: None,
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
#[serde(rename_all = "lowercase")]
pub enum Observer {
    /// All of it: smallest to largest.
    MinMax,
    /// The range of least squared error, rounding inside and clipping outside together.
    #[default]
    Mse,
}

impl Observer {
    /// All observers.
    pub const ALL: [Observer; 2] = [Observer::MinMax, Observer::Mse];

    /// Name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Observer::MinMax => "minmax",
            Observer::Mse => "mse",
        }
    }

    /// The observer with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Observer> {
        Observer::ALL.into_iter().find(|observer| observer.name() == name)
    }
}
