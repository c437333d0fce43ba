//! Comparisons and logic, on constants only.

use super::{OpSpec, constants_only};
use crate::onnx::fold::elementwise::{compare, logic};
use crate::onnx::node::{Imported, NodeCtx};
use crate::tensor::{Data, Tensor};

/// What a user can do about a comparison of computed values.
const SUGGESTION: &str = "cut it off the end of the model and run it on the host";

/// An operator without attributes.
macro_rules! relation {
    ($(#[$doc:meta])* $constant:ident, $name:literal, $versions:expr, $fold:expr) => {
        $(#[$doc])*
        pub(super) const $constant: OpSpec = OpSpec {
            name: $name,
            versions: &$versions,
            attributes: &[],
            constraints: &[constants_only(SUGGESTION)],
            fold: Some($fold),
            import: None,
        };
    };
}

relation!(/** And. */ AND, "And", [7], |node| logic(node, |a, b| a && b));
relation!(
    /** Equal. */
    EQUAL, "Equal", [7, 11, 13, 19], |node| compare(node, |a, b| a == b, |a, b| a == b)
);
relation!(
    /** Greater. */
    GREATER, "Greater", [7, 9, 13], |node| compare(node, |a, b| a > b, |a, b| a > b)
);
relation!(
    /** GreaterOrEqual. */
    GREATER_OR_EQUAL, "GreaterOrEqual", [12, 16],
    |node| compare(node, |a, b| a >= b, |a, b| a >= b)
);
relation!(
    /** Less. */
    LESS, "Less", [7, 9, 13], |node| compare(node, |a, b| a < b, |a, b| a < b)
);
relation!(
    /** LessOrEqual. */
    LESS_OR_EQUAL, "LessOrEqual", [12, 16], |node| compare(node, |a, b| a <= b, |a, b| a <= b)
);
relation!(/** Not. */ NOT, "Not", [1], not);
relation!(/** Or. */ OR, "Or", [7], |node| logic(node, |a, b| a || b));
relation!(/** Xor. */ XOR, "Xor", [7], |node| logic(node, |a, b| a != b));

fn not(node: &mut NodeCtx<'_>) -> Imported {
    node.reserve(node.booleans(0)?.len(), 1)?;
    let data = Data::Bool(node.booleans(0)?.iter().map(|v| !v).collect());
    let shape = node.shape(0)?;
    node.set_constant(Tensor { shape, data })
}
