//! ONNX: imported, written and imported again, rewritten by the passes, and if it is small quantized, compiled and run.
//!
//! Changes are made to decoded messages: a node, an attribute, an extent, a name.

use bytes::Bytes;
use ir::graph::Graph;
use ir::onnx::ops::{MICROSOFT, OPS};
use ir::onnx::proto::ModelProto;
use ir::onnx::{LoadOptions, load_bytes, save};
use prost::Message;
use rand::RngExt;

use super::{networks, run};
use crate::{Change, Rng, Target, memory};

mod change;
mod examples;

pub(super) use examples::{model, node};

pub(super) const TARGET: Target = Target { name: "onnx", run, seeds, mutate, dictionary };

/// Memory that constants may take.
const CONSTANT_BYTES: usize = 1 << 20;

fn run(bytes: &[u8]) {
    // Folding holds operands and results.
    memory::allow(4 * CONSTANT_BYTES);
    let options =
        LoadOptions { max_constant_bytes: CONSTANT_BYTES as u64, ..LoadOptions::default() };
    let model = match load_bytes(Bytes::copy_from_slice(bytes), &options) {
        Err(error) => return drop(error.to_string()),
        Ok(model) => model,
    };
    assert_eq!(model.graph.verify(), Ok(()), "what is imported is sound");
    let constants: usize = model
        .graph
        .values
        .iter()
        .filter_map(|value| value.constant.as_ref())
        .map(|tensor| tensor.shape.iter().product::<usize>())
        .sum();
    if constants < 1 << 14 {
        let text = model.graph.to_string();
        let parsed: Graph = text.parse().expect("what is printed can be parsed");
        assert_eq!(parsed.to_string(), text, "print, parse, print is the identity");
        let saved = save(&model.graph);
        if let Err(error) = load_bytes(Bytes::from(saved), &options) {
            panic!("what is written cannot be read: {error}");
        }
    }
    run::network(model.graph);
}

fn seeds() -> Vec<Vec<u8>> {
    let graphs = networks::FLOAT_GRAPHS
        .iter()
        .filter_map(|text| text.parse().ok())
        .map(|graph: Graph| save(&graph));
    examples::all().into_iter().map(|model| model.encode_to_vec()).chain(graphs).collect()
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng, change: &mut Change<'_>) {
    let decoded = ModelProto::decode(Bytes::copy_from_slice(bytes));
    match decoded {
        Ok(mut model) if rng.random_bool(0.95) => {
            for _ in 0..rng.random_range(1..4) {
                change::model(&mut model, rng, change);
            }
            *bytes = model.encode_to_vec();
        }
        _ => change(bytes),
    }
}

fn dictionary() -> Vec<String> {
    let names = OPS.iter().chain(MICROSOFT).map(|op| op.name.to_owned());
    names.chain(["com.microsoft".to_owned()]).collect()
}
