//! `qsim PROG.bin`: time, values, accuracy, check, trace, report.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use compiler::backend::reference_graph;
use ir::qgraph::{QGraph, QValue};
use isa::Program;
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;
use runtime::Prepared as HostNetwork;
use simulator::exec::Kernels;
use simulator::machine::{Machine, Order, Prepared};
use simulator::report::{Check, ProgramFile, Report};

use super::args::RunArgs;
use super::check::{Checker, visible};
use super::trace::Target;
use crate::args::Format;
use crate::data::{Array, Elements, Samples, npy};
use crate::error::{CliError, read_file};
use crate::float_model::{Reference, sha256_hex};
use crate::host::{Scores, ends, integers, real_inputs, tensor};
use crate::output::{AtomicFile, Talk, print, write_file};

/// Runs a program as the arguments say and prints the report.
pub(crate) fn run(args: &RunArgs, talk: Talk) -> Result<(), CliError> {
    let path = args.program.as_deref().ok_or_else(|| CliError::Usage("name a program".into()))?;
    // Outputs are opened before the work, so that a bad path fails at once.
    let trace = args.trace.as_ref().map(|t| Target::open(t.as_deref(), path)).transpose()?;
    let bytes = read_file(path)?;
    let mut program = Program::from_bytes(&bytes).map_err(|e| CliError::in_file(path, e))?;
    retime(&mut program, args)?;
    let mode = if args.cycle_stepped { timing::Mode::Stepped } else { timing::Mode::Event };
    let timing = match trace {
        None => timing::run(&program, mode).map_err(|e| CliError::in_file(path, e))?,
        Some(target) => {
            target.write(&program, mode, talk).map_err(|e| CliError::in_file(path, e))?
        }
    };
    let file = ProgramFile {
        hash: sha256_hex(&bytes),
        bytes: bytes.len() as u64,
        schema: isa::program::FORMAT_VERSION,
    };
    let mut report = Report::new(&program, &program.hardware, &file, &timing)
        .map_err(|e| CliError::in_file(path, e))?;
    if !args.timing_only {
        let run = Run::new(&program, args, talk)?;
        run.samples(&mut report)?;
    }
    show(args, &report)?;
    match &report.check.first_mismatch {
        Some(m) => Err(CliError::Failed(format!(
            "the machine differs from the host runtime in {} elements; first `{}` of node `{}`, sample {}, [y, x, c] = {:?}: machine {}, host {}",
            report.check.mismatches.unwrap_or(0),
            m.tensor,
            m.node,
            m.sample,
            m.position,
            m.found,
            m.expected
        ))),
        None => Ok(()),
    }
}

/// Applies `--hw` and `--set`; only parameters that change nothing but time may differ from the program's.
fn retime(program: &mut Program, args: &RunArgs) -> Result<(), CliError> {
    let hw = args.machine.machine(program.hardware.clone())?;
    let fixed = program.hardware.incompatible_with(&hw);
    if !fixed.is_empty() {
        let names: Vec<String> = fixed.iter().map(|n| format!("`{n}`")).collect();
        return Err(CliError::Refused(format!(
            "{} cannot change after compilation\n  hint: qcc --set compiles for another machine",
            names.join(", ")
        )));
    }
    program.hardware = hw;
    Ok(())
}

fn show(args: &RunArgs, report: &Report) -> Result<(), CliError> {
    let text = match args.format {
        Format::Text => report.to_text(),
        Format::Json => report.to_json() + "\n",
        Format::Csv => report.to_csv(),
    };
    match &args.report {
        Some(path) => write_file(path, text.as_bytes()),
        None => print(&text),
    }
}

/// Everything that computing values needs.
struct Run<'a> {
    program: &'a Program,
    args: &'a RunArgs,
    talk: Talk,
    machine: Prepared<'a>,
    order: Order,
    kernels: Kernels,
    inputs: Vec<QValue>,
    outputs: Vec<QValue>,
    reference: Option<QGraph>,
}

impl<'a> Run<'a> {
    fn new(program: &'a Program, args: &'a RunArgs, talk: Talk) -> Result<Run<'a>, CliError> {
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
            inputs: ends(program, &program.inputs),
            outputs: ends(program, &program.outputs),
            reference,
        })
    }

    /// Runs every sample and fills in accuracy and check.
    fn samples(&self, report: &mut Report) -> Result<(), CliError> {
        let samples = self.read_samples()?;
        let host = match &self.reference {
            Some(graph) => Some(HostNetwork::new(graph).map_err(CliError::refused)?),
            None => None,
        };
        let float = self.float()?;
        let results: Vec<Result<Outcome, CliError>> = (0..samples.count)
            .into_par_iter()
            .map(|i| self.sample(&samples, i, host.as_ref(), float.as_ref()))
            .collect();
        let mut scores = Scores::default();
        let mut check = Check::default();
        let labelled = samples.labels.is_some();
        for result in results {
            let outcome = result?;
            scores.merge(&outcome.scores);
            if let (Some(graph), Some(c)) = (&self.reference, outcome.check) {
                if c.layers != visible(self.program, graph) {
                    return Err(CliError::Failed(format!(
                        "{} of {} tensors were seen whole",
                        c.layers,
                        visible(self.program, graph)
                    )));
                }
                check.layers = Some(check.layers.unwrap_or(0) + c.layers);
                check.mismatches = Some(check.mismatches.unwrap_or(0) + c.mismatches);
                check.first_mismatch = check.first_mismatch.take().or(c.first);
            }
        }
        check.bit_exact = check.mismatches.map(|n| n == 0);
        report.check = check;
        if self.args.data.is_some() {
            report.accuracy = scores.accuracy();
            if float.is_none() {
                self.talk.note("no float model: reference_top1, agreement and sqnr_db are null (--float MODEL.onnx, or qcc --embed-float)");
            }
            if !labelled {
                self.talk.note("no labels in the data: top1 and top5 are null");
            }
        }
        Ok(())
    }

    fn read_samples(&self) -> Result<Samples, CliError> {
        let shapes: Vec<(&str, &[usize])> =
            self.inputs.iter().map(|v| (v.name.as_str(), v.view.onnx_shape.as_slice())).collect();
        let path = self.args.data.as_ref().or(self.args.input.as_ref());
        let Some(path) = path else { return Ok(self.random_sample()) };
        if self.args.raw {
            return Samples::read_raw(path, &shapes);
        }
        let samples = Samples::read(path, &shapes)?;
        let overlap =
            samples.hashes().iter().filter(|h| self.program.meta.sample_hashes.contains(h)).count();
        if self.args.data.is_some() && overlap > 0 {
            self.talk.warn(format_args!(
                "{overlap} of {} samples were used for calibration: accuracy on them says little",
                samples.count
            ));
        }
        Ok(samples)
    }

    /// One sample of seeded random integers over each input's whole range, as raw values.
    fn random_sample(&self) -> Samples {
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(self.args.seed);
        let arrays = self.inputs.iter().map(|v| {
            let (lo, hi) =
                if v.dtype == ir::qgraph::QType::I16 { (-32768, 32767) } else { (-128, 127) };
            let n = v.shape.h * v.shape.w * v.shape.c;
            let shape = [&[1], v.view.onnx_shape.as_slice()].concat();
            Array {
                name: v.name.clone(),
                shape,
                elements: Elements::I64((0..n).map(|_| rng.random_range(lo..=hi)).collect()),
            }
        });
        Samples { arrays: arrays.collect(), labels: None, count: 1 }
    }

    fn float(&self) -> Result<Option<Reference>, CliError> {
        let meta = &self.program.meta;
        // The program's inputs have every extent fixed; symbolic dimensions of the file were given when compiling.
        let shapes: BTreeMap<String, usize> = meta.shapes.clone();
        if let Some(path) = &self.args.float {
            return Reference::open(path, &meta.model_sha256, &shapes).map(Some);
        }
        match &self.program.float_model {
            Some(bytes) if self.args.data.is_some() => {
                Reference::embedded(bytes.clone(), &shapes).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn sample(
        &self,
        samples: &Samples,
        index: usize,
        host: Option<&HostNetwork<'_>>,
        float: Option<&Reference>,
    ) -> Result<Outcome, CliError> {
        let (real, stored) = self.stored_inputs(samples, index)?;
        let mut machine = Machine::new(&self.machine, self.kernels);
        for (i, values) in stored.iter().enumerate() {
            machine.write_input(i, values).map_err(CliError::refused)?;
        }
        let mut check = None;
        if let Some(host) = host {
            let tensors: Vec<_> =
                self.inputs.iter().zip(&stored).map(|(v, x)| tensor(v, x)).collect();
            let expected = host.run_all(&tensors).map_err(CliError::refused)?;
            let mut checker = Checker::new(self.program, &expected, index as u64);
            machine.run(&self.order, Some(&mut checker)).map_err(CliError::refused)?;
            check = Some(Checked {
                layers: checker.layers(),
                mismatches: checker.mismatches,
                first: checker.first,
            });
        } else {
            machine.run(&self.order, None).map_err(CliError::refused)?;
        }
        let output = &self.outputs[0];
        let ints = machine.read_output(0).map_err(CliError::refused)?;
        let real_out =
            runtime::dequantize(&tensor(output, &ints), output).map_err(CliError::refused)?;
        if index == 0
            && let Some(path) = &self.args.output
        {
            self.write_output(path, output, &ints, &real_out)?;
        }
        let mut scores = Scores::default();
        let label = samples.labels.as_ref().map(|l| l[index]);
        let reference = match (float, real) {
            (Some(model), Some(real)) => Some(model.run(&real)?),
            _ => None,
        };
        scores.add(&real_out, label, reference.as_deref());
        Ok(Outcome { scores, check })
    }

    /// Real inputs (if the samples hold real values) and stored integers of one sample.
    #[expect(clippy::type_complexity, reason = "two lists, one per input")]
    fn stored_inputs(
        &self,
        samples: &Samples,
        index: usize,
    ) -> Result<(Option<Vec<Vec<f32>>>, Vec<Vec<i32>>), CliError> {
        if let Some(raw) = samples.raw(index) {
            return Ok((None, raw));
        }
        let real =
            real_inputs(samples, index, &self.inputs, self.program.meta.preprocess.as_ref())?;
        let mut stored = Vec::with_capacity(real.len());
        for (values, input) in real.iter().zip(&self.inputs) {
            stored.push(integers(&runtime::quantize(values, input).map_err(CliError::refused)?));
        }
        Ok((Some(real), stored))
    }

    fn write_output(
        &self,
        path: &Path,
        output: &QValue,
        ints: &[i32],
        real: &[f32],
    ) -> Result<(), CliError> {
        let (shape, values) = if self.args.raw {
            let s = output.shape;
            (vec![s.h, s.w, s.c], ints.iter().map(|&v| v as f32).collect())
        } else {
            (output.view.onnx_shape.clone(), real.to_vec())
        };
        let mut file = AtomicFile::create(path)?;
        file.write_all(&npy(&shape, &values).map_err(CliError::refused)?)
            .map_err(|e| CliError::in_file(path, e))?;
        file.commit()
    }
}

/// What one sample showed.
struct Outcome {
    scores: Scores,
    check: Option<Checked>,
}

/// What comparing one sample showed.
struct Checked {
    layers: u64,
    mismatches: u64,
    first: Option<simulator::report::Mismatch>,
}
