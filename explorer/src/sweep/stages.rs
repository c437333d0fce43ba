//! The stages of a point, and what each depends on.

use std::collections::BTreeMap;

use charts::Run;
use compiler::backend::generate;
use compiler::compile::{Network, Quantized, prove};
use compiler::options::{Granularity, Observer, Options, WeightRounding};
use ir::qgraph::QGraph;
use isa::Hardware;
use isa::program::{Meta, Program};
use serde_json::Value;
use sha2::{Digest, Sha256};
use simulator::explain::Explanation;
use simulator::report::{Accuracy, ProgramFile, Report};

use super::Calibrated;
use crate::space::Settings;

/// Numbers of the report by key. What was not measured is not there; what has no value is null.
pub(crate) type Numbers = BTreeMap<String, Value>;

/// The options that ranges and means depend on; all others are as by default.
pub(super) fn calibration_options(options: &Options) -> Options {
    let default = Options::default();
    let percentile = match options.observer {
        Observer::Percentile => options.percentile,
        _ => default.percentile,
    };
    Options {
        weight_bits: default.weight_bits,
        layer_bits: BTreeMap::new(),
        weight_bits_everywhere: false,
        weight_rounding: WeightRounding::default(),
        granularity: Granularity::default(),
        percentile,
        ..options.clone()
    }
}

/// The machine as quantization sees it: accumulators, multipliers and rounding, and nothing else.
pub(super) fn quantizer_machine(hardware: &Hardware) -> Hardware {
    Hardware {
        acc_bits: hardware.acc_bits,
        multiplier_bits: hardware.multiplier_bits,
        add_multiplier_bits: hardware.add_multiplier_bits,
        rounding: hardware.rounding,
        ..Hardware::default()
    }
}

/// What an integer graph depends on, as text.
pub(super) fn graph_key(settings: &Settings) -> String {
    let Settings { options, hardware } = settings;
    let percentile = calibration_options(options).percentile;
    let options = Options { percentile, ..options.clone() };
    let machine = quantizer_machine(hardware);
    format!("{} {:016x}", text(&options), machine.hash())
}

/// Options as text: equal options, equal texts.
pub(super) fn text(options: &Options) -> String {
    serde_json::to_string(options).expect("options have only string keys")
}

/// An integer graph.
pub(super) struct Made {
    pub(super) graph: QGraph,
    /// Of the graph's text: equal graphs compute the same, however they came about.
    pub(super) hash: String,
    meta: Meta,
}

impl Made {
    /// Quantizes as `qcc` does.
    pub(super) fn new(
        network: &Network,
        known: &Calibrated<'_>,
        options: &Options,
        machine: &Hardware,
    ) -> Result<Made, String> {
        let made = network.quantize_on(known.probes, &known.table, options, machine);
        let Quantized { graph, notes } = made.map_err(|e| e.to_string())?;
        let mut meta = known.meta.clone();
        (meta.weight_bits, meta.act_bits) = (options.weight_bits, options.act_bits);
        for note in notes {
            meta.calibration = format!("{}; {note}", meta.calibration);
        }
        let digest = Sha256::digest(graph.to_string());
        let hash = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Made { graph, hash, meta })
    }
}

/// What running a graph told.
pub(super) fn of_accuracy(accuracy: &Accuracy) -> Numbers {
    let accuracy = serde_json::to_value(accuracy).expect("it has only string keys");
    let pairs = accuracy.as_object().into_iter().flatten();
    pairs.map(|(key, value)| (format!("accuracy.{key}"), value.clone())).collect()
}

/// What the machine alone tells.
pub(super) fn area(hardware: &Hardware) -> Numbers {
    let area = simulator::area::Area::of(hardware);
    let pairs = [
        ("area.lut4", area.lut4),
        ("area.dsp", area.dsp),
        ("area.ff", area.ff),
        ("area.ram_bits", area.ram_bits),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
}

/// Compiles and times a graph on a machine as `qcc` and `qsim` do, but for the proofs; those numbers of the report that `keys` names.
pub(super) fn timed(made: &Made, settings: &Settings, keys: &[&str]) -> Result<Numbers, String> {
    let hardware = &settings.hardware;
    let program = generate(&made.graph, hardware, made.meta.clone()).map_err(|e| e.to_string())?;
    let timing = timing::run(&program, timing::Mode::Event).map_err(|e| e.to_string())?;
    let file = ProgramFile { bytes: file_bytes(&program)?, ..ProgramFile::default() };
    let report = Report::new(&program, hardware, &file, &timing).map_err(|e| e.to_string())?;
    Ok(numbers(report, keys))
}

/// Compiles a graph for a machine and proves the program.
pub(super) fn proved(made: &Made, settings: &Settings) -> Result<Program, String> {
    let program = generate(&made.graph, &settings.hardware, made.meta.clone());
    let program = program.map_err(|e| e.to_string())?;
    prove(&program, &made.graph).map_err(|e| e.to_string())?;
    Ok(program)
}

/// What a page shows of a program's run.
pub(super) fn drawn(program: &Program) -> Result<String, String> {
    let file = ProgramFile::default();
    let explanation = Explanation::new(program, &program.hardware, &file);
    let explanation = explanation.map_err(|e| e.to_string())?;
    Ok(Run::new(program, &explanation).map_err(|e| e.to_string())?.fragment())
}

fn file_bytes(program: &Program) -> Result<u64, String> {
    Ok(program.to_bytes().map_err(|e| e.to_string())?.len() as u64)
}

fn numbers(mut report: Report, keys: &[&str]) -> Numbers {
    // Layers are no numbers of a point, and most of the text.
    report.layers.clear();
    let whole = serde_json::to_value(&report).expect("a report has only string keys");
    let value = |key: &&str| {
        let found = key.split('.').fold(&whole, |value, name| &value[name]);
        ((*key).to_owned(), found.clone())
    };
    keys.iter().filter(|key| !key.starts_with("accuracy.")).map(value).collect()
}

#[cfg(test)]
mod tests {
    use compiler::calibrate::Calibration;
    use compiler::refine::Probes;
    use ir::graph::Graph;

    use super::*;

    #[test]
    fn machines_share_a_graph_only_if_it_is_the_same() {
        let graph: Graph = "graph \"g\" (%x: f32[1, 2, 2, 2]) -> (%y) {
  %w: f32[1, 2, 1, 1] = const data=[0.7, -0.31]
  %c: f32[1, 1, 2, 2] = conv \"c\"(%x, %w) kernel=[1, 1] stride=[1, 1] dilation=[1, 1] pad=[0, 0, 0, 0] groups=1
  %y: f32[1, 1, 2, 2] = add \"y\"(%c, %c)
}
"
        .parse()
        .unwrap();
        let network = Network::new(graph).unwrap();
        let options = Options { input_range: Some((-1.0, 1.0)), ..Options::default() };
        let table: Calibration = network.calibrate_without_data(&options).unwrap();
        let known = Calibrated { table, probes: &Probes::default(), meta: Meta::default() };
        let base = Hardware::default();
        // The graph as it is made for the very machine, and what it is shared by.
        let made = |hardware: Hardware| {
            let graph = Made::new(&network, &known, &options, &hardware).unwrap().graph.to_string();
            (graph_key(&Settings { options: options.clone(), hardware }), graph)
        };
        let (key, graph) = made(base.clone());
        let (mut shared, mut apart) = (0, 0);
        let names = Hardware::PARAMS.iter().map(|info| info.name).chain(["rounding"]);
        for name in names {
            let values = ["half-away", "half-up", "1", "8", "16", "40", "64", "1024"];
            for value in values {
                let mut other = base.clone();
                if other.set(name, value).is_err() || other == base || other.validate().is_err() {
                    continue;
                }
                let (other_key, other_graph) = made(other);
                if other_key == key {
                    shared += 1;
                    assert_eq!(other_graph, graph, "{name} = {value}");
                } else {
                    apart += usize::from(other_graph != graph);
                }
            }
        }
        assert!(shared > 20 && apart > 3, "{shared} shared, {apart} apart");
    }
}
