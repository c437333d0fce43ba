//! Operators that move or broadcast elements, as lists of indices: the operator itself, run on indices in place of values, says where each came from.

use ir::graph::Op;

use crate::evaluate::{Operand, evaluate};

/// No element.
const NONE: u32 = u32::MAX;

/// Indices above this are not exact as floats.
const MOST: usize = 1 << 24;

/// For each element of a result, the index of the operand's element it is made from; or none.
pub(super) struct Map(Vec<u32>);

impl Map {
    /// Where the elements of operand `which` go.
    pub(super) fn of(op: &Op, shapes: &[&[usize]], which: usize, shape: &[usize]) -> Option<Map> {
        let len = |shape: &[usize]| shape.iter().product::<usize>();
        if shapes.iter().any(|s| len(s) > MOST) || len(shape) > MOST {
            return None;
        }
        let op = match op.clone() {
            Op::Pad { before, after, .. } => Op::Pad { before, after, value: f32::NAN },
            other => other,
        };
        let data: Vec<Vec<f32>> = (shapes.iter().enumerate())
            .map(|(i, s)| {
                let n = len(s);
                if i == which { (0..n).map(|k| k as f32).collect() } else { vec![f32::NAN; n] }
            })
            .collect();
        let operands: Vec<Operand<'_>> =
            shapes.iter().zip(&data).map(|(shape, data)| Operand { shape, data }).collect();
        let index = |v: f32| if v.is_nan() { NONE } else { v as u32 };
        Some(Map(evaluate(&op, &operands, shape)?.into_iter().map(index).collect()))
    }

    /// Which element of an operand of shape `from` meets each element of `shape`, broadcasting as ONNX does.
    pub(super) fn broadcast(from: &[usize], shape: &[usize]) -> Option<Map> {
        let len = |shape: &[usize]| shape.iter().product::<usize>();
        if len(shape) > MOST {
            return None;
        }
        let indices: Vec<f32> = (0..len(from)).map(|k| k as f32).collect();
        let zeros = vec![0.0; len(shape)];
        let operands = [Operand { shape: from, data: &indices }, Operand { shape, data: &zeros }];
        let mapped = evaluate(&Op::Add, &operands, shape)?;
        Some(Map(mapped.into_iter().map(|v| v as u32).collect()))
    }

    /// Writes the elements that the operand has.
    pub(super) fn gather(&self, x: &[f32], y: &mut [f32]) {
        for (y, &i) in y.iter_mut().zip(&self.0) {
            if i != NONE {
                *y = x[i as usize];
            }
        }
    }

    /// The adjoint: adds what arrives at the result to where it came from.
    pub(super) fn scatter(&self, dy: &[f32], dx: &mut [f32]) {
        for (g, &i) in dy.iter().zip(&self.0) {
            if i != NONE {
                dx[i as usize] += g;
            }
        }
    }

    /// The operand's index of each element of the result.
    pub(super) fn indices(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().map(|&i| i as usize)
    }
}
