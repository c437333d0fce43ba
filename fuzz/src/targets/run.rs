//! What a network and a program go through behind their readers, for as long as they are small.

use compiler::backend::{generate, reference_graph};
use compiler::compile::Network;
use compiler::options::Options;
use compiler::validate::validate;
use ir::graph::Graph;
use ir::qgraph::{QGraph, QOp, QType};
use isa::program::Meta;
use isa::{Hardware, Program};
use qcc_tests::generate::inputs;
use qcc_tests::oracle::{How, compare, host};
use rand::SeedableRng;
use runtime::Path;
use simulator::exec::Kernels;
use simulator::machine::{Machine, Order, Prepared};
use timing::Mode;

use crate::{Rng, memory};

/// Elements of all tensors of a network that is run.
const SMALL: usize = 1 << 15;

/// Multiply-accumulates, or elements of windows, of a network that is run.
const FEW: usize = 1 << 20;

/// Cycles of a program that is run.
const SHORT: u64 = 1 << 14;

/// Cycles of a program that is run cycle by cycle.
const SHORTER: u64 = 1 << 11;

/// A sound float graph: rewritten, quantized without data, compiled, run.
pub(super) fn network(graph: Graph) {
    let network = match Network::new(graph) {
        Err(error) => return drop(error.to_string()),
        Ok(network) => network,
    };
    assert_eq!(network.graph.verify(), Ok(()), "what the passes make is sound");
    let elements = network.graph.values.iter().map(|value| count(&value.shape));
    let taps = network.graph.nodes.iter().map(|node| {
        let output = count(&network.graph.values[node.output.0 as usize].shape);
        let operands = node.inputs.iter().map(|v| count(&network.graph.values[v.0 as usize].shape));
        output.saturating_mul(operands.max().unwrap_or(1))
    });
    if sum(elements) > SMALL || sum(taps) > 16 * FEW {
        return;
    }
    let options = Options { input_range: Some((-1.0, 2.0)), ..Options::default() };
    let calibration = match network.calibrate_without_data(&options) {
        Err(error) => return drop(error.to_string()),
        Ok(calibration) => calibration,
    };
    match network.quantize(&calibration, &options, &Hardware::default()) {
        Err(error) => drop(error.to_string()),
        Ok(graph) => {
            assert_eq!(graph.verify(), Ok(()), "what is quantized is sound");
            self::graph(&graph, 1);
        }
    }
}

/// A sound integer graph: run by both ways of the host, compiled for two machines, verified, validated, run there.
pub(super) fn graph(graph: &QGraph, seed: u64) {
    let elements = graph.values.iter().map(|value| count(&value.shape.extents()));
    if sum(elements) > SMALL || sum(graph.nodes.iter().map(|node| work(graph, node))) > FEW {
        return;
    }
    let mut rng = Rng::seed_from_u64(seed);
    let x = inputs(&mut rng, graph);
    let expected = match host(graph, &x, Path::Plain) {
        Err(error) => {
            assert!(host(graph, &x, Path::Fast).is_err(), "only the plain loops refuse: {error}");
            return;
        }
        Ok(values) => values,
    };
    assert!(host(graph, &x, Path::Fast).as_ref() == Ok(&expected), "both ways of the host agree");
    let machines = [
        Hardware { rounding: graph.rounding, ..qcc_tests::machines::tiny(&mut rng) },
        Hardware { rounding: graph.rounding, ..Hardware::default() },
    ];
    for machine in &machines {
        let program = match generate(graph, machine, Meta::default()) {
            Err(error) => {
                drop(error.to_string());
                continue;
            }
            Ok(program) => program,
        };
        assert_eq!(isa::verify::verify(&program), [], "what is compiled is free of races");
        assert_eq!(validate(&program, graph), [], "what is compiled computes the graph");
        for kernels in [Kernels::Fast, Kernels::Reference] {
            let how = How { kernels, adversarial: None };
            assert_eq!(
                compare(graph, &program, &x, &expected, how),
                Ok(()),
                "machine and host agree"
            );
        }
    }
}

/// A program that was read: what `qsim` does with one. Returns whether it is short enough to be run as often as one likes.
pub(super) fn program(program: &Program) -> bool {
    memory::allow(machine_bytes(&program.hardware));
    let text = isa::disasm::disassemble(program);
    assert_eq!(
        isa::asm::assemble(&text).as_ref(),
        Ok(program),
        "what is disassembled is the same program"
    );
    let findings = isa::verify::verify(program);
    findings.iter().for_each(|finding| drop(finding.to_string()));
    let reference = reference_graph(program);
    let mut proved = false;
    if let (true, Ok(graph)) = (findings.is_empty(), &reference) {
        let findings = validate(program, graph);
        findings.iter().for_each(|finding| drop(finding.to_string()));
        proved = findings.is_empty();
    }
    let timing = match timing::run(program, Mode::Event) {
        Err(error) => {
            assert!(
                !findings.is_empty() || matches!(error, timing::TimingError::TooLong { .. }),
                "a verified program ends: {error}"
            );
            drop(error.to_string());
            return false;
        }
        Ok(timing) => timing,
    };
    if timing.total_cycles < SHORTER {
        assert!(
            timing::run(program, Mode::Stepped).as_ref() == Ok(&timing),
            "both timing cores agree"
        );
    }
    let array = u64::from(program.hardware.array_rows * program.hardware.array_cols);
    if timing.total_cycles > SHORT || timing.total_cycles.saturating_mul(array) > FEW as u64 * 16 {
        return false;
    }
    match &reference {
        Ok(graph) if proved => self::proved(program, graph),
        _ => values(program, findings.is_empty()),
    }
    true
}

/// A program that was proved to compute a graph does.
fn proved(program: &Program, graph: &QGraph) {
    let x = inputs(&mut Rng::seed_from_u64(1), graph);
    let Ok(expected) = host(graph, &x, Path::Fast) else { return };
    for kernels in [Kernels::Fast, Kernels::Reference] {
        let how = How { kernels, adversarial: Some(1) };
        if let Err(difference) = compare(graph, program, &x, &expected, how) {
            assert!(
                difference.contains("noted"),
                "a proved program computes its graph: {difference}"
            );
        }
    }
}

/// Fast and plain execution of any program; those of a verified one agree.
fn values(program: &Program, verified: bool) {
    let run = |kernels| -> Result<Vec<Vec<i32>>, String> {
        let prepared = Prepared::new(program).map_err(|error| error.to_string())?;
        let order = Order::round_robin(program).map_err(|error| error.to_string())?;
        let mut machine = Machine::new(&prepared, kernels);
        for (index, binding) in program.inputs.iter().enumerate() {
            let tensor = &program.tensors[binding.tensor as usize];
            let dtype = if tensor.bits == 16 { QType::I16 } else { QType::I8 };
            let top = if dtype == QType::I16 { 1 << 15 } else { 1 << 7 };
            let elements = count(&tensor.shape.map(|n| n as usize));
            let data: Vec<i32> =
                (0..elements).map(|i| (i as i32).wrapping_mul(40503) % top).collect();
            machine.write_input(index, &data).map_err(|error| error.to_string())?;
        }
        machine.run(&order, None).map_err(|error| error.to_string())?;
        (0..program.outputs.len())
            .map(|index| machine.read_output(index).map_err(|error| error.to_string()))
            .collect()
    };
    let (fast, plain) = (run(Kernels::Fast), run(Kernels::Reference));
    if let (true, Ok(plain)) = (verified, plain) {
        assert_eq!(fast, Ok(plain), "fast and plain execution of a verified program agree");
    }
}

/// Memory that a program's machine may take by its parameters: its memories as `qsim` and the verifier hold them.
fn machine_bytes(machine: &Hardware) -> usize {
    let words = 2 * machine.acc_rows as usize * machine.array_cols as usize;
    4 * machine.scratchpad_bytes() as usize + 96 * machine.scratchpad_rows() as usize + 64 * words
}

/// Elements that computing a node looks at.
fn work(graph: &QGraph, node: &ir::qgraph::QNode) -> usize {
    let output = count(&graph.values[node.output.0 as usize].shape.extents());
    let each = match &node.op {
        QOp::Conv { weights, window, .. } => {
            count(&[weights.ic, window.kernel[0], window.kernel[1]])
        }
        QOp::MaxPool { window } | QOp::AveragePool { window, .. } => count(&window.kernel),
        _ => 1,
    };
    output.saturating_mul(each)
}

fn count(shape: &[usize]) -> usize {
    shape.iter().fold(1, |product: usize, &extent| product.saturating_mul(extent))
}

fn sum(counts: impl Iterator<Item = usize>) -> usize {
    counts.fold(0, usize::saturating_add)
}
