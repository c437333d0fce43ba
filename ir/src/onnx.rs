//! ONNX in and out.
//!
//! [`load`] turns a file into a [`Graph`](crate::graph::Graph) of the closed operator set, or says at once everything
//! that stands in the way. [`save`] writes such a graph back as ONNX, so that any float runtime can run it; [`save_qdq`]
//! writes an integer graph as ONNX with QuantizeLinear and DequantizeLinear.
//! Which operators are taken, and under which constraints, is one table: [`ops::OPS`].

mod attributes;
mod builder;
mod closest;
mod error;
mod external;
mod fold;
pub mod host;
mod import;
mod integers;
mod load;
mod manual;
mod names;
mod node;
pub mod ops;
mod order;
pub mod proto;
mod qdq;
mod save;
mod shapes;
mod tensor;
#[cfg(test)]
mod tests;
mod unsupported;
mod write;

pub use error::{
    ImportError, LoadError, NodeError, NotOnnx, OpenExtent, TensorProtoError, Unsupported,
};
pub use load::{LoadOptions, Model, load, load_bytes};
pub use manual::supported_ops_manual;
pub use qdq::{NotExpressible, QdqError, save_qdq};
pub(crate) use qdq::{factor, weight_scale};
pub use save::{IntegerWeights, save, save_dynamic, save_in_common_operators};

/// Oldest operator set that is read.
pub const OLDEST_OPSET: i64 = 7;

/// Newest operator set that is read; each operator's definition was compared up to it.
pub const NEWEST_OPSET: i64 = 28;
