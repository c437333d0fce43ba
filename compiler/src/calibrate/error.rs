//! Why there are no ranges.

/// Why calibration failed.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// No samples were given.
    #[error("there is no calibration sample; give at least one, or calibrate without data")]
    NoSamples,
    /// A sample cannot be read.
    #[error("sample {sample}: {message}")]
    Data {
        /// Index of the sample.
        sample: usize,
        /// What its source said.
        message: String,
    },
    /// The float model failed.
    #[error("sample {sample}: the float model cannot run: {message}")]
    Run {
        /// Index of the sample.
        sample: usize,
        /// What the model said.
        message: String,
    },
    /// A value is not a number or infinite.
    #[error("sample {sample}: `{value}` contains {found}; check the preprocessing of the data")]
    NotFinite {
        /// Index of the sample.
        sample: usize,
        /// Name of the value.
        value: String,
        /// What was found.
        found: f32,
    },
    /// The float model returned something else than was asked for.
    #[error("sample {sample}: the float model returned {found} tensors, expected {expected}")]
    Results {
        /// Index of the sample.
        sample: usize,
        /// Tensors returned.
        found: usize,
        /// Tensors asked for.
        expected: usize,
    },
    /// A sample does not fit the network's inputs.
    #[error("sample {sample}: found {found}, expected {expected}")]
    Sample {
        /// Index of the sample.
        sample: usize,
        /// What the sample has.
        found: String,
        /// What the network takes.
        expected: String,
    },
    /// The range given for the network's inputs is not one.
    #[error("the input range {lo}..{hi} must be two finite numbers, the first one smaller")]
    InputRange {
        /// Lower end given.
        lo: f32,
        /// Upper end given.
        hi: f32,
    },
    /// The options do not suit the network.
    #[error(transparent)]
    Options(crate::quantize::QuantizeError),
    /// A table that cannot be read.
    #[error("not a calibration table: {message}")]
    Table {
        /// What is wrong.
        message: String,
    },
}
