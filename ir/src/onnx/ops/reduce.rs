//! Reductions along axes. Of computed values, sums are the mean, which has a file of its own, times their number, and the largest is
//! a pool; the others are taken of constants only.

use super::{OpSpec, constant_operand, constants_only};
use crate::function::{Function, Primitive, Term};
use crate::graph::{Op, Window};
use crate::onnx::fold::reduce::{Elements, Reduction, reduce, reduced_axes, reduced_shape};
use crate::onnx::node::{Imported, NodeCtx};

/// What a user can do about a reduction of computed values.
const SUGGESTION: &str = "ReduceMean, ReduceSum, ReduceSumSquare, ReduceL1, ReduceL2 and ReduceMax are taken for values computed at run time";

/// Sum.
const SUM: Reduction =
    Reduction { float: |x| x.sum(), integer: |x| checked(x, 0, i64::checked_add) };

/// Product.
const PROD: Reduction =
    Reduction { float: |x| x.product(), integer: |x| checked(x, 1, i64::checked_mul) };

/// Largest element: not a number where one is none, and the least number of the type where there is no element.
const MAX: Reduction = Reduction {
    float: |x| {
        x.fold(f64::NEG_INFINITY, |a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) })
    },
    integer: |x| Some(x.max().unwrap_or(i64::MIN)),
};

/// Smallest element, likewise.
const MIN: Reduction = Reduction {
    float: |x| {
        x.fold(f64::INFINITY, |a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) })
    },
    integer: |x| Some(x.min().unwrap_or(i64::MAX)),
};

/// Mean; that of integers is cut towards zero.
pub(super) const MEAN: Reduction = Reduction {
    float: |x| {
        let (sum, count) = x.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
        sum / count
    },
    integer: |x| {
        let (sum, count) =
            checked(x, (0i64, 0i64), |(sum, count), v| Some((sum.checked_add(v)?, count + 1)))?;
        sum.checked_div(count)
    },
};

/// Sum of magnitudes.
const L1: Reduction = Reduction {
    float: |x| x.map(f64::abs).sum(),
    integer: |x| checked(x, 0i64, |sum, v| sum.checked_add(v.checked_abs()?)),
};

/// Root of the sum of squares; that of integers is cut.
const L2: Reduction = Reduction {
    float: |x| x.map(|v| v * v).sum::<f64>().sqrt(),
    integer: |x| Some(squares(x)?.isqrt()),
};

/// Sum of squares.
const SUM_SQUARE: Reduction = Reduction { float: |x| x.map(|v| v * v).sum(), integer: squares };

/// Logarithm of the sum; that of integers is cut.
const LOG_SUM: Reduction = Reduction {
    float: |x| libm::log(x.sum()),
    integer: |x| truncated(libm::log(checked(x, 0, i64::checked_add)? as f64)),
};

/// Logarithm of the sum of exponentials; that of integers is cut.
const LOG_SUM_EXP: Reduction =
    Reduction { float: log_sum_exp, integer: |x| truncated(log_sum_exp(&mut x.map(|v| v as f64))) };

/// Folds until a step has no result.
fn checked<A>(
    mut x: Elements<'_, i64>,
    first: A,
    step: impl FnMut(A, i64) -> Option<A>,
) -> Option<A> {
    Iterator::try_fold(&mut x, first, step)
}

fn squares(x: Elements<'_, i64>) -> Option<i64> {
    checked(x, 0i64, |sum, v| sum.checked_add(v.checked_mul(v)?))
}

/// The largest element is taken out first, so that nothing overflows.
fn log_sum_exp(x: Elements<'_, f64>) -> f64 {
    let elements: Vec<f64> = x.collect();
    let largest = elements.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let shift = if largest.is_finite() { largest } else { 0.0 };
    shift + libm::log(elements.iter().map(|v| libm::exp(v - shift)).sum())
}

fn truncated(value: f64) -> Option<i64> {
    value.is_finite().then_some(value as i64)
}

/// A reduction whose axes are an attribute before, and an operand since one of its versions.
macro_rules! reduction {
    ($(#[$doc:meta])* $constant:ident, $name:literal, $versions:expr, $reduction:expr) => {
        $(#[$doc])*
        pub(super) const $constant: OpSpec = OpSpec {
            name: $name,
            versions: &$versions,
            attributes: &["axes", "keepdims", "noop_with_empty_axes"],
            constraints: &[constants_only(SUGGESTION)],
            fold: Some(|node| reduce(node, $reduction)),
            import: None,
        };
    };
}

/// A reduction that is a sum of functions of the elements and a function of that sum, where they are given.
macro_rules! sum {
    ($(#[$doc:meta])* $constant:ident, $name:literal, $versions:expr, $reduction:expr, $of:expr, $root:expr) => {
        $(#[$doc])*
        pub(super) const $constant: OpSpec = OpSpec {
            constraints: &[constant_operand::<1>("the axes are constant")],
            import: Some(|node| import(node, $of, $root)),
            name: $name,
            versions: &$versions,
            attributes: &["axes", "keepdims", "noop_with_empty_axes"],
            fold: Some(|node| reduce(node, $reduction)),
        };
    };
}

const SQUARE: Option<&[Term]> = Some(&[Term::X, Term::X, Term::Apply(Primitive::Mul)]);

sum!(/** ReduceL1. */ REDUCE_L1, "ReduceL1", [1, 11, 13, 18], L1, Some(&[Term::X, Term::Apply(Primitive::Abs)]), None);
sum!(/** ReduceL2. */ REDUCE_L2, "ReduceL2", [1, 11, 13, 18], L2, SQUARE, Some(Primitive::Sqrt));
reduction!(
    /** ReduceLogSum. */
    REDUCE_LOG_SUM, "ReduceLogSum", [1, 11, 13, 18, 28], LOG_SUM
);
reduction!(
    /** ReduceLogSumExp. */
    REDUCE_LOG_SUM_EXP, "ReduceLogSumExp", [1, 11, 13, 18, 28], LOG_SUM_EXP
);
/** ReduceMax. */
pub(super) const REDUCE_MAX: OpSpec = OpSpec {
    name: "ReduceMax",
    versions: &[1, 11, 12, 13, 18, 20],
    attributes: &["axes", "keepdims", "noop_with_empty_axes"],
    constraints: &[constant_operand::<1>("the axes are constant")],
    fold: Some(|node| reduce(node, MAX)),
    import: Some(largest),
};

reduction!(/** ReduceMin. */ REDUCE_MIN, "ReduceMin", [1, 11, 12, 13, 18, 20], MIN);
reduction!(/** ReduceProd. */ REDUCE_PROD, "ReduceProd", [1, 11, 13, 18], PROD);
sum!(/** ReduceSum. */ REDUCE_SUM, "ReduceSum", [1, 11, 13], SUM, None, None);
sum!(
    /** ReduceSumSquare. */
    REDUCE_SUM_SQUARE, "ReduceSumSquare", [1, 11, 13, 18], SUM_SQUARE, SQUARE, None
);

/// Of a computed operand: `of` each element, summed, and `root` of that.
fn import(node: &mut NodeCtx<'_>, of: Option<&[Term]>, root: Option<Primitive>) -> Imported {
    let shape = node.shape(0)?;
    let axes = reduced_axes(node)?;
    let mut x = node.operand(0)?;
    if let Some(terms) = of {
        let op = Op::Unary { function: Function::new(terms.to_vec())? };
        x = node.intermediate("terms", op, vec![x], None)?;
    }
    let mut kept = shape.clone();
    if let Some(axes) = axes {
        let count: usize = axes.iter().map(|&axis| shape[axis]).product();
        kept = reduced_shape(&shape, &axes, node.attributes().flag("keepdims", true)?);
        x = node.intermediate("mean", Op::ReduceMean { axes }, vec![x], None)?;
        let count = node.scalar_constant("count", count as f32);
        x = node.intermediate("sum", Op::Mul, vec![x, count], None)?;
    }
    if let Some(primitive) = root {
        let op = Op::Unary { function: Function::of(primitive, &[])? };
        x = node.intermediate("root", op, vec![x], None)?;
    }
    node.emit_shaped(Op::Reshape, vec![x], Some(kept))
}

/// The largest of the elements of a computed operand: a pool over a map of one row, with what is kept for channels.
fn largest(node: &mut NodeCtx<'_>) -> Imported {
    let shape = node.shape(0)?;
    let Some(axes) = reduced_axes(node)? else {
        return node.forward(0);
    };
    let x = node.operand(0)?;
    let kept: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
    let count = |axes: &[usize]| axes.iter().map(|&axis| shape[axis]).product::<usize>();
    let (rest, reduced) = (count(&kept), count(&axes));
    let perm = [&kept[..], &axes].concat();
    let x = node.intermediate("reduced_last", Op::Transpose { perm }, vec![x], None)?;
    let x = node.intermediate("map", Op::Reshape, vec![x], Some(vec![1, rest, 1, reduced]))?;
    let window = Window { kernel: [1, reduced], stride: [1, 1], dilation: [1, 1], pad: [0; 4] };
    let x = node.intermediate("largest", Op::MaxPool { window }, vec![x], None)?;
    let kept = reduced_shape(&shape, &axes, node.attributes().flag("keepdims", true)?);
    node.emit_shaped(Op::Reshape, vec![x], Some(kept))
}
