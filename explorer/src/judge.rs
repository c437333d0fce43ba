//! How near integer networks come to the float one, on samples that calibrated nothing.

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
        self.judge_all(&[graph], tick).pop().expect("one graph has one score")
    }

    /// As [`judge`](Self::judge) of each of some graphs, in their order. All samples of all graphs run at once, so that no thread waits at the
    /// end of a graph.
    pub fn judge_all(
        &self,
        graphs: &[&QGraph],
        tick: impl Fn() + Sync,
    ) -> Vec<Result<Accuracy, JudgeError<E>>> {
        let ready: Vec<Result<IntegerNetwork<'_>, RuntimeError>> =
            graphs.par_iter().map(|graph| IntegerNetwork::new(graph)).collect();
        let count = self.samples();
        let score = |index: usize| {
            let network = ready[index / count].as_ref().ok()?;
            let scores = self.score(network, index % count);
            tick();
            Some(scores)
        };
        let scores: Vec<Option<Result<Scores, JudgeError<E>>>> =
            (0..graphs.len() * count).into_par_iter().map(score).collect();
        let mut scores = scores.into_iter();
        // In the order of the samples, so that sums do not depend on threads.
        let total = |ready: Result<IntegerNetwork<'_>, RuntimeError>| {
            let of_graph: Vec<_> = scores.by_ref().take(count).flatten().collect();
            ready.map_err(JudgeError::Integer)?;
            let mut total = Scores::default();
            for scores in of_graph {
                total.merge(&scores?);
            }
            Ok(total.accuracy())
        };
        ready.into_iter().map(total).collect()
    }

    fn score(&self, network: &IntegerNetwork<'_>, sample: usize) -> Result<Scores, JudgeError<E>> {
        let Labelled { inputs, label } = (self.source)(sample).map_err(JudgeError::Sample)?;
        let ours = network.run(&inputs).map_err(JudgeError::Integer)?;
        let mut scores = Scores::default();
        scores.add(&ours, label, Some(&self.float[sample]));
        Ok(scores)
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
