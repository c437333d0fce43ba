//! One network in every scheme, over the same samples.

use std::collections::BTreeMap;
use std::time::Duration;

use compiler::calibrate::Calibration;
use compiler::compile::{Network, program};
use compiler::options::Options;
use compiler::refine::Probes;
use ir::graph::Graph;
use ir::qgraph::QGraph;
use isa::Hardware;
use isa::program::Meta;
use rayon::prelude::*;
use serde::Serialize;
use simulator::report::{ProgramFile, Report};

use crate::dynamic;
use crate::host::{FloatNetwork, IntegerNetwork};
use crate::rounding::{constants, half_constants, layers, rounded_weights};
use crate::scheme::{Kind, SCHEMES, Scheme};
use crate::score::Scores;

/// Timed runs of each scheme, in turn; the first one of each, which warms caches up, is not counted.
const ROUNDS: usize = 10;

/// What a study is made of.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The float network as it was imported: the reference.
    pub original: &'a Graph,
    /// The same after the passes.
    pub network: &'a Network,
    /// How to quantize; the widths are the schemes'.
    pub options: &'a Options,
    /// The machine; the parameters that a scheme sets are the scheme's.
    pub hardware: &'a Hardware,
}

/// One sample: real values of every input in ONNX order, and its class if it has one.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// Elements of each input.
    pub inputs: Vec<Vec<f32>>,
    /// Class.
    pub label: Option<i64>,
}

/// What a study found out.
#[derive(Clone, Debug, Serialize)]
pub struct Study {
    /// Name of the network.
    pub model: String,
    /// Samples that were run.
    pub samples: u64,
    /// One for each scheme.
    pub rows: Vec<Row>,
}

/// What a study found out about one scheme; `None` for what does not apply.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Name of the scheme.
    pub scheme: &'static str,
    /// Options of `qcc` that give the same program.
    pub options: Option<String>,
    /// Whether it needs floating point at run time, so that only the host can run it.
    pub host_only: bool,
    /// Bytes of the constants.
    pub bytes: Option<u64>,
    /// `bytes` over those of float32.
    pub of_float: Option<f64>,
    /// Share of samples whose largest output is the label.
    pub top1: Option<f64>,
    /// Share of samples whose largest output is that of float32.
    pub agreement: Option<f64>,
    /// Signal to noise of the outputs against float32; `None` also without any noise.
    pub sqnr_db: Option<f64>,
    /// Time on the host over that of float32, one thread each: noisy.
    pub host_time: Option<f64>,
    /// Cycles of the machine.
    pub cycles: Option<u64>,
    /// DRAM bytes read and written by the machine.
    pub dram_bytes: Option<u64>,
    /// Why there is nothing, where there is nothing.
    pub refused: Option<String>,
}

/// A scheme made ready.
struct Candidate {
    bytes: u64,
    form: Form,
}

enum Form {
    Float(Box<FloatNetwork>),
    Integer { graph: QGraph, cycles: u64, dram_bytes: u64 },
}

/// A scheme that runs.
enum Runner<'c> {
    Float(&'c FloatNetwork),
    Integer(IntegerNetwork<'c>),
}

/// All schemes of a network, made ready once.
pub struct Candidates {
    model: String,
    made: Vec<(&'static Scheme, Result<Candidate, String>)>,
}

impl Candidates {
    /// Makes every scheme ready. `calibrate` finds ranges and samples to refine on, and is called once for each width of activations; a scheme that cannot
    /// be had becomes a row that says why.
    ///
    /// # Errors
    /// The first of `calibrate`.
    pub fn prepare<E>(
        setup: Setup<'_>,
        mut calibrate: impl FnMut(&Options) -> Result<(Calibration, Probes), E>,
    ) -> Result<Candidates, E> {
        let mut calibrations: BTreeMap<u8, (Calibration, Probes)> = BTreeMap::new();
        let mut made = Vec::new();
        for scheme in SCHEMES {
            let options = options(setup.options, scheme.kind);
            let needed = matches!(scheme.kind, Kind::Static { .. });
            if needed && !calibrations.contains_key(&options.act_bits) {
                calibrations.insert(options.act_bits, calibrate(&options)?);
            }
            let calibration = calibrations.get(&options.act_bits);
            made.push((scheme, prepared(setup, scheme, &options, calibration)));
        }
        Ok(Candidates { model: setup.network.graph.name.clone(), made })
    }

    /// Runs all samples through every scheme, times each scheme on the first sample with `clock`, and calls `tick` after each sample.
    ///
    /// # Errors
    /// The first of `sample`. A scheme that fails on a sample becomes a row that says why.
    pub fn evaluate<E: Send>(
        &self,
        count: usize,
        sample: impl Fn(usize) -> Result<Labelled, E> + Sync,
        clock: impl Fn() -> Duration,
        tick: impl Fn() + Sync,
    ) -> Result<Study, E> {
        let runners: Vec<Result<Runner<'_>, String>> = self
            .made
            .iter()
            .map(|(_, made)| made.as_ref().map_err(Clone::clone)?.runner())
            .collect();
        let scored: Result<Vec<Vec<Result<Scores, String>>>, E> = (0..count)
            .into_par_iter()
            .map(|i| {
                let Labelled { inputs, label } = sample(i)?;
                let scores = score(&runners, &inputs, label);
                tick();
                Ok(scores)
            })
            .collect();
        let mut totals: Vec<Result<Scores, String>> = runners
            .iter()
            .map(|r| r.as_ref().map(|_| Scores::default()).map_err(Clone::clone))
            .collect();
        for of_sample in scored? {
            for (total, part) in totals.iter_mut().zip(of_sample) {
                match (&mut *total, part) {
                    (Ok(sum), Ok(part)) => sum.merge(&part),
                    (Ok(_), Err(reason)) => *total = Err(reason),
                    (Err(_), _) => {}
                }
            }
        }
        let times = if count > 0 { times(&runners, &sample(0)?.inputs, clock) } else { Vec::new() };
        let float_bytes = self.made.first().and_then(|(_, m)| Some(m.as_ref().ok()?.bytes));
        let rows = self.made.iter().zip(totals).enumerate().map(|(i, ((scheme, made), scores))| {
            let candidate = made.as_ref().ok().filter(|_| scores.is_ok());
            row(scheme, candidate, &scores, float_bytes, times.get(i).copied().flatten())
        });
        Ok(Study { model: self.model.clone(), samples: count as u64, rows: rows.collect() })
    }
}

/// The options of a scheme.
fn options(base: &Options, kind: Kind) -> Options {
    match kind {
        Kind::Static { weight_bits, act_bits, .. } => {
            Options { weight_bits, act_bits, ..base.clone() }
        }
        _ => base.clone(),
    }
}

fn prepared(
    setup: Setup<'_>,
    scheme: &'static Scheme,
    options: &Options,
    calibration: Option<&(Calibration, Probes)>,
) -> Result<Candidate, String> {
    let graph = &setup.network.graph;
    let first = graph.outputs.first().ok_or("the network has no output")?;
    let output = &graph.values[first.0 as usize].name;
    let float =
        |graph: &Graph| FloatNetwork::new(graph, output).map(floats).map_err(|e| e.to_string());
    let form = match scheme.kind {
        Kind::Float => float(setup.original),
        Kind::HalfWeights => float(&half_constants(graph)),
        Kind::WeightOnly { bits } => float(&rounded_weights(graph, bits)),
        Kind::Dynamic => dynamic::network(graph, output).map(floats),
        Kind::Static { set, .. } => {
            let calibration = calibration.ok_or("no ranges")?;
            return integer(setup, options, calibration, set);
        }
    };
    Ok(Candidate { bytes: float_form_bytes(graph, scheme.kind), form: form? })
}

/// What `qcc` does, and what `qsim` says of its time.
fn integer(
    setup: Setup<'_>,
    options: &Options,
    (calibration, probes): &(Calibration, Probes),
    set: &[(&str, u32)],
) -> Result<Candidate, String> {
    let mut hardware = setup.hardware.clone();
    for (name, value) in set {
        hardware.set(name, &value.to_string()).map_err(|e| e.to_string())?;
    }
    hardware.validate().map_err(|e| e.to_string())?;
    let quantized = setup.network.quantize_on(probes, calibration, options, &hardware);
    let graph = quantized.map_err(|e| e.to_string())?.graph;
    let made = program(&graph, &hardware, Meta::default()).map_err(|e| e.to_string())?;
    let timing = timing::run(&made, timing::Mode::Event).map_err(|e| e.to_string())?;
    let report = Report::new(&made, &hardware, &ProgramFile::default(), &timing)
        .map_err(|e| e.to_string())?;
    let dram = &report.traffic.dram.total;
    let form = Form::Integer {
        graph,
        cycles: report.cycles.total,
        dram_bytes: dram.read_bytes + dram.write_bytes,
    };
    Ok(Candidate { bytes: made.constants.len() as u64, form })
}

/// Bytes of the constants of a scheme that computes in float: of every constant, or of rounded weights, their scales and all else.
fn float_form_bytes(graph: &Graph, kind: Kind) -> u64 {
    let elements = |values: &[f32]| values.len() as u64;
    let all: u64 = constants(graph).map(|(_, values)| elements(&values)).sum();
    let bits = match kind {
        Kind::HalfWeights => return 2 * all,
        Kind::WeightOnly { bits } => bits,
        Kind::Dynamic => 8,
        Kind::Float | Kind::Static { .. } => return 4 * all,
    };
    let mut total = 4 * all;
    let transposed = |n: &ir::graph::Node| matches!(n.op, ir::graph::Op::ConvTranspose { .. });
    for (_, weights) in layers(graph).filter(|(n, _)| kind != Kind::Dynamic || !transposed(n)) {
        if let Some(tensor) = &graph.values[weights.0 as usize].constant {
            let (count, channels) = (tensor.data.len() as u64, tensor.shape.first());
            let scales = 4 * channels.copied().unwrap_or(0) as u64;
            total = total - 4 * count + (count * u64::from(bits)).div_ceil(8) + scales;
        }
    }
    total
}

/// A form that computes in float.
fn floats(network: FloatNetwork) -> Form {
    Form::Float(Box::new(network))
}

impl Candidate {
    fn runner(&self) -> Result<Runner<'_>, String> {
        match &self.form {
            Form::Float(network) => Ok(Runner::Float(network)),
            Form::Integer { graph, .. } => {
                IntegerNetwork::new(graph).map(Runner::Integer).map_err(|e| e.to_string())
            }
        }
    }
}

impl Runner<'_> {
    fn run(&self, inputs: &[Vec<f32>]) -> Result<Vec<f32>, String> {
        match self {
            Runner::Float(network) => network.run(inputs).map_err(|e| e.to_string()),
            Runner::Integer(network) => network.run(inputs).map_err(|e| e.to_string()),
        }
    }
}

/// One sample in every scheme. The first is the reference.
fn score(
    runners: &[Result<Runner<'_>, String>],
    inputs: &[Vec<f32>],
    label: Option<i64>,
) -> Vec<Result<Scores, String>> {
    let run =
        |runner: &Result<Runner<'_>, String>| runner.as_ref().map_err(Clone::clone)?.run(inputs);
    let outputs: Vec<Result<Vec<f32>, String>> = runners.iter().map(run).collect();
    let reference = outputs.first().and_then(|first| first.as_deref().ok());
    let scores = outputs.iter().map(|found| {
        let mut scores = Scores::default();
        scores.add(found.as_ref().map_err(Clone::clone)?, label, reference);
        Ok(scores)
    });
    scores.collect()
}

/// Time of each scheme over that of the first: the median of the ratios of rounds in which each ran once, one after the other.
fn times(
    runners: &[Result<Runner<'_>, String>],
    inputs: &[Vec<f32>],
    clock: impl Fn() -> Duration,
) -> Vec<Option<f64>> {
    let mut ratios = vec![Vec::new(); runners.len()];
    for round in 0..ROUNDS {
        let mut first = None;
        for (runner, ratios) in runners.iter().zip(&mut ratios) {
            let Ok(runner) = runner else { continue };
            let start = clock();
            if runner.run(inputs).is_err() {
                continue;
            }
            let seconds = (clock() - start).as_secs_f64();
            let first = *first.get_or_insert(seconds);
            if round > 0 && first > 0.0 {
                ratios.push(seconds / first);
            }
        }
    }
    let median = |mut ratios: Vec<f64>| {
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied()
    };
    ratios.into_iter().map(median).collect()
}

fn row(
    scheme: &'static Scheme,
    candidate: Option<&Candidate>,
    scores: &Result<Scores, String>,
    float_bytes: Option<u64>,
    host_time: Option<f64>,
) -> Row {
    let accuracy = scores.as_ref().ok().map(Scores::accuracy);
    let machine = candidate.and_then(|c| match c.form {
        Form::Integer { cycles, dram_bytes, .. } => Some((cycles, dram_bytes)),
        Form::Float(_) => None,
    });
    let bytes = candidate.map(|c| c.bytes);
    let of_float = bytes.zip(float_bytes).filter(|(_, float)| *float > 0);
    Row {
        scheme: scheme.name,
        options: scheme.kind.flags(),
        host_only: scheme.kind.flags().is_none(),
        bytes,
        of_float: of_float.map(|(bytes, float)| bytes as f64 / float as f64),
        top1: accuracy.as_ref().and_then(|a| a.top1),
        agreement: accuracy.as_ref().and_then(|a| a.agreement),
        sqnr_db: accuracy.as_ref().and_then(|a| a.sqnr_db),
        host_time: candidate.and(host_time),
        cycles: machine.map(|(cycles, _)| cycles),
        dram_bytes: machine.map(|(_, bytes)| bytes),
        refused: scores.as_ref().err().cloned(),
    }
}
