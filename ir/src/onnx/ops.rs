//! The table of ONNX operators: which are taken, in which versions, with which attributes, under which constraints.
//!
//! To add an operator, write its file beside the others and add its line to [`OPS`]. The text of a constraint is what
//! the user reads when it is violated, and its line in the manual.

mod average_pool;
mod batch_normalization;
mod cast;
mod clip;
mod concat;
mod constant;
mod conv;
mod conv_transpose;
mod dropout;
mod elementwise;
mod gather;
mod gemm;
mod global_pool;
mod identity;
mod matmul;
mod max_pool;
mod pad;
mod reduce_mean;
mod relu;
mod reshape;
mod resize;
mod slice;
mod softmax;
mod transpose;
mod window;

pub(super) use conv_transpose::swap_channels;

use super::node::{Imported, NodeCtx, Refusal};

/// What the importer knows of one ONNX operator.
pub struct OpSpec {
    /// Name in ONNX.
    pub name: &'static str,
    /// Versions of its definition (operator sets that changed it) from the one in force at
    /// [`OLDEST_OPSET`](super::OLDEST_OPSET) on.
    pub versions: &'static [i64],
    /// Attributes it may have; any other is refused.
    pub attributes: &'static [&'static str],
    /// What a node must fulfil beyond ONNX's own definition.
    pub constraints: &'static [Constraint],
    /// Computes the result when all operands are constant.
    pub(super) fold: Option<fn(&mut NodeCtx<'_>) -> Imported>,
    /// Adds nodes to the graph.
    pub(super) import: Option<fn(&mut NodeCtx<'_>) -> Imported>,
}

/// One condition that a node must fulfil.
pub struct Constraint {
    /// The condition, as a sentence without full stop.
    pub text: &'static str,
    /// What a user can do about a node that violates it; may be empty.
    pub suggestion: &'static str,
    /// What was found instead, or `None` where the condition holds (or cannot be told yet).
    pub(super) violation: fn(&NodeCtx<'_>) -> Result<Option<String>, Refusal>,
}

/// All operators that are taken, by name.
pub static OPS: &[OpSpec] = &[
    elementwise::ADD,
    average_pool::AVERAGE_POOL,
    batch_normalization::BATCH_NORMALIZATION,
    cast::CAST,
    clip::CLIP,
    concat::CONCAT,
    constant::CONSTANT,
    constant::CONSTANT_OF_SHAPE,
    conv::CONV,
    conv_transpose::CONV_TRANSPOSE,
    elementwise::DIV,
    dropout::DROPOUT,
    reshape::FLATTEN,
    gather::GATHER,
    gemm::GEMM,
    global_pool::GLOBAL_AVERAGE_POOL,
    global_pool::GLOBAL_MAX_POOL,
    identity::IDENTITY,
    matmul::MAT_MUL,
    max_pool::MAX_POOL,
    elementwise::MUL,
    pad::PAD,
    reduce_mean::REDUCE_MEAN,
    relu::RELU,
    reshape::RESHAPE,
    resize::RESIZE,
    constant::SHAPE,
    slice::SLICE,
    softmax::SOFTMAX,
    reshape::SQUEEZE,
    elementwise::SUB,
    elementwise::SUM,
    transpose::TRANSPOSE,
    reshape::UNSQUEEZE,
    resize::UPSAMPLE,
];

/// The entry of an operator.
#[must_use]
pub fn find(name: &str) -> Option<&'static OpSpec> {
    OPS.iter().find(|spec| spec.name == name)
}

/// A constraint that operand `INDEX`, where given, is constant.
const fn constant_operand<const INDEX: usize>(text: &'static str) -> Constraint {
    Constraint {
        text,
        suggestion: "simplify the model before export (for example with onnxsim), or make it an initializer",
        violation: |node| Ok(node.computed(INDEX)),
    }
}
