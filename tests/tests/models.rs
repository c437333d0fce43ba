//! Larger networks, found through the environment variable `QCC_MODELS`; without it the tests say so and pass.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test stops at the first surprise and says what it saw"
)]

use std::path::PathBuf;

use compiler::compile::{Network, program};
use compiler::options::Options;
use ir::onnx::{LoadOptions, load};
use isa::Hardware;
use qcc_tests::generate::inputs;
use qcc_tests::oracle::{How, compare, host};
use rand::SeedableRng;
use runtime::Path;
use simulator::exec::Kernels;

/// The folder of networks, or a plain word that there is none.
fn folder() -> Option<PathBuf> {
    let found = std::env::var_os("QCC_MODELS").map(PathBuf::from);
    if found.is_none() {
        println!("skipped: QCC_MODELS is not set");
    }
    found
}

/// Compiles a network without data for a machine, runs it on random inputs and compares every layer with the host.
fn bit_exact(file: &str, preset: &str) {
    let Some(folder) = folder() else { return };
    let model = load(&folder.join(file), &LoadOptions::default()).unwrap();
    let hw = Hardware::preset(preset).unwrap();
    let options = Options { input_range: Some((-1.0, 1.0)), ..Options::default() };
    let network = Network::new(model.graph).unwrap();
    let calibration = network.calibrate_without_data(&options).unwrap();
    let graph = network.quantize(&calibration, &options, &hw).unwrap();
    let made = program(&graph, &hw, Default::default()).unwrap();
    let x = inputs(&mut rand_pcg::Pcg64Mcg::seed_from_u64(1), &graph);
    let expected = host(&graph, &x, Path::Fast).unwrap();
    let how = How { kernels: Kernels::Fast, adversarial: None };
    compare(&graph, &made, &x, &expected, how).unwrap();
    let cycles = timing::run(&made, timing::Mode::Event).unwrap().total_cycles;
    println!("{file} on {preset}: bit-exact in every layer, {cycles} cycles");
}

#[test]
fn mnist_convolutions() {
    for preset in ["edge16", "edge32", "tiny8"] {
        bit_exact("qonnx_mnist_conv.onnx", preset);
    }
}

#[test]
fn efficientnet_lite0() {
    for preset in ["edge16", "edge32"] {
        bit_exact("efficientnet_lite0.onnx", preset);
    }
}

#[test]
fn resnet50() {
    bit_exact("light/light_resnet50.onnx", "edge16");
}
