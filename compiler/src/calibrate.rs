//! Ranges of activations: observed on data, or inferred without any.
//!
//! With data, the float model runs on each sample and sketches of fixed size per value see every element, so memory
//! does not grow with samples. Without data, ranges come from what batch norms were trained to produce, and where there
//! are none from seeded synthetic inputs. Either way the result is a table that can be saved and used again.

mod data_free;
mod error;
mod histogram;
mod model;
pub(crate) mod moments;
mod observe;
mod range;
mod seen;
pub(crate) mod synthetic;
mod table;

pub use data_free::without_data;
pub use error::CalibrateError;
pub use histogram::Histogram;
pub use model::GraphRunner;
pub use observe::{FloatRunner, Observed, Sample, with_data};
pub use seen::Seen;
pub use table::{Calibration, Range};
