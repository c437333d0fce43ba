//! Every operator of random networks, exported as ONNX QDQ and run in floating point, against the integers of the host runtime.
//!
//! One node at a time, so that no difference is passed on. The float library has no 16-bit integers; those nodes are compared with ONNX
//! Runtime in `tests/python/qdq.py`, as is softmax, whose random tables belong to no scale.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;

use ir::graph::ValueId;
use ir::onnx::{QdqError, save_qdq};
use ir::qgraph::{QGraph, QNode, QType, View};
use isa::numerics::Rounding;
use qcc_tests::generate::{inputs, network};
use qcc_tests::machines::tiny;
use qcc_tests::oracle::host;
use rand::SeedableRng;
use runtime::{FloatModel, FloatTensor, Path, QTensor, dequantize, quantize};

const CASES: u64 = 250;

/// Operators that must occur, and the fraction of elements that may differ, by one unit. Coarse multipliers make ties, and float32 falls to
/// either side of a tie; the mean of n elements at an unchanged scale is a tie once in n.
const OPERATORS: [(&str, f64); 10] = [
    ("gather", 0.0),
    ("conv", 0.002),
    ("add", 0.002),
    ("mul", 0.002),
    ("rescale", 0.002),
    ("max_pool", 0.0),
    ("average_pool", 0.05),
    ("lut8", 0.0),
    ("concat", 0.0),
    ("pad", 0.0),
];

/// Nodes of each operator at least.
const LEAST_NODES: usize = 10;

/// Elements compared and elements that differ.
#[derive(Default)]
struct Tally {
    nodes: usize,
    elements: usize,
    differing: usize,
}

/// The network of one node: its operands are inputs. `None` where an operand is used twice or is not int8.
fn alone(graph: &QGraph, node: &QNode) -> Option<QGraph> {
    let ids = node.inputs.iter().chain([&node.output]);
    let mut values: Vec<_> = ids.map(|id| graph.values[id.0 as usize].clone()).collect();
    let distinct =
        values.iter().enumerate().all(|(i, v)| values[..i].iter().all(|w| w.name != v.name));
    if !distinct || values.iter().any(|v| v.dtype != QType::I8) {
        return None;
    }
    for value in &mut values {
        let [h, w, c] = value.shape.extents();
        value.view = View { onnx_shape: vec![1, c, h, w], perm: vec![0, 2, 3, 1] };
    }
    let ids: Vec<ValueId> = (0..values.len() as u32).map(ValueId).collect();
    let (operands, output) = ids.split_at(ids.len() - 1);
    let node = QNode { inputs: operands.to_vec(), output: output[0], ..node.clone() };
    Some(QGraph {
        name: graph.name.clone(),
        values,
        nodes: vec![node],
        inputs: operands.to_vec(),
        outputs: output.to_vec(),
        rounding: graph.rounding,
    })
}

/// The result of a network of one node on stored operands, by way of the export.
fn exported(bytes: &[u8], graph: &QGraph, operands: &[&QTensor]) -> QTensor {
    let model = FloatModel::load(bytes.to_vec()).unwrap();
    let real = |(id, tensor): (&ValueId, &&QTensor)| {
        let value = &graph.values[id.0 as usize];
        let shape = value.view.onnx_shape.clone();
        (value.name.as_str(), FloatTensor { shape, data: dequantize(tensor, value).unwrap() })
    };
    let given: Vec<_> = graph.inputs.iter().zip(operands).map(real).collect();
    let result = &graph.values[graph.outputs[0].0 as usize];
    let out = model.run(&given, &[&result.name]).unwrap();
    assert_eq!(out[0].shape, result.view.onnx_shape);
    quantize(&out[0].data, result).unwrap()
}

#[test]
fn exported_operators_compute_the_same_integers() {
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for seed in 0..CASES {
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
        let mut hw = tiny(&mut rng);
        hw.rounding = Rounding::HalfEven;
        let (graph, _) = network(&mut rng, &hw);
        let values = host(&graph, &inputs(&mut rng, &graph), Path::Fast).unwrap();
        for node in &graph.nodes {
            let Some(single) = alone(&graph, node) else { continue };
            let bytes = match save_qdq(&single) {
                Ok(bytes) => bytes,
                Err(QdqError::NotExpressible(_)) => continue,
                Err(error) => panic!("seed {seed}, node `{}`: {error}", node.name),
            };
            let operands: Vec<&QTensor> =
                node.inputs.iter().map(|id| &values[id.0 as usize]).collect();
            let found = exported(&bytes, &single, &operands);
            let expected = &values[node.output.0 as usize];
            let tally = tallies.entry(node.op.name()).or_default();
            tally.nodes += 1;
            tally.elements += expected.len();
            for i in 0..expected.len() {
                let difference = found.get(i).abs_diff(expected.get(i));
                assert!(
                    difference <= 1,
                    "seed {seed}, node `{}` ({}), element {i}: {} for {}",
                    node.name,
                    node.op.name(),
                    found.get(i),
                    expected.get(i)
                );
                tally.differing += difference as usize;
            }
        }
    }
    for (operator, most_differing) in OPERATORS {
        let tally = tallies.get(operator).unwrap_or_else(|| panic!("no {operator} was compared"));
        assert!(tally.nodes >= LEAST_NODES, "only {} of {operator} were compared", tally.nodes);
        let allowed = most_differing * tally.elements as f64;
        assert!(
            (tally.differing as f64) <= allowed,
            "{operator}: {} of {} elements differ",
            tally.differing,
            tally.elements
        );
    }
}
