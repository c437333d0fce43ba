//! What a network computes on the host: the integer reference, and float through a library.
//!
//! The integer half runs an [`ir::qgraph::QGraph`] in two ways that agree bit for bit: [`Path::Plain`], obvious loops
//! that define each operator, and [`Path::Fast`] (or [`Prepared`], for more than one image), the same values through the
//! SIMD kernels. It computes an image on one thread unless asked for more ([`Prepared::with_threads`]), and shares nothing with the compiler or the simulator but
//! `isa::numerics` and `kernels`, so that it can serve as their oracle. Floating point appears at its two ends only:
//! [`quantize`] and [`dequantize`]. The float half, [`FloatModel`], runs the ONNX network itself.

mod check;
mod error;
mod execute;
mod fast;
mod float;
mod int8;
mod quantize_io;
mod run;
mod tensor;

pub use error::RuntimeError;
pub use float::{FloatError, FloatModel, FloatTensor};
pub use quantize_io::{dequantize, quantize};
pub use run::{Path, Prepared, run, run_all};
pub use tensor::{QData, QTensor};
