//! Values of every sample: accuracy, check, outputs.

use std::path::Path;

use compiler::backend::reference_graph;
use explorer::score::Scores;
use ir::qgraph::{QGraph, QType, QValue};
use isa::Program;
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;
use runtime::{Prepared as HostNetwork, QTensor};
use simulator::exec::Kernels;
use simulator::inject::Sample as Unfaulted;
use simulator::machine::{Machine, Order, Prepared};
use simulator::report::{Check, Report, Top};

use super::orders;
use super::outputs::OutputFile;
use crate::data::labels::Classes;
use crate::data::{Sample, Samples};
use crate::error::CliError;
use crate::float_model::Reference;
use crate::host::{ends, integers, largest, tensor};
use crate::output::{Output, Talk};
use crate::parts::{NetworkInputs, NetworkOutputs, dequantized};
use crate::progress::Progress;
use crate::qsim::args::RunArgs;
use crate::qsim::check::{Checker, visible};

/// Classes listed for a single input.
const TOP: usize = 5;

/// Everything that computing values needs.
pub(super) struct Run<'a> {
    program: &'a Program,
    args: &'a RunArgs,
    talk: Talk,
    machine: Prepared<'a>,
    order: Order,
    kernels: Kernels,
    front: NetworkInputs,
    back: NetworkOutputs,
    inputs: Vec<QValue>,
    outputs: Vec<QValue>,
    reference: Option<QGraph>,
}

/// What one sample showed.
struct Outcome {
    scores: Scores,
    check: Option<Checked>,
    /// Whether the program was calibrated on it.
    calibrated: bool,
    /// Outputs, where they are asked for.
    outputs: Vec<QTensor>,
    top: Vec<Top>,
}

/// What comparing one sample showed.
struct Checked {
    layers: u64,
    mismatches: u64,
    first: Option<simulator::report::Mismatch>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        program: &'a Program,
        args: &'a RunArgs,
        talk: Talk,
    ) -> Result<Run<'a>, CliError> {
        let kernels = if args.reference { Kernels::Reference } else { Kernels::Fast };
        let machine = Prepared::new(program).map_err(CliError::refused)?;
        let order = Order::round_robin(program).map_err(CliError::refused)?;
        let reference = args
            .check
            .then(|| reference_graph(program))
            .transpose()
            .map_err(|e| CliError::Refused(format!("--check: {e}")))?;
        Ok(Run {
            program,
            args,
            talk,
            machine,
            order,
            kernels,
            front: NetworkInputs::of_program(program)?,
            back: NetworkOutputs::of_program(program)?,
            inputs: ends(program, &program.inputs),
            outputs: ends(program, &program.outputs),
            reference,
        })
    }

    /// Runs every sample, fills in accuracy, check and top classes, and writes the outputs, which are yet to be put in place.
    pub(super) fn samples(
        &self,
        report: &mut Report,
        file: Option<OutputFile>,
    ) -> Result<Option<Output>, CliError> {
        let path = self.args.data.as_deref().or(self.args.input.as_deref());
        let samples = self.read_samples(path)?;
        let host = match &self.reference {
            Some(graph) => Some(HostNetwork::new(graph).map_err(CliError::refused)?),
            None => None,
        };
        let float = self.float()?;
        let what = if self.args.check { "running and checking" } else { "running" };
        let progress = Progress::over(self.talk, what, samples.count);
        let results: Result<Vec<Outcome>, CliError> = (0..samples.count)
            .into_par_iter()
            .map(|i| {
                let sample = samples.sample(i)?;
                let outcome = self.sample(&samples, &sample, i, host.as_ref(), float.as_ref());
                progress.tick();
                outcome
            })
            .collect();
        drop(progress);
        let mut outcomes = match (results, path) {
            (Ok(outcomes), _) => outcomes,
            (Err(first), Some(path)) => return Err(samples.explain(path, first)),
            (Err(first), None) => return Err(first),
        };
        report.check = self.checked(&mut outcomes)?;
        if let Some(count) = self.args.adversarial {
            let sample = samples.sample(0)?;
            let stored = self.stored_inputs(&sample, samples.real(&sample)?.as_deref())?;
            report.orders =
                orders::compare(&self.machine, self.kernels, &stored, count, self.talk)?;
        }
        if self.args.data.is_some() {
            self.accuracy(report, &outcomes, &samples, float.is_some());
        }
        if let [single] = &mut outcomes[..]
            && self.args.input.is_some()
        {
            report.top5 = std::mem::take(&mut single.top);
        }
        let Some(file) = file else { return Ok(None) };
        let outputs: Vec<Vec<QTensor>> = outcomes.into_iter().map(|o| o.outputs).collect();
        let back = (!self.args.raw).then_some(&self.back);
        file.write(&self.outputs, &outputs, back).map(Some)
    }

    /// The first `most` samples as stored integers, with their labels, for runs with faults.
    pub(super) fn inputs(&self, most: usize) -> Result<Vec<Unfaulted>, CliError> {
        let path = self.args.data.as_deref().or(self.args.input.as_deref());
        let samples = self.read_samples(path)?;
        let count = samples.count.min(most);
        let read = |i: usize| {
            let sample = samples.sample(i)?;
            let inputs = self.stored_inputs(&sample, samples.real(&sample)?.as_deref())?;
            let label = samples.labels.as_ref().map(|labels| labels[i]);
            Ok((Unfaulted { inputs, label }, self.is_calibrated(&sample)))
        };
        let read: Result<Vec<_>, CliError> = (0..count).into_par_iter().map(read).collect();
        let read = match (read, path) {
            (Ok(read), _) => read,
            (Err(first), Some(path)) => return Err(samples.explain(path, first)),
            (Err(first), None) => return Err(first),
        };
        self.warn_overlap(read.iter().filter(|(_, calibrated)| *calibrated).count(), count);
        Ok(read.into_iter().map(|(sample, _)| sample).collect())
    }

    /// Real inputs of up to `most` samples, spread evenly; none if there is no data, or if it holds stored integers.
    pub(super) fn real_inputs(&self, most: usize) -> Result<Vec<Vec<Vec<f32>>>, CliError> {
        let Some(path) = &self.args.data else { return Ok(Vec::new()) };
        let samples = self.read_samples(Some(path))?;
        let count = samples.count.min(most);
        let read = |i: usize| samples.real(&samples.sample(i * samples.count / count)?);
        let read: Result<Vec<_>, CliError> = (0..count).map(read).collect();
        Ok(read.map_err(|first| samples.explain(path, first))?.into_iter().flatten().collect())
    }

    /// Whether the program was calibrated on a sample.
    fn is_calibrated(&self, sample: &Sample) -> bool {
        let hashes = &self.program.meta.sample_hashes;
        !hashes.is_empty() && hashes.contains(&sample.hash())
    }

    fn warn_overlap(&self, overlap: usize, samples: usize) {
        if overlap > 0 {
            self.talk.warn(format_args!(
                "{overlap} of {samples} samples were used for calibration: accuracy on them says little"
            ));
        }
    }

    fn checked(&self, outcomes: &mut [Outcome]) -> Result<Check, CliError> {
        let mut check = Check::default();
        for outcome in outcomes {
            let (Some(graph), Some(c)) = (&self.reference, outcome.check.take()) else { continue };
            let expected = visible(self.program, graph);
            if c.layers != expected {
                return Err(CliError::Failed(format!(
                    "{} of {expected} tensors were seen whole",
                    c.layers
                )));
            }
            check.layers = Some(check.layers.unwrap_or(0) + c.layers);
            check.mismatches = Some(check.mismatches.unwrap_or(0) + c.mismatches);
            check.first_mismatch = check.first_mismatch.take().or(c.first);
        }
        check.bit_exact = check.mismatches.map(|n| n == 0);
        Ok(check)
    }

    fn accuracy(
        &self,
        report: &mut Report,
        outcomes: &[Outcome],
        samples: &Samples<'_>,
        float: bool,
    ) {
        let mut scores = Scores::default();
        outcomes.iter().for_each(|outcome| scores.merge(&outcome.scores));
        report.accuracy = scores.accuracy();
        let overlap = outcomes.iter().filter(|o| o.calibrated).count();
        self.warn_overlap(overlap, samples.count);
        if !float {
            self.talk.note("no float model: reference_top1, agreement and sqnr_db are null (--float MODEL.onnx, or qcc --embed-float)");
        }
        if samples.labels.is_none() {
            self.talk.note("no labels in the data: top1 and top5 are null");
        }
    }

    fn read_samples(&self, path: Option<&Path>) -> Result<Samples<'_>, CliError> {
        let Some(path) = path else { return Ok(self.random_sample()) };
        if self.args.raw {
            return Samples::read_raw(path, &self.inputs);
        }
        let meta = &self.program.meta;
        let classes = Classes { names: &meta.labels, count: self.back.first_count() };
        let samples = Samples::read(path, &self.front, meta.preprocess.as_ref(), Some(&classes))?;
        if self.args.input.is_some() && samples.count != 1 {
            return Err(CliError::in_file(
                path,
                format!("--input takes one sample, found {}\n  hint: --data", samples.count),
            ));
        }
        Ok(samples)
    }

    /// One sample of seeded random integers over each input's whole range.
    fn random_sample(&self) -> Samples<'_> {
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(self.args.seed);
        let values = self.inputs.iter().map(|v| {
            let (lo, hi) = if v.dtype == QType::I16 { (-32768, 32767) } else { (-128, 127) };
            let n = v.shape.h * v.shape.w * v.shape.c;
            (0..n).map(|_| rng.random_range(lo..=hi)).collect()
        });
        Samples::stored(&self.inputs, values.collect())
    }

    fn float(&self) -> Result<Option<Reference>, CliError> {
        if let Some(path) = &self.args.float {
            return Reference::open(path, self.program).map(Some);
        }
        match &self.program.float_model {
            Some(bytes) if self.args.data.is_some() => {
                Reference::embedded(bytes.clone(), self.program).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn sample(
        &self,
        samples: &Samples<'_>,
        sample: &Sample,
        index: usize,
        host: Option<&HostNetwork<'_>>,
        float: Option<&Reference>,
    ) -> Result<Outcome, CliError> {
        let real = samples.real(sample)?;
        let stored = self.stored_inputs(sample, real.as_deref())?;
        let mut machine = Machine::new(&self.machine, self.kernels);
        for (i, values) in stored.iter().enumerate() {
            machine.write_input(i, values).map_err(CliError::refused)?;
        }
        let check = match host {
            Some(host) => Some(self.check_sample(&mut machine, &stored, index, host)?),
            None => {
                machine.run(&self.order, None).map_err(CliError::refused)?;
                None
            }
        };
        let output = |i: usize| -> Result<QTensor, CliError> {
            Ok(tensor(&self.outputs[i], &machine.read_output(i).map_err(CliError::refused)?))
        };
        // Only a tail needs more than the first output; on random inputs it finds nothing.
        let wanted = self.args.data.is_some() || self.args.input.is_some();
        let needed = match self.back.has_tail() {
            true if wanted => self.outputs.len(),
            true => 0,
            false => 1,
        };
        let tensors: Vec<QTensor> = (0..needed).map(output).collect::<Result<_, _>>()?;
        let real_out = match needed {
            0 => Vec::new(),
            _ => self.back.first(dequantized(&self.outputs, &tensors)?)?,
        };
        let mut scores = Scores::default();
        let label = samples.labels.as_ref().map(|l| l[index]);
        let reference = match (float, &real) {
            (Some(model), Some(real)) => Some(model.run(real)?),
            _ => None,
        };
        scores.add(&real_out, label, reference.as_deref());
        let outputs = match self.args.output {
            Some(_) => (0..self.outputs.len()).map(output).collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        let calibrated = self.is_calibrated(sample);
        Ok(Outcome { scores, check, calibrated, outputs, top: self.top(&real_out) })
    }

    fn check_sample(
        &self,
        machine: &mut Machine<'_>,
        stored: &[Vec<i32>],
        index: usize,
        host: &HostNetwork<'_>,
    ) -> Result<Checked, CliError> {
        let tensors: Vec<_> = self.inputs.iter().zip(stored).map(|(v, x)| tensor(v, x)).collect();
        let expected = host.run_all(&tensors).map_err(CliError::refused)?;
        let mut checker = Checker::new(self.program, &expected, index as u64);
        machine.run(&self.order, Some(&mut checker)).map_err(CliError::refused)?;
        Ok(Checked {
            layers: checker.layers(),
            mismatches: checker.mismatches,
            first: checker.first,
        })
    }

    /// Stored integers of one sample: as they are, or quantized from its real values.
    fn stored_inputs(
        &self,
        sample: &Sample,
        real: Option<&[Vec<f32>]>,
    ) -> Result<Vec<Vec<i32>>, CliError> {
        let Some(real) = real else { return Ok(sample.stored().unwrap_or_default()) };
        let quantized = real.iter().zip(&self.inputs).map(|(values, input)| {
            Ok(integers(&runtime::quantize(values, input).map_err(CliError::refused)?))
        });
        quantized.collect()
    }

    /// The largest values of the first output, if it is one vector.
    fn top(&self, values: &[f32]) -> Vec<Top> {
        let Some((_, extents)) = self.back.outputs.first() else { return Vec::new() };
        if self.args.input.is_none() || extents.iter().filter(|&&n| n > 1).count() != 1 {
            return Vec::new();
        }
        let class = |i: usize| Top {
            class: i as u64,
            name: self.program.meta.labels.get(i).cloned(),
            score: values[i].into(),
        };
        largest(values, TOP).into_iter().map(class).collect()
    }
}
