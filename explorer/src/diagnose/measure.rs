//! How much noise each source makes by itself, where it enters and at the network's outputs.

use ir::graph::{Graph, ValueId};
use isa::numerics::{LUT16_NODES, lut16};
use rayon::prelude::*;
use runtime::{FloatModel, FloatTensor};

use super::source::{Kind, Source, Weights};

/// What was measured of one source, summed over samples.
#[derive(Clone, Debug, Default)]
pub(super) struct Noise {
    /// Square of the value that the noise is added to.
    pub signal: f64,
    /// Square of the noise there.
    pub local: f64,
    /// The part of `local` in elements that were clipped.
    pub clipped: f64,
    /// Elements clipped, and all elements.
    pub clipped_elements: u64,
    pub elements: u64,
    /// Square of the error of the multipliers alone.
    pub multipliers: f64,
    /// The part of `local`, before any correction, that is a shift of the mean of each channel.
    pub shift: f64,
    /// Sum, square and ends of the value.
    pub sum: f64,
    pub least: f32,
    pub most: f32,
    /// Square of the noise at each output.
    pub outputs: Vec<f64>,
}

/// A network whose sources are measured.
pub(super) struct Measured<'a> {
    pub graph: &'a Graph,
    pub float: &'a FloatModel,
    /// The same with the weights that the integers stand for.
    pub rounded: &'a FloatModel,
    pub sources: &'a [Source],
    /// Whether biases take up the mean shifts of weights.
    pub corrected: bool,
}

/// One sample in the float network.
struct Trace {
    /// Values by id, where they are needed.
    values: Vec<Option<FloatTensor>>,
}

impl Measured<'_> {
    /// The noise of each source and the square of each output, over `samples` of real inputs; `tick` after each run of all sources on a sample.
    ///
    /// # Errors
    /// When the float network fails on a sample.
    pub(super) fn run(
        &self,
        samples: &[Vec<Vec<f32>>],
        tick: impl Fn() + Sync,
    ) -> Result<(Vec<Noise>, Vec<f64>), String> {
        let shifts = self.shifts(samples)?;
        let parts: Result<Vec<_>, String> = samples
            .par_iter()
            .map(|sample| {
                let trace = self.trace(sample)?;
                let noise: Result<Vec<Noise>, String> = (self.sources.iter().zip(&shifts))
                    .map(|(source, shift)| self.noise(source, shift, &trace))
                    .collect();
                tick();
                let square = |id: &ValueId| Ok(square(trace.get(*id)?.data.iter()));
                let signal: Result<Vec<f64>, String> =
                    self.graph.outputs.iter().map(square).collect();
                Ok((noise?, signal?))
            })
            .collect();
        // In the order of the samples, so that sums do not depend on threads.
        let mut total = vec![Noise::default(); self.sources.len()];
        let mut signal = vec![0.0; self.graph.outputs.len()];
        for (noise, outputs) in parts? {
            total.iter_mut().zip(&noise).for_each(|(total, part)| total.add(part));
            signal.iter_mut().zip(outputs).for_each(|(sum, part)| *sum += part);
        }
        for (noise, shift) in total.iter_mut().zip(shifts) {
            let per_channel = noise.elements as f64 / shift.len().max(1) as f64;
            noise.shift = per_channel * shift.iter().map(|shift| shift * shift).sum::<f64>();
        }
        Ok((total, signal))
    }

    /// Mean error per channel of each source that is a layer's weights; nothing for others.
    fn shifts(&self, samples: &[Vec<Vec<f32>>]) -> Result<Vec<Vec<f64>>, String> {
        let parts: Result<Vec<Vec<Vec<f64>>>, String> = samples
            .par_iter()
            .map(|sample| {
                let trace = self.trace(sample)?;
                let means = self.sources.iter().map(|source| match &source.kind {
                    Kind::Weights(weights) => {
                        let exact = &trace.get(source.value)?.data;
                        let rounded = self.rounded(source, weights, &trace)?;
                        let mut sums = vec![0.0; weights.channels];
                        for (i, (a, b)) in rounded.iter().zip(exact).enumerate() {
                            sums[i / weights.inner % weights.channels] += f64::from(a - b);
                        }
                        let count = (exact.len() / weights.channels.max(1)).max(1) as f64;
                        Ok(sums.into_iter().map(|sum| sum / count).collect())
                    }
                    Kind::Storage(_) | Kind::Table { .. } => Ok(Vec::new()),
                });
                means.collect()
            })
            .collect();
        let mut total: Vec<Vec<f64>> = Vec::new();
        let parts = parts?;
        let count = parts.len() as f64;
        for part in parts {
            if total.is_empty() {
                total = part.iter().map(|means| vec![0.0; means.len()]).collect();
            }
            for (total, part) in total.iter_mut().zip(part) {
                total.iter_mut().zip(part).for_each(|(sum, mean)| *sum += mean / count);
            }
        }
        Ok(total)
    }

    /// All values that measuring needs.
    fn trace(&self, sample: &[Vec<f32>]) -> Result<Trace, String> {
        let mut needed: Vec<ValueId> = self.graph.outputs.clone();
        needed.extend(&self.graph.inputs);
        for source in self.sources {
            needed.push(source.value);
            needed.extend(&source.beside);
            match &source.kind {
                Kind::Weights(weights) => needed.push(weights.operand),
                Kind::Table { operand, .. } => needed.push(*operand),
                Kind::Storage(_) => {}
            }
        }
        needed.sort_unstable();
        needed.dedup();
        let value = |id: ValueId| &self.graph.values[id.0 as usize];
        let given: Vec<(&str, FloatTensor)> = (self.graph.inputs.iter().zip(sample))
            .map(|(&id, data)| {
                let tensor = FloatTensor { shape: value(id).shape.clone(), data: data.clone() };
                (value(id).name.as_str(), tensor)
            })
            .collect();
        let names: Vec<&str> = needed.iter().map(|&id| value(id).name.as_str()).collect();
        let found = self.float.run(&given, &names).map_err(|e| e.to_string())?;
        let mut values = vec![None; self.graph.values.len()];
        for (id, tensor) in needed.into_iter().zip(found) {
            values[id.0 as usize] = Some(tensor);
        }
        Ok(Trace { values })
    }

    /// The result of a layer with rounded weights.
    fn rounded(
        &self,
        source: &Source,
        weights: &Weights,
        trace: &Trace,
    ) -> Result<Vec<f32>, String> {
        let given = vec![(weights.operand, trace.get(weights.operand)?.clone())];
        self.compute(self.rounded, given, &[source.value]).map(|mut found| found.remove(0))
    }

    /// Elements of values, from others.
    fn compute(
        &self,
        model: &FloatModel,
        given: Vec<(ValueId, FloatTensor)>,
        wanted: &[ValueId],
    ) -> Result<Vec<Vec<f32>>, String> {
        let name = |id: ValueId| self.graph.values[id.0 as usize].name.as_str();
        let given: Vec<(&str, FloatTensor)> =
            given.into_iter().map(|(id, tensor)| (name(id), tensor)).collect();
        let wanted: Vec<&str> = wanted.iter().map(|&id| name(id)).collect();
        let found = model.run(&given, &wanted).map_err(|e| e.to_string())?;
        Ok(found.into_iter().map(|tensor| tensor.data).collect())
    }

    /// The value with the noise of one source, and what that noise is.
    fn noise(&self, source: &Source, shift: &[f64], trace: &Trace) -> Result<Noise, String> {
        let exact = trace.get(source.value)?;
        let mut noise = Noise::of(&exact.data);
        let noisy: Vec<f32> = match &source.kind {
            Kind::Storage(storage) => {
                let store = |&x: &f32| {
                    let (q, clipped) = storage.store(x);
                    let real = storage.real(q);
                    if clipped {
                        noise.clipped += f64::from(real - x).powi(2);
                        noise.clipped_elements += 1;
                    }
                    real
                };
                exact.data.iter().map(store).collect()
            }
            Kind::Weights(weights) => {
                let mut rounded = self.rounded(source, weights, trace)?;
                for (i, (value, &x)) in rounded.iter_mut().zip(&exact.data).enumerate() {
                    let channel = i / weights.inner % weights.channels;
                    if self.corrected {
                        *value -= shift[channel] as f32;
                    }
                    noise.multipliers += (weights.multiplier_error[channel] * f64::from(x)).powi(2);
                }
                rounded
            }
            Kind::Table { operand, from, to, nodes } => {
                let stored: Vec<i32> =
                    trace.get(*operand)?.data.iter().map(|&x| from.store(x).0).collect();
                let argument = FloatTensor {
                    shape: trace.get(*operand)?.shape.clone(),
                    data: stored.iter().map(|&q| from.real(q)).collect(),
                };
                let function = self
                    .compute(self.float, vec![(*operand, argument)], &[source.value])?
                    .remove(0);
                let table = <&[i16; LUT16_NODES]>::try_from(nodes.as_slice())
                    .map_err(|_| format!("`{}`: a table of another length", source.name))?;
                // A stored int16 is one.
                let table = stored.iter().map(|&q| to.real(lut16(table, q as i16).into()));
                // The exact value with what the table adds to it.
                table.zip(function).zip(&exact.data).map(|((t, f), x)| x + (t - f)).collect()
            }
        };
        noise.local = difference(&noisy, &exact.data);
        if noise.local == 0.0 {
            noise.outputs = vec![0.0; self.graph.outputs.len()];
            return Ok(noise);
        }
        let tensor = FloatTensor { shape: exact.shape.clone(), data: noisy };
        let mut given = vec![(source.value, tensor)];
        for &id in &source.beside {
            given.push((id, trace.get(id)?.clone()));
        }
        for (found, &output) in self.outputs(source, given)?.iter().zip(&self.graph.outputs) {
            noise.outputs.push(difference(found, &trace.get(output)?.data));
        }
        Ok(noise)
    }

    /// The network's outputs; nothing for those that do not depend on the source.
    fn outputs(
        &self,
        source: &Source,
        given: Vec<(ValueId, FloatTensor)>,
    ) -> Result<Vec<Vec<f32>>, String> {
        let mut found = self.compute(self.float, given, &source.reached)?.into_iter();
        let of = |id: &ValueId| {
            let reached = source.reached.contains(id);
            if reached { found.next().unwrap_or_default() } else { Vec::new() }
        };
        Ok(self.graph.outputs.iter().map(of).collect())
    }
}

impl Trace {
    fn get(&self, id: ValueId) -> Result<&FloatTensor, String> {
        self.values[id.0 as usize]
            .as_ref()
            .ok_or_else(|| format!("value {} was not computed", id.0))
    }
}

impl Noise {
    fn of(values: &[f32]) -> Noise {
        Noise {
            signal: square(values.iter()),
            elements: values.len() as u64,
            sum: values.iter().map(|&v| f64::from(v)).sum(),
            least: values.iter().copied().fold(f32::INFINITY, f32::min),
            most: values.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            ..Noise::default()
        }
    }

    fn add(&mut self, part: &Noise) {
        if self.elements == 0 {
            (self.least, self.most) = (part.least, part.most);
            self.outputs = vec![0.0; part.outputs.len()];
        }
        self.signal += part.signal;
        self.local += part.local;
        self.clipped += part.clipped;
        self.clipped_elements += part.clipped_elements;
        self.elements += part.elements;
        self.multipliers += part.multipliers;
        self.sum += part.sum;
        self.least = self.least.min(part.least);
        self.most = self.most.max(part.most);
        self.outputs.iter_mut().zip(&part.outputs).for_each(|(sum, part)| *sum += part);
    }

    /// Standard deviation of the value.
    pub(super) fn deviation(&self) -> f64 {
        let n = (self.elements as f64).max(1.0);
        let mean = self.sum / n;
        (self.signal / n - mean * mean).max(0.0).sqrt()
    }
}

/// The float network's outputs on one sample.
pub(super) fn outputs(
    float: &FloatModel,
    graph: &Graph,
    sample: &[Vec<f32>],
) -> Result<Vec<Vec<f32>>, String> {
    let value = |id: &ValueId| &graph.values[id.0 as usize];
    let given: Vec<(&str, FloatTensor)> = (graph.inputs.iter().map(value).zip(sample))
        .map(|(value, data)| {
            (value.name.as_str(), FloatTensor { shape: value.shape.clone(), data: data.clone() })
        })
        .collect();
    let names: Vec<&str> = graph.outputs.iter().map(|id| value(id).name.as_str()).collect();
    let found = float.run(&given, &names).map_err(|e| e.to_string())?;
    Ok(found.into_iter().map(|tensor| tensor.data).collect())
}

fn square<'a>(values: impl Iterator<Item = &'a f32>) -> f64 {
    values.map(|&v| f64::from(v).powi(2)).sum()
}

/// Square of the difference; 0 where nothing was computed.
pub(super) fn difference(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
}
