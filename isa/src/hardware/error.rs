//! What can be wrong with a hardware description.

use thiserror::Error;

use crate::numerics::NumericsError;

/// A hardware description that was refused.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum HardwareError {
    /// A key that is no parameter.
    #[error("unknown hardware parameter `{name}`{}", hint(similar))]
    UnknownParameter {
        /// The key.
        name: String,
        /// Parameters of similar spelling, nearest first.
        similar: Vec<&'static str>,
    },
    /// A name that is no preset.
    #[error("unknown hardware preset `{name}`: must be one of {}", super::PRESETS.join(", "))]
    UnknownPreset {
        /// The name.
        name: String,
    },
    /// A value that is not a non-negative decimal integer.
    #[error("`{name}` = {value}: must be an integer in {min}..={max} ({unit})")]
    NotAnInteger {
        /// The parameter.
        name: &'static str,
        /// The value as written.
        value: String,
        /// Smallest value.
        min: u32,
        /// Largest value.
        max: u32,
        /// Its unit.
        unit: &'static str,
    },
    /// A value outside the range of its parameter.
    #[error("`{name}` = {value}: must be in {min}..={max} ({unit})")]
    OutOfRange {
        /// The parameter.
        name: &'static str,
        /// The value.
        value: u64,
        /// Smallest value.
        min: u32,
        /// Largest value.
        max: u32,
        /// Its unit.
        unit: &'static str,
    },
    /// A value that should be a power of two.
    #[error("`{name}` = {value}: must be a power of two")]
    NotPowerOfTwo {
        /// The parameter.
        name: &'static str,
        /// The value.
        value: u64,
    },
    /// A rounding mode that does not exist.
    #[error("`rounding`: {0}")]
    Rounding(#[from] NumericsError),
    /// A value in TOML that is neither an integer nor a text.
    #[error("`{name}`: must be {expected}, not a TOML {found}")]
    WrongType {
        /// The key.
        name: String,
        /// The accepted type.
        expected: &'static str,
        /// The type found.
        found: &'static str,
    },
    /// A file without a base preset that leaves parameters open.
    #[error("missing hardware parameters: {}; write them all, or add `preset = \"edge16\"` to start from a preset", names.join(", "))]
    Missing {
        /// The parameters, in declaration order.
        names: Vec<&'static str>,
    },
    /// Parameters that do not go together.
    #[error("{message} ({values})")]
    Constraint {
        /// Name of the rule.
        rule: &'static str,
        /// The rule in words.
        message: &'static str,
        /// The parameters involved and their values.
        values: String,
    },
    /// Text that is not TOML.
    #[error("not a TOML file: {0}")]
    Toml(#[from] Box<toml::de::Error>),
}

/// `, did you mean ...` or a pointer to the list.
fn hint(similar: &[&str]) -> String {
    if similar.is_empty() {
        "; the manual lists them all".to_owned()
    } else {
        format!("; did you mean `{}`?", similar.join("` or `"))
    }
}
