//! Small networks and programs to begin with.

use ir::graph::Graph;
use ir::qgraph::QGraph;
use isa::{Hardware, Program};
use qcc_tests::generate::network;
use qcc_tests::machines::tiny;
use rand::SeedableRng;

use crate::Rng;

/// Float graphs that hold every operator at least once.
pub(super) const FLOAT_GRAPHS: [&str; 7] = [
    include_str!("networks/conv.gir"),
    include_str!("networks/dense.gir"),
    include_str!("networks/movement.gir"),
    include_str!("networks/functions.gir"),
    include_str!("networks/resize.gir"),
    include_str!("networks/constants.gir"),
    include_str!("networks/quantized.gir"),
];

/// The first of them.
pub(super) fn float_graph() -> Graph {
    FLOAT_GRAPHS[0].parse().expect("the graph can be parsed")
}

/// Random integer networks with the machine each was made for, smallest programs first.
pub(super) fn integer_graphs(count: u64) -> Vec<(QGraph, Hardware)> {
    let one = |seed| {
        let mut rng = Rng::seed_from_u64(seed);
        let machine = tiny(&mut rng);
        (network(&mut rng, &machine).0, machine)
    };
    let mut all: Vec<(QGraph, Hardware)> = (0..3 * count).map(one).collect();
    all.sort_by_key(|(graph, _)| graph.to_string().len());
    all.truncate(usize::try_from(count).expect("a few"));
    all
}

/// Programs of random networks.
pub(super) fn programs(count: usize) -> Vec<Program> {
    let graphs = integer_graphs(count as u64 * 2);
    let compiled = graphs.iter().filter_map(|(graph, machine)| {
        compiler::backend::generate(graph, machine, Default::default()).ok()
    });
    compiled.take(count).collect()
}
