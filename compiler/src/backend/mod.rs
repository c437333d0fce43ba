//! The back end: from the integer graph to a program for one machine.
//!
//! `steps` groups nodes, `plan` decides which tensors stay in the scratchpad and how each step is cut, `lower` writes the words of each step in a
//! sequential order that is correct by itself, `semaphores` lets the engines overlap without changing a byte, and `generate` puts the program together.

mod dram;
mod emitter;
mod geometry;
mod lower;
mod memory;
mod operand;
mod order;
mod plan;
mod reference;
mod semaphores;
mod steps;
mod stream;
mod tiling;
mod weights;
mod work;

use ir::qgraph::{QGraph, QOp, QType, ValueId};
use ir::verify::wrapping_sums;
use isa::hardware::Hardware;
use isa::inst::{Engine, Inst, WORD_BYTES};
use isa::instructions::Halt;
use isa::numerics::NumericsError;
use isa::program::{IoBinding, Meta, NodeInfo, Note, Program, Section, TensorInfo, Unit};

use dram::{DramMap, align, map_tensors};
use emitter::Emitter;
use geometry::planes;
use plan::{Plan, Target, plan};
pub use reference::{ReferenceError, reference_graph};
use steps::is_depthwise;
use stream::Task;
use tiling::{Buffer, Order, Role, Tiling};

/// Why no program could be made.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// A step has no room even with the scratchpad to itself.
    #[error("`{node}` ({op}) does not fit the machine: no tile of it fits {scratchpad_kib} KiB of scratchpad\n  hint: a larger scratchpad, e.g. --set scratchpad_kib={}", scratchpad_kib * 2)]
    DoesNotFit {
        /// ONNX node.
        node: String,
        /// ONNX operator.
        op: String,
        /// Scratchpad of the machine.
        scratchpad_kib: u32,
    },
    /// An average pool over a padded window needs more divisors than a parameter slot holds.
    #[error(
        "`{node}` averages over {entries} different tap counts, but a parameter slot holds {limit} entries\n  hint: --set param_entries={entries}"
    )]
    CountTable {
        /// ONNX node.
        node: String,
        /// Entries needed.
        entries: usize,
        /// Entries of a slot.
        limit: u32,
    },
    /// A number does not fit its field in the program.
    #[error("`{node}`: {cause}")]
    Field {
        /// ONNX node.
        node: String,
        /// What does not fit.
        cause: String,
    },
    /// Parameters do not fit the machine's entries.
    #[error(transparent)]
    Numerics(#[from] NumericsError),
    /// The machine's accumulators are too narrow.
    #[error("{}\n  hint: wider accumulators, --set acc_bits={bits}", .problems.join("\n"))]
    Sums {
        /// Each channel whose sums might wrap.
        problems: Vec<String>,
        /// Bits that all of them fit.
        bits: u32,
    },
    /// A network output that no node computes.
    #[error("output `{0}` is a network input: there is nothing to compute")]
    PassThrough(String),
    /// A bug of the compiler.
    #[error("internal error of the compiler: {0}")]
    Internal(String),
}

/// Compiles an integer graph for a machine.
///
/// # Errors
/// See [`BackendError`].
pub fn generate(graph: &QGraph, hw: &Hardware, meta: Meta) -> Result<Program, BackendError> {
    if let Some(&v) = graph.outputs.iter().find(|v| graph.inputs.contains(v)) {
        return Err(BackendError::PassThrough(graph.values[v.0 as usize].name.clone()));
    }
    check_sums(graph, hw)?;
    let plan = plan(graph, hw)?;
    let lives = steps::lifetimes(graph, &plan.steps);
    let resident: Vec<bool> = plan.resident.iter().map(Option::is_some).collect();
    let target = Target { graph, hw, steps: &plan.steps, resident: &resident };
    let is_io = |v: ValueId| graph.inputs.contains(&v) || graph.outputs.contains(&v);
    let map = map_tensors(graph, hw, |v| {
        is_io(v) || (lives[v.0 as usize].is_some() && target.in_dram(v))
    });

    let mut emitter = Emitter::new(graph, hw, &plan, &map);
    for step in 0..plan.steps.len() {
        emitter.step = step;
        emitter.stream.set_node(step as u32);
        lower::emit(&mut emitter)?;
    }
    let (constants, mut tasks) = (emitter.constants, emitter.stream.tasks);
    let reference = reference::write(graph, &plan, &constants)?;
    let dram_bytes = constants.base + constants.bytes.len() as u64;
    check_fields(graph, &plan, &tasks)?;
    let tensor_planes = |tensor: u32| planes(graph.values[tensor as usize].dtype);
    semaphores::synchronise(&mut tasks, hw, map.end, tensor_planes)?;
    let (code, dram_bytes) = sections(&tasks, align(dram_bytes, hw), hw);
    Ok(Program {
        hardware: hw.clone(),
        meta,
        tensors: graph.values.iter().map(tensor_info).collect(),
        inputs: bindings(&graph.inputs, &map)?,
        outputs: bindings(&graph.outputs, &map)?,
        nodes: (0..plan.steps.len()).map(|i| node_info(graph, &plan, i)).collect(),
        code,
        constants_base: constants.base,
        constants: constants.bytes,
        dram_bytes,
        reference: Some(reference),
        float_model: None,
        host: isa::program::Host::default(),
    })
}

/// Checks that no sum can leave the machine's accumulators: our own quantization sees to it, a graph read from text may not.
fn check_sums(graph: &QGraph, hw: &Hardware) -> Result<(), BackendError> {
    let problems = wrapping_sums(graph, hw.acc_bits);
    if problems.is_empty() {
        return Ok(());
    }
    let fits = |&bits: &u32| wrapping_sums(graph, bits).is_empty();
    let bits = (hw.acc_bits..u64::BITS).find(fits).unwrap_or(u64::BITS);
    Err(BackendError::Sums { problems: problems.iter().map(ToString::to_string).collect(), bits })
}

/// Checks that every field of every word holds its value, naming the node where one does not.
fn check_fields(graph: &QGraph, plan: &Plan, tasks: &[Task]) -> Result<(), BackendError> {
    for task in tasks {
        if let Err(e) = isa::inst::encode(&task.inst) {
            let node = &graph.nodes[plan.steps[task.note.node as usize].last_node()];
            return Err(BackendError::Field { node: node.name.clone(), cause: e.to_string() });
        }
    }
    Ok(())
}

/// Deals the words out to their engines, closes each section with a halt, and lays the sections out from `base`.
fn sections(tasks: &[Task], base: u64, hw: &Hardware) -> ([Section; 4], u64) {
    let mut code: [Section; 4] = Default::default();
    for task in tasks {
        let section = &mut code[task.inst.engine.index()];
        section.words.push(task.inst);
        section.notes.push(task.note);
    }
    let mut at = base;
    for (section, engine) in code.iter_mut().zip(Engine::ALL) {
        section.words.push(Inst::new(engine, Halt {}));
        section.notes.push(Note { node: u32::MAX, ..Note::default() });
        section.base = at;
        at = align(at + (section.words.len() * WORD_BYTES) as u64, hw);
    }
    (code, at)
}

fn tensor_info(value: &ir::qgraph::QValue) -> TensorInfo {
    let small = |list: &[usize]| list.iter().map(|&n| n as u32).collect();
    TensorInfo {
        name: value.name.clone(),
        shape: [value.shape.h as u32, value.shape.w as u32, value.shape.c as u32],
        bits: 8 * planes(value.dtype) as u8,
        scale: value.scale,
        zero_point: value.zero_point,
        onnx_shape: small(&value.view.onnx_shape),
        perm: small(&value.view.perm),
    }
}

fn bindings(values: &[ValueId], map: &DramMap) -> Result<Vec<IoBinding>, BackendError> {
    let bind = |v: &ValueId| {
        let dram = map.tensors[v.0 as usize]
            .ok_or_else(|| BackendError::Internal(format!("value {} has no place in DRAM", v.0)))?;
        Ok(IoBinding { tensor: v.0, dram })
    };
    values.iter().map(bind).collect()
}

fn node_info(graph: &QGraph, plan: &Plan, step: usize) -> NodeInfo {
    let s = &plan.steps[step];
    let (first, last) = (&graph.nodes[s.node], &graph.nodes[s.last_node()]);
    let (mut macs, mut unit, mut weight_bits) = (0, Unit::None, 0);
    if let QOp::Conv { weights, .. } = &first.op {
        let out = graph.values[first.output.0 as usize].shape;
        macs = (out.h * out.w * out.c * weights.kernel[0] * weights.kernel[1] * weights.ic) as u64;
        unit = if is_depthwise(&first.op) { Unit::Vector } else { Unit::Array };
        weight_bits = weights.bits;
    }
    if let QOp::MatMul { .. } = first.op {
        let out = graph.values[first.output.0 as usize].shape;
        let terms = graph.values[first.inputs[0].0 as usize].shape.c;
        macs = (out.h * out.w * out.c * terms) as u64;
        (unit, weight_bits) = (Unit::Array, 8);
    }
    let act_bits = match graph.values[first.inputs[0].0 as usize].dtype {
        QType::I8 => 8,
        QType::I16 => 16,
    };
    let op = if s.residual.is_some() {
        format!("{}+{}", first.onnx_op, last.onnx_op)
    } else {
        first.onnx_op.clone()
    };
    NodeInfo {
        name: last.name.clone(),
        op,
        macs,
        unit,
        weight_bits,
        act_bits,
        tile: describe(&plan.tilings[step]),
    }
}

/// A tiling for people: pixels, channel blocks, which loop runs outside, and how many slots each buffer has.
fn describe(t: &Tiling) -> String {
    let buffer = |b: &Buffer| {
        let role = match b.role {
            Role::Input(i) => format!("input {i}"),
            Role::Weights => "weights".to_owned(),
            Role::Output => "output".to_owned(),
        };
        let slots = if b.slots == 1 { "slot" } else { "slots" };
        format!("{role} {} {slots} of {} rows", b.slots, b.rows)
    };
    let outside = match t.order {
        Order::PixelsOuter => "pixels",
        Order::ChannelsOuter => "channels",
    };
    let buffers: Vec<String> = t.buffers.iter().map(buffer).collect();
    let blocks = if t.blocks == 1 { "block" } else { "blocks" };
    format!(
        "{}x{} pixels, {} {blocks}, {outside} outside; {}",
        t.th,
        t.tw,
        t.blocks,
        if buffers.is_empty() { "all resident".into() } else { buffers.join(", ") }
    )
}
