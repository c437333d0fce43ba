//! From a program to its explanation.

use isa::access::Space;
use isa::program::{NodeInfo, TensorInfo};
use isa::{Engine, Hardware, Program};
use timing::{Bucket, Mode, NoObserver, Timing};

use super::ExplainError;
use super::schema::{
    Explanation, Gap, LayerMemory, LayerPage, MnemonicCount, SCHEMA_VERSION, Tensor, Words,
};
use super::windows::{Window, windows};
use crate::bounds::Peak;
use crate::occupancy::Occupancy;
use crate::report::build::{buckets, engines};
use crate::report::{Engines, Layer, ProgramFile, Report, Waits};
use crate::work;

/// Words of each engine that are listed.
const LISTED: usize = 4;

impl Explanation {
    /// Times a program on `hardware`, which may differ from the program's own in timing-only parameters, and explains every layer.
    /// What takes a graph (`onnx_nodes`, `computes`) is empty until the caller fills it in.
    ///
    /// # Errors
    /// A program that the machine cannot execute, or that never ends.
    pub fn new(
        program: &Program,
        hardware: &Hardware,
        file: &ProgramFile,
    ) -> Result<Explanation, ExplainError> {
        let timing = timing::run_on(program, hardware, Mode::Event, &mut NoObserver)?;
        let report = Report::new(program, hardware, file, &timing)?;
        let windows = windows(program, hardware, &timing)?;
        let occupancy = Occupancy::of(program, &timing)?;
        let accumulators = accumulators(program)?;
        let words = words(program);
        let outputs = outputs(program);
        let page = |(number, summary): (usize, Layer)| {
            let window = &windows[number];
            let (accumulator_rows, banks) = accumulators[number];
            let peak_rows = peak(&occupancy, window);
            LayerPage {
                number: number as u64,
                window: engines(&window.engines),
                gap: gap(&program.nodes[number], &summary, window, &timing, number, hardware),
                words: words[number].clone(),
                memory: LayerMemory {
                    scratchpad_peak_bytes: u64::from(peak_rows) * u64::from(hardware.row_bytes()),
                    accumulator_rows,
                    accumulator_banks: banks.count_ones().into(),
                },
                output: outputs[number].map(|tensor| Tensor::from(&program.tensors[tensor])),
                onnx_nodes: Vec::new(),
                computes: Vec::new(),
                report: summary,
            }
        };
        Ok(Explanation {
            schema_version: SCHEMA_VERSION,
            program: report.program,
            total_cycles: report.cycles.total,
            lower_bound: report.cycles.lower_bound,
            layers: report.layers.into_iter().enumerate().map(page).collect(),
            hardware: report.hardware,
        })
    }

    /// The explanation as indented JSON, keys in the order of declaration.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("an explanation has only string keys")
    }
}

impl From<&TensorInfo> for Tensor {
    fn from(info: &TensorInfo) -> Tensor {
        Tensor {
            name: info.name.clone(),
            shape: info.shape.to_vec(),
            bits: info.bits.into(),
            scale: info.scale,
            zero_point: info.zero_point.into(),
        }
    }
}

/// Index of the tensor that each node's words complete, if the notes say one; the last of several.
pub fn outputs(program: &Program) -> Vec<Option<usize>> {
    let mut outputs = vec![None; program.nodes.len()];
    for note in program.code.iter().flat_map(|section| &section.notes) {
        let tensor = note.tile.map(|tile| tile.tensor as usize);
        if let (Some(output), Some(_)) = (outputs.get_mut(note.node as usize), tensor) {
            *output = tensor.filter(|&tensor| tensor < program.tensors.len());
        }
    }
    outputs
}

/// Every cycle of one engine in the window, in one part each.
fn gap(
    node: &NodeInfo,
    layer: &Layer,
    window: &Window,
    timing: &Timing,
    number: usize,
    hardware: &Hardware,
) -> Gap {
    let own = |engine: Engine| timing.layers[number].engines[engine.index()][Bucket::Busy];
    let multiplies = Peak::of(node, hardware).filter(|peak| peak.needed > 0);
    // The first of equals.
    let busiest = Engine::ALL.into_iter().rev().max_by_key(|&engine| own(engine));
    let engine = multiplies.map(|peak| peak.engine).or(busiest).unwrap_or(Engine::Mxu);
    let spent = buckets(&window.engines[engine.index()]);
    let own_here = window.own[engine.index()];
    let signed = |cycles: u64| i64::try_from(cycles).unwrap_or(i64::MAX);
    // Beyond the multiplications DRAM is the bound: that much waiting for it is not lost.
    let beyond = layer.lower_bound.total - layer.lower_bound.compute;
    let (wait, elsewhere) = without(spent.wait, beyond);
    let mut gap = Gap {
        engine: engine.name().to_owned(),
        lower_bound: layer.lower_bound.total,
        mapping: signed(own(engine)) - signed(layer.lower_bound.compute),
        overlapped: signed(own_here) - signed(own(engine)) - signed(elsewhere),
        other_layers: spent.busy - own_here,
        wait,
        idle: spent.idle,
        done: spent.done,
        main: String::new(),
    };
    let largest =
        gap.parts().filter(|part| part.1 > 0).reduce(|a, b| if b.1 > a.1 { b } else { a });
    gap.main = largest.map_or("none", |(name, _)| name).to_owned();
    gap
}

/// `cycles` taken off the waits for DRAM, and what is left of `cycles`.
fn without(mut wait: Waits, mut cycles: u64) -> (Waits, u64) {
    let memory = [
        &mut wait.weights,
        &mut wait.activations,
        &mut wait.params,
        &mut wait.dram_bandwidth,
        &mut wait.dram_latency,
    ];
    for part in memory {
        let taken = cycles.min(*part);
        *part -= taken;
        cycles -= taken;
    }
    (wait, cycles)
}

/// Most rows live at any time of the window.
fn peak(occupancy: &Occupancy, window: &Window) -> u32 {
    let (start, end) = (window.cycles.start, window.cycles.end);
    if start >= end {
        return 0;
    }
    // The entry that holds when the window begins, and those inside.
    let first = occupancy.steps.partition_point(|(cycle, _)| *cycle <= start).saturating_sub(1);
    let steps = occupancy.steps[first.min(occupancy.steps.len())..].iter();
    steps.take_while(|(cycle, _)| *cycle < end).map(|(_, rows)| *rows).max().unwrap_or(0)
}

/// Rows of accumulators that each node uses, and the banks, one bit each.
fn accumulators(program: &Program) -> Result<Vec<(u64, u32)>, ExplainError> {
    let mut used = vec![(0, 0); program.nodes.len()];
    work::for_each(program, |step| {
        let Some((rows, banks)) = used.get_mut(step.note.node as usize) else { return };
        for access in step.accesses {
            if let Space::Acc(bank) = access.space {
                *rows = access.rows.bounds().end.max(0).unsigned_abs().max(*rows);
                *banks |= 1u32.checked_shl(bank).unwrap_or(0);
            }
        }
    })?;
    Ok(used)
}

/// The words of each node.
fn words(program: &Program) -> Vec<Engines<Words>> {
    let mut found: Vec<Engines<Words>> = vec![Engines::default(); program.nodes.len()];
    for engine in Engine::ALL {
        let section = program.section(engine);
        for (index, (inst, note)) in section.words.iter().zip(&section.notes).enumerate() {
            let Some(words) = found.get_mut(note.node as usize) else { continue };
            let words = match engine {
                Engine::Load => &mut words.load,
                Engine::Mxu => &mut words.mxu,
                Engine::Vpu => &mut words.vpu,
                Engine::Store => &mut words.store,
            };
            words.first.get_or_insert(index as u64);
            words.last = Some(index as u64);
            words.count += 1;
            let name = inst.op.mnemonic();
            match words.mnemonics.iter_mut().find(|kind| kind.name == name) {
                Some(kind) => kind.count += 1,
                None => words.mnemonics.push(MnemonicCount { name: name.to_owned(), count: 1 }),
            }
            if words.listing.len() < LISTED {
                words.listing.push(inst.to_string());
            }
        }
    }
    found
}
