//! Single ONNX nodes with known answers (computed once with ONNX Runtime): import, float execution, quantization, host and
//! machine must all agree with them. Operands are ramps, so that a case is its attributes, its shapes and its answer.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod conv_transpose;
mod lrn;
mod model;
mod movement;
mod resize;
mod windows;

use compiler::compile::{Network, program};
use compiler::options::{Observer, Options};
use ir::onnx::{LoadOptions, load_bytes, save_in_common_operators};
use isa::Hardware;
use qcc_tests::oracle::{How, compare, host};
use runtime::{FloatModel, FloatTensor, Path};
use simulator::exec::Kernels;

use model::{Case, onnx, ramp};

/// Steps of the result by which a chain of int8 operators may miss the float answer.
const STEPS: f64 = 3.0;

/// Checks one case from the file to the machine.
fn check(case: &Case, index: usize) {
    let what = format!("case {index}, {} {:?}", case.op, case.attributes);
    let model = load_bytes(onnx(case).into(), &LoadOptions::default())
        .unwrap_or_else(|e| panic!("{what}: {e}"));
    let x = ramp(case.input, 1);
    let run = |graph: &ir::graph::Graph| {
        let float = FloatModel::load(save_in_common_operators(graph)).unwrap();
        let input = FloatTensor { shape: case.input.to_vec(), data: x.clone() };
        let input = (graph.values[graph.inputs[0].0 as usize].name.as_str(), input);
        float.run(&[input], &["y"]).unwrap().remove(0)
    };
    let near = |found: &FloatTensor, whose: &str| {
        assert_eq!(found.shape, case.shape, "{what}: {whose}");
        for (i, (a, b)) in found.data.iter().zip(case.output).enumerate() {
            assert!((a - b).abs() < 1e-4, "{what}: {whose} gives {a} at {i}, expected {b}");
        }
    };
    near(&run(&model.graph), "the imported graph");
    let network = Network::new(model.graph).unwrap_or_else(|e| panic!("{what}: {e}"));
    near(&run(&network.graph), "the rewritten graph");

    let hw = Hardware::preset("tiny8").unwrap();
    let options = Options { observer: Observer::MinMax, ..Options::default() };
    let calibration = network.calibrate([Ok(vec![x.clone()])], &options).unwrap();
    let graph = network.quantize(&calibration, &options, &hw).unwrap();
    let made = program(&graph, &hw, Default::default()).unwrap();
    let input = &graph.values[graph.inputs[0].0 as usize];
    let stored = runtime::quantize(&x, input).unwrap();
    let stored = vec![(0..stored.len()).map(|i| stored.get(i)).collect()];
    let expected = host(&graph, &stored, Path::Plain).unwrap();
    for how in [Kernels::Fast, Kernels::Reference] {
        compare(&graph, &made, &stored, &expected, How { kernels: how, adversarial: None })
            .unwrap_or_else(|e| panic!("{what}: {e}"));
    }
    let result = graph.outputs[0].0 as usize;
    let real = runtime::dequantize(&expected[result], &graph.values[result]).unwrap();
    let step = graph.values[result].scale;
    for (i, (a, b)) in real.iter().zip(case.output).enumerate() {
        let off = f64::from((a - b).abs()) / step;
        assert!(off <= STEPS, "{what}: the integers give {a} at {i}, expected {b} ({off} steps)");
    }
}

fn check_all(cases: &[Case]) {
    for (index, case) in cases.iter().enumerate() {
        check(case, index);
    }
}

#[test]
fn windows_on_sequences_and_images() {
    check_all(windows::CASES);
}

#[test]
fn movement_of_elements() {
    check_all(movement::CASES);
}

#[test]
fn transposed_convolutions() {
    check_all(conv_transpose::CASES);
}

#[test]
fn linear_resizing() {
    check_all(resize::CASES);
}

#[test]
fn local_response_normalization() {
    check_all(lrn::CASES);
}
