//! Searches for widths: what they share.

pub mod budget;
pub(crate) mod items;
pub mod ladder;
pub mod measure;

use simulator::report::Accuracy;

use crate::bench::{Bench, Candidate, Cost, CostError};
use crate::judge::{Judge, JudgeError, drop_points, sqnr};
use compiler::compile::CompileError;
use compiler::options::Options;
use measure::{MEASURED, Measure, MeasureError};

/// Hears how far a search is.
pub trait Listener: Sync {
    /// A stage of `count` steps begins; the one before is over.
    fn begin(&self, what: &'static str, count: usize);
    /// A step of the stage is done.
    fn tick(&self);
    /// A candidate was judged, in searches that do.
    fn tried(&self, _tried: &Tried) {}
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
    /// The network has no integer form or no program, or changes of it cannot be measured.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// A candidate cannot be judged.
    #[error(transparent)]
    Judge(#[from] JudgeError<E>),
}

impl<E> From<CompileError> for SearchError<E> {
    fn from(error: CompileError) -> SearchError<E> {
        SearchError::Measure(error.into())
    }
}

impl<E> From<CostError> for SearchError<E> {
    fn from(error: CostError) -> SearchError<E> {
        SearchError::Measure(error.into())
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

    /// Held-out samples on which changes are measured.
    fn few(&self) -> Result<Vec<Vec<Vec<f32>>>, SearchError<E>> {
        Ok(self.judge.some(MEASURED)?)
    }

    /// Measures changes on them.
    fn measure<'s>(&'s self, few: &'s [Vec<Vec<f32>>]) -> Measure<'s> {
        Measure { bench: self.bench, samples: few, listener: self.listener }
    }
}
