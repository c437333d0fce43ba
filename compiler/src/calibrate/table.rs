//! The calibration table: the one thing that quantization needs to know about data, as a file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::CalibrateError;
use crate::refine::{Answers, Means};

/// Version of the file format. Format 1 has ranges only.
const FORMAT: u32 = 3;

/// Real values that an activation takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Smallest value.
    pub lo: f64,
    /// Largest value.
    pub hi: f64,
}

impl Range {
    /// The smallest range that holds both.
    #[must_use]
    pub fn union(self, other: Range) -> Range {
        Range { lo: self.lo.min(other.lo), hi: self.hi.max(other.hi) }
    }

    /// The smallest range that holds this one and zero, which every stored range must.
    #[must_use]
    pub fn with_zero(self) -> Range {
        self.union(Range { lo: 0.0, hi: 0.0 })
    }
}

/// Ranges of a network's activations and how they were found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Version of the file format; 3, or 1 for ranges only.
    pub format: u32,
    /// Where the ranges came from, for people.
    pub method: String,
    /// Samples seen.
    pub samples: u64,
    /// Range of each value by ONNX name.
    pub ranges: BTreeMap<String, Range>,
    /// Ranges on machines whose steps are powers of two, where they are others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub power_of_two: BTreeMap<String, Range>,
    /// What the float network computes in the mean, where samples were seen for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub means: Option<Means>,
    /// What it answers, where samples were held out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Answers>,
}

impl Default for Calibration {
    fn default() -> Self {
        Calibration {
            format: FORMAT,
            method: String::new(),
            samples: 0,
            ranges: BTreeMap::new(),
            power_of_two: BTreeMap::new(),
            means: None,
            answers: None,
        }
    }
}

impl Calibration {
    /// JSON text; reading it back gives exactly the same numbers.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text =
            serde_json::to_string_pretty(self).expect("texts and finite numbers have a JSON form");
        text.push('\n');
        text
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// When the text is no such table, of another version, or holds a range that is not one.
    pub fn from_json(text: &str) -> Result<Calibration, CalibrateError> {
        let bad = |message: String| CalibrateError::Table { message };
        let table: Calibration = serde_json::from_str(text).map_err(|e| bad(e.to_string()))?;
        let ranges_only = table.means.is_none() && table.answers.is_none();
        let known = table.format == FORMAT || table.format == 1 && ranges_only;
        if !known {
            return Err(bad(format!("found format {}, expected {FORMAT}", table.format)));
        }
        for (name, means) in table.means.iter().flat_map(|means| &means.channels) {
            if let Some(mean) = means.iter().find(|mean| !mean.is_finite()) {
                return Err(bad(format!(
                    "`{name}` has a mean of {mean}, expected a finite number"
                )));
            }
        }
        for (name, Range { lo, hi }) in table.ranges.iter().chain(&table.power_of_two) {
            if !(lo.is_finite() && hi.is_finite() && lo <= hi) {
                return Err(bad(format!(
                    "`{name}` ranges from {lo} to {hi}, expected two finite numbers in order"
                )));
            }
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_survive_exactly(a in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL, b in prop::num::f64::NORMAL) {
            let range = Range { lo: a.min(b), hi: a.max(b) };
            let ranges = [("x \"y\"".to_owned(), range)].into_iter().collect();
            let table = Calibration { method: "m".into(), samples: u64::MAX, ranges, ..Calibration::default() };
            prop_assert_eq!(Calibration::from_json(&table.to_json()).unwrap(), table);
        }
    }

    #[test]
    fn wrong_tables_are_refused() {
        let text = |ranges: &str| {
            format!(r#"{{"format": 1, "method": "", "samples": 0, "ranges": {ranges}}}"#)
        };
        assert!(Calibration::from_json(&text("{}")).is_ok());
        for bad in [
            r#"{"a": {"lo": 1, "hi": 0}}"#,
            r#"{"a": {"lo": 1}}"#,
            r#"{"a": {"lo": 1, "hi": 1e999}}"#,
            "[]",
        ] {
            assert!(Calibration::from_json(&text(bad)).is_err(), "{bad}");
        }
        let newer = text("{}").replace("\"format\": 1", "\"format\": 2");
        assert!(Calibration::from_json(&newer).unwrap_err().to_string().contains("format 2"));
        let means = |format: u32, mean: &str| {
            let means = format!(r#""means": {{"samples": 1, "channels": {{"a": [{mean}]}}}}"#);
            let text = text("{}").replace("\"format\": 1", &format!("\"format\": {format}"));
            Calibration::from_json(&text.replace(r#""ranges""#, &format!(r#"{means}, "ranges""#)))
        };
        assert!(means(3, "0.5").is_ok());
        assert!(means(1, "0.5").is_err() && means(3, "1e999").is_err());
        assert!(Calibration::from_json("").is_err());
    }
}
