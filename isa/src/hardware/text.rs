//! Hardware as text: TOML files, `name=value` settings, and the hash of the canonical form.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use toml::{Table, Value};

use super::params::ParamInfo;
use super::{Hardware, HardwareError};
use crate::spelling::similar;

/// The one parameter that is a word.
const ROUNDING: &str = "rounding";

/// The key of a TOML file that names the preset to start from.
const PRESET: &str = "preset";

impl Hardware {
    /// Names of all parameters, `rounding` last.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Hardware::PARAMS.iter().map(|info| info.name).chain([ROUNDING])
    }

    /// Value of any parameter as text, as [`set`](Self::set) takes it; empty for an unknown name.
    #[must_use]
    pub fn value_text(&self, name: &str) -> String {
        if name == ROUNDING {
            return self.rounding.to_string();
        }
        self.get(name).map(|value| value.to_string()).unwrap_or_default()
    }

    /// Sets one parameter from text: a decimal integer, in which `_` may separate digits, or a rounding mode.
    ///
    /// Checks this parameter only, since several settings may belong together; call
    /// [`validate`](Self::validate) after the last one.
    ///
    /// # Errors
    /// When the name is unknown or the value is not one the parameter accepts; nothing is changed then.
    pub fn set(&mut self, name: &str, value_text: &str) -> Result<(), HardwareError> {
        if name == ROUNDING {
            self.rounding = value_text.parse()?;
            return Ok(());
        }
        let info = find(name)?;
        let digits = value_text.trim().replace('_', "");
        let value = digits.parse().map_err(|_| info.not_an_integer(value_text))?;
        self.store(info, info.check(value)?);
        Ok(())
    }

    fn store(&mut self, info: &ParamInfo, value: u32) {
        *self.slot(info.name).expect("every listed parameter has a field") = value;
    }

    /// Reads a TOML file: either every parameter, or `preset = "name"` and those that differ from it.
    ///
    /// # Errors
    /// When the text is not TOML, a key is unknown, a value is refused, parameters are missing, or the machine as a
    /// whole is not [valid](Self::validate).
    pub fn from_toml(text: &str) -> Result<Hardware, HardwareError> {
        let mut table: Table = text.parse().map_err(Box::new)?;
        let mut hardware = match table.remove(PRESET) {
            Some(Value::String(name)) => {
                Hardware::preset(&name).ok_or(HardwareError::UnknownPreset { name })?
            }
            Some(other) => return Err(wrong_type(PRESET, "the name of a preset", &other)),
            None => {
                // Unknown keys first: a misspelt parameter is also a missing one, and the spelling is the better hint.
                for name in table.keys() {
                    if name != ROUNDING {
                        find(name)?;
                    }
                }
                let names: Vec<_> = Hardware::names().filter(|n| !table.contains_key(*n)).collect();
                if !names.is_empty() {
                    return Err(HardwareError::Missing { names });
                }
                Hardware::default()
            }
        };
        for (name, value) in &table {
            hardware.set_toml(name, value)?;
        }
        hardware.validate()?;
        Ok(hardware)
    }

    fn set_toml(&mut self, name: &str, value: &Value) -> Result<(), HardwareError> {
        match value {
            Value::String(text) if name == ROUNDING => self.set(name, text),
            other if name == ROUNDING => Err(wrong_type(name, "the name of a mode", other)),
            Value::Integer(number) => self.set(name, &number.to_string()),
            other => {
                find(name)?;
                Err(wrong_type(name, "an integer", other))
            }
        }
    }

    /// The canonical TOML text: every parameter in declaration order, one a line.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for info in Hardware::PARAMS {
            let _ = writeln!(text, "{} = {}", info.name, self.value_text(info.name));
        }
        let _ = writeln!(text, "{ROUNDING} = \"{}\"", self.rounding);
        text
    }

    /// First 64 bits of the SHA-256 of the canonical text; the same on every machine and in every build that has the
    /// same list of parameters.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let digest = Sha256::digest(self.to_toml());
        let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = digest.into();
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// Names of the parameters in which two machines differ and that are not timing-only: those for which a program
    /// must be compiled again.
    #[must_use]
    pub fn incompatible_with(&self, other: &Hardware) -> Vec<&'static str> {
        let timing_only = |name| Hardware::PARAMS.iter().any(|i| i.name == name && i.timing_only);
        let differs = |name: &&str| self.value_text(name) != other.value_text(name);
        Hardware::names().filter(|name| !timing_only(*name)).filter(differs).collect()
    }
}

fn find(name: &str) -> Result<&'static ParamInfo, HardwareError> {
    Hardware::PARAMS.iter().find(|info| info.name == name).ok_or_else(|| {
        HardwareError::UnknownParameter {
            name: name.to_owned(),
            similar: similar(name, Hardware::names()),
        }
    })
}

impl ParamInfo {
    fn not_an_integer(&self, text: &str) -> HardwareError {
        let &ParamInfo { name, min, max, unit, .. } = self;
        HardwareError::NotAnInteger { name, value: text.to_owned(), min, max, unit }
    }
}

fn wrong_type(name: &str, expected: &'static str, found: &Value) -> HardwareError {
    HardwareError::WrongType { name: name.to_owned(), expected, found: found.type_str() }
}
