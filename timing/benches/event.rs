//! Speed of the event-driven core on a large program: simulated cycles per second where the array is the bottleneck, and bursts per
//! second where DRAM is.

#![allow(missing_docs, reason = "a benchmark has no API")]

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Layer, layers};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use isa::Hardware;
use std::hint::black_box;
use timing::{Mode, TrafficClass, run};

/// About as many words and bursts as a ResNet-50 on the default machine has.
fn event(c: &mut Criterion) {
    let mut group = c.benchmark_group("event");
    let hardware = Hardware::default();
    let compute = layers(hardware.clone(), &Layer { tiles: 4000, kernel: 3, blocks: 8, side: 14 });
    let run = |program| run(program, Mode::Event).expect("the program is legal and ends");
    let timing = run(&compute);
    group.throughput(Throughput::Elements(timing.total_cycles));
    group.bench_function("compute_bound_cycles", |b| b.iter(|| run(black_box(&compute))));

    let dram = layers(hardware, &Layer { tiles: 4000, kernel: 1, blocks: 8, side: 4 });
    let timing = run(&dram);
    let bytes: u64 = TrafficClass::ALL
        .iter()
        .filter_map(|class| timing.traffic.get(class))
        .map(|traffic| traffic.read_bytes + traffic.write_bytes)
        .sum();
    group.throughput(Throughput::Elements(bytes / u64::from(dram.hardware.dram_burst_bytes)));
    group.bench_function("dram_bound_bursts", |b| b.iter(|| run(black_box(&dram))));
    group.finish();
}

criterion_group!(benches, event);
criterion_main!(benches);
