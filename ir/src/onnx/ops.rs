//! The table of ONNX operators: which are taken, in which versions, with which attributes, under which constraints.
//!
//! To add an operator, write its file beside the others and add its line to [`OPS`]. The text of a constraint is what
//! the user reads when it is violated, and its line in the manual.

mod arg;
mod arithmetic;
mod average_pool;
mod batch_normalization;
mod cast;
mod clip;
mod compare;
mod concat;
mod conditional;
mod constant;
mod conv;
mod conv_transpose;
mod depth_to_space;
mod dropout;
mod dynamic;
mod einsum;
mod elementwise;
mod expand;
mod expansion;
mod extremum;
mod function;
mod gather;
mod gather_elements;
mod gemm;
mod global_pool;
mod identity;
mod lrn;
mod matmul;
mod max_pool;
mod normalization;
mod pad;
mod prelu;
mod qlinear;
mod qlinear_unweighted;
mod quantize;
mod range;
mod reduce;
mod reduce_mean;
mod relu;
mod reshape;
mod resize;
mod scan;
mod scatter;
mod select;
mod slice;
mod softmax;
mod split;
mod transpose;
mod window;

pub(super) use conv_transpose::swap_channels;

use super::load::is_standard_domain;
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
    function::ABS,
    function::ACOS,
    function::ACOSH,
    elementwise::ADD,
    compare::AND,
    arg::ARG_MAX,
    arg::ARG_MIN,
    function::ASIN,
    function::ASINH,
    function::ATAN,
    function::ATANH,
    average_pool::AVERAGE_POOL,
    batch_normalization::BATCH_NORMALIZATION,
    cast::CAST,
    cast::CAST_LIKE,
    function::CEIL,
    function::CELU,
    clip::CLIP,
    select::COMPRESS,
    concat::CONCAT,
    constant::CONSTANT,
    constant::CONSTANT_OF_SHAPE,
    conv::CONV,
    dynamic::CONV_INTEGER,
    conv_transpose::CONV_TRANSPOSE,
    function::COS,
    function::COSH,
    scan::CUM_PROD,
    scan::CUM_SUM,
    depth_to_space::DEPTH_TO_SPACE,
    quantize::DEQUANTIZE_LINEAR,
    elementwise::DIV,
    dropout::DROPOUT,
    dynamic::DYNAMIC_QUANTIZE_LINEAR,
    einsum::EINSUM,
    function::ELU,
    compare::EQUAL,
    function::ERF,
    function::EXP,
    expand::EXPAND,
    range::EYE_LIKE,
    reshape::FLATTEN,
    function::FLOOR,
    gather::GATHER,
    gather_elements::GATHER_ELEMENTS,
    gather_elements::GATHER_ND,
    function::GELU,
    gemm::GEMM,
    global_pool::GLOBAL_AVERAGE_POOL,
    global_pool::GLOBAL_MAX_POOL,
    compare::GREATER,
    compare::GREATER_OR_EQUAL,
    normalization::GROUP_NORMALIZATION,
    function::HARD_SIGMOID,
    function::HARD_SWISH,
    identity::IDENTITY,
    conditional::IF,
    normalization::INSTANCE_NORMALIZATION,
    lrn::LRN,
    normalization::LAYER_NORMALIZATION,
    function::LEAKY_RELU,
    compare::LESS,
    compare::LESS_OR_EQUAL,
    function::LOG,
    matmul::MAT_MUL,
    dynamic::MAT_MUL_INTEGER,
    extremum::MAX,
    max_pool::MAX_POOL,
    elementwise::MEAN,
    extremum::MIN,
    function::MISH,
    arithmetic::MOD,
    elementwise::MUL,
    function::NEG,
    select::NON_ZERO,
    compare::NOT,
    range::ONE_HOT,
    compare::OR,
    prelu::PRELU,
    pad::PAD,
    function::POW,
    qlinear::QLINEAR_CONV,
    qlinear::QLINEAR_MAT_MUL,
    quantize::QUANTIZE_LINEAR,
    normalization::RMS_NORMALIZATION,
    range::RANGE,
    function::RECIPROCAL,
    reduce::REDUCE_L1,
    reduce::REDUCE_L2,
    reduce::REDUCE_LOG_SUM,
    reduce::REDUCE_LOG_SUM_EXP,
    reduce::REDUCE_MAX,
    reduce_mean::REDUCE_MEAN,
    reduce::REDUCE_MIN,
    reduce::REDUCE_PROD,
    reduce::REDUCE_SUM,
    reduce::REDUCE_SUM_SQUARE,
    relu::RELU,
    reshape::RESHAPE,
    resize::RESIZE,
    function::ROUND,
    scatter::SCATTER,
    scatter::SCATTER_ELEMENTS,
    scatter::SCATTER_ND,
    function::SELU,
    constant::SHAPE,
    function::SIGMOID,
    function::SIGN,
    function::SIN,
    function::SINH,
    constant::SIZE,
    slice::SLICE,
    softmax::SOFTMAX,
    function::SOFTPLUS,
    function::SOFTSIGN,
    depth_to_space::SPACE_TO_DEPTH,
    split::SPLIT,
    function::SQRT,
    reshape::SQUEEZE,
    elementwise::SUB,
    elementwise::SUM,
    function::SWISH,
    function::TAN,
    function::TANH,
    function::THRESHOLDED_RELU,
    expand::TILE,
    arg::TOP_K,
    transpose::TRANSPOSE,
    scan::TRILU,
    reshape::UNSQUEEZE,
    resize::UPSAMPLE,
    select::WHERE,
    compare::XOR,
];

/// Operators of ONNX Runtime's own domain, `com.microsoft`, that are taken, by name.
pub static MICROSOFT: &[OpSpec] = &[
    OpSpec { versions: &[1], ..quantize::DEQUANTIZE_LINEAR },
    dynamic::DYNAMIC_QUANTIZE_MAT_MUL,
    dynamic::MAT_MUL_INTEGER_TO_FLOAT,
    qlinear::QGEMM,
    qlinear_unweighted::QLINEAR_ADD,
    qlinear_unweighted::QLINEAR_AVERAGE_POOL,
    qlinear_unweighted::QLINEAR_CONCAT,
    qlinear_unweighted::QLINEAR_GLOBAL_AVERAGE_POOL,
    qlinear_unweighted::QLINEAR_LEAKY_RELU,
    qlinear_unweighted::QLINEAR_MUL,
    qlinear_unweighted::QLINEAR_REDUCE_MEAN,
    qlinear_unweighted::QLINEAR_SIGMOID,
    qlinear_unweighted::QLINEAR_SOFTMAX,
    OpSpec { versions: &[1], ..quantize::QUANTIZE_LINEAR },
];

/// The entry of an operator of a domain.
pub(super) fn find_in(domain: &str, name: &str) -> Option<&'static OpSpec> {
    match domain {
        "com.microsoft" => MICROSOFT.iter().find(|spec| spec.name == name),
        _ if is_standard_domain(domain) => find(name),
        _ => None,
    }
}

/// The entry of a standard operator.
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

/// For an operator that only exists on constants.
const fn constants_only(suggestion: &'static str) -> Constraint {
    Constraint {
        text: "all operands are constant",
        suggestion,
        violation: |node| Ok((0..node.n_inputs()).find_map(|index| node.computed(index))),
    }
}
