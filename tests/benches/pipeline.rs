//! The stages of the main job on the embedded network: compile, time, values, and the host runtime beside them.
#![allow(
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark stops at the first surprise; criterion's macros make undocumented items"
)]

use bytes::Bytes;
use compiler::compile::{Network, program};
use compiler::options::Options;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ir::onnx::{LoadOptions, load_bytes};
use isa::Hardware;
use runtime::QTensor;
use simulator::exec::Kernels;
use simulator::machine::{Machine, Order, Prepared};

const MODEL: &[u8] = include_bytes!("../../programs/fashion_mnist/fashion_mnist.onnx");

fn stages(c: &mut Criterion) {
    let hw = Hardware::default();
    let options = Options { input_range: Some((0.0, 1.0)), ..Options::default() };
    let import = || {
        load_bytes(Bytes::from_static(MODEL), &LoadOptions::default())
            .expect("the embedded network loads")
            .graph
    };
    let network = Network::new(import()).expect("the passes take it");
    let calibration = network.calibrate_without_data(&options).expect("batch norms give ranges");
    let graph = network.quantize(&calibration, &options, &hw).expect("it quantizes");
    let made = program(&graph, &hw, isa::program::Meta::default()).expect("it compiles");
    let macs: u64 = made.nodes.iter().map(|n| n.macs).sum();

    let mut group = c.benchmark_group("fashion_mnist edge16");
    group.bench_function("import and passes", |b| b.iter(|| Network::new(import())));
    group.bench_function("quantize", |b| b.iter(|| network.quantize(&calibration, &options, &hw)));
    group.bench_function("compile and verify", |b| {
        b.iter(|| program(&graph, &hw, isa::program::Meta::default()))
    });

    let cycles = timing::run(&made, timing::Mode::Event).expect("it ends").total_cycles;
    group.throughput(Throughput::Elements(cycles));
    group.bench_function("timing, event-driven (cycles)", |b| {
        b.iter(|| timing::run(&made, timing::Mode::Event))
    });
    group.bench_function("timing, cycle-stepped (cycles)", |b| {
        b.iter(|| timing::run(&made, timing::Mode::Stepped))
    });

    group.throughput(Throughput::Elements(macs));
    let value = &graph.values[graph.inputs[0].0 as usize];
    let input = QTensor::from_fn(value.shape, value.dtype, |i| (i as i32 * 37) % 256 - 128);
    let integers: Vec<i32> = (0..input.len()).map(|i| input.get(i)).collect();
    let prepared = Prepared::new(&made).expect("it is sound");
    let order = Order::round_robin(&made).expect("it ends");
    let mut machine = Machine::new(&prepared, Kernels::Fast);
    group.bench_function("values, simulator (MACs)", |b| {
        b.iter(|| {
            machine.reset();
            machine.write_input(0, &integers)?;
            machine.run(&order, None)
        })
    });
    let host = runtime::Prepared::new(&graph).expect("it is sound");
    let inputs = [input];
    group.bench_function("values, host runtime (MACs)", |b| b.iter(|| host.run(&inputs)));
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
