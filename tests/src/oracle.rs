//! Oracles: the host runtime against the simulated machine, in every way the machine can be run.

use ir::qgraph::QGraph;
use isa::Program;
use isa::program::TileNote;
use runtime::{Path, QTensor, run_all};
use simulator::exec::Kernels;
use simulator::machine::{Machine, Observer, Order, Prepared};

/// Hostile orders among which a seed chooses: every order of preference, and as many random ones.
const HOSTILE_ORDERS: u64 = 48;

/// How the machine runs.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// Vector code or plain loops.
    pub kernels: Kernels,
    /// Chooses a hostile order; round robin if none.
    pub adversarial: Option<u64>,
}

/// What the host computes for every value of a graph.
///
/// # Errors
/// What the runtime says.
pub fn host(graph: &QGraph, inputs: &[Vec<i32>], path: Path) -> Result<Vec<QTensor>, String> {
    let tensors: Vec<QTensor> = graph
        .inputs
        .iter()
        .zip(inputs)
        .map(|(v, x)| {
            let value = &graph.values[v.0 as usize];
            QTensor::from_fn(value.shape, value.dtype, |i| x[i])
        })
        .collect();
    run_all(graph, &tensors, path).map_err(|e| format!("host runtime: {e}"))
}

/// Runs a program and compares every tensor it completes, and its outputs, with the host's.
///
/// # Errors
/// The first difference in words, or why the machine stopped.
pub fn compare(
    graph: &QGraph,
    program: &Program,
    inputs: &[Vec<i32>],
    expected: &[QTensor],
    how: How,
) -> Result<(), String> {
    let prepared = Prepared::new(program).map_err(|e| e.to_string())?;
    let order = match how.adversarial {
        None => Order::round_robin(program),
        Some(seed) => Order::hostile(program, (seed % HOSTILE_ORDERS) as usize),
    }
    .map_err(|e| e.to_string())?;
    let mut machine = Machine::new(&prepared, how.kernels);
    for (i, values) in inputs.iter().enumerate() {
        machine.write_input(i, values).map_err(|e| e.to_string())?;
    }
    let mut layers = Layers { graph, expected, seen: vec![0; expected.len()], failure: None };
    machine.run(&order, Some(&mut layers)).map_err(|e| e.to_string())?;
    if let Some(failure) = layers.failure {
        return Err(failure);
    }
    for (i, v) in graph.outputs.iter().enumerate() {
        let wanted = &expected[v.0 as usize];
        let found = machine.read_output(i).map_err(|e| e.to_string())?;
        if let Some(at) = (0..wanted.len()).find(|&k| found[k] != wanted.get(k)) {
            return Err(format!(
                "output {i} differs at element {at}: machine {}, host {}",
                found[at],
                wanted.get(at)
            ));
        }
        if layers.seen[v.0 as usize] != wanted.len() {
            return Err(format!(
                "output {i}: {} of {} elements are noted",
                layers.seen[v.0 as usize],
                wanted.len()
            ));
        }
    }
    Ok(())
}

struct Layers<'a> {
    graph: &'a QGraph,
    expected: &'a [QTensor],
    seen: Vec<usize>,
    failure: Option<String>,
}

impl Observer for Layers<'_> {
    fn tile(&mut self, tile: &TileNote, values: Vec<i32>) {
        let tensor = tile.tensor as usize;
        self.seen[tensor] += values.len();
        let [h, w, c] = tile.extent.map(|n| n as usize);
        let [y0, x0, c0] = tile.origin.map(|n| n as usize);
        for (i, &found) in values.iter().enumerate() {
            let (y, x, ch) = (y0 + i / (w * c), x0 + i / c % w, c0 + i % c);
            debug_assert!(y < y0 + h);
            let wanted = self.expected[tensor].at(y, x, ch);
            if found != wanted && self.failure.is_none() {
                let name = &self.graph.values[tensor].name;
                self.failure = Some(format!(
                    "`{name}` differs at [{y}, {x}, {ch}]: machine {found}, host {wanted}"
                ));
            }
        }
    }
}
