//! The operators through the SIMD kernels and in loops that suit the memory, equal to the plain ones bit for bit.
//!
//! What depends on the graph alone (packed weights, window positions, tables) is worked out once per graph; see
//! [`crate::Prepared`].
#![deny(clippy::float_arithmetic)]

mod conv;
mod elementwise;
mod fused;
mod matmul;
mod movement;
mod padded;
mod pool;
mod scratch;
mod stored;

use ir::qgraph::{Bounds, Hwc, QGraph, QNode, QOp, QType, QValue};
use isa::numerics::{
    AddParams, MulParams, Requant, RescaleParams, Rounding, add, lut16, max, min, mul, prelu,
    rescale,
};
use kernels::{AddConstants, qs8_add};

use crate::check::index;
use crate::int8::{self, Conv, Target};
use crate::{QData, QTensor};
use conv::FastConv;
use movement::Reorder;
use pool::Average;
pub(crate) use scratch::Scratch;
use stored::Stored;

/// What a node needs beyond the graph.
pub(crate) enum Step<'g> {
    /// Nothing.
    Direct,
    /// Packed weights and window positions.
    Conv(Box<FastConv<'g>>),
    /// Source positions.
    Reorder(Reorder),
    /// Nothing, but memory for sums.
    MatMul(Requant, Bounds),
    /// The plain loop serves.
    Plain,
}

impl<'g> Step<'g> {
    /// Prepares `node` of a checked graph for so many threads at once.
    pub(crate) fn new(graph: &'g QGraph, node: &'g QNode, threads: usize) -> Self {
        match &node.op {
            QOp::Conv { weights, bias, requant, window, groups, bounds } => {
                let (groups, bounds) = (*groups, *bounds);
                let constants = Conv { weights, bias, requant, window, groups, bounds };
                let x = value(graph, node, 0);
                let operand = (x.shape, x.dtype, x.zero_point);
                let conv =
                    FastConv::new(constants, operand, Target::of(graph, node.output), threads);
                conv.map_or(Step::Plain, |conv| Step::Conv(Box::new(conv)))
            }
            QOp::Reorder { dims, perm } => Step::Reorder(Reorder::new(dims, perm)),
            &QOp::MatMul { requant, bounds } => Step::MatMul(requant, bounds),
            QOp::Softmax { .. } | QOp::Interpolate { .. } => Step::Plain,
            _ => Step::Direct,
        }
    }

    /// Computes the node from its operands.
    pub(crate) fn run(
        &self,
        graph: &QGraph,
        node: &QNode,
        inputs: &[&QTensor],
        scratch: &mut Scratch,
    ) -> QTensor {
        let target = Target::of(graph, node.output);
        let data = match (self, target.dtype) {
            // Copied, so that as much memory leaves the scratch as comes back to it when the value is discarded.
            (Step::Plain, QType::I8) => filled(&target, scratch, |out: &mut [i8]| {
                out.copy_from_slice(elements(&int8::execute(graph, node, inputs)));
            }),
            (Step::Plain, QType::I16) => filled(&target, scratch, |out: &mut [i16]| {
                out.copy_from_slice(elements(&int8::execute(graph, node, inputs)));
            }),
            (Step::Conv(conv), _) => conv.run(inputs[0], scratch),
            (Step::Reorder(reorder), QType::I8) => {
                filled(&target, scratch, |out| reorder.run(elements::<i8>(inputs[0]), out))
            }
            (Step::Reorder(reorder), QType::I16) => {
                filled(&target, scratch, |out| reorder.run(elements::<i16>(inputs[0]), out))
            }
            (&Step::MatMul(requant, bounds), QType::I8) => {
                let mut out = scratch.take(target.shape.extents().iter().product());
                matmul::matmul::<i8>(inputs, requant, bounds, &target, scratch, &mut out);
                QData::I8(out)
            }
            (&Step::MatMul(requant, bounds), QType::I16) => {
                let mut out = scratch.take(target.shape.extents().iter().product());
                matmul::matmul::<i16>(inputs, requant, bounds, &target, scratch, &mut out);
                QData::I16(out)
            }
            (Step::Direct, QType::I8) => filled(&target, scratch, |out: &mut [i8]| {
                if !vector_add(graph, node, inputs, &target, out) {
                    direct(graph, node, inputs, &target, out);
                }
            }),
            (Step::Direct, QType::I16) => filled(&target, scratch, |out: &mut [i16]| {
                direct(graph, node, inputs, &target, out);
            }),
        };
        QTensor { shape: target.shape, data }
    }
}

fn value<'g>(graph: &'g QGraph, node: &QNode, operand: usize) -> &'g QValue {
    &graph.values[index(node.inputs[operand])]
}

/// Elements of an operand that the check before the run proved to be of the result's type.
fn elements<T: Stored>(x: &QTensor) -> &[T] {
    T::elements(x).expect("the check proved that operand and result are of one type")
}

/// A result that `fill` writes completely.
fn filled<T: Stored>(target: &Target, scratch: &mut Scratch, fill: impl FnOnce(&mut [T])) -> QData {
    let mut out = scratch.take(target.shape.extents().iter().product());
    fill(&mut out);
    T::data(out)
}

/// Operators that need nothing beyond the graph.
fn direct<T: Stored>(
    graph: &QGraph,
    node: &QNode,
    inputs: &[&QTensor],
    target: &Target,
    out: &mut [T],
) {
    let (zero, zy) = (|i| value(graph, node, i).zero_point, target.zero_point);
    let x = inputs[0];
    match &node.op {
        &QOp::Add { ma, mb, shift, bounds } => {
            let (za, zb, lo, hi) = (zero(0), zero(1), bounds.lo, bounds.hi);
            let params = AddParams { ma, mb, shift, za, zb, zy, lo, hi };
            elementwise::broadcast(x, inputs[1], |a, b| add(a, b, &params, target.rounding), out);
        }
        &QOp::Max { ma, mb, shift, bounds } => {
            let (za, zb, lo, hi) = (zero(0), zero(1), bounds.lo, bounds.hi);
            let params = AddParams { ma, mb, shift, za, zb, zy, lo, hi };
            elementwise::broadcast(x, inputs[1], |a, b| max(a, b, &params, target.rounding), out);
        }
        &QOp::Min { ma, mb, shift, bounds } => {
            let (za, zb, lo, hi) = (zero(0), zero(1), bounds.lo, bounds.hi);
            let params = AddParams { ma, mb, shift, za, zb, zy, lo, hi };
            elementwise::broadcast(x, inputs[1], |a, b| min(a, b, &params, target.rounding), out);
        }
        &QOp::Mul { requant, bounds } => {
            let (za, zb, lo, hi) = (zero(0), zero(1), bounds.lo, bounds.hi);
            let params = MulParams { requant, za, zb, zy, lo, hi };
            elementwise::broadcast(x, inputs[1], |a, b| mul(a, b, &params, target.rounding), out);
        }
        &QOp::Rescale { m, shift, bounds } => {
            let (za, lo, hi) = (zero(0), bounds.lo, bounds.hi);
            let params = RescaleParams { m, shift, za, zy, lo, hi };
            elementwise::map(x, |x| rescale(x, &params, target.rounding), out);
        }
        QOp::Lut8 { table } => {
            elementwise::map(x, |x| i32::from(table[(x + 128) as usize]), out);
        }
        QOp::Lut16 { nodes } => {
            let nodes = int8::node_array(nodes);
            elementwise::map(x, |x| lut16(nodes, x as i16).into(), out);
        }
        QOp::PRelu { requant, negative, bounds } => {
            let channels = int8::channels(zero(0), requant, negative, *bounds, target);
            elementwise::map_channels(x, |x, c| prelu(x, &channels[c], target.rounding), out);
        }
        QOp::MaxPool { window } => {
            pool::max_pool(elements(x), x.shape, window, target.shape, out);
        }
        QOp::AveragePool { window, requant, bounds } => {
            let (bounds, zero_point) = (*bounds, zero(0));
            let pool = Average { window, requant, bounds, zero_point };
            match &x.data {
                QData::I8(data) => pool::average_pool(data, x.shape, &pool, target, out),
                QData::I16(data) => pool::average_pool(data, x.shape, &pool, target, out),
            }
        }
        QOp::Concat { axis } => {
            let operands: Vec<(&[T], Hwc)> =
                inputs.iter().map(|&x| (elements(x), x.shape)).collect();
            movement::concat(&operands, *axis, out);
        }
        QOp::Pad { before, value, .. } => {
            let (x, value) = ((elements(x), x.shape), T::narrow(*value));
            movement::pad(x, *before, value, (out, target.shape));
        }
        QOp::Gather { indices } => movement::gather((elements(x), x.shape), indices, out),
        QOp::Conv { .. }
        | QOp::MatMul { .. }
        | QOp::Reorder { .. }
        | QOp::Softmax { .. }
        | QOp::Interpolate { .. } => {
            unreachable!("`Step::new` chose another way for these")
        }
    }
}

/// Adds by the vector kernel where it applies (three int8 tensors of one shape, round half to even); else returns false.
fn vector_add(
    graph: &QGraph,
    node: &QNode,
    inputs: &[&QTensor],
    target: &Target,
    out: &mut [i8],
) -> bool {
    let QOp::Add { ma, mb, shift, bounds } = node.op else { return false };
    let [QTensor { shape, data: QData::I8(a) }, QTensor { shape: b_shape, data: QData::I8(b) }] =
        inputs
    else {
        return false;
    };
    if shape != b_shape || target.rounding != Rounding::HalfEven {
        return false;
    }
    let constants = AddConstants {
        a_zero: value(graph, node, 0).zero_point,
        a_multiplier: ma,
        b_zero: value(graph, node, 1).zero_point,
        b_multiplier: mb,
        shift,
        zero: target.zero_point,
        lo: bounds.lo,
        hi: bounds.hi,
    };
    qs8_add(a, b, &constants, out);
    true
}
