//! The whole way from a float graph to a program, in the three stages a user sees: rewrite, calibrate, generate.

use ir::graph::Graph;
use ir::qgraph::QGraph;
use ir::tensor::element_count;
use isa::program::{Meta, Program};
use isa::{Hardware, verify};

use crate::backend::{BackendError, generate};
use crate::calibrate::{
    CalibrateError, Calibration, GraphRunner, Observed, Sample, with_data, without_data,
};
use crate::distill::{self, Distilled, Settings};
use crate::options::{BiasCorrection, Equalize, Options};
use crate::passes::{Applied, Check, Context, GRAPH, PassError, equalize, run};
use crate::quantize::{
    Clipping, Kept, QuantizeError, Storages, check, kept, layer_bits, quantize, wanted,
};
use crate::refine::{Answers, Knowledge, Means, Probes, answers, means, open_layers, refine};
use crate::validate::validate;

/// Most elements of a value: as many as the integer runtime takes. Calibration holds them as floats.
const MAX_ELEMENTS: usize = 1 << 28;

/// Why compilation stopped.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A pass over the float graph failed.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// Every output is a constant or an input.
    #[error("the network computes nothing: {}", .0.join("; "))]
    NothingComputed(Vec<String>),
    /// Values that no machine of ours could hold.
    #[error("values of more than {MAX_ELEMENTS} elements: {}", .0.join(", "))]
    TooLarge(Vec<String>),
    /// Ranges could not be found.
    #[error(transparent)]
    Calibrate(#[from] CalibrateError),
    /// Some nodes have no integer form.
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
    /// The machine cannot hold the network.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The program made is not sound: a bug of the compiler, found before anybody ran it.
    #[error("internal error of the compiler: the program fails verification: {0}")]
    Unsound(String),
}

/// A float network after the passes, ready to be calibrated and quantized any number of times.
#[derive(Clone, Debug)]
pub struct Network {
    /// The rewritten graph.
    pub graph: Graph,
    /// What each pass did.
    pub applied: Vec<Applied>,
    /// Outputs that are left out because there is nothing to compute: one sentence each.
    pub left_out: Vec<String>,
    context: Context,
}

impl Network {
    /// Runs the passes and checks that every node has an integer form, before anybody spends time on calibration. Outputs
    /// that are constants or inputs are left out: a program computes every output it has.
    ///
    /// # Errors
    /// [`CompileError::TooLarge`] with all values that are; [`CompileError::Pass`]; [`CompileError::NothingComputed`]; [`CompileError::Quantize`] with all nodes that have no
    /// integer form.
    pub fn new(mut graph: Graph) -> Result<Network, CompileError> {
        check_sizes(&graph)?;
        let mut context = Context::default();
        let mut applied = run(GRAPH, &mut graph, &mut context, Check::EachPass)?;
        let left_out = leave_out(&mut graph);
        if graph.outputs.is_empty() {
            return Err(CompileError::NothingComputed(left_out));
        }
        if !left_out.is_empty() {
            // What only those outputs needed is dead now.
            let again = run(GRAPH, &mut graph, &mut context, Check::EachPass)?;
            applied.iter_mut().zip(again).for_each(|(first, more)| first.changes += more.changes);
        }
        let refusals = check(&graph);
        if !refusals.is_empty() {
            return Err(QuantizeError::Refused { refusals }.into());
        }
        Ok(Network { graph, applied, left_out, context })
    }

    /// Whether the network has the nodes that `options` name, before anybody spends time on calibration.
    ///
    /// # Errors
    /// [`CompileError::Quantize`] with all names that it does not have.
    pub fn check_names(&self, options: &Options) -> Result<(), CompileError> {
        let mut all = Vec::new();
        let weights = layer_bits(&self.graph, options).err();
        let activations = Storages::new(&self.graph, options).err();
        for error in [weights, activations].into_iter().flatten() {
            match error {
                QuantizeError::Layers { problems } => all.extend(problems),
                other => return Err(other.into()),
            }
        }
        if all.is_empty() { Ok(()) } else { Err(QuantizeError::Layers { problems: all }.into()) }
    }

    /// Moves factors between layers, so that their channels have equal ranges; between how many pairs.
    pub fn equalize(&mut self, way: Equalize) -> usize {
        equalize(&mut self.graph, &mut self.context, way)
    }

    /// What of the network is quantized already and is kept; `None` for a float network.
    #[must_use]
    pub fn kept(&self, hw: &Hardware) -> Option<Kept> {
        kept(&self.graph, u8::try_from(hw.acc_bits).unwrap_or(u8::MAX))
    }

    /// Ranges observed on samples: one tensor per network input, elements in ONNX order.
    ///
    /// # Errors
    /// [`CompileError::Calibrate`].
    pub fn calibrate(
        &self,
        samples: impl IntoIterator<Item = Result<Sample, String>>,
        options: &Options,
    ) -> Result<Calibration, CompileError> {
        Ok(with_data(&self.graph, &GraphRunner::new(&self.graph), samples, options)?)
    }

    /// What samples show of activations, from which [`ranges`](Self::ranges) for any options can be chosen.
    ///
    /// # Errors
    /// [`CompileError::Calibrate`].
    pub fn observe(
        &self,
        samples: impl IntoIterator<Item = Result<Sample, String>>,
    ) -> Result<Observed, CompileError> {
        Ok(Observed::on(&self.graph, &GraphRunner::new(&self.graph), samples)?)
    }

    /// Ranges chosen from what was observed.
    ///
    /// # Errors
    /// [`CompileError::Quantize`] when the options name nodes that the network does not have.
    pub fn ranges(
        &self,
        observed: &Observed,
        options: &Options,
    ) -> Result<Calibration, CompileError> {
        Ok(observed.ranges(&self.graph, options)?)
    }

    /// Ranges from batch-norm statistics and, where there are none, synthetic inputs.
    ///
    /// # Errors
    /// [`CompileError::Calibrate`].
    pub fn calibrate_without_data(&self, options: &Options) -> Result<Calibration, CompileError> {
        Ok(without_data(&self.graph, &self.context, &GraphRunner::new(&self.graph), options)?)
    }

    /// Room for samples to refine the integers on: show it every sample that calibration sees.
    #[must_use]
    pub fn room(&self) -> Probes {
        Probes::of(&self.graph)
    }

    /// What the float network computes in the mean on probes, as far as correcting biases `way` needs it.
    ///
    /// # Errors
    /// [`CompileError::Calibrate`].
    pub fn means(&self, probes: &Probes, way: BiasCorrection) -> Result<Means, CompileError> {
        let layers = open_layers(&self.graph, &self.context, way);
        Ok(means(&self.graph, &GraphRunner::new(&self.graph), probes, &layers)?)
    }

    /// What the float network answers to held-out probes, by which refining judges; `None` if there are too few.
    ///
    /// # Errors
    /// [`CompileError::Calibrate`].
    pub fn answers(&self, probes: &Probes) -> Result<Option<Answers>, CompileError> {
        Ok(answers(&self.graph, &GraphRunner::new(&self.graph), probes)?)
    }

    /// Images for calibration made from batch-norm statistics alone; see [`distill`].
    #[must_use]
    pub fn distill(&self, settings: &Settings, tick: &dyn Fn()) -> Option<Distilled> {
        distill::distill(&self.graph, &self.context, settings, tick)
    }

    /// Ranges observed on distilled images. Their activations behind the last batch norm are tamer than those of real images, so what may not be clipped
    /// also covers what [statistics](Self::calibrate_without_data) tell.
    ///
    /// # Errors
    /// [`CompileError::Calibrate`].
    pub fn calibrate_on_distilled(
        &self,
        found: &Distilled,
        options: &Options,
    ) -> Result<Calibration, CompileError> {
        let Distilled { samples, layers, before, after } = found;
        let mut observed = self.calibrate(samples.iter().cloned().map(Ok), options)?;
        let told = self.calibrate_without_data(options)?;
        let decisive =
            wanted(&self.graph).into_iter().filter(|w| w.clipping == Clipping::Forbidden);
        for name in decisive.map(|wanted| wanted.name) {
            if let (Some(range), Some(more)) =
                (observed.ranges.get_mut(&name), told.ranges.get(&name))
            {
                *range = range.union(*more);
            }
        }
        observed.method = format!(
            "no data: {} images distilled from {layers} batch norms (seed {}), whose distance from their statistics fell from {before:.2} to {after:.3} squared deviations; observer {}",
            samples.len(),
            options.seed,
            options.observer.name()
        );
        observed.samples = 0;
        Ok(observed)
    }

    /// How often [`distill`](Self::distill) calls its `tick`.
    #[must_use]
    pub fn distillation_steps(&self, settings: &Settings) -> usize {
        distill::steps(&self.graph, settings)
    }

    /// The integer graph for a machine, without samples.
    ///
    /// # Errors
    /// [`CompileError::Quantize`].
    pub fn quantize(
        &self,
        calibration: &Calibration,
        options: &Options,
        hw: &Hardware,
    ) -> Result<QGraph, CompileError> {
        Ok(self.quantize_on(&Probes::default(), calibration, options, hw)?.graph)
    }

    /// The integer graph for a machine, refined on probes whose means `calibration` holds, if there are any.
    ///
    /// # Errors
    /// [`CompileError::Quantize`].
    pub fn quantize_on(
        &self,
        probes: &Probes,
        calibration: &Calibration,
        options: &Options,
        hw: &Hardware,
    ) -> Result<Quantized, CompileError> {
        let mut graph = quantize(&self.graph, calibration, options, hw)?;
        let knowledge = Knowledge {
            context: &self.context,
            probes,
            means: calibration.means.as_ref().filter(|_| !probes.is_empty()),
            answers: calibration.answers.as_ref().filter(|_| !probes.is_empty()),
        };
        let mut notes: Vec<String> = self.kept_layers(options)?.into_iter().collect();
        notes.extend_from_slice(Storages::new(&self.graph, options)?.notes());
        notes.extend(refine(&self.graph, &mut graph, knowledge, options, hw.acc_bits)?);
        Ok(Quantized { graph, notes })
    }
}

impl Network {
    /// Which layers have other bits per weight than the rest, if any.
    fn kept_layers(&self, options: &Options) -> Result<Option<String>, CompileError> {
        let bits = layer_bits(&self.graph, options)?;
        let others = bits.iter().filter(|(_, bits)| **bits != options.weight_bits);
        let named: Vec<String> = others.map(|(name, bits)| format!("{name} ({bits})")).collect();
        let (count, all) = (named.len(), bits.len());
        Ok((count > 0).then(|| {
            format!("{count} of {all} layers have other bits per weight: {}", named.join(", "))
        }))
    }
}

/// An integer graph and how it was made.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The graph.
    pub graph: QGraph,
    /// What was done beyond rounding: one sentence each, for people.
    pub notes: Vec<String>,
}

/// Extents come from the file, and what computes values allocates them.
fn check_sizes(graph: &Graph) -> Result<(), CompileError> {
    let computed = graph.values.iter().filter(|value| value.constant.is_none());
    let large = computed.filter(|v| element_count(&v.shape).is_none_or(|n| n > MAX_ELEMENTS));
    let named: Vec<String> = large.map(|v| format!("`{}` {:?}", v.name, v.shape)).collect();
    if named.is_empty() { Ok(()) } else { Err(CompileError::TooLarge(named)) }
}

/// Removes the outputs that are constants or inputs, and says why.
fn leave_out(graph: &mut Graph) -> Vec<String> {
    let mut left_out = Vec::new();
    let (values, inputs) = (&graph.values, &graph.inputs);
    graph.outputs.retain(|id| {
        let value = &values[id.0 as usize];
        let reason = match value.constant {
            Some(_) => "a constant",
            None if inputs.contains(id) => "the input of that name",
            None => return true,
        };
        let name = &value.name;
        left_out.push(format!("output `{name}` is {reason}, and is left out of the program"));
        false
    });
    left_out
}

/// The program for an integer graph, verified to be sound and validated to compute the graph.
///
/// # Errors
/// [`CompileError::Backend`]; [`CompileError::Unsound`] is a bug.
pub fn program(graph: &QGraph, hw: &Hardware, meta: Meta) -> Result<Program, CompileError> {
    let program = generate(graph, hw, meta)?;
    prove(&program, graph)?;
    Ok(program)
}

/// Verifies that a [generated](generate) program is sound and validates that it computes `graph`. Takes as long as generating and timing it, so who
/// generates many to time them proves those that are kept.
///
/// # Errors
/// [`CompileError::Unsound`], a bug.
pub fn prove(program: &Program, graph: &QGraph) -> Result<(), CompileError> {
    if let Some(finding) = verify::verify(program).first() {
        return Err(CompileError::Unsound(finding.to_string()));
    }
    if let Some(finding) = validate(program, graph).first() {
        return Err(CompileError::Unsound(finding.to_string()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Build;

    #[test]
    fn outputs_without_computation_are_left_out() {
        let mut b = Build::new(1);
        let x = b.input(&[1, 2, 3, 3]);
        let k = b.constant(&[4]);
        let y = b.conv(x, 2, [1, 1], 1);
        let network = Network::new(b.finish(&[k, y, x])).unwrap();
        let names = |graph: &Graph| -> Vec<String> {
            graph.outputs.iter().map(|id| graph.values[id.0 as usize].name.clone()).collect()
        };
        assert_eq!(names(&network.graph), ["v4"]);
        assert_eq!(
            network.left_out,
            [
                "output `v1` is a constant, and is left out of the program",
                "output `v0` is the input of that name, and is left out of the program",
            ]
        );
        assert!(network.graph.values.iter().all(|value| value.name != "v1"));
        let mut b = Build::new(1);
        let x = b.input(&[1, 2]);
        let error = Network::new(b.finish(&[x])).unwrap_err().to_string();
        assert!(error.contains("computes nothing: output `v0` is the input"), "{error}");
    }

    #[test]
    fn values_that_no_memory_holds_are_named_before_any_work() {
        let text = "graph \"g\" (%x: f32[1, 65536, 65536]) -> (%y) {\n  %y: f32[1, 65536, 65536] = clip \"c\"(%x) lo=0.0 hi=6.0\n}\n";
        let error = Network::new(text.parse().unwrap()).unwrap_err().to_string();
        assert_eq!(
            error,
            "values of more than 268435456 elements: `x` [1, 65536, 65536], `y` [1, 65536, 65536]"
        );
    }
}
