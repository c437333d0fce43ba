//! What makes a machine buildable: the range of each parameter, then the rules between them.

use super::params::ParamInfo;
use super::{Hardware, HardwareError, MAX_SCRATCHPAD_ROWS, WORD_BYTES};

/// A rule between parameters. Its doc comment is the user's message and the manual's text.
#[derive(Clone, Copy, Debug)]
pub struct Constraint {
    /// Name of the rule.
    pub name: &'static str,
    /// The rule in words.
    pub message: &'static str,
    /// Parameters it looks at.
    pub params: &'static [&'static str],
    /// Whether a machine obeys it.
    pub holds: fn(&Hardware) -> bool,
}

macro_rules! constraints {
    ($( #[doc = $doc:literal] fn $name:ident($hw:ident: $($param:ident),+) -> bool $body:block )+) => {
        /// All rules between parameters.
        pub const CONSTRAINTS: &[Constraint] = &[$(
            Constraint {
                name: stringify!($name),
                message: $doc.trim_ascii(),
                params: &[$(stringify!($param)),+],
                holds: $name,
            },
        )+];
        $( #[doc = $doc] fn $name($hw: &Hardware) -> bool $body )+
    };
}

constraints! {
    /// the scratchpad must divide into `scratchpad_banks` banks of whole rows of `array_rows` bytes
    fn banks_hold_whole_rows(hw: scratchpad_kib, array_rows, scratchpad_banks) -> bool {
        let granule = u64::from(hw.row_bytes()) * u64::from(hw.scratchpad_banks);
        hw.scratchpad_bytes().is_multiple_of(granule)
    }

    /// the scratchpad must have fewer than 2^20 rows of `array_rows` bytes: row addresses have 20 bits
    fn rows_are_addressable(hw: scratchpad_kib, array_rows) -> bool {
        hw.scratchpad_rows() < MAX_SCRATCHPAD_ROWS
    }

    /// the fetch buffer of `fetch_words` words of 16 bytes must hold at least two DRAM bursts
    fn fetch_holds_two_bursts(hw: fetch_words, dram_burst_bytes) -> bool {
        u64::from(hw.fetch_words) * WORD_BYTES >= 2 * u64::from(hw.dram_burst_bytes)
    }

    /// a parameter slot must hold an entry for each column of the array
    fn params_cover_the_array(hw: param_entries, array_cols) -> bool {
        hw.param_entries >= hw.array_cols
    }
}

impl Hardware {
    /// Checks every range and every rule between parameters.
    ///
    /// # Errors
    /// The first violation, ranges first, in declaration order.
    pub fn validate(&self) -> Result<(), HardwareError> {
        for info in Hardware::PARAMS {
            info.check(self.get(info.name).expect("every listed parameter has a value"))?;
        }
        for rule in CONSTRAINTS {
            if !(rule.holds)(self) {
                let value = |name: &&str| format!("`{name}` = {}", self.value_text(name));
                let values: Vec<String> = rule.params.iter().map(value).collect();
                return Err(HardwareError::Constraint {
                    rule: rule.name,
                    message: rule.message,
                    values: values.join(", "),
                });
            }
        }
        Ok(())
    }
}

impl ParamInfo {
    /// Checks the range of one value and returns it.
    pub(super) fn check(&self, value: u64) -> Result<u32, HardwareError> {
        let &ParamInfo { name, min, max, unit, .. } = self;
        let in_range = u32::try_from(value).ok().filter(|v| (min..=max).contains(v));
        let value32 = in_range.ok_or(HardwareError::OutOfRange { name, value, min, max, unit })?;
        if self.pow2 && !value32.is_power_of_two() {
            return Err(HardwareError::NotPowerOfTwo { name, value });
        }
        Ok(value32)
    }
}
