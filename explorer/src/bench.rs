//! What all candidates of a search share: samples are observed once, and any options can be tried on what they showed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use compiler::backend::generate;
use compiler::calibrate::{Calibration, Observed};
use compiler::compile::{CompileError, Network, Quantized};
use compiler::options::{BiasCorrection, Options, WeightRounding};
use compiler::refine::{Answers, Means, Probes};
use ir::qgraph::QGraph;
use isa::Hardware;
use isa::program::Meta;
use simulator::report::{Layer, ProgramFile, Report, ReportError};
use timing::TimingError;

/// Samples that correct biases where only the effect of widths is asked for.
const FEW: usize = 8;

/// Stages that do not depend on options.
#[derive(Debug)]
pub struct Bench<'a> {
    network: &'a Network,
    observed: &'a Observed,
    hardware: &'a Hardware,
    all: Refining<'a>,
    few: Refining<'a>,
}

/// Samples to refine on, and what the float network computes on them in the mean.
#[derive(Debug)]
struct Refining<'a> {
    probes: Cow<'a, Probes>,
    means: Means,
    /// What the float network answers to those held out, if choices are to be judged.
    answers: Option<Answers>,
}

/// Options, and the integers they lead to.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// How it was quantized.
    pub options: Options,
    /// The ranges chosen.
    pub table: Calibration,
    /// The integer graph, and what was done for it.
    pub quantized: Quantized,
}

/// What a program takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Bytes of its constants.
    pub bytes: u64,
    /// Cycles of one inference.
    pub cycles: u64,
    /// By name what each node of the graph takes, together with those that are computed on the way to it or that it is computed on
    /// the way to.
    pub nodes: BTreeMap<String, NodeCost>,
}

/// A node's share of the cost of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeCost {
    /// DRAM bytes that it is the first to load, its constants among them, or that it stores.
    pub bytes: u64,
    /// Cycles.
    pub cycles: u64,
}

/// Why a candidate has no cost.
#[derive(Debug, thiserror::Error)]
pub enum CostError {
    /// There is no program.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Its time is not known.
    #[error(transparent)]
    Timing(#[from] TimingError),
    /// There is no report of it.
    #[error(transparent)]
    Report(#[from] ReportError),
}

impl<'a> Bench<'a> {
    /// Everything that candidates which correct biases as `way` says may need; one without correction prepares for
    /// [`BiasCorrection::Auto`].
    ///
    /// # Errors
    /// When the float network fails on a sample.
    pub fn new(
        network: &'a Network,
        observed: &'a Observed,
        probes: &'a Probes,
        way: BiasCorrection,
        hardware: &'a Hardware,
    ) -> Result<Bench<'a>, CompileError> {
        let way = if way == BiasCorrection::Off { BiasCorrection::Auto } else { way };
        let few = probes.spread(FEW);
        // Sketches are judged elsewhere.
        let means = network.means(&few, way)?;
        let few = Refining { means, answers: None, probes: Cow::Owned(few) };
        let (means, answers) = (network.means(probes, way)?, network.answers(probes)?);
        let all = Refining { means, answers, probes: Cow::Borrowed(probes) };
        Ok(Bench { network, observed, hardware, all, few })
    }

    /// The float network after the passes.
    #[must_use]
    pub fn network(&self) -> &'a Network {
        self.network
    }

    /// The machine.
    #[must_use]
    pub fn hardware(&self) -> &'a Hardware {
        self.hardware
    }

    /// Quantizes as `options` say, on all samples.
    ///
    /// # Errors
    /// [`CompileError::Quantize`].
    pub fn candidate(&self, options: &Options) -> Result<Candidate, CompileError> {
        let (table, quantized) = self.quantized(&self.all, options, self.hardware)?;
        Ok(Candidate { options: options.clone(), table, quantized })
    }

    /// Quantizes for any machine, with biases corrected on a few samples and weights rounded on none: enough to see what widths do.
    ///
    /// # Errors
    /// [`CompileError::Quantize`].
    pub fn sketch(&self, options: &Options, hardware: &Hardware) -> Result<QGraph, CompileError> {
        let mut quick = options.clone();
        // Few samples round nothing well.
        if matches!(quick.weight_rounding, WeightRounding::Gptq | WeightRounding::Descent) {
            quick.weight_rounding = WeightRounding::Auto;
        }
        Ok(self.quantized(&self.few, &quick, hardware)?.1.graph)
    }

    fn quantized(
        &self,
        refining: &Refining<'_>,
        options: &Options,
        hardware: &Hardware,
    ) -> Result<(Calibration, Quantized), CompileError> {
        let mut table = self.network.ranges(self.observed, options)?;
        let way = options.bias_correction;
        if !matches!(way, BiasCorrection::Off | BiasCorrection::Analytic) {
            table.means = Some(refining.means.clone());
        }
        table.answers.clone_from(&refining.answers);
        let quantized = self.network.quantize_on(&refining.probes, &table, options, hardware)?;
        Ok((table, quantized))
    }

    /// Compiles a graph and counts what the program takes. The program is not proved: who keeps one compiles it anew.
    ///
    /// # Errors
    /// When the machine cannot hold it, or for a bug.
    pub fn cost(&self, graph: &QGraph) -> Result<Cost, CostError> {
        let made = generate(graph, self.hardware, Meta::default()).map_err(CompileError::from)?;
        let timing = timing::run(&made, timing::Mode::Event)?;
        let report = Report::new(&made, self.hardware, &ProgramFile::default(), &timing)?;
        let share = |layer: &Layer| {
            let cost = NodeCost { bytes: layer.lower_bound.dram_bytes, cycles: layer.cycles };
            (layer.node.clone(), cost)
        };
        let mut nodes: BTreeMap<String, NodeCost> = report.layers.iter().map(share).collect();
        // A node that is computed on the way to another one shares its cost; from the last one, so that chains follow.
        for node in
            graph.nodes.iter().rev().filter(|node| !made.nodes.iter().any(|n| n.name == node.name))
        {
            let user = graph.nodes.iter().find(|user| user.inputs.contains(&node.output));
            if let Some(&cost) = user.and_then(|user| nodes.get(&user.name)) {
                nodes.insert(node.name.clone(), cost);
            }
        }
        Ok(Cost { bytes: made.constants.len() as u64, cycles: report.cycles.total, nodes })
    }
}
