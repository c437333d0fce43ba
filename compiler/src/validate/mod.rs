//! Translation validation: a proof that a program computes its integer graph, for every input.
//!
//! The program is executed once with *tags* instead of values: a byte of memory is "element [3, 5, 17] of `x`", a known constant, or unknown. Every word that
//! computes must find at its operands exactly the elements that the graph's node wants for the piece of the result its note names, with the node's constants,
//! and its result gets the tags of that piece. So a wrong address, a swapped channel, a tile that is overwritten while somebody still needs it, a stale
//! parameter slot or a wrong shift is found without running the program on data, where a clamp might hide it.
//!
//! It knows the instruction set and the graph, and nothing of how the back end cuts, places or orders (`docs/adr/0007-translation-validation.md`). It relies on
//! `isa::verify`: where that finds no race, one legal order of the words stands for all.

mod array;
mod context;
mod elementwise;
mod finding;
mod interpolate;
mod memory;
mod product;
mod tags;
mod window;

use ir::qgraph::QGraph;
use ir::verify::wrapping_sums;
use isa::access::Pages;
use isa::inst::{Inst, Op};
use isa::program::{Note, Program};
use isa::{layout, verify};

use array::Sums;
use context::Context;
pub use finding::{Finding, Problem};
use tags::{Tag, Tensors};

/// Findings after which the rest is not looked for.
const MAX_FINDINGS: usize = 20;

/// Checks that a program which `isa::verify` finds sound computes `graph`; an empty list is the proof.
#[must_use]
pub fn validate(program: &Program, graph: &QGraph) -> Vec<Finding> {
    let general = |problem| vec![Finding { place: None, node: None, problem }];
    let wrapping = wrapping_sums(graph, program.hardware.acc_bits);
    if !wrapping.is_empty() {
        return wrapping
            .into_iter()
            .take(MAX_FINDINGS)
            .map(|p| Finding { place: None, node: None, problem: Problem::Sum(p) })
            .collect();
    }
    let Some(tensors) = Tensors::new(graph) else { return general(Problem::TooLarge) };
    let mut context = match Context::new(program, graph, &tensors) {
        Ok(context) => context,
        Err(problem) => return general(problem),
    };
    let mut pages = Pages::default();
    let mut findings = Vec::new();
    let mut sums = Sums::new(program);
    write_inputs(&mut context);
    verify::walk(program, |engine, index, inst| {
        pages.apply(inst);
        let note = program.section(engine).notes.get(index).copied().unwrap_or_default();
        if let Err(problem) = word(&mut context, &mut sums, &pages, inst, index, &note)
            && findings.len() < MAX_FINDINGS
        {
            let node = program.nodes.get(note.node as usize).map(|n| n.name.clone());
            findings.push(Finding { place: Some((engine, index)), node, problem });
        }
    });
    if findings.is_empty()
        && let Err(problem) = check_outputs(&context)
    {
        return general(problem);
    }
    findings
}

/// Executes one word on tags.
fn word(
    context: &mut Context<'_>,
    sums: &mut Sums,
    pages: &Pages,
    inst: &Inst,
    index: usize,
    note: &Note,
) -> Result<(), Problem> {
    match &inst.op {
        Op::Load(op) => context.memory.load(op, pages.load_geom(op.page)?),
        Op::LoadParams(op) => context.memory.load_params(op)?,
        Op::LoadTable(op) => context.memory.load_table(op),
        Op::Store(op) => context.memory.store(op, pages.store_geom(op.page)?),
        Op::VpuMove(op) => context.memory.move_bytes(op, pages.vpu_stride(op.page)?),
        Op::VpuFill(op) => context.memory.fill(op, pages.vpu_stride(op.page)?),
        Op::MxuConv(op) => sums.multiply(context, pages, op, index)?,
        Op::VpuDrain(op) => sums.drain(context, pages, op, index, note)?,
        Op::VpuDepthwise(op) => window::depthwise(context, pages, op, note)?,
        Op::VpuPool(op) => window::pool(context, pages, op, note)?,
        Op::VpuAdd(op) => elementwise::add(context, pages, op, note)?,
        Op::VpuMul(op) => elementwise::mul(context, pages, op, note)?,
        Op::VpuMax(op) => elementwise::max(context, pages, op, note)?,
        Op::VpuPrelu(op) => elementwise::prelu(context, pages, op, note)?,
        Op::VpuLut(op) => elementwise::lut(context, pages, op, note)?,
        Op::VpuSoftmax(op) => elementwise::softmax(context, pages, op, note)?,
        Op::Halt(_)
        | Op::Sync(_)
        | Op::LoadGeom(_)
        | Op::StoreGeom(_)
        | Op::MxuKernel(_)
        | Op::MxuInput(_)
        | Op::VpuIn(_)
        | Op::VpuSide(_)
        | Op::VpuOut(_)
        | Op::VpuKernel(_)
        | Op::VpuQuant(_)
        | Op::VpuScale(_)
        | Op::VpuStride(_) => {}
    }
    match note.tile {
        Some(tile) => context.check_note(&tile),
        None => Ok(()),
    }
}

/// Puts the network's inputs where the host writes them.
fn write_inputs(context: &mut Context<'_>) {
    for input in &context.program.inputs {
        for (offset, tag) in dram_form(context, input.tensor) {
            context.memory.set_dram(input.dram + offset, tag);
        }
    }
}

/// The network's outputs must lie where the host reads them.
fn check_outputs(context: &Context<'_>) -> Result<(), Problem> {
    for output in &context.program.outputs {
        for (offset, wanted) in dram_form(context, output.tensor) {
            let found = context.memory.dram(output.dram + offset);
            if found != wanted {
                return Err(Problem::Output {
                    expected: context.tensors.describe(wanted),
                    found: context.tensors.describe(found),
                    byte: output.dram + offset,
                });
            }
        }
    }
    Ok(())
}

/// Bytes of a tensor as they lie in DRAM: offset and tag.
fn dram_form(context: &Context<'_>, tensor: u32) -> Vec<(u64, Tag)> {
    let value = ir::graph::ValueId(tensor);
    let (shape, lanes) = (context.tensors.shape(value), context.memory.lanes());
    let extents = [shape.h as u32, shape.w as u32, shape.c as u32];
    let area = shape.h * shape.w;
    let mut out = Vec::new();
    for plane in 0..context.tensors.planes(value) {
        for block in 0..shape.c.div_ceil(lanes) {
            let base = (plane * area * shape.c) as u64
                + layout::block_offset(extents, lanes as u32, block as u32);
            let width = lanes.min(shape.c - block * lanes);
            for pixel in 0..area {
                for lane in 0..width {
                    let at = [pixel / shape.w, pixel % shape.w, block * lanes + lane];
                    let offset = base + (pixel * width + lane) as u64;
                    out.push((offset, context.tensors.tag(value, plane, at)));
                }
            }
        }
    }
    out
}
