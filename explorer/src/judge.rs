//! How near candidates come to the float network, on samples that calibrated nothing.

use ir::graph::Graph;
use ir::qgraph::QGraph;
use rayon::prelude::*;
use runtime::{FloatError, RuntimeError};
use simulator::report::Accuracy;

use crate::host::{FloatNetwork, IntegerNetwork};
use crate::score::Scores;
use crate::study::Labelled;

/// Reads a sample by its number.
pub type Source<'a, E> = &'a (dyn Fn(usize) -> Result<Labelled, E> + Sync);

/// Held-out samples, and what the float network makes of them.
pub struct Judge<'a, E> {
    source: Source<'a, E>,
    /// First output of the float network for each sample.
    float: Vec<Vec<f32>>,
}

/// Why a candidate cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError<E> {
    /// A sample cannot be read.
    #[error("{0}")]
    Sample(E),
    /// The float network fails.
    #[error("the float network: {0}")]
    Float(FloatError),
    /// The integer network fails.
    #[error(transparent)]
    Integer(RuntimeError),
}

impl<'a, E: Send> Judge<'a, E> {
    /// Runs the float network over `count` samples; `tick` after each. `output` names the first output of candidates.
    ///
    /// # Errors
    /// When a sample cannot be read or the network cannot run it.
    pub fn new(
        original: &Graph,
        output: &str,
        count: usize,
        source: Source<'a, E>,
        tick: impl Fn() + Sync,
    ) -> Result<Judge<'a, E>, JudgeError<E>> {
        let network = FloatNetwork::new(original, output).map_err(JudgeError::Float)?;
        let run = |i: usize| {
            let sample = source(i).map_err(JudgeError::Sample)?;
            let values = network.run(&sample.inputs).map_err(JudgeError::Float);
            tick();
            values
        };
        let float: Result<_, _> = (0..count).into_par_iter().map(run).collect();
        Ok(Judge { source, float: float? })
    }

    /// Number of samples.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.float.len()
    }

    /// Scores of a graph over all samples; `tick` after each.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn judge(&self, graph: &QGraph, tick: impl Fn() + Sync) -> Result<Accuracy, JudgeError<E>> {
        let network = IntegerNetwork::new(graph).map_err(JudgeError::Integer)?;
        let score = |(i, float): (usize, &Vec<f32>)| {
            let Labelled { inputs, label } = (self.source)(i).map_err(JudgeError::Sample)?;
            let ours = network.run(&inputs).map_err(JudgeError::Integer)?;
            let mut scores = Scores::default();
            scores.add(&ours, label, Some(float));
            tick();
            Ok(scores)
        };
        let each: Result<Vec<Scores>, _> = self.float.par_iter().enumerate().map(score).collect();
        let mut total = Scores::default();
        each?.iter().for_each(|scores| total.merge(scores));
        Ok(total.accuracy())
    }

    /// At most `count` of the samples, spread evenly.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn some(&self, count: usize) -> Result<Vec<Vec<Vec<f32>>>, JudgeError<E>> {
        let all = self.samples();
        let kept = count.min(all);
        let read = |i: usize| (self.source)(i * all / kept).map(|sample| sample.inputs);
        (0..kept).into_par_iter().map(|i| read(i).map_err(JudgeError::Sample)).collect()
    }
}

/// Points of accuracy lost against the float network: of top-1 if there are labels, else of samples whose answer is another.
#[must_use]
pub fn drop_points(accuracy: &Accuracy) -> f64 {
    let lost = match (accuracy.reference_top1, accuracy.top1, accuracy.agreement) {
        (Some(float), Some(ours), _) => float - ours,
        (_, _, Some(agreement)) => 1.0 - agreement,
        (_, _, None) => 1.0,
    };
    100.0 * lost
}

/// Signal to noise, infinite without any noise.
#[must_use]
pub fn sqnr(accuracy: &Accuracy) -> f64 {
    accuracy.sqnr_db.unwrap_or(f64::INFINITY)
}
