//! What the float network answers on samples that nothing is fitted to, and how far integers are from it.

use std::collections::BTreeMap;

use ir::graph::Graph;
use ir::qgraph::QGraph;
use rayon::prelude::*;
use runtime::{Prepared, QTensor, dequantize, quantize};
use serde::{Deserialize, Serialize};

use super::Probes;
use super::frontier::failed;
use crate::calibrate::{CalibrateError, FloatRunner, Sample};
use crate::quantize::QuantizeError;

/// Most elements kept, of all samples and outputs together. Of more, evenly spread ones are kept.
const MOST_ELEMENTS: usize = 1 << 16;

/// Outputs of the float network on held-out samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// By ONNX name of an output: for each sample the kept elements, in ONNX order.
    pub outputs: BTreeMap<String, Vec<Vec<f32>>>,
}

/// What `graph`, which `runner` runs, answers on the held-out probes; nothing if there are none or an answer is no finite number.
///
/// # Errors
/// When a sample does not fit the model or the model fails.
pub fn answers(
    graph: &Graph,
    runner: &dyn FloatRunner,
    probes: &Probes,
) -> Result<Option<Answers>, CalibrateError> {
    let samples = probes.held_out();
    if samples.is_empty() {
        return Ok(None);
    }
    let names: Vec<&str> =
        graph.outputs.iter().map(|id| graph.values[id.0 as usize].name.as_str()).collect();
    let most = share(samples.len(), names.len());
    let of_sample = |(index, sample): (usize, &&Sample)| {
        let outputs = runner
            .run(sample, &names)
            .map_err(|message| CalibrateError::Run { sample: index, message })?;
        Ok(outputs.iter().map(|output| spread(output, most).collect()).collect())
    };
    let each: Vec<Vec<Vec<f32>>> =
        samples.par_iter().enumerate().map(of_sample).collect::<Result<_, _>>()?;
    if each.iter().flatten().flatten().any(|answer| !answer.is_finite()) {
        return Ok(None);
    }
    let of_output = |(i, name): (usize, &&str)| {
        ((*name).to_owned(), each.iter().map(|outputs| outputs[i].clone()).collect())
    };
    Ok(Some(Answers { outputs: names.iter().enumerate().map(of_output).collect() }))
}

/// Elements of an output to keep.
fn share(samples: usize, outputs: usize) -> usize {
    (MOST_ELEMENTS / (samples * outputs).max(1)).max(1)
}

/// At most `most` elements, evenly spread.
fn spread(elements: &[f32], most: usize) -> impl Iterator<Item = f32> {
    let count = elements.len().min(most);
    (0..count).map(move |i| elements[i * elements.len() / count])
}

/// Judges integer forms of a network by its answers on held-out samples.
pub(super) struct Judge<'a> {
    samples: Vec<&'a Sample>,
    answers: &'a Answers,
}

impl<'a> Judge<'a> {
    /// A judge, if there are samples to judge by.
    ///
    /// # Errors
    /// When the answers are of another network or other samples.
    pub(super) fn new(
        q: &QGraph,
        probes: &'a Probes,
        answers: &'a Answers,
    ) -> Result<Option<Judge<'a>>, QuantizeError> {
        let samples = probes.held_out();
        for id in &q.outputs {
            let value = &q.values[id.0 as usize];
            let elements = value
                .shape
                .extents()
                .iter()
                .product::<usize>()
                .min(share(samples.len(), q.outputs.len()));
            let known = answers.outputs.get(&value.name);
            let fits = known.is_some_and(|known| {
                known.len() == samples.len() && known.iter().all(|of| of.len() == elements)
            });
            if !fits {
                return Err(QuantizeError::MissingAnswers { name: value.name.clone() });
            }
        }
        Ok((!samples.is_empty()).then_some(Judge { samples, answers }))
    }

    /// Samples judged by.
    pub(super) fn samples(&self) -> usize {
        self.samples.len()
    }

    /// Power of the difference between `q`'s answers and the float network's over that of the latter, summed over the outputs. It
    /// does not depend on threads.
    ///
    /// # Errors
    /// When a sample does not fit the graph.
    pub(super) fn noise(&self, q: &QGraph) -> Result<f64, QuantizeError> {
        let prepared = Prepared::new(q).map_err(|e| failed(&q.name, &e))?;
        let of_sample = |(index, sample): (usize, &&Sample)| {
            let inputs: Result<Vec<QTensor>, _> = (q.inputs.iter().zip(*sample))
                .map(|(id, real)| quantize(real, &q.values[id.0 as usize]))
                .collect();
            let outputs = inputs.and_then(|inputs| prepared.run(&inputs));
            let outputs = outputs.map_err(|e| failed(&q.name, &e))?;
            let powers = q.outputs.iter().zip(&outputs).map(|(id, stored)| {
                let value = &q.values[id.0 as usize];
                let real = dequantize(stored, value).map_err(|e| failed(&value.name, &e))?;
                Ok(powers(&self.answers.outputs[&value.name][index], &real))
            });
            powers.collect::<Result<Vec<_>, QuantizeError>>()
        };
        let each: Vec<Vec<[f64; 2]>> =
            self.samples.par_iter().enumerate().map(of_sample).collect::<Result<_, _>>()?;
        let ratio = |output: usize| {
            let sum = |part: usize| each.iter().map(|powers| powers[output][part]).sum::<f64>();
            // An output that is zero counts with its noise itself.
            if sum(0) > 0.0 { sum(1) / sum(0) } else { sum(1) }
        };
        Ok((0..q.outputs.len()).map(ratio).sum())
    }
}

/// Sums of the squares of some answers, and of what an output differs from them.
fn powers(answers: &[f32], output: &[f32]) -> [f64; 2] {
    let mut sums = [0.0; 2];
    for (answer, found) in answers.iter().zip(spread(output, answers.len())) {
        let (answer, found) = (f64::from(*answer), f64::from(found));
        sums[0] += answer * answer;
        sums[1] += (found - answer) * (found - answer);
    }
    sums
}
