//! Operators of `com.microsoft` on stored integers without weights.

use super::expansion::Expansion;
use super::{Constraint, OpSpec, average_pool};
use crate::onnx::error::NodeError;
use crate::onnx::node::{Imported, NodeCtx};
use crate::onnx::proto::AttributeProto;
use crate::onnx::write::int;

/// Channels must not be last.
const CHANNELS_FIRST: Constraint = Constraint {
    text: "channels are the second axis",
    suggestion: "export without `channels_last`",
    violation: |node| {
        let last = node.attributes().flag("channels_last", false)?;
        Ok(last.then(|| "`channels_last`".to_owned()))
    },
};

/// An operator of two stored operands.
macro_rules! pair {
    ($(#[$doc:meta])* $constant:ident, $name:literal, $op:literal) => {
        $(#[$doc])*
        pub(super) const $constant: OpSpec = OpSpec {
            name: $name,
            versions: &[1],
            attributes: &[],
            constraints: &[],
            fold: None,
            import: Some(|node| {
                let mut nodes = Expansion::of(node);
                let (a, b) = (nodes.real(0, 1, 2, 1), nodes.real(3, 4, 5, 1));
                let y = nodes.apply($op, vec![a, b], Vec::new());
                nodes.end_stored(y, 6, 7);
                Ok(())
            }),
        };
    };
}

pair!(/** QLinearAdd. */ QLINEAR_ADD, "QLinearAdd", "Add");
pair!(/** QLinearMul. */ QLINEAR_MUL, "QLinearMul", "Mul");

/// An operator of one stored operand that has the attributes of the float operator.
macro_rules! single {
    ($(#[$doc:meta])* $constant:ident, $name:literal, $op:literal, $attributes:expr, $more:expr, $constraints:expr) => {
        $(#[$doc])*
        pub(super) const $constant: OpSpec = OpSpec {
            name: $name,
            versions: &[1],
            attributes: $more,
            constraints: $constraints,
            fold: None,
            import: Some(|node| single(node, $op, $attributes)),
        };
    };
}

fn single(node: &mut NodeCtx<'_>, op: &str, attributes: &[&str]) -> Imported {
    let mut nodes = Expansion::of(node);
    let x = nodes.real(0, 1, 2, 1);
    let attributes = nodes.attributes(attributes);
    let y = nodes.apply(op, vec![x], attributes);
    nodes.end_stored(y, 3, 4);
    Ok(())
}

single!(
    /** QLinearAveragePool. */
    QLINEAR_AVERAGE_POOL, "QLinearAveragePool", "AveragePool",
    average_pool::AVERAGE_POOL.attributes,
    &["auto_pad", "ceil_mode", "channels_last", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"],
    &[CHANNELS_FIRST]
);
single!(
    /** QLinearGlobalAveragePool. */
    QLINEAR_GLOBAL_AVERAGE_POOL, "QLinearGlobalAveragePool", "GlobalAveragePool",
    &[], &["channels_last"], &[CHANNELS_FIRST]
);
single!(
    /** QLinearLeakyRelu. */
    QLINEAR_LEAKY_RELU, "QLinearLeakyRelu", "LeakyRelu", &["alpha"], &["alpha"], &[]
);
single!(/** QLinearSigmoid. */ QLINEAR_SIGMOID, "QLinearSigmoid", "Sigmoid", &[], &[], &[]);
single!(
    /** QLinearSoftmax. */
    QLINEAR_SOFTMAX, "QLinearSoftmax", "Softmax", &["axis"], &["axis", "opset"],
    &[Constraint {
        text: "`opset` is on the same side of 13 as the operator set of the file",
        suggestion: "",
        violation: |node| {
            let own = node.attributes().int("opset")?.unwrap_or(node.opset);
            Ok(((own < 13) != (node.opset < 13)).then(|| format!("{own}")))
        },
    }]
);

/// QLinearReduceMean.
pub(super) const QLINEAR_REDUCE_MEAN: OpSpec = OpSpec {
    name: "QLinearReduceMean",
    versions: &[1],
    attributes: &["axes", "keepdims"],
    constraints: &[],
    fold: None,
    import: Some(|node| {
        let axes = node.attributes().ints("axes")?.map(<[i64]>::to_vec);
        if node.opset < 18 {
            return single(node, "ReduceMean", &["axes", "keepdims"]);
        }
        let mut nodes = Expansion::of(node);
        let mut operands = vec![nodes.real(0, 1, 2, 1)];
        if let Some(axes) = axes {
            operands.push(nodes.integers("axes", &axes)?);
        }
        let attributes = nodes.attributes(&["keepdims"]);
        let y = nodes.apply("ReduceMean", operands, attributes);
        nodes.end_stored(y, 3, 4);
        Ok(())
    }),
};

/// QLinearConcat: the scale and zero point of the result, then three operands for each part.
pub(super) const QLINEAR_CONCAT: OpSpec = OpSpec {
    name: "QLinearConcat",
    versions: &[1],
    attributes: &["axis"],
    constraints: &[],
    fold: None,
    import: Some(|node| {
        let parts = node.n_inputs().saturating_sub(2);
        if parts == 0 || parts % 3 != 0 {
            return Err(NodeError::MissingInput(node.n_inputs()).into());
        }
        let axis = node.attributes().int("axis")?.ok_or(NodeError::MissingAttribute("axis"))?;
        let mut nodes = Expansion::of(node);
        let part = |nodes: &mut Expansion<'_, '_>, i: usize| nodes.real(i, i + 1, i + 2, 1);
        let reals = (2..2 + parts).step_by(3).map(|i| part(&mut nodes, i)).collect();
        let attribute = AttributeProto { i: Some(axis), ..int("axis", 0) };
        let y = nodes.apply("Concat", reals, vec![attribute]);
        nodes.end_stored(y, 0, 1);
        Ok(())
    }),
};
