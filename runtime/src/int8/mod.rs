//! The definition of every integer operator, in obvious loops, one file per operator.
//!
//! These loops are what the fast path, the compiler's output and the simulator are compared with, so they are written
//! to be read: an element of the result is a function of its position. Sums are `i64`, which the check before the run
//! proved wide enough; rounding and saturation are `isa::numerics`.
#![deny(clippy::float_arithmetic)]

mod add;
mod average_pool;
mod broadcast;
mod concat;
mod conv;
mod extremum;
mod gather;
mod interpolate;
mod lut;
mod matmul;
mod max_pool;
mod mul;
mod pad;
mod prelu;
mod reorder;
mod rescale;
mod softmax;
pub(crate) mod window;

use ir::qgraph::{Hwc, QGraph, QNode, QOp, QType, ValueId};
use isa::numerics::{AddParams, MulParams, RescaleParams, Rounding, max, min};

use crate::QTensor;

pub(crate) use conv::Conv;
pub(crate) use lut::node_array;
pub(crate) use prelu::channels;

/// An operand with the stored integer that stands for its real zero.
#[derive(Clone, Copy)]
pub(crate) struct Operand<'a> {
    pub(crate) tensor: &'a QTensor,
    pub(crate) zero_point: i32,
}

/// What the result must look like.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) shape: Hwc,
    pub(crate) dtype: QType,
    pub(crate) zero_point: i32,
    pub(crate) rounding: Rounding,
}

impl Target {
    /// Form of value `id`.
    pub(crate) fn of(graph: &QGraph, id: ValueId) -> Self {
        let value = &graph.values[id.0 as usize];
        let (shape, dtype, zero_point) = (value.shape, value.dtype, value.zero_point);
        Self { shape, dtype, zero_point, rounding: graph.rounding }
    }

    /// Tensor whose element at row `y`, column `x`, channel `c` is `element(y, x, c)`.
    fn fill(&self, mut element: impl FnMut(usize, usize, usize) -> i32) -> QTensor {
        let Hwc { w, c, .. } = self.shape;
        self.fill_flat(|i| element(i / c / w, i / c % w, i % c))
    }

    /// Tensor whose element `i` in row-major order is `element(i)`.
    fn fill_flat(&self, element: impl FnMut(usize) -> i32) -> QTensor {
        QTensor::from_fn(self.shape, self.dtype, element)
    }
}

/// Computes `node` of a checked graph from its operands.
pub(crate) fn execute(graph: &QGraph, node: &QNode, inputs: &[&QTensor]) -> QTensor {
    let target = Target::of(graph, node.output);
    let zero = |i: usize| graph.values[node.inputs[i].0 as usize].zero_point;
    let zy = target.zero_point;
    let x = Operand { tensor: inputs[0], zero_point: zero(0) };
    match &node.op {
        QOp::Conv { weights, bias, requant, window, groups, bounds } => {
            let (groups, bounds) = (*groups, *bounds);
            let constants = Conv { weights, bias, requant, window, groups, bounds };
            conv::conv(x, &constants, &target)
        }
        &QOp::Add { ma, mb, shift, bounds } => {
            let (za, zb, lo, hi) = (zero(0), zero(1), bounds.lo, bounds.hi);
            let params = AddParams { ma, mb, shift, za, zb, zy, lo, hi };
            add::add(inputs[0], inputs[1], &params, &target)
        }
        &QOp::Max { ma, mb, shift, bounds } => {
            let (za, zb, lo, hi) = (zero(0), zero(1), bounds.lo, bounds.hi);
            let params = AddParams { ma, mb, shift, za, zb, zy, lo, hi };
            extremum::extremum(inputs[0], inputs[1], max, &params, &target)
        }
        &QOp::Min { ma, mb, shift, bounds } => {
            let (za, zb, lo, hi) = (zero(0), zero(1), bounds.lo, bounds.hi);
            let params = AddParams { ma, mb, shift, za, zb, zy, lo, hi };
            extremum::extremum(inputs[0], inputs[1], min, &params, &target)
        }
        &QOp::Mul { requant, bounds } => {
            let (za, zb, lo, hi) = (zero(0), zero(1), bounds.lo, bounds.hi);
            let params = MulParams { requant, za, zb, zy, lo, hi };
            mul::mul(inputs[0], inputs[1], &params, &target)
        }
        &QOp::MatMul { requant, bounds } => {
            matmul::matmul(inputs[0], inputs[1], requant, bounds, &target)
        }
        &QOp::Rescale { m, shift, bounds } => {
            let (lo, hi) = (bounds.lo, bounds.hi);
            let params = RescaleParams { m, shift, za: zero(0), zy, lo, hi };
            rescale::rescale(inputs[0], &params, &target)
        }
        QOp::Interpolate { axis, points, shift, bounds } => {
            interpolate::interpolate(x, *axis, points, *shift, *bounds, &target)
        }
        QOp::MaxPool { window } => max_pool::max_pool(inputs[0], window, &target),
        QOp::AveragePool { window, requant, bounds } => {
            average_pool::average_pool(x, window, requant, *bounds, &target)
        }
        QOp::Lut8 { table } => lut::lut8(inputs[0], table, &target),
        QOp::Lut16 { nodes } => lut::lut16(inputs[0], nodes, &target),
        QOp::PRelu { requant, negative, bounds } => {
            prelu::prelu(x, requant, negative, *bounds, &target)
        }
        QOp::Softmax { exp } => softmax::softmax(inputs[0], exp),
        QOp::Concat { axis } => concat::concat(inputs, *axis, &target),
        QOp::Pad { before, value, .. } => pad::pad(inputs[0], *before, *value, &target),
        QOp::Gather { indices } => gather::gather(inputs[0], indices, &target),
        QOp::Reorder { dims, perm } => reorder::reorder(inputs[0], dims, perm, &target),
    }
}
