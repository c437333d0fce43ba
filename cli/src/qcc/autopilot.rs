//! `qcc --max-drop` and `qcc --budget`: widths and methods chosen by what they do on held-out samples.

mod goal;

use std::collections::BTreeMap;
use std::path::Path;

use compiler::compile::{Network, Quantized};
use compiler::options::Options;
use compiler::refine::Probes;
use explorer::bench::{Bench, Candidate};
use explorer::judge::{Judge, JudgeError};
use explorer::study::Labelled;
use explorer::widths::budget::{Budget, Fitted, fit};
use explorer::widths::ladder::{Climbed, climb};
use explorer::widths::{Listener, SearchError, Searcher, Tried};
use ir::qgraph::{QGraph, QOp, QType};
use isa::Hardware;
use isa::program::Preprocess;

use super::calibrate::{Calibrated, watch};
use super::compile::first_output_values;
use crate::data::Samples;
use crate::data::labels::Classes;
use crate::error::CliError;
use crate::output::Talk;
use crate::parts::NetworkInputs;
use crate::progress::Stages;
pub(crate) use goal::{Goal, SearchArgs};

/// What a search works on.
pub(crate) struct Task<'a> {
    /// The float network.
    pub(crate) network: &'a Network,
    /// Samples: every other one calibrates, the others are held out.
    pub(crate) data: &'a Path,
    /// How pixels become inputs.
    pub(crate) how: Option<&'a Preprocess>,
    /// Class names, for labels that are names.
    pub(crate) names: &'a [String],
    /// The machine.
    pub(crate) hardware: &'a Hardware,
    /// Where talk goes.
    pub(crate) talk: Talk,
}

/// What a search found.
pub(crate) struct Found {
    /// How the network is quantized.
    pub(crate) options: Options,
    /// Ranges, and what else was observed.
    pub(crate) calibrated: Calibrated,
    /// The integers.
    pub(crate) quantized: Quantized,
    /// What was asked for and could not be had.
    pub(crate) failure: Option<String>,
}

/// Searches as the goal says; `base` is what the command line says of quantization.
pub(crate) fn search(task: &Task<'_>, goal: Goal, base: &Options) -> Result<Found, CliError> {
    let Task { network, data, talk, .. } = *task;
    let inputs = NetworkInputs::of_graph(&network.graph)?;
    let classes = Classes { names: task.names, count: first_output_values(&network.graph) };
    let samples = Samples::read(data, &inputs, task.how, Some(&classes))?;
    if samples.count < 2 {
        return Err(CliError::in_file(
            data,
            "holds one sample, which cannot both calibrate and be held out",
        ));
    }
    let (shown, held): (Vec<usize>, Vec<usize>) = (0..samples.count).partition(|i| i % 2 == 0);
    talk.note(format_args!("{} samples calibrate, {} are held out", shown.len(), held.len()));
    let observe = |each: &mut dyn Iterator<Item = _>| network.observe(each);
    let (observed, probes, mut sample_hashes) =
        watch(network, data, &samples, shown, talk, observe)?;
    let bench = Bench::new(network, &observed, &probes, base.bias_correction, task.hardware);
    let bench = bench.map_err(|e| CliError::in_file(data, e))?;
    let source = |i: usize| {
        let sample = samples.sample(held[i])?;
        let inputs = samples.real(&sample)?;
        let inputs = inputs.ok_or_else(|| CliError::in_file(data, "holds no real values"))?;
        Ok(Labelled { inputs, label: samples.labels.as_ref().map(|labels| labels[held[i]]) })
    };
    let output = &network.graph.values[network.graph.outputs[0].0 as usize].name;
    let listener = Said(Stages::new(talk));
    listener.begin("running the float network", held.len());
    let failed = |e: SearchError<CliError>| match e {
        SearchError::Judge(JudgeError::Sample(first)) => samples.explain(data, first),
        other => CliError::refused(other),
    };
    let judge = Judge::new(&network.graph, output, held.len(), &source, || listener.tick());
    let judge = judge.map_err(|e| failed(e.into()))?;
    listener.head(samples.labels.is_some());
    let searcher = Searcher { bench: &bench, judge: &judge, listener: &listener };
    let (tried, candidate, failure) = match goal {
        Goal::MaxDrop(points) => {
            let Climbed { tried, candidate, passed } =
                climb(&searcher, base, points).map_err(failed)?;
            let failure = (!passed).then(|| too_far(&tried, points));
            (tried, candidate, failure)
        }
        Goal::Budget(budget) => {
            let fitted = fit(&searcher, base, budget).map_err(failed)?;
            let failure = (!fitted.met).then(|| too_much(&fitted, budget));
            (fitted.tried, fitted.candidate, failure)
        }
    };
    drop(listener);
    let Candidate { mut options, mut table, quantized } = candidate;
    (options.weight_bits, options.act_bits) = prevailing(&quantized.graph, &options);
    talk.note(format_args!("chosen: {}", tried.name));
    table.method = format!(
        "{}; chosen on {} held-out samples: {}, {:.2} points lost",
        table.method,
        held.len(),
        tried.name,
        tried.drop()
    );
    // The choice knows the held-out samples too.
    for index in held {
        sample_hashes.push(samples.sample(index)?.hash());
    }
    let calibrated = Calibrated { table, probes: Probes::default(), sample_hashes };
    Ok(Found { options, calibrated, quantized, failure })
}

/// Bits that most weights and most activations have.
fn prevailing(graph: &QGraph, options: &Options) -> (u8, u8) {
    let mut weights: BTreeMap<u8, usize> = BTreeMap::new();
    for node in &graph.nodes {
        if let QOp::Conv { weights: found, .. } = &node.op {
            *weights.entry(found.bits).or_default() += found.data.len();
        }
    }
    let most = weights.iter().max_by_key(|(_, count)| **count).map(|(bits, _)| *bits);
    let wide = graph.values.iter().filter(|value| value.dtype == QType::I16).count();
    let act_bits = if 2 * wide > graph.values.len() { 16 } else { options.act_bits };
    (most.unwrap_or(options.weight_bits), act_bits)
}

fn too_far(best: &Tried, points: f64) -> String {
    format!(
        "--max-drop {points}: no step loses that little; the program written is the best of them, `{}`, which loses {:.2} points",
        best.name,
        best.drop()
    )
}

fn too_much(found: &Fitted, budget: Budget) -> String {
    let resource = budget.resource;
    format!(
        "--budget: {} {} are not enough; the program written is the smallest found and takes {}\n  hint: weights have 2 bits at least, and biases, multipliers and tables keep their size",
        found.limit,
        resource.unit(),
        resource.of(&found.tried.cost)
    )
}

/// Tells the user how far a search is.
struct Said(Stages);

impl Said {
    fn head(&self, labelled: bool) {
        if !labelled {
            self.0.line("no labels in the data: points lost are of samples whose answer is not that of the float network");
        }
        self.0.line(&row([
            "tried",
            "lost",
            "top-1",
            "agreement",
            "SQNR dB",
            "cycles",
            "constants",
        ]));
    }
}

impl Listener for Said {
    fn begin(&self, what: &'static str, count: usize) {
        self.0.begin(what, count);
    }

    fn tick(&self) {
        self.0.tick();
    }

    fn tried(&self, tried: &Tried) {
        let percent = |share: Option<f64>| {
            share.map_or_else(|| "-".to_owned(), |share| format!("{:.2}%", 100.0 * share))
        };
        let accuracy = &tried.accuracy;
        let sqnr = accuracy.sqnr_db.map_or_else(|| "-".to_owned(), |db| format!("{db:.1}"));
        self.0.line(&row([
            &tried.name,
            &format!("{:.2}", tried.drop()),
            &percent(accuracy.top1),
            &percent(accuracy.agreement),
            &sqnr,
            &tried.cost.cycles.to_string(),
            &tried.cost.bytes.to_string(),
        ]));
    }

    fn refused(&self, name: &str, reason: &str) {
        self.0.line(&format!("{name}: {reason}"));
    }
}

/// A line of the table.
fn row([name, lost, top1, agreement, sqnr, cycles, bytes]: [&str; 7]) -> String {
    format!("{name:<50}{lost:>7}{top1:>9}{agreement:>11}{sqnr:>9}{cycles:>12}{bytes:>11}")
}
