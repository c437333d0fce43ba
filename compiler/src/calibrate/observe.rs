//! Runs the float model over samples and watches every value whose range is wanted.

use std::collections::BTreeMap;

use ir::graph::Graph;
use rayon::prelude::*;

use super::range::{choose, choose_power_of_two};
use super::{CalibrateError, Calibration, Seen};
use crate::options::{Logits, Observer, Options};
use crate::quantize::{Clipping, QuantizeError, Storages, Wanted, wanted};

/// One tensor per graph input, in order, elements in ONNX (row-major) order.
pub type Sample = Vec<Vec<f32>>;

/// Samples taken from the source at a time. What is seen of them, not their activations, is in memory together.
const BATCH: usize = 16;

/// A float model that can show its intermediate values.
pub trait FloatRunner: Sync {
    /// Runs one sample and returns the values called `fetch`, in that order.
    ///
    /// # Errors
    /// What went wrong, for people.
    fn run(&self, sample: &Sample, fetch: &[&str]) -> Result<Vec<Vec<f32>>, String>;
}

/// What samples showed of a network's activations: ranges for any options can be chosen from it.
#[derive(Clone, Debug)]
pub struct Observed {
    wanted: Vec<Wanted>,
    seen: Vec<Seen>,
    count: usize,
}

impl Observed {
    /// What `samples` show of the wanted values of `graph`, which must have been through the passes and be what `runner` runs.
    ///
    /// Samples run in parallel; the result does not depend on how.
    ///
    /// # Errors
    /// When there is no sample, a sample cannot be read or does not fit, the model fails, or a value is not finite; of the
    /// first such sample.
    pub fn on(
        graph: &Graph,
        runner: &dyn FloatRunner,
        samples: impl IntoIterator<Item = Result<Sample, String>>,
    ) -> Result<Observed, CalibrateError> {
        let wanted = wanted(graph);
        let (seen, count) = observe(graph, runner, samples, &wanted)?;
        Ok(Observed { wanted, seen, count })
    }

    /// Ranges of the values of `graph`, on which this was observed.
    ///
    /// # Errors
    /// When the options name nodes that the graph does not have.
    pub fn ranges(&self, graph: &Graph, options: &Options) -> Result<Calibration, QuantizeError> {
        let storages = Storages::new(graph, options)?;
        let (mut ranges, mut power_of_two) = (BTreeMap::new(), BTreeMap::new());
        for (Wanted { value, name, clipping }, seen) in self.wanted.iter().zip(&self.seen) {
            let storage = storages.of(*value);
            let range = choose(seen, *clipping, storage, options);
            if let Some(other) = choose_power_of_two(seen, range, *clipping, storage, options) {
                power_of_two.insert(name.clone(), other);
            }
            ranges.insert(name.clone(), range);
        }
        let plural = if self.count == 1 { "" } else { "s" };
        let method = format!("{} sample{plural}, observer {}", self.count, described(options));
        Ok(Calibration {
            method,
            samples: self.count as u64,
            ranges,
            power_of_two,
            ..Calibration::default()
        })
    }
}

/// Ranges of the wanted values of `graph` as `options` choose them from what samples show: [`Observed::on`], then
/// [`Observed::ranges`].
///
/// # Errors
/// Those of either.
pub fn with_data(
    graph: &Graph,
    runner: &dyn FloatRunner,
    samples: impl IntoIterator<Item = Result<Sample, String>>,
    options: &Options,
) -> Result<Calibration, CalibrateError> {
    Observed::on(graph, runner, samples)?.ranges(graph, options).map_err(CalibrateError::Options)
}

/// Name of the observer, with what else decided the ranges.
fn described(options: &Options) -> String {
    let mut text = options.observer.name().to_owned();
    if options.observer == Observer::Percentile {
        text += &format!(" {}", options.percentile);
    }
    if options.logits != Logits::MinMax {
        text += &format!(", logits {}", options.logits.name());
    }
    text
}

/// What was seen of each wanted value, and the number of samples.
pub(super) fn observe(
    graph: &Graph,
    runner: &dyn FloatRunner,
    samples: impl IntoIterator<Item = Result<Sample, String>>,
    wanted: &[Wanted],
) -> Result<(Vec<Seen>, usize), CalibrateError> {
    let mut all = vec![Seen::default(); wanted.len()];
    let mut samples = samples.into_iter().enumerate();
    let mut count = 0;
    loop {
        let batch: Vec<_> = samples.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            break;
        }
        count += batch.len();
        let seen: Vec<Result<Vec<Seen>, CalibrateError>> = batch
            .into_par_iter()
            .map(|(index, sample)| {
                let sample =
                    sample.map_err(|message| CalibrateError::Data { sample: index, message })?;
                watch(graph, runner, index, &sample, wanted)
            })
            .collect();
        // In the samples' order, on which a moving average depends.
        for of_sample in seen {
            for (before, next) in all.iter_mut().zip(of_sample?) {
                before.append(&next);
            }
        }
    }
    if count == 0 { Err(CalibrateError::NoSamples) } else { Ok((all, count)) }
}

/// Wanted inputs, and wanted results.
pub(super) fn split<'a>(graph: &Graph, wanted: &'a [Wanted]) -> (&'a [Wanted], &'a [Wanted]) {
    wanted.split_at(wanted.iter().take_while(|w| graph.inputs.contains(&w.value)).count())
}

fn watch(
    graph: &Graph,
    runner: &dyn FloatRunner,
    index: usize,
    sample: &Sample,
    wanted: &[Wanted],
) -> Result<Vec<Seen>, CalibrateError> {
    check_sample(graph, index, sample)?;
    // Inputs come from the sample itself; `wanted` lists those it wants first.
    let (inputs, computed) = split(graph, wanted);
    let fetch: Vec<&str> = computed.iter().map(|wanted| wanted.name.as_str()).collect();
    let results = runner
        .run(sample, &fetch)
        .map_err(|message| CalibrateError::Run { sample: index, message })?;
    if results.len() != fetch.len() {
        return Err(CalibrateError::Results {
            sample: index,
            found: results.len(),
            expected: fetch.len(),
        });
    }
    let given = |wanted: &Wanted| {
        let position = graph.inputs.iter().position(|&id| id == wanted.value);
        &sample[position.expect("`split` found it among the inputs")]
    };
    let pairs =
        inputs.iter().map(|wanted| (wanted, given(wanted))).chain(computed.iter().zip(&results));
    pairs
        .map(|(wanted, elements)| {
            let scores = wanted.clipping == Clipping::Forbidden && is_vector(graph, wanted);
            let not_finite = |found| CalibrateError::NotFinite {
                sample: index,
                value: wanted.name.clone(),
                found,
            };
            Seen::of_sample(elements, scores).map_err(not_finite)
        })
        .collect()
}

/// Whether the value is one vector: a single extent is above 1.
fn is_vector(graph: &Graph, wanted: &Wanted) -> bool {
    let shape = &graph.values[wanted.value.0 as usize].shape;
    shape.iter().filter(|extent| **extent > 1).count() == 1
}

fn check_sample(graph: &Graph, index: usize, sample: &Sample) -> Result<(), CalibrateError> {
    let mismatch = |found, expected| Err(CalibrateError::Sample { sample: index, found, expected });
    if sample.len() != graph.inputs.len() {
        return mismatch(format!("{} tensors", sample.len()), format!("{}", graph.inputs.len()));
    }
    for (id, tensor) in graph.inputs.iter().zip(sample) {
        let value = &graph.values[id.0 as usize];
        if value.shape.iter().product::<usize>() != tensor.len() {
            let expected = format!("shape {:?}", value.shape);
            return mismatch(
                format!("{} elements for input `{}`", tensor.len(), value.name),
                expected,
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::{Check, Context, GRAPH, run};
    use crate::testing::{PlainRunner, random_graph, random_inputs};

    fn prepared(seed: u64) -> Graph {
        let mut graph = random_graph(seed);
        run(GRAPH, &mut graph, &mut Context::default(), Check::End).unwrap();
        graph
    }

    #[test]
    fn ranges_hold_everything_seen_whatever_the_order() {
        let options = Options { observer: Observer::MinMax, ..Options::default() };
        for seed in 0..10 {
            let graph = prepared(seed);
            let runner = PlainRunner(&graph);
            let samples: Vec<_> = (0..40).map(|s| Ok(random_inputs(&graph, s))).collect();
            let forwards = with_data(&graph, &runner, samples.clone(), &options).unwrap();
            let backwards =
                with_data(&graph, &runner, samples.into_iter().rev(), &options).unwrap();
            assert_eq!(forwards, backwards);
            assert_eq!(forwards.samples, 40);
            let all = crate::testing::all_values(&graph, &random_inputs(&graph, 7));
            for wanted in wanted(&graph) {
                let range = forwards.ranges[&wanted.name];
                let values = &all[wanted.value.0 as usize];
                assert!(values.iter().all(|v| (range.lo..=range.hi).contains(&f64::from(*v))));
            }
        }
    }

    #[test]
    fn every_observer_is_the_same_on_any_number_of_threads_and_only_one_depends_on_order() {
        let graph = prepared(4);
        let runner = PlainRunner(&graph);
        let samples: Vec<_> = (0..40).map(|s| Ok(random_inputs(&graph, s))).collect();
        for observer in Observer::ALL {
            let options = Options { observer, logits: Logits::Isotone, ..Options::default() };
            let table = |threads: usize, samples: Vec<Result<Sample, String>>| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| with_data(&graph, &runner, samples, &options).unwrap())
            };
            let one = table(1, samples.clone());
            assert_eq!(one, table(2, samples.clone()));
            let backwards = table(2, samples.iter().rev().cloned().collect());
            assert_eq!(one == backwards, observer != Observer::MovingAverage, "{observer:?}");
            assert!(one.method.contains(observer.name()) && one.method.ends_with("isotone"));
        }
    }

    #[test]
    fn the_first_bad_sample_is_named() {
        let graph = prepared(3);
        let runner = PlainRunner(&graph);
        let good = || Ok(random_inputs(&graph, 1));
        let error = |samples: Vec<Result<Sample, String>>| {
            with_data(&graph, &runner, samples, &Options::default()).unwrap_err()
        };
        assert!(matches!(error(vec![]), CalibrateError::NoSamples));
        assert!(matches!(
            error(vec![good(), Ok(vec![])]),
            CalibrateError::Sample { sample: 1, .. }
        ));
        assert!(matches!(
            error(vec![good(), Err("torn".into())]),
            CalibrateError::Data { sample: 1, .. }
        ));
        let mut bad = random_inputs(&graph, 1);
        bad[0][0] = f32::NAN;
        let text = error(vec![good(), good(), Ok(bad)]).to_string();
        assert!(text.contains("sample 2") && text.contains("NaN"), "{text}");
    }
}
