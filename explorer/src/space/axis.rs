//! What can be an axis: the machine, each hardware parameter, each choice of quantization, and the bits of single layers.

use compiler::options::{BiasCorrection, Granularity, Logits, Observer, Options, WeightRounding};
use isa::Hardware;
use isa::hardware::PRESETS;

use super::Value;

/// The axis that names a preset to start from.
const PRESET: &str = "hw";

/// The axes of widths of all layers.
pub(super) const WEIGHT_BITS_AXIS: &str = "weight_bits";
pub(super) const ACT_BITS_AXIS: &str = "act_bits";

/// Axes of these tables are the bits per weight of single layers, and per activation of single values, by the name of their node.
pub(super) const LAYERS: [&str; 2] = ["layer_bits", "layer_act_bits"];

/// Bits per weight, and per activation.
const WEIGHT_BITS: [u8; 7] = [2, 3, 4, 5, 6, 7, 8];
const ACT_BITS: [u8; 8] = [2, 3, 4, 5, 6, 7, 8, 16];

/// A choice of quantization. A new one is one entry in [`CHOICES`].
struct Choice {
    /// Name of the axis: the option of `qcc` with underscores, except where a hardware parameter has that name.
    name: &'static str,
    /// Sets it, or says what was expected.
    set: fn(&mut Options, &Value) -> Result<(), String>,
    /// The option of `qcc`. A flag is given where the value is `true`.
    flag: &'static str,
}

const CHOICES: &[Choice] = &[
    Choice {
        name: WEIGHT_BITS_AXIS,
        set: |options, value| put(&mut options.weight_bits, bits(value, &WEIGHT_BITS)),
        flag: "--weight-bits",
    },
    Choice {
        name: ACT_BITS_AXIS,
        set: |options, value| put(&mut options.act_bits, bits(value, &ACT_BITS)),
        flag: "--act-bits",
    },
    Choice {
        name: "weight_bits_everywhere",
        set: |options, value| put(&mut options.weight_bits_everywhere, flag(value)),
        flag: "--weight-bits-everywhere",
    },
    Choice {
        name: "per_tensor",
        set: |options, value| {
            let one = flag(value)?;
            options.granularity =
                if one { Granularity::PerTensor } else { Granularity::PerChannel };
            Ok(())
        },
        flag: "--per-tensor",
    },
    Choice {
        name: "symmetric_activations",
        set: |options, value| put(&mut options.symmetric_activations, flag(value)),
        flag: "--symmetric-activations",
    },
    Choice {
        name: "observer",
        set: |options, value| {
            put(
                &mut options.observer,
                named(value, Observer::from_name, &Observer::ALL.map(Observer::name)),
            )
        },
        flag: "--observer",
    },
    Choice { name: "percentile", set: percentile, flag: "--percentile" },
    Choice {
        name: "logits",
        set: |options, value| {
            put(
                &mut options.logits,
                named(value, Logits::from_name, &Logits::ALL.map(Logits::name)),
            )
        },
        flag: "--logits",
    },
    Choice {
        name: "weight_rounding",
        set: |options, value| {
            let names = WeightRounding::ALL.map(WeightRounding::name);
            put(&mut options.weight_rounding, named(value, WeightRounding::from_name, &names))
        },
        flag: "--rounding",
    },
    Choice {
        name: "bias_correction",
        set: |options, value| {
            let names = BiasCorrection::ALL.map(BiasCorrection::name);
            put(&mut options.bias_correction, named(value, BiasCorrection::from_name, &names))
        },
        flag: "--bias-correction",
    },
];

fn put<T>(slot: &mut T, value: Result<T, String>) -> Result<(), String> {
    *slot = value?;
    Ok(())
}

fn bits(value: &Value, allowed: &[u8]) -> Result<u8, String> {
    let found = match value {
        Value::Integer(found) => allowed.iter().find(|bits| i64::from(**bits) == *found),
        _ => None,
    };
    found.copied().ok_or_else(|| {
        let all: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        format!("expected one of {}", all.join(", "))
    })
}

fn flag(value: &Value) -> Result<bool, String> {
    match value {
        Value::Flag(flag) => Ok(*flag),
        _ => Err("expected true or false".to_owned()),
    }
}

fn named<T>(
    value: &Value,
    from_name: fn(&str) -> Option<T>,
    names: &[&'static str],
) -> Result<T, String> {
    let found = match value {
        Value::Word(word) => from_name(word),
        _ => None,
    };
    found.ok_or_else(|| format!("expected one of \"{}\"", names.join("\", \"")))
}

fn percentile(options: &mut Options, value: &Value) -> Result<(), String> {
    match value.number().filter(|percent| *percent > 50.0 && *percent <= 100.0) {
        Some(percent) => put(&mut options.percentile, Ok(percent)),
        None => Err("expected a percentage above 50 and up to 100".to_owned()),
    }
}

/// One thing that differs between points.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Name: `hw`, a hardware parameter, a choice of quantization, or `layer_bits.NODE`.
    pub name: String,
    /// Its values in the order given, none twice.
    pub values: Vec<Value>,
}

/// What an axis changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How to quantize.
    pub options: Options,
    /// The machine, not yet validated as a whole.
    pub hardware: Hardware,
}

impl Axis {
    /// Names of all axes but those of single layers.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let choices = CHOICES.iter().map(|choice| choice.name);
        [PRESET].into_iter().chain(choices).chain(Hardware::names())
    }

    /// Whether it names the machine that all other parameters change.
    #[must_use]
    pub fn is_preset(&self) -> bool {
        self.name == PRESET
    }

    /// Whether it says how to quantize, and nothing of the machine.
    pub(super) fn is_of_quantization(&self) -> bool {
        CHOICES.iter().any(|choice| choice.name == self.name)
    }

    /// The node whose bits per weight it sets.
    #[must_use]
    pub fn layer(&self) -> Option<&str> {
        layer(&self.name).filter(|(table, _)| *table == LAYERS[0]).map(|(_, node)| node)
    }

    /// Applies one of its values.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn set(name: &str, value: &Value, settings: &mut Settings) -> Result<(), String> {
        if name == PRESET {
            let known = match value {
                Value::Word(word) => Hardware::preset(word),
                _ => None,
            };
            settings.hardware =
                known.ok_or_else(|| format!("expected one of \"{}\"", PRESETS.join("\", \"")))?;
            return Ok(());
        }
        if let Some((table, node)) = layer(name) {
            let options = &mut settings.options;
            let (of, allowed) = match table {
                "layer_bits" => (&mut options.layer_bits, &WEIGHT_BITS[..]),
                _ => (&mut options.layer_act_bits, &ACT_BITS[..]),
            };
            of.insert(node.to_owned(), bits(value, allowed)?);
            return Ok(());
        }
        if let Some(choice) = CHOICES.iter().find(|choice| choice.name == name) {
            return (choice.set)(&mut settings.options, value);
        }
        settings.hardware.set(name, &value.to_string()).map_err(|e| e.to_string())
    }

    /// The options of `qcc` for one value; none for a flag that is `false`.
    #[must_use]
    pub fn flags(&self, value: &Value) -> Option<String> {
        if self.is_preset() {
            return Some(format!("--hw {value}"));
        }
        if let Some((table, node)) = layer(&self.name) {
            let asked = quoted(&format!("{node}={value}"));
            return Some(format!("--{} {asked}", table.replace('_', "-")));
        }
        match CHOICES.iter().find(|choice| choice.name == self.name) {
            Some(choice) => match value {
                Value::Flag(given) => given.then(|| choice.flag.to_owned()),
                _ => Some(format!("{} {value}", choice.flag)),
            },
            None => Some(format!("--set {}={value}", self.name)),
        }
    }
}

/// The table and the node of an axis that sets the bits of one.
fn layer(name: &str) -> Option<(&str, &str)> {
    name.split_once('.').filter(|(table, _)| LAYERS.contains(table))
}

/// An argument as a shell takes it: names of nodes may hold anything.
pub(super) fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+@%".contains(c);
    match argument.chars().all(plain) {
        true => argument.to_owned(),
        false => format!("'{}'", argument.replace('\'', r"'\''")),
    }
}
