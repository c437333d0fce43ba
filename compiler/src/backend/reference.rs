//! The integer graph inside a program, for `qsim --check`: its text form without weights, and where among the program's constants they lie.
//!
//! The weights are stored once, as the machine loads them. The first line is a JSON list of [`Stored`], one per convolution; the rest is the text form.

use ir::qgraph::{QGraph, QNode, QOp, QWeights};
use isa::access::{Pages, Space, access};
use isa::hardware::Hardware;
use isa::layout;
use isa::program::Program;
use serde::{Deserialize, Serialize};

use super::BackendError;
use super::dram::Constants;
use super::geometry::blocks;
use super::plan::Plan;
use super::steps::is_depthwise;
use super::weights::{Layout, array_weights, lane_weights};
use super::work::ConvWork;

/// Why a program's reference graph cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// The program was not compiled from a graph.
    #[error("the program holds no reference graph")]
    Missing,
    /// It cannot be read.
    #[error("the program's reference graph is damaged: {0}")]
    Damaged(String),
}

/// Times that the elements of a reference graph may exceed those its program writes, inputs and outputs: values that no word holds whole, such
/// as the results of operators that only move elements.
const VALUES_PER_WRITTEN: u64 = 16;

/// Where the weights of one convolution lie.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// Index of the node.
    node: usize,
    /// Channel blocks of one run of weights.
    blocks: usize,
    /// DRAM address of each run, by channel group, then channel block.
    at: Vec<u64>,
}

/// The reference section of a program.
pub(super) fn write(
    graph: &QGraph,
    plan: &Plan,
    constants: &Constants,
) -> Result<Vec<u8>, BackendError> {
    let mut stored: Vec<Stored> = Vec::new();
    for (step, at) in constants.weights() {
        let node = plan.steps[step].node;
        match stored.last_mut().filter(|s| s.node == node) {
            Some(last) => last.at.push(at),
            None => stored.push(Stored { node, blocks: plan.tilings[step].blocks, at: vec![at] }),
        }
    }
    let bare = QGraph {
        name: graph.name.clone(),
        values: graph.values.clone(),
        nodes: graph.nodes.iter().map(without_weights).collect(),
        inputs: graph.inputs.clone(),
        outputs: graph.outputs.clone(),
        rounding: graph.rounding,
    };
    let mut out = serde_json::to_vec(&stored).map_err(|e| BackendError::Internal(e.to_string()))?;
    out.push(b'\n');
    out.extend(bare.to_string().into_bytes());
    Ok(out)
}

/// A copy of a node that holds no weights.
fn without_weights(node: &QNode) -> QNode {
    let QOp::Conv { weights, bias, requant, window, groups, bounds } = &node.op else {
        return node.clone();
    };
    let &QWeights { oc, kernel, ic, bits, data: _ } = weights;
    QNode {
        name: node.name.clone(),
        onnx_op: node.onnx_op.clone(),
        op: QOp::Conv {
            weights: QWeights { oc, kernel, ic, bits, data: Vec::new() },
            bias: bias.clone(),
            requant: requant.clone(),
            window: *window,
            groups: *groups,
            bounds: *bounds,
        },
        inputs: node.inputs.clone(),
        output: node.output,
    }
}

/// The integer graph that a program was compiled from.
///
/// # Errors
/// When the program holds none, or none that is whole: the section is opaque to the program file, so anything may stand there.
pub fn reference_graph(program: &Program) -> Result<QGraph, ReferenceError> {
    let damaged = |what: &str| ReferenceError::Damaged(what.into());
    let bytes = program.reference.as_deref().ok_or(ReferenceError::Missing)?;
    let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is not text"))?;
    let (first, text) = text.split_once('\n').ok_or_else(|| damaged("it has one line"))?;
    let stored: Vec<Stored> =
        serde_json::from_str(first).map_err(|e| ReferenceError::Damaged(e.to_string()))?;
    let mut graph: QGraph = text.parse().map_err(|e| ReferenceError::Damaged(format!("{e}")))?;
    check_sizes(&graph, program)?;
    make_room(&mut graph, program.constants.len()).ok_or_else(|| {
        damaged("its convolutions have more weights than the program's constants hold")
    })?;
    if let Err(problems) = graph.verify() {
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        return Err(ReferenceError::Damaged(first));
    }
    let mut found = vec![false; graph.nodes.len()];
    for s in &stored {
        let data = read(&graph, s, program)
            .ok_or_else(|| damaged("weights are not where it says they are"))?;
        found[s.node] = true;
        if let QOp::Conv { weights, .. } = &mut graph.nodes[s.node].op {
            weights.data = data;
        }
    }
    let all = graph.nodes.iter().zip(found).all(|(n, f)| f || !matches!(n.op, QOp::Conv { .. }));
    if !all {
        return Err(damaged("a convolution has no weights"));
    }
    match graph.verify() {
        Ok(()) => Ok(graph),
        Err(problems) => Err(ReferenceError::Damaged(
            problems.first().map(ToString::to_string).unwrap_or_default(),
        )),
    }
}

/// Everybody who asks for the graph holds its values, so a program must have words that could compute as many.
fn check_sizes(graph: &QGraph, program: &Program) -> Result<(), ReferenceError> {
    let written = written(program);
    let limit = written.saturating_mul(VALUES_PER_WRITTEN);
    let elements = graph.values.iter().fold(0u64, |sum, value| {
        let extents = value.shape.extents().into_iter();
        sum.saturating_add(extents.fold(1, |n, extent| n.saturating_mul(extent as u64)))
    });
    if elements <= limit {
        return Ok(());
    }
    Err(ReferenceError::Damaged(format!(
        "its values have {elements} elements, but the program writes {written} and could compute {limit} at most"
    )))
}

/// Elements of the program's inputs and outputs, and bytes of the scratchpad that its words write, counted with repetition.
fn written(program: &Program) -> u64 {
    let bindings = program.inputs.iter().chain(&program.outputs);
    let tensors = bindings.filter_map(|binding| program.tensors.get(binding.tensor as usize));
    let mut sum = tensors.fold(0u64, |sum, t| sum.saturating_add(layout::value_count(t.shape)));
    for section in &program.code {
        let mut pages = Pages::default();
        for inst in &section.words {
            pages.apply(inst);
            let accesses = access(inst, &pages, &program.hardware).unwrap_or_default();
            let rows = accesses.iter().filter(|a| a.write && a.space == Space::Spad);
            let rows: u64 = rows.fold(0, |sum, a| sum.saturating_add(a.rows.walk()));
            sum = sum.saturating_add(rows.saturating_mul(program.hardware.array_rows.into()));
        }
    }
    sum
}

/// Gives every convolution room for its weights, all zero. `None` when they are more than `bytes` bytes of constants can hold at two bits each.
fn make_room(graph: &mut QGraph, bytes: usize) -> Option<()> {
    let mut left = bytes.saturating_mul(4);
    for node in &mut graph.nodes {
        if let QOp::Conv { weights, .. } = &mut node.op {
            let count = [weights.oc, weights.kernel[0], weights.kernel[1], weights.ic]
                .into_iter()
                .try_fold(1usize, usize::checked_mul)?;
            left = left.checked_sub(count)?;
            weights.data = vec![0; count];
        }
    }
    Some(())
}

/// The weights of one convolution of a sound graph.
fn read(graph: &QGraph, stored: &Stored, program: &Program) -> Option<Vec<i8>> {
    let node = graph.nodes.get(stored.node)?;
    let QOp::Conv { weights, .. } = &node.op else { return None };
    let mut data = vec![0; weights.data.len()];
    let mut places = stored.at.iter();
    each_run(graph, node, &program.hardware, stored.blocks, |layout| {
        let at = places.next()?.checked_sub(program.constants_base)?;
        layout.unpack(program.constants.get(usize::try_from(at).ok()?..)?, &mut data)
    })?;
    places.next().is_none().then_some(data)
}

/// Visits the runs of weights of a convolution in the order of their addresses in [`Stored::at`]. `None` as soon as a visit says so.
fn each_run(
    graph: &QGraph,
    node: &QNode,
    hw: &Hardware,
    run: usize,
    mut visit: impl FnMut(&Layout<'_>) -> Option<()>,
) -> Option<()> {
    if run == 0 {
        return None;
    }
    let work = ConvWork::new(graph, node, hw)?;
    if is_depthwise(&node.op) {
        let all = blocks(work.weights.oc, work.lanes);
        for b in (0..all).step_by(run) {
            visit(&lane_weights(work.weights, work.lanes, b, (b + run).min(all)))?;
        }
        return Some(());
    }
    for group in 0..work.n_groups() {
        for chunk in work.chunks(group, run) {
            visit(&array_weights(&work, group, chunk.start, chunk.end))?;
        }
    }
    Some(())
}
