//! Normalizations by statistics of the sample itself: LayerNormalization, RMSNormalization, InstanceNormalization and
//! GroupNormalization. Each sees the tensor as rows: less their mean, over the root of the mean of their squares.

use super::OpSpec;
use super::matmul::shaped;
use crate::function::{Function, Primitive, Term};
use crate::graph::{Op, ValueId};
use crate::infer::ShapeError;
use crate::onnx::error::NodeError;
use crate::onnx::node::{Imported, NodeCtx, Refusal, resolve_axis};
use crate::tensor::element_count;

/// Added to the variance where the node does not say.
const EPSILON: f32 = 1e-5;

/// LayerNormalization: all axes from `axis` on are one row.
pub(super) const LAYER_NORMALIZATION: OpSpec = OpSpec {
    name: "LayerNormalization",
    versions: &[17],
    attributes: &["axis", "epsilon", "stash_type"],
    constraints: &[],
    fold: None,
    import: Some(|node| by_row(node, true)),
};

/// RMSNormalization: the same without the mean.
pub(super) const RMS_NORMALIZATION: OpSpec = OpSpec {
    name: "RMSNormalization",
    versions: &[23],
    attributes: &["axis", "epsilon", "stash_type"],
    constraints: &[],
    fold: None,
    import: Some(|node| by_row(node, false)),
};

/// InstanceNormalization: each channel of each sample is a row.
pub(super) const INSTANCE_NORMALIZATION: OpSpec = OpSpec {
    name: "InstanceNormalization",
    versions: &[6, 22],
    attributes: &["epsilon"],
    constraints: &[],
    fold: None,
    import: Some(|node| {
        let shape = node.shape(0)?;
        let (n, c) = samples_and_channels(&shape)?;
        let rows = vec![n, c, count(&shape[2..])?];
        let y = normalized(node, &rows, true)?.values;
        let y = affine(node, y, &[c, 1])?;
        node.emit_shaped(Op::Reshape, vec![y], Some(shape))
    }),
};

/// GroupNormalization: each group of channels is a row; scale and bias are the groups' up to operator set 20, the channels' from
/// 21 on.
pub(super) const GROUP_NORMALIZATION: OpSpec = OpSpec {
    name: "GroupNormalization",
    versions: &[18, 21],
    attributes: &["epsilon", "num_groups", "stash_type"],
    constraints: &[],
    fold: None,
    import: Some(|node| {
        let shape = node.shape(0)?;
        let (n, c) = samples_and_channels(&shape)?;
        let groups = node.attributes().int("num_groups")?.and_then(|g| usize::try_from(g).ok());
        let groups =
            groups.filter(|&g| g > 0 && c % g == 0).ok_or_else(|| NodeError::OperandValue {
                operand: 0,
                found: format!("{c} channels"),
                expected: "a multiple of `num_groups`",
            })?;
        let pixels = count(&shape[2..])?;
        let rows = vec![n, groups, c / groups * pixels];
        let mut y = normalized(node, &rows, true)?.values;
        if node.opset < 21 {
            y = affine(node, y, &[groups, 1])?;
        } else {
            y = shaped(node, "channels", y, &[n, c, pixels])?;
            y = affine(node, y, &[c, 1])?;
        }
        node.emit_shaped(Op::Reshape, vec![y], Some(shape))
    }),
};

fn count(extents: &[usize]) -> Result<usize, NodeError> {
    Ok(element_count(extents).ok_or(ShapeError::TooLarge)?)
}

fn samples_and_channels(shape: &[usize]) -> Result<(usize, usize), NodeError> {
    match *shape {
        [n, c, ..] => Ok((n, c)),
        _ => Err(ShapeError::RankTooSmall { operand: 0, shape: shape.to_vec(), least: 2 }.into()),
    }
}

fn by_row(node: &mut NodeCtx<'_>, centred: bool) -> Imported {
    let shape = node.shape(0)?;
    let axis = resolve_axis(node.attributes().int("axis")?.unwrap_or(-1), shape.len())?;
    let n = count(&shape[axis..])?;
    let rows = normalized(node, &[&shape[..axis], &[n]].concat(), centred)?;
    let y = affine(node, rows.values, &[n])?;
    // LayerNormalization may give its statistics too.
    let statistics = [&shape[..axis], &vec![1; shape.len() - axis]].concat();
    for (index, value) in [(1, rows.means), (2, Some(rows.inverse))] {
        if let Some(value) = value.filter(|_| node.uses_output(index)) {
            node.emit_at(index, Op::Reshape, vec![value], Some(statistics.clone()))?;
        }
    }
    node.emit_shaped(Op::Reshape, vec![y], Some(shape))
}

/// Rows and what they were divided by.
struct Rows {
    values: ValueId,
    /// Means, where they were subtracted.
    means: Option<ValueId>,
    /// Inverse roots of the mean squares.
    inverse: ValueId,
}

/// The first operand as `rows`, each of which, its last axis, has a mean square of 1, and where `centred` a mean of 0.
fn normalized(node: &mut NodeCtx<'_>, rows: &[usize], centred: bool) -> Result<Rows, Refusal> {
    let epsilon = node.attributes().float("epsilon")?.unwrap_or(EPSILON);
    let x = node.operand(0)?;
    let mut x = shaped(node, "rows", x, rows)?;
    let mean = || Op::ReduceMean { axes: vec![rows.len() - 1] };
    let mut means = None;
    if centred {
        let mean = node.intermediate("mean", mean(), vec![x], None)?;
        x = node.intermediate("centred", Op::Sub, vec![x, mean], None)?;
        means = Some(mean);
    }
    let squares = node.intermediate("squares", Op::Mul, vec![x, x], None)?;
    let variance = node.intermediate("variance", mean(), vec![squares], None)?;
    let terms = [Primitive::Add, Primitive::Sqrt, Primitive::Reciprocal].map(Term::Apply);
    let function = Function::new([&[Term::X, Term::Constant(epsilon)], &terms[..]].concat())?;
    let inverse = node.intermediate("inverse", Op::Unary { function }, vec![variance], None)?;
    let values = node.intermediate("normalized", Op::Mul, vec![x, inverse], None)?;
    Ok(Rows { values, means, inverse })
}

/// `y` times operand 1 plus operand 2 where they are given, both of shape `shape`.
fn affine(node: &mut NodeCtx<'_>, y: ValueId, shape: &[usize]) -> Result<ValueId, Refusal> {
    let mut y = y;
    for (operand, what, op) in [(1, "scale", Op::Mul), (2, "bias", Op::Add)] {
        if !node.has_input(operand) {
            continue;
        }
        let found = node.shape(operand)?;
        let expected = shape.to_vec();
        if element_count(&found) != element_count(shape) {
            return Err(ShapeError::Operand { operand, shape: found, expected }.into());
        }
        let by = node.operand(operand)?;
        let by = shaped(node, what, by, shape)?;
        y = node.intermediate(&format!("with_{what}"), op, vec![y, by], None)?;
    }
    Ok(y)
}
