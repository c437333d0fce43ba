//! Einsum of two activations that is a product of matrices, whatever the order of its axes.

use super::matmul::shaped;
use super::{Constraint, OpSpec};
use crate::graph::{Op, ValueId};
use crate::infer::ShapeError;
use crate::onnx::error::NodeError;
use crate::onnx::node::{Imported, NodeCtx, Refusal};
use crate::tensor::element_count;

/// Einsum.
pub(super) const EINSUM: OpSpec = OpSpec {
    name: "Einsum",
    versions: &[12],
    attributes: &["equation"],
    constraints: &[
        Constraint {
            text: "it multiplies two operands that are computed at run time",
            suggestion: "write MatMul with the constant operand",
            violation: |node| {
                if node.n_inputs() != 2 {
                    return Ok(Some(format!("{} operands", node.n_inputs())));
                }
                let constant = (0..2).find(|&i| node.constant(i).is_some());
                Ok(constant.map(|i| format!("`{}`, which is constant", node.proto.input[i])))
            },
        },
        Constraint {
            text: "its equation is a product of matrices: each index once in an operand, and in the result or in the other operand",
            suggestion: "sum or repeat axes in nodes of their own",
            violation: |node| {
                let equation = node.attributes().string("equation")?.unwrap_or_default();
                Ok(Equation::new(&equation).is_none().then(|| format!("`{equation}`")))
            },
        },
    ],
    fold: None,
    import: Some(import),
};

/// The indices of a product of two operands by what becomes of them.
struct Equation {
    a: Vec<char>,
    b: Vec<char>,
    result: Vec<char>,
    /// In both operands and in the result: one matrix each.
    batch: Vec<char>,
    /// In both operands only: summed.
    inner: Vec<char>,
    /// In the first operand and in the result.
    rows: Vec<char>,
    /// In the second operand and in the result.
    columns: Vec<char>,
}

impl Equation {
    /// `None` if it is no product of matrices.
    fn new(text: &str) -> Option<Equation> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let (operands, written) = match text.split_once("->") {
            Some((operands, result)) => (operands, Some(result)),
            None => (text.as_str(), None),
        };
        let (a, b) = operands.split_once(',')?;
        let indices = |text: &str| -> Option<Vec<char>> {
            let list: Vec<char> = text.chars().collect();
            let once = |(i, c): (usize, &char)| c.is_ascii_alphabetic() && !list[..i].contains(c);
            list.iter().enumerate().all(once).then_some(list)
        };
        let (a, b) = (indices(a)?, indices(b)?);
        let result = match written {
            Some(result) => indices(result)?,
            None => {
                // What occurs once, in alphabetical order.
                let single = |c: &&char| a.contains(c) != b.contains(c);
                let mut once: Vec<char> = a.iter().chain(&b).filter(single).copied().collect();
                once.sort_unstable();
                once
            }
        };
        if !result.iter().all(|c| a.contains(c) || b.contains(c)) {
            return None;
        }
        let of = |list: &[char], keep: &dyn Fn(&char) -> bool| -> Vec<char> {
            list.iter().filter(|c| keep(c)).copied().collect()
        };
        let batch = of(&a, &|c| b.contains(c) && result.contains(c));
        let inner = of(&a, &|c| b.contains(c) && !result.contains(c));
        let rows = of(&a, &|c| !b.contains(c) && result.contains(c));
        let columns = of(&b, &|c| !a.contains(c) && result.contains(c));
        let all = batch.len() + inner.len();
        let complete = all + rows.len() == a.len() && all + columns.len() == b.len();
        complete.then_some(Equation { a, b, result, batch, inner, rows, columns })
    }
}

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let text = node.attributes().string("equation")?.unwrap_or_default();
    let found = || NodeError::OperandValue {
        operand: 0,
        found: format!("equation `{text}`"),
        expected: "a product of matrices with an index for each axis",
    };
    let equation = Equation::new(&text).ok_or_else(found)?;
    let (p, q) = (node.shape(0)?, node.shape(1)?);
    if (p.len(), q.len()) != (equation.a.len(), equation.b.len()) {
        return Err(found().into());
    }
    let extent = |c: &char| {
        let own =
            |list: &[char], shape: &[usize]| list.iter().position(|i| i == c).map(|i| shape[i]);
        own(&equation.a, &p).or_else(|| own(&equation.b, &q)).unwrap_or(1)
    };
    let b_extents: Vec<usize> = equation.b.iter().map(extent).collect();
    if b_extents != q {
        return Err(ShapeError::Operand { operand: 1, shape: q, expected: b_extents }.into());
    }
    let count = |list: &[char]| -> Result<usize, NodeError> {
        let extents: Vec<usize> = list.iter().map(extent).collect();
        Ok(element_count(&extents).ok_or(ShapeError::TooLarge)?)
    };
    let [batch, inner, rows, columns] =
        [&equation.batch, &equation.inner, &equation.rows, &equation.columns];
    let sizes = [count(batch)?, count(rows)?, count(inner)?, count(columns)?];
    let (a, b) = (node.operand(0)?, node.operand(1)?);
    let x = turned(node, "rows_turned", a, &equation.a, &[batch, rows, inner])?;
    let x = shaped(node, "rows", x, &[sizes[0], sizes[1], sizes[2]])?;
    let w = turned(node, "columns_turned", b, &equation.b, &[batch, inner, columns])?;
    let w = shaped(node, "columns", w, &[sizes[0], sizes[2], sizes[3]])?;
    let y = node.intermediate("product", Op::MatMul { scale: 1.0 }, vec![x, w], None)?;
    let made: Vec<char> = [batch, rows, columns].into_iter().flatten().copied().collect();
    let y = shaped(node, "axes", y, &made.iter().map(extent).collect::<Vec<_>>())?;
    let place = |c: &char| made.iter().position(|m| m == c).unwrap_or(0);
    node.emit(Op::Transpose { perm: equation.result.iter().map(place).collect() }, vec![y])
}

/// `x`, whose axes are called `names`, with its axes in the order of `parts`.
fn turned(
    node: &mut NodeCtx<'_>,
    what: &str,
    x: ValueId,
    names: &[char],
    parts: &[&Vec<char>],
) -> Result<ValueId, Refusal> {
    let place = |c: &char| names.iter().position(|n| n == c).unwrap_or(0);
    let perm: Vec<usize> = parts.iter().copied().flatten().map(place).collect();
    if perm.is_sorted() {
        return Ok(x);
    }
    Ok(node.intermediate(what, Op::Transpose { perm }, vec![x], None)?)
}
