//! The text form of the float graph: what is parsed is printed and parsed again as the same; then as a network from anywhere.

use ir::graph::Graph;

use super::{networks, run};
use crate::{Target, mutate};

pub(super) const TARGET: Target =
    Target { name: "float_graph", run, seeds, mutate: mutate::text, dictionary };

fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let graph = match text.parse::<Graph>() {
        Err(error) => return drop(error.to_string()),
        Ok(graph) => graph,
    };
    let printed = graph.to_string();
    let again: Graph = printed.parse().expect("what is printed can be parsed");
    assert_eq!(again.to_string(), printed, "print, parse, print is the identity");
    match graph.verify() {
        Err(problems) => problems.iter().for_each(|problem| drop(problem.to_string())),
        Ok(()) => run::network(graph),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    networks::FLOAT_GRAPHS.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn dictionary() -> Vec<String> {
    let words = "graph const conv conv_transpose clip relu max_pool average_pool batch_norm dense matmul add sub mul max min concat mean reshape transpose pad softmax gather interpolate function prelu kernel= stride= dilation= pad= groups= output_padding= axes= axis= counts= places= lo= hi= epsilon= perm= before= after= value= indices= data= 0x f32 i64 inf nan";
    words.split(' ').map(str::to_owned).collect()
}
