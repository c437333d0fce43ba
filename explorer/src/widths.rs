//! Searches for widths: what they share.

pub mod budget;
pub mod ladder;

use simulator::report::Accuracy;

use crate::bench::{Bench, Candidate, Cost, CostError};
use crate::judge::{Judge, JudgeError, drop_points, sqnr};
use crate::sensitivity::{Bits, Change, Effect, SensitivityError, sensitivity};
use compiler::compile::CompileError;
use compiler::options::Options;
use compiler::quantize::free_widths;

/// Held-out samples on which single changes are measured: their noise differs far more between layers than between samples.
pub const MEASURED: usize = 32;

/// Hears how far a search is.
pub trait Listener: Sync {
    /// A stage of `count` steps begins; the one before is over.
    fn begin(&self, what: &'static str, count: usize);
    /// A step of the stage is done.
    fn tick(&self);
    /// A candidate was judged.
    fn tried(&self, tried: &Tried);
    /// A candidate has no program, for a reason.
    fn refused(&self, name: &str, reason: &str);
}

/// Somewhere a search has been.
#[derive(Clone, Debug)]
pub struct Tried {
    /// What was tried.
    pub name: String,
    /// What its program takes.
    pub cost: Cost,
    /// How near it comes to the float network.
    pub accuracy: Accuracy,
}

/// Why a search ends without an answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError<E> {
    /// The network has no integer form.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// There is no program.
    #[error(transparent)]
    Cost(Box<CostError>),
    /// A candidate cannot be judged.
    #[error(transparent)]
    Judge(#[from] JudgeError<E>),
    /// Single changes cannot be measured.
    #[error(transparent)]
    Sensitivity(#[from] SensitivityError),
}

impl<E> From<CostError> for SearchError<E> {
    fn from(error: CostError) -> SearchError<E> {
        SearchError::Cost(Box::new(error))
    }
}

impl Tried {
    /// Points of accuracy lost against the float network.
    #[must_use]
    pub fn drop(&self) -> f64 {
        drop_points(&self.accuracy)
    }

    /// Whether this comes nearer to the float network than another: fewer points lost, or as many and less noise.
    #[must_use]
    pub fn is_nearer_than(&self, other: &Tried) -> bool {
        let order = self.drop().total_cmp(&other.drop());
        order.then(sqnr(&other.accuracy).total_cmp(&sqnr(&self.accuracy))).is_lt()
    }
}

/// What a search works with.
pub struct Searcher<'a, E> {
    /// Quantizes and compiles.
    pub bench: &'a Bench<'a>,
    /// Says how good the result is.
    pub judge: &'a Judge<'a, E>,
    /// Hears of it.
    pub listener: &'a dyn Listener,
}

impl<E: Send> Searcher<'_, E> {
    /// Quantizes, compiles and judges.
    fn attempt(
        &self,
        name: String,
        options: &Options,
    ) -> Result<(Tried, Candidate), SearchError<E>> {
        let candidate = self.bench.candidate(options)?;
        let tried = self.judged(name, &candidate)?;
        self.listener.tried(&tried);
        Ok((tried, candidate))
    }

    fn judged(&self, name: String, candidate: &Candidate) -> Result<Tried, SearchError<E>> {
        let graph = &candidate.quantized.graph;
        let cost = self.bench.cost(graph)?;
        self.listener.begin("measuring", self.judge.samples());
        let accuracy = self.judge.judge(graph, || self.listener.tick())?;
        Ok(Tried { name, cost, accuracy })
    }

    /// What the widths of the base cost in noise, value by value, in a network whose other values have 16 bits; nothing if there is
    /// no such network, which the listener hears.
    fn activations(&self, base: &Options, nodes: &[String]) -> Result<Vec<Effect>, SearchError<E>> {
        let wide = Options { act_bits: 16, ..base.clone() };
        let change =
            |node: &String| Change { node: node.clone(), bits: Bits::Activations(base.act_bits) };
        let changes: Vec<Change> = nodes.iter().map(change).collect();
        match self.measured(&wide, &changes) {
            Err(SearchError::Sensitivity(SensitivityError::Compile(reason))) => {
                self.listener.refused("16-bit activations", &reason.to_string());
                Ok(Vec::new())
            }
            other => other,
        }
    }

    /// Effects of single changes, on a machine whose accumulators hide none of them.
    fn measured(&self, base: &Options, changes: &[Change]) -> Result<Vec<Effect>, SearchError<E>> {
        let mut hardware = self.bench.hardware().clone();
        hardware.acc_bits = hardware.acc_bits.max(ROOMY_ACCUMULATOR);
        let samples = self.judge.some(MEASURED)?;
        self.listener.begin("measuring layers", changes.len());
        let tick = || self.listener.tick();
        Ok(sensitivity(self.bench, &hardware, base, changes, &samples, tick)?)
    }

    /// Values whose width may be chosen and that the options leave open.
    fn open_values(&self, base: &Options) -> Vec<String> {
        let free = free_widths(&self.bench.network().graph).into_iter();
        free.filter(|name| !base.layer_act_bits.contains_key(name)).collect()
    }
}

/// Bits of an accumulator in which products of 16-bit activations have room.
const ROOMY_ACCUMULATOR: u32 = 48;
