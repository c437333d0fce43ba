//! ONNX operators that are known but not taken, and why.

use super::closest::closest;
use super::load::is_standard_domain;
use super::ops::OPS;
use super::proto::{ModelProto, NodeProto};

/// A family of standard operators that are not supported.
pub(super) struct Family {
    /// Why.
    pub(super) reason: &'static str,
    /// What a user can do; may be empty.
    pub(super) suggestion: &'static str,
    /// The operators.
    pub(super) ops: &'static [&'static str],
}

/// All standard operators of ONNX that are not in [`OPS`], by reason.
pub(super) const FAMILIES: &[Family] = &[
    Family {
        reason: "this activation function is not supported yet",
        suggestion: "",
        ops: &["Hardmax", "LogSoftmax", "Shrink", "SwiGLU"],
    },
    Family {
        reason: "recurrent operators and those with state are not supported yet",
        suggestion: "unroll the steps and pass the state as inputs and outputs",
        ops: &["CausalConvWithState", "GRU", "LSTM", "RNN", "TensorScatter"],
    },
    Family {
        reason: "this form of attention is not supported yet",
        suggestion: "spell it out in MatMul, Softmax and Transpose",
        ops: &["Attention", "LinearAttention", "RotaryEmbedding"],
    },
    Family {
        reason: "this normalization is not supported yet",
        suggestion: "BatchNormalization (with stored statistics), LayerNormalization, RMSNormalization, InstanceNormalization and GroupNormalization are",
        ops: &["LpNormalization", "MeanVarianceNormalization"],
    },
    Family {
        reason: "this convolution or pool is not supported yet",
        suggestion: "",
        ops: &["Col2Im", "DeformConv", "GlobalLpPool", "LpPool", "MaxUnpool"],
    },
    Family {
        reason: "this movement of data is not supported yet",
        suggestion: "",
        ops: &["CenterCropPad", "ReverseSequence"],
    },
    Family {
        reason: "comparisons, logic and selection are not supported",
        suggestion: "cut them off the end of the model and run them on the host",
        ops: &[
            "BitCast",
            "BitShift",
            "BitwiseAnd",
            "BitwiseNot",
            "BitwiseOr",
            "BitwiseXor",
            "IsInf",
            "IsNaN",
            "Unique",
        ],
    },
    Family {
        reason: "control flow is not supported: the machine runs straight-line programs",
        suggestion: "export the branch that is taken, or unroll the loop",
        ops: &["Loop", "Scan", "SequenceMap"],
    },
    Family {
        reason: "sequences and optional values are not supported",
        suggestion: "",
        ops: &[
            "ConcatFromSequence",
            "Optional",
            "OptionalGetElement",
            "OptionalHasElement",
            "SequenceAt",
            "SequenceConstruct",
            "SequenceEmpty",
            "SequenceErase",
            "SequenceInsert",
            "SequenceLength",
            "SplitToSequence",
        ],
    },
    Family {
        reason: "random numbers are not supported: the same input must give the same result",
        suggestion: "export the model in evaluation mode",
        ops: &[
            "Bernoulli",
            "Multinomial",
            "RandomNormal",
            "RandomNormalLike",
            "RandomUniform",
            "RandomUniformLike",
        ],
    },
    Family {
        reason: "strings are not supported",
        suggestion: "prepare the text on the host",
        ops: &[
            "RegexFullMatch",
            "StringConcat",
            "StringNormalizer",
            "StringSplit",
            "TfIdfVectorizer",
        ],
    },
    Family {
        reason: "signal and image preparation is not supported",
        suggestion: "do it on the host, before the network",
        ops: &[
            "BlackmanWindow",
            "DFT",
            "HammingWindow",
            "HannWindow",
            "ImageDecoder",
            "MelWeightMatrix",
            "STFT",
        ],
    },
    Family {
        reason: "detection and sampling operators are not supported",
        suggestion: "cut them off the end of the model and run them on the host",
        ops: &["AffineGrid", "GridSample", "MaxRoiPool", "NonMaxSuppression", "RoiAlign"],
    },
    Family { reason: "this matrix function is not supported", suggestion: "", ops: &["Det"] },
    Family {
        reason: "losses belong to training",
        suggestion: "export the model in evaluation mode",
        ops: &["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"],
    },
];

/// Reason and suggestion for a node whose operator is not in the table.
pub(super) fn explain_unknown(model: &ModelProto, node: &NodeProto) -> (String, String) {
    let (op, domain) = (&node.op_type, &node.domain);
    let own = |pair: (&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
    if model.functions.iter().any(|f| f.name == *op && f.domain == *domain) {
        return own((
            "it is defined inside the file",
            "inline functions before export (`onnx.inliner`)",
        ));
    }
    if !is_standard_domain(domain) {
        let reason = format!("operators of domain `{domain}` are not supported");
        return (reason, "export with standard ONNX operators only".to_owned());
    }
    if let Some(family) = FAMILIES.iter().find(|family| family.ops.contains(&op.as_str())) {
        return own((family.reason, family.suggestion));
    }
    let known = OPS
        .iter()
        .map(|spec| spec.name)
        .chain(FAMILIES.iter().flat_map(|family| family.ops.iter().copied()));
    let suggestion = closest(op, known).map(|name| format!("did you mean `{name}`?"));
    ("ONNX has no such operator".to_owned(), suggestion.unwrap_or_default())
}
