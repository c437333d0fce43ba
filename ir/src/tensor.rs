//! Small value types shared by both graphs: element types and constant tensors.

use bytes::Bytes;

/// Element type of a float-graph value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DType {
    /// IEEE 754 single precision.
    F32,
    /// 64-bit integer: shapes, axes and other index arithmetic.
    I64,
    /// Truth value.
    Bool,
}

/// Elements of a constant. Floats keep pointing into the mapped file until somebody changes them.
#[derive(Clone, Debug)]
pub enum Data {
    /// Little-endian float32 bytes borrowed from the model file.
    MappedF32(Bytes),
    /// Floats owned by the graph.
    F32(Vec<f32>),
    /// Integers owned by the graph.
    I64(Vec<i64>),
    /// Truth values owned by the graph.
    Bool(Vec<bool>),
}

/// A constant tensor, row-major in the shape's order.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Elements; their count is the product of `shape`.
    pub data: Data,
}
