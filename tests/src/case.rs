//! One differential case: an integer network on a machine, computed in every way there is.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use compiler::backend::{BackendError, generate, reference_graph};
use compiler::calibrate::CalibrateError;
use compiler::compile::{CompileError, Network};
use compiler::options::{BiasCorrection, Granularity, Options, WeightRounding};
use compiler::quantize::QuantizeError;
use compiler::validate::validate;
use ir::onnx::{LoadOptions, load_bytes, save};
use ir::qgraph::{QGraph, ValueId};
use ir::verify::wrapping_sums;
use isa::{Hardware, Program};
use rand::{Rng, RngExt, SeedableRng};
use runtime::Path;
use simulator::exec::Kernels;

use crate::generate::{Features, float, inputs, network};
use crate::machines::{pick, tiny};
use crate::oracle::{How, compare, host};

/// Between the machine and the network in the text form.
const SEPARATOR: &str = "---\n";

/// Ways to round weights that need no samples.
const WITHOUT_SAMPLES: [WeightRounding; 3] =
    [WeightRounding::Auto, WeightRounding::Nearest, WeightRounding::Squant];

/// A network on a machine.
#[derive(Clone, Debug)]
pub struct Case {
    /// The machine.
    pub hw: Hardware,
    /// The network.
    pub graph: QGraph,
    /// Seed of the inputs and of the hostile order.
    pub seed: u64,
}

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All ways of computing it agree.
    Equal,
    /// The machine is too small for it, or its accumulators are too narrow.
    DoesNotFit,
}

impl Case {
    /// A random integer network on a random tiny machine, and what it exercises.
    pub fn integer(rng: &mut impl Rng) -> (Case, Features) {
        let hw = tiny(rng);
        let (graph, features) = network(rng, &hw);
        (Case { hw, graph, seed: rng.random() }, features)
    }

    /// A random float network, written as ONNX, read back, and quantized with random options for a random tiny machine; `None`
    /// if the compiler rightly refuses it.
    ///
    /// # Errors
    /// Whatever fails on the way but must not.
    pub fn float(rng: &mut impl Rng) -> Result<Option<(Case, Features)>, String> {
        let hw = tiny(rng);
        let (graph, mut features) = float::network(rng);
        graph.verify().map_err(|e| format!("the generator made an illegal network: {e:?}"))?;
        let model = load_bytes(save(&graph).into(), &LoadOptions::default())
            .map_err(|e| format!("what was written is refused: {e}"))?;
        let options = Options {
            weight_bits: rng.random_range(2..=8),
            act_bits: *pick(rng, &[8, 8, 7, 16]),
            symmetric_activations: rng.random(),
            granularity: *pick(rng, &[Granularity::PerChannel, Granularity::PerTensor]),
            seed: rng.random_range(0..100),
            input_range: Some((-1.0, 1.0)),
            weight_bits_everywhere: rng.random(),
            weight_rounding: *pick(rng, &WITHOUT_SAMPLES),
            bias_correction: *pick(rng, &[BiasCorrection::Auto, BiasCorrection::Off]),
            ..Options::default()
        };
        let quantized = || {
            let network = Network::new(model.graph)?;
            let options = Options { layer_act_bits: act_bits(rng, &network, &options), ..options };
            let calibration = network.calibrate_without_data(&options)?;
            network.quantize(&calibration, &options, &hw)
        };
        match quantized() {
            Ok(graph) => {
                // Random integers may sum to more than the machine holds, what is quantized for it may not.
                if let Some(problem) = wrapping_sums(&graph, hw.acc_bits).first() {
                    return Err(format!("quantized for the machine: {problem}"));
                }
                for node in &graph.nodes {
                    *features.entry(format!("quantized {}", node.op.name())).or_default() += 1;
                    let dtype = |id: &ValueId| graph.values[id.0 as usize].dtype;
                    let to = dtype(&node.output);
                    if let Some(from) = node.inputs.iter().map(dtype).find(|from| *from != to) {
                        let feature = format!("{} to {}", from.name(), to.name());
                        *features.entry(feature).or_default() += 1;
                    }
                }
                Ok(Some((Case { hw, graph, seed: rng.random() }, features)))
            }
            Err(
                CompileError::NothingComputed(_)
                // An exponential of an exponential has no range.
                | CompileError::Calibrate(CalibrateError::NotFinite { .. })
                | CompileError::Quantize(
                    QuantizeError::Refused { .. }
                    | QuantizeError::Accumulator { .. }
                    | QuantizeError::Scale { .. },
                ),
            ) => Ok(None),
            Err(e) => Err(e.to_string()),
        }
    }

    /// Computes the case in every way and compares.
    ///
    /// # Errors
    /// The first difference in words.
    pub fn check(&self) -> Result<Verdict, String> {
        let Case { hw, graph, seed } = self;
        graph.verify().map_err(|problems| format!("the network is illegal: {problems:?}"))?;
        let program = match generate(graph, hw, Default::default()) {
            Ok(program) => program,
            Err(
                BackendError::DoesNotFit { .. }
                | BackendError::CountTable { .. }
                | BackendError::Sums { .. },
            ) => return Ok(Verdict::DoesNotFit),
            Err(e) => return Err(e.to_string()),
        };
        if let Some(finding) = isa::verify::verify(&program).first() {
            return Err(format!("verifier: {finding}"));
        }
        if let Some(finding) = validate(&program, graph).first() {
            return Err(format!("validator: {finding}"));
        }
        self.values(&program)?;
        let event = timing::run(&program, timing::Mode::Event)
            .map_err(|e| format!("event-driven timing: {e}"))?;
        let stepped = timing::run(&program, timing::Mode::Stepped)
            .map_err(|e| format!("cycle-stepped timing: {e}"))?;
        if event != stepped {
            return Err(format!(
                "timing differs: event-driven {} cycles, cycle-stepped {} (seed {seed})",
                event.total_cycles, stepped.total_cycles
            ));
        }
        let bytes = program.to_bytes().map_err(|e| e.to_string())?;
        if Program::from_bytes(&bytes).map_err(|e| e.to_string())? != program {
            return Err("the program file does not read back as it was written".into());
        }
        if reference_graph(&program).map_err(|e| e.to_string())? != *graph {
            return Err("the reference graph in the program is not the one compiled".into());
        }
        Ok(Verdict::Equal)
    }

    /// The host runtime, plain and fast, against the machine: fast in the usual order, and plain loops in a hostile one.
    fn values(&self, program: &Program) -> Result<(), String> {
        let Case { graph, seed, .. } = self;
        let x = inputs(&mut rand_pcg::Pcg64Mcg::seed_from_u64(*seed), graph);
        let expected = host(graph, &x, Path::Plain)?;
        if host(graph, &x, Path::Fast)? != expected {
            return Err("the host's fast path differs from its plain one".into());
        }
        let fast = How { kernels: Kernels::Fast, adversarial: None };
        compare(graph, program, &x, &expected, fast)?;
        let plain = How { kernels: Kernels::Reference, adversarial: Some(*seed) };
        compare(graph, program, &x, &expected, plain)
    }

    /// The shortest run of the case's nodes for which `fails` still holds; the case itself if there is none.
    #[must_use]
    pub fn shortest(&self, fails: impl Fn(&Case) -> bool) -> Case {
        let count = self.graph.nodes.len();
        let runs = (1..count).flat_map(|n| (0..=count - n).map(move |start| (start, n)));
        runs.map(|(start, n)| Case { graph: part(&self.graph, start, n), ..self.clone() })
            .find(fails)
            .unwrap_or_else(|| self.clone())
    }
}

/// Bits per activation of some nodes, where they may be chosen.
fn act_bits(rng: &mut impl Rng, network: &Network, options: &Options) -> BTreeMap<String, u8> {
    let mut chosen = BTreeMap::new();
    for node in &network.graph.nodes {
        if !rng.random_bool(0.2) {
            continue;
        }
        let one = BTreeMap::from([(node.name.clone(), *pick(rng, &[16, 16, 8, 5]))]);
        let alone = Options { layer_act_bits: one.clone(), ..options.clone() };
        if network.check_names(&alone).is_ok() {
            chosen.extend(one);
        }
    }
    chosen
}

/// `count` nodes as a network of their own: what they read is its input, what none of them reads its output.
fn part(graph: &QGraph, start: usize, count: usize) -> QGraph {
    let mut part = QGraph { nodes: graph.nodes[start..start + count].to_vec(), ..graph.clone() };
    let produced: Vec<ValueId> = part.nodes.iter().map(|node| node.output).collect();
    let read: Vec<ValueId> = part.nodes.iter().flat_map(|node| node.inputs.clone()).collect();
    let mut used = BTreeMap::new();
    part.values.clear();
    for &id in read.iter().filter(|id| !produced.contains(id)).chain(&produced) {
        used.entry(id).or_insert_with(|| {
            part.values.push(graph.values[id.0 as usize].clone());
            ValueId(part.values.len() as u32 - 1)
        });
    }
    part.inputs = used.iter().filter(|(id, _)| !produced.contains(id)).map(|(_, &v)| v).collect();
    part.outputs = produced.iter().filter(|id| !read.contains(id)).map(|id| used[id]).collect();
    for node in &mut part.nodes {
        node.inputs.iter_mut().for_each(|id| *id = used[id]);
        node.output = used[&node.output];
    }
    part
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case { hw, graph, seed } = self;
        write!(f, "{seed}\n{SEPARATOR}{}{SEPARATOR}{graph}", hw.to_toml())
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Case, String> {
        let mut parts = text.splitn(3, SEPARATOR);
        let mut part = || parts.next().ok_or("expected seed, machine and network");
        Ok(Case {
            seed: part()?.trim().parse().map_err(|e| format!("seed: {e}"))?,
            hw: Hardware::from_toml(part()?).map_err(|e| format!("machine: {e}"))?,
            graph: part()?.parse().map_err(|e| format!("network: {e}"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use ir::qgraph::QOp;

    use super::*;
    use crate::choices::Choices;

    #[test]
    fn a_case_reads_back_as_it_was_written() {
        for seed in 0..20 {
            let (case, _) = Case::integer(&mut Choices::random(seed));
            let again: Case = case.to_string().parse().unwrap();
            assert_eq!((again.hw, again.graph, again.seed), (case.hw, case.graph, case.seed));
        }
    }

    #[test]
    fn one_bad_node_is_left_alone() {
        let bad =
            |case: &Case| case.graph.nodes.iter().any(|n| matches!(n.op, QOp::Softmax { .. }));
        let mut found = 0;
        for seed in 0..300 {
            let (case, _) = Case::integer(&mut Choices::random(seed));
            if bad(&case) {
                let least = case.shortest(bad);
                assert_eq!(least.graph.nodes.len(), 1);
                assert_eq!(least.graph.verify(), Ok(()));
                found += 1;
            }
        }
        assert!(found > 10, "{found}");
    }
}
