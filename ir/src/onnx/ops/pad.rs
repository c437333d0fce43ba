//! Pad: amounts are an attribute up to operator set 10, and operands from 11 on.
//!
//! A border that repeats elements is a list of indices per axis; negative amounts cut elements off first.

use super::{Constraint, OpSpec, constant_operand};
use crate::graph::Op;
use crate::indices::{Indices, Run};
use crate::infer::ShapeError;
use crate::onnx::error::NodeError;
use crate::onnx::node::{Imported, NodeCtx, Refusal, resolve_axis};

/// Pad.
pub(super) const PAD: OpSpec = OpSpec {
    name: "Pad",
    versions: &[2, 11, 13, 18, 19, 21, 23, 24, 25],
    attributes: &["mode", "pads", "value"],
    constraints: &[
        Constraint {
            text: "the mode is `constant`, `edge`, `reflect` or `wrap`",
            suggestion: "",
            violation: |node| {
                Ok(node
                    .attributes()
                    .string("mode")?
                    .filter(|m| m != "constant" && Border::named(m).is_none())
                    .map(|m| format!("`{m}`")))
            },
        },
        constant_operand::<1>("the amounts are constant"),
        constant_operand::<2>("the padding value is constant"),
        constant_operand::<3>("the axes are constant"),
    ],
    fold: None,
    import: Some(import),
};

/// Amounts as written; empty while they are not known.
fn amounts(node: &NodeCtx<'_>) -> Result<Vec<i64>, Refusal> {
    if node.opset < 11 {
        return Ok(node
            .attributes()
            .ints("pads")?
            .ok_or(NodeError::MissingAttribute("pads"))?
            .to_vec());
    }
    Ok(if node.constant(1).is_some() {
        node.integers(1)?.unwrap_or(&[]).to_vec()
    } else {
        Vec::new()
    })
}

fn import(node: &mut NodeCtx<'_>) -> Imported {
    let rank = node.shape(0)?.len();
    let amounts = amounts(node)?;
    let value = if node.opset < 11 { node.attributes().float("value")? } else { node.scalar(2)? };
    let axes: Vec<usize> = match node.integers(3)? {
        None => (0..rank).collect(),
        Some(axes) => {
            axes.iter().map(|&axis| resolve_axis(axis, rank)).collect::<Result<_, _>>()?
        }
    };
    if amounts.len() != 2 * axes.len() {
        return Err(Refusal::Invalid(NodeError::OperandValue {
            operand: 1,
            found: format!("{amounts:?}"),
            expected: "two amounts per axis",
        }));
    }
    let mut sides = vec![(0, 0); rank];
    for (position, &axis) in axes.iter().enumerate() {
        sides[axis] = (amounts[position], amounts[position + axes.len()]);
    }
    let input = node.operand(0)?;
    let shape = node.shape(0)?;
    let kept = sides.iter().zip(&shape).map(|(&side, &extent)| kept(side, extent));
    let kept: Vec<Run> = kept.collect::<Result<_, _>>()?;
    let extent = |amount: i64| usize::try_from(amount.max(0)).map_err(|_| NodeError::Arithmetic);
    let before: Vec<usize> = sides.iter().map(|side| extent(side.0)).collect::<Result<_, _>>()?;
    let after: Vec<usize> = sides.iter().map(|side| extent(side.1)).collect::<Result<_, _>>()?;
    if let Some(border) = node.attributes().string("mode")?.as_deref().and_then(Border::named) {
        let mut indices = Vec::with_capacity(rank);
        for (axis, run) in kept.iter().enumerate() {
            let count =
                run.count.checked_add(before[axis]).and_then(|n| n.checked_add(after[axis]));
            let count =
                count.filter(|&n| isize::try_from(n).is_ok()).ok_or(ShapeError::TooLarge)?;
            node.reserve(count, 8)?;
            let place = |i: usize| i.cast_signed() - before[axis].cast_signed();
            let taken = (0..count).map(|i| run.first + border.index(place(i), run.count));
            indices.push(taken.collect());
        }
        return node.emit(Op::Gather { indices }, vec![input]);
    }
    let value = value.unwrap_or(0.0);
    if kept.iter().zip(&shape).all(|(run, &extent)| run.count == extent) {
        return node.emit(Op::Pad { before, after, value }, vec![input]);
    }
    let indices: Vec<Indices> = kept.iter().map(|&run| [run].into_iter().collect()).collect();
    let cut = Op::Gather { indices };
    if before.iter().chain(&after).all(|&amount| amount == 0) {
        return node.emit(cut, vec![input]);
    }
    let cut = node.intermediate("cut", cut, vec![input], None)?;
    node.emit(Op::Pad { before, after, value }, vec![cut])
}

/// The elements that negative amounts leave.
fn kept((before, after): (i64, i64), extent: usize) -> Result<Run, Refusal> {
    let cut = |amount: i64| usize::try_from(amount.min(0).unsigned_abs()).unwrap_or(usize::MAX);
    let count = extent.checked_sub(cut(before)).and_then(|left| left.checked_sub(cut(after)));
    count.and_then(|count| Run::new(cut(before), count, 1)).ok_or_else(|| {
        Refusal::Invalid(NodeError::OperandValue {
            operand: 1,
            found: format!("{before} and {after} for an axis of {extent}"),
            expected: "negative amounts that leave at least one element",
        })
    })
}

/// A border made of the operand's own elements.
enum Border {
    Edge,
    Reflect,
    Wrap,
}

impl Border {
    fn named(mode: &str) -> Option<Border> {
        match mode {
            "edge" => Some(Border::Edge),
            "reflect" => Some(Border::Reflect),
            "wrap" => Some(Border::Wrap),
            _ => None,
        }
    }

    /// Which of `extent` elements stands at `position`, counted from the first one.
    fn index(&self, position: isize, extent: usize) -> usize {
        let last = extent.cast_signed() - 1;
        let index = match self {
            Border::Edge => position.clamp(0, last),
            Border::Wrap => position.rem_euclid(last + 1),
            // There and back again; the two ends are not repeated.
            Border::Reflect => {
                let there = position.rem_euclid((2 * last).max(1));
                there.min(2 * last - there)
            }
        };
        index.cast_unsigned()
    }
}
