//! Lowering: how each integer operator becomes tiles. One file per operator (relatives share one).
//!
//! Every operator has two halves: `candidates` says how it can be cut and what each cut needs and costs; `emit` writes the words of the cut that
//! the plan chose.

mod conv;
mod copies;
mod elementwise;
mod factors;
mod gather;
mod insets;
mod interpolate;
mod matmul;
mod mover;
mod reorder;
mod softmax;
mod tiled;
mod window;

use ir::qgraph::QOp;

use super::BackendError;
use super::emitter::Emitter;
use super::plan::Target;
use super::steps::is_depthwise;
use super::tiling::Candidate;

/// Ways to cut step `step`.
pub(crate) fn candidates(target: &Target<'_>, step: usize) -> Vec<Candidate> {
    let op = &target.graph.nodes[target.steps[step].node].op;
    match op {
        QOp::Conv { .. } if is_depthwise(op) => window::candidates(target, step),
        QOp::Conv { .. } => conv::candidates(target, step),
        QOp::MatMul { .. } => matmul::candidates(target, step),
        QOp::MaxPool { .. } | QOp::AveragePool { .. } => window::candidates(target, step),
        QOp::Add { .. }
        | QOp::Max { .. }
        | QOp::Min { .. }
        | QOp::Mul { .. }
        | QOp::Rescale { .. }
        | QOp::Lut8 { .. }
        | QOp::Lut16 { .. }
        | QOp::PRelu { .. } => elementwise::candidates(target, step),
        QOp::Interpolate { .. } => interpolate::candidates(target, step),
        QOp::Softmax { .. } => softmax::candidates(target, step),
        QOp::Concat { .. } => insets::concat_candidates(target, step),
        QOp::Pad { .. } => insets::pad_candidates(target, step),
        QOp::Gather { .. } => gather::candidates(target, step),
        QOp::Reorder { .. } => reorder::candidates(target, step),
    }
}

/// Writes the words of the current step.
///
/// # Errors
/// When a value does not fit a field of its word (a limit of the machine), or on a bug of the planner.
pub(crate) fn emit(emitter: &mut Emitter<'_>) -> Result<(), BackendError> {
    let op = &emitter.graph.nodes[emitter.plan.steps[emitter.step].node].op;
    match op {
        QOp::Conv { .. } if is_depthwise(op) => window::emit(emitter),
        QOp::Conv { .. } => conv::emit(emitter),
        QOp::MatMul { .. } => matmul::emit(emitter),
        QOp::MaxPool { .. } | QOp::AveragePool { .. } => window::emit(emitter),
        QOp::Add { .. }
        | QOp::Max { .. }
        | QOp::Min { .. }
        | QOp::Mul { .. }
        | QOp::Rescale { .. }
        | QOp::Lut8 { .. }
        | QOp::Lut16 { .. }
        | QOp::PRelu { .. } => elementwise::emit(emitter),
        QOp::Interpolate { .. } => interpolate::emit(emitter),
        QOp::Softmax { .. } => softmax::emit(emitter),
        QOp::Concat { .. } => insets::emit_concat(emitter),
        QOp::Pad { .. } => insets::emit_pad(emitter),
        QOp::Gather { .. } => gather::emit(emitter),
        QOp::Reorder { .. } => reorder::emit(emitter),
    }
}
