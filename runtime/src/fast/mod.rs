//! The operators through the SIMD kernels and in loops that suit the memory, equal to the plain ones bit for bit.
//!
//! What depends on the graph alone (packed weights, window positions, tables) is worked out once per graph; see
//! [`crate::Prepared`].
#![deny(clippy::float_arithmetic)]

mod conv;
mod elementwise;
mod movement;
mod padded;
mod pool;
mod stored;

use ir::qgraph::{Hwc, QGraph, QNode, QOp, QType, QValue};
use isa::numerics::{AddParams, MulParams, RescaleParams, Rounding, add, mul, rescale};
use kernels::{AddConstants, qs8_add};

use crate::check::index;
use crate::int8::{self, Conv, Target};
use crate::{QData, QTensor};
use conv::FastConv;
use movement::Reorder;
use stored::Stored;

/// What a node needs beyond the graph.
pub(crate) enum Step<'g> {
    /// Nothing.
    Direct,
    /// Packed weights and window positions.
    Conv(Box<FastConv<'g>>),
    /// Source positions.
    Reorder(Reorder),
    /// The plain loop serves.
    Plain,
}

impl<'g> Step<'g> {
    /// Prepares `node` of a checked graph.
    pub(crate) fn new(graph: &'g QGraph, node: &'g QNode) -> Self {
        match &node.op {
            QOp::Conv { weights, bias, requant, window, groups, bounds } => {
                let (groups, bounds) = (*groups, *bounds);
                let constants = Conv { weights, bias, requant, window, groups, bounds };
                let x = value(graph, node, 0);
                let operand = (x.shape, x.dtype, x.zero_point);
                let conv = FastConv::new(constants, operand, Target::of(graph, node.output));
                conv.map_or(Step::Plain, |conv| Step::Conv(Box::new(conv)))
            }
            QOp::Reorder { dims, perm } => Step::Reorder(Reorder::new(dims, perm)),
            QOp::Softmax { .. } => Step::Plain,
            _ => Step::Direct,
        }
    }

    /// Computes the node from its operands.
    pub(crate) fn run(&self, graph: &QGraph, node: &QNode, inputs: &[&QTensor]) -> QTensor {
        match self {
            Step::Plain => int8::execute(graph, node, inputs),
            Step::Conv(conv) => conv.run(inputs[0]),
            Step::Reorder(reorder) => {
                let data = match &inputs[0].data {
                    QData::I8(x) => QData::I8(reorder.run(x)),
                    QData::I16(x) => QData::I16(reorder.run(x)),
                };
                QTensor { shape: graph.values[index(node.output)].shape, data }
            }
            Step::Direct => direct(graph, node, inputs),
        }
    }
}

fn value<'g>(graph: &'g QGraph, node: &QNode, operand: usize) -> &'g QValue {
    &graph.values[index(node.inputs[operand])]
}

/// Operators that need nothing beyond the graph.
fn direct(graph: &QGraph, node: &QNode, inputs: &[&QTensor]) -> QTensor {
    let target = Target::of(graph, node.output);
    let (zero, zy) = (|i| value(graph, node, i).zero_point, target.zero_point);
    let x = inputs[0];
    let data = match &node.op {
        &QOp::Add { ma, mb, shift, bounds } => {
            let (za, zb, lo, hi) = (zero(0), zero(1), bounds.lo, bounds.hi);
            let params = AddParams { ma, mb, shift, za, zb, zy, lo, hi };
            match vector_add(x, inputs[1], &params, &target) {
                Some(sums) => QData::I8(sums),
                None => binary(x, inputs[1], &target, |a, b| add(a, b, &params, target.rounding)),
            }
        }
        &QOp::Mul { requant, bounds } => {
            let (za, zb, lo, hi) = (zero(0), zero(1), bounds.lo, bounds.hi);
            let params = MulParams { requant, za, zb, zy, lo, hi };
            binary(x, inputs[1], &target, |a, b| mul(a, b, &params, target.rounding))
        }
        &QOp::Rescale { m, shift, bounds } => {
            let params = RescaleParams { m, shift, za: zero(0), zy, lo: bounds.lo, hi: bounds.hi };
            let f = |x| rescale(x, &params, target.rounding);
            match target.dtype {
                QType::I8 => QData::I8(elementwise::map(x, f)),
                QType::I16 => QData::I16(elementwise::map(x, f)),
            }
        }
        QOp::Lut8 { table } => {
            QData::I8(elementwise::map(x, |x| i32::from(table[(x + 128) as usize])))
        }
        QOp::MaxPool { window } => match &x.data {
            QData::I8(data) => QData::I8(pool::max_pool(data, x.shape, window, &target)),
            QData::I16(data) => QData::I16(pool::max_pool(data, x.shape, window, &target)),
        },
        QOp::AveragePool { window, requant, bounds } => {
            let (form, scaling) = ((x.shape, zero(0)), (requant.as_slice(), *bounds));
            match (&x.data, target.dtype) {
                (QData::I8(x), QType::I8) => {
                    QData::I8(pool::average_pool(x, form, window, scaling, &target))
                }
                (QData::I8(x), QType::I16) => {
                    QData::I16(pool::average_pool(x, form, window, scaling, &target))
                }
                (QData::I16(x), QType::I8) => {
                    QData::I8(pool::average_pool(x, form, window, scaling, &target))
                }
                (QData::I16(x), QType::I16) => {
                    QData::I16(pool::average_pool(x, form, window, scaling, &target))
                }
            }
        }
        QOp::Concat { axis } => match target.dtype {
            QType::I8 => {
                QData::I8(movement::concat(&parts(inputs, QTensor::as_i8), *axis, target.shape))
            }
            QType::I16 => {
                QData::I16(movement::concat(&parts(inputs, QTensor::as_i16), *axis, target.shape))
            }
        },
        QOp::Pad { before, value, .. } => match &x.data {
            QData::I8(data) => {
                let value = i8::narrow(*value);
                QData::I8(movement::pad(data, x.shape, *before, value, target.shape))
            }
            QData::I16(data) => {
                let value = i16::narrow(*value);
                QData::I16(movement::pad(data, x.shape, *before, value, target.shape))
            }
        },
        QOp::Conv { .. } | QOp::Reorder { .. } | QOp::Softmax { .. } => {
            unreachable!("`Step::new` chose another way for these")
        }
    };
    QTensor { shape: target.shape, data }
}

/// The vector kernel's sum, where it applies: three int8 tensors of one shape, round half to even.
fn vector_add(a: &QTensor, b: &QTensor, p: &AddParams, target: &Target) -> Option<Vec<i8>> {
    let (QData::I8(x), QData::I8(y)) = (&a.data, &b.data) else { return None };
    let even = target.rounding == Rounding::HalfEven;
    if a.shape != b.shape || target.dtype != QType::I8 || !even {
        return None;
    }
    let constants = AddConstants {
        a_zero: p.za,
        a_multiplier: p.ma,
        b_zero: p.zb,
        b_multiplier: p.mb,
        shift: p.shift,
        zero: p.zy,
        lo: p.lo,
        hi: p.hi,
    };
    let mut sums = vec![0; x.len()];
    qs8_add(x, y, &constants, &mut sums);
    Some(sums)
}

fn binary(a: &QTensor, b: &QTensor, target: &Target, f: impl Fn(i32, i32) -> i32) -> QData {
    match target.dtype {
        QType::I8 => QData::I8(elementwise::broadcast(a, b, f)),
        QType::I16 => QData::I16(elementwise::broadcast(a, b, f)),
    }
}

/// Data and shape of every operand, all of the type that `elements` asks for.
fn parts<'a, T>(
    operands: &[&'a QTensor],
    elements: impl Fn(&'a QTensor) -> Option<&'a [T]>,
) -> Vec<(&'a [T], Hwc)> {
    let part = |x: &&'a QTensor| {
        (elements(x).expect("the check before the run proved one type for all"), x.shape)
    };
    operands.iter().map(part).collect()
}
