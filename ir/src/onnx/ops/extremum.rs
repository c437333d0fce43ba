//! Min and Max of any number of operands. A bound that is one constant is a clip; a bound that varies is
//! `max(x, b) = max(x - b, 0) + b`, two biases that weights can take in.

use super::OpSpec;
use super::arithmetic::{maximum, minimum};
use crate::graph::{Op, ValueId};
use crate::onnx::error::NodeError;
use crate::onnx::fold::elementwise::variadic;
use crate::onnx::node::{Imported, NodeCtx};

/// Max.
pub(super) const MAX: OpSpec = OpSpec {
    name: "Max",
    versions: &[6, 8, 12, 13],
    attributes: &[],
    constraints: &[],
    fold: Some(|node| variadic(node, maximum, |a, b| Some(a.max(b)))),
    import: Some(|node| import(node, &Op::Max, |bound| Op::Clip { lo: bound, hi: f32::INFINITY })),
};

/// Min.
pub(super) const MIN: OpSpec = OpSpec {
    name: "Min",
    versions: &[6, 8, 12, 13],
    attributes: &[],
    constraints: &[],
    fold: Some(|node| variadic(node, minimum, |a, b| Some(a.min(b)))),
    import: Some(|node| {
        import(node, &Op::Min, |bound| Op::Clip { lo: f32::NEG_INFINITY, hi: bound })
    }),
};

/// What one operand does to the result of those before it.
enum Step {
    /// Another computed value.
    Value(ValueId),
    /// The same bound everywhere.
    Bound(f32),
    /// A bound that varies.
    Bounds(ValueId),
}

fn import(node: &mut NodeCtx<'_>, op: &Op, clip: fn(f32) -> Op) -> Imported {
    let (constants, computed): (Vec<usize>, Vec<usize>) = (0..node.n_inputs())
        .filter(|&i| node.has_input(i))
        .partition(|&i| node.constant(i).is_some());
    let (&first, rest) = computed.split_first().ok_or(NodeError::MissingInput(0))?;
    let mut result = node.operand(first)?;
    let mut steps = Vec::new();
    for &index in rest {
        steps.push(Step::Value(node.operand(index)?));
    }
    for &index in &constants {
        steps.push(match node.uniform(index) {
            Some(bound) => Step::Bound(bound),
            None => Step::Bounds(node.operand(index)?),
        });
    }
    let Some(last) = steps.pop() else {
        return node.forward(first);
    };
    for step in steps {
        result = match step {
            Step::Value(other) => {
                node.intermediate("operands", op.clone(), vec![result, other], None)?
            }
            Step::Bound(bound) => node.intermediate("bound", clip(bound), vec![result], None)?,
            Step::Bounds(bounds) => {
                let above = beyond(node, result, bounds, &clip)?;
                node.intermediate("bounds", Op::Add, vec![above, bounds], None)?
            }
        };
    }
    match last {
        Step::Value(other) => node.emit(op.clone(), vec![result, other]),
        Step::Bound(bound) => node.emit(clip(bound), vec![result]),
        Step::Bounds(bounds) => {
            let above = beyond(node, result, bounds, &clip)?;
            node.emit(Op::Add, vec![above, bounds])
        }
    }
}

/// How far `x` lies on the other side of `bounds`.
fn beyond(
    node: &mut NodeCtx<'_>,
    x: ValueId,
    bounds: ValueId,
    clip: &fn(f32) -> Op,
) -> Result<ValueId, NodeError> {
    let distance = node.intermediate("distance", Op::Sub, vec![x, bounds], None)?;
    node.intermediate("beyond", clip(0.0), vec![distance], None)
}
