//! Points of a sweep that a second brings: one integer graph on many machines, from graph to numbers of the report.
#![allow(
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark stops at the first surprise; criterion's macros make undocumented items"
)]

use std::path::{Path, PathBuf};

use compiler::compile::Network;
use compiler::options::Options;
use compiler::refine::Probes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use explorer::judge::Judge;
use explorer::space::Space;
use explorer::sweep::{Calibrated, Row, Setup, Sink, Sweep};
use ir::onnx::{LoadOptions, load};
use isa::Hardware;

/// Machines of the space of `docs/exploration.md`, for one width of weights.
const SPACE: &str = "
[axes]
array_rows = [8, 16, 32]
array_cols = [8, 16, 32]
scratchpad_kib = [256, 384, 512, 1024]
dram_bytes_per_cycle = [4, 12]
[objectives]
cycles.total = \"min\"
[constraints]
array_rows = \"== array_cols\"
";

/// Keeps nothing.
struct Discard;

impl Sink for Discard {
    fn row(&self, _row: Row) -> Result<(), String> {
        Ok(())
    }
}

fn points(c: &mut Criterion) {
    let mut networks =
        vec![("fashion_mnist", PathBuf::from("../programs/fashion_mnist/fashion_mnist.onnx"))];
    if let Some(models) = std::env::var_os("QCC_MODELS") {
        networks.push(("efficientnet_lite0", Path::new(&models).join("efficientnet_lite0.onnx")));
    }
    let mut group = c.benchmark_group("sweep");
    group.sample_size(10);
    for (name, path) in networks {
        let space = Space::parse(SPACE).expect("the space is sound");
        let options = Options { input_range: Some((-2.0, 2.0)), ..Options::default() };
        let hardware = Hardware::default();
        let original = load(&path, &LoadOptions::default()).expect("the network loads").graph;
        let network = Network::new(original.clone()).expect("the passes take it");
        let setup = Setup {
            space: &space,
            original: &original,
            network: &network,
            options: &options,
            hardware: &hardware,
        };
        let none = |_: usize| Err("no samples".to_owned());
        let judge = Judge::new(&original, "", 0, &none, || ()).expect("no sample fails");
        let (probes, mut sweep) = (Probes::default(), Sweep::new(setup, &judge));
        let mut calibrate = |options: &Options| {
            let table = network.calibrate_without_data(options).map_err(|e| e.to_string())?;
            Ok(Calibrated { table, probes: &probes, meta: isa::program::Meta::default() })
        };
        let all: Vec<u64> = (0..space.count()).collect();
        group.throughput(Throughput::Elements(space.count()));
        group.bench_function(format!("{name} (points)"), |b| {
            b.iter(|| sweep.evaluate(&all, &mut calibrate, &Discard));
        });
    }
    group.finish();
}

criterion_group!(benches, points);
criterion_main!(benches);
