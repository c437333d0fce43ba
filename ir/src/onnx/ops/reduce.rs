//! Reductions along axes, on constants only; ReduceMean of computed values has a file of its own.

use super::{OpSpec, constants_only};
use crate::onnx::fold::reduce::{Elements, Reduction, reduce};

/// What a user can do about a reduction of computed values.
const SUGGESTION: &str = "ReduceMean is taken for values computed at run time";

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

reduction!(/** ReduceL1. */ REDUCE_L1, "ReduceL1", [1, 11, 13, 18], L1);
reduction!(/** ReduceL2. */ REDUCE_L2, "ReduceL2", [1, 11, 13, 18], L2);
reduction!(
    /** ReduceLogSum. */
    REDUCE_LOG_SUM, "ReduceLogSum", [1, 11, 13, 18, 28], LOG_SUM
);
reduction!(
    /** ReduceLogSumExp. */
    REDUCE_LOG_SUM_EXP, "ReduceLogSumExp", [1, 11, 13, 18, 28], LOG_SUM_EXP
);
reduction!(/** ReduceMax. */ REDUCE_MAX, "ReduceMax", [1, 11, 12, 13, 18, 20], MAX);
reduction!(/** ReduceMin. */ REDUCE_MIN, "ReduceMin", [1, 11, 12, 13, 18, 20], MIN);
reduction!(/** ReduceProd. */ REDUCE_PROD, "ReduceProd", [1, 11, 13, 18], PROD);
reduction!(/** ReduceSum. */ REDUCE_SUM, "ReduceSum", [1, 11, 13], SUM);
reduction!(
    /** ReduceSumSquare. */
    REDUCE_SUM_SQUARE, "ReduceSumSquare", [1, 11, 13, 18], SUM_SQUARE
);
