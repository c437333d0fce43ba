//! The text form of the integer graph: what is parsed is printed and parsed again as the same; a sound one is run and compiled.

use ir::qgraph::QGraph;

use super::{networks, run};
use crate::{Target, mutate};

pub(super) const TARGET: Target =
    Target { name: "integer_graph", run, seeds, mutate: mutate::text, dictionary };

fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let graph = match text.parse::<QGraph>() {
        Err(error) => return drop(error.to_string()),
        Ok(graph) => graph,
    };
    let printed = graph.to_string();
    let again: QGraph = printed.parse().expect("what is printed can be parsed");
    assert_eq!(again.to_string(), printed, "print, parse, print is the identity");
    match graph.verify() {
        Err(problems) => problems.iter().for_each(|problem| drop(problem.to_string())),
        Ok(()) => {
            drop(graph.to_dot());
            run::graph(&graph, bytes.len() as u64);
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    networks::integer_graphs(60).iter().map(|(graph, _)| graph.to_string().into_bytes()).collect()
}

fn dictionary() -> Vec<String> {
    let words = "qgraph rounding= half-even half-up half-away floor i8 i16 scale= zero_point= onnx_shape= perm= conv max_pool average_pool add mul max min prelu lut softmax rescale concat pad reorder gather interpolate onnx= kernel= stride= dilation= pad= groups= oc= ic= bits= weights= bias= multipliers= shifts= lo= hi= table= 0x";
    words.split(' ').map(str::to_owned).collect()
}
