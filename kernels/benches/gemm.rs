//! Throughput of the kernels in multiply-accumulates per second, and of the vector unit itself as the limit.
//!
//! `cargo bench -p kernels`. Shapes: a square matrix, layers of ResNet-50 and MobileNetV2 at 224 x 224, and a tile of
//! a 16-column array as the simulator asks for.
#![allow(missing_docs, reason = "criterion's macros define undocumented functions")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kernels::{
    Accumulate, AddConstants, ColumnRequant, DepthwiseRow, DepthwiseShape, InstructionSet,
    PackedDepthwise, PackedDepthwiseRow, PackedRequant, PackedWeights, PanelRequant, Rows, Sums,
    qs8_add, qs8_depthwise, qs8_depthwise_row, qs8_gemm, qs8_gemm_requantize, qs8_requantize,
};

/// Name, rows, columns, segments, elements per segment.
const PRODUCTS: [(&str, usize, usize, usize, usize); 8] = [
    ("square_1024", 1024, 1024, 1, 1024),
    ("resnet50_56x56_64_to_256", 3136, 256, 1, 64),
    ("resnet50_56x56_3x3_64", 3136, 64, 3, 192),
    ("resnet50_14x14_3x3_256", 196, 256, 3, 768),
    ("resnet50_7x7_2048_to_512", 49, 512, 1, 2048),
    ("resnet50_stem_7x7x3", 12544, 64, 7, 21),
    ("mobilenet_112x112_32_to_16", 12544, 16, 1, 32),
    ("array_tile_256x16x16", 256, 16, 1, 16),
];

/// Bytes that are not constant and not in order.
fn bytes(len: usize) -> Vec<i8> {
    (0..len).map(|i| ((i * 37 + i / 7) % 251) as u8 as i8).collect()
}

/// Constants of so many columns.
fn columns_requant(columns: usize) -> Vec<ColumnRequant> {
    let largest = 1 << 30;
    vec![ColumnRequant { bias: 17, multiplier: 0xab_cdef, shift: 33, largest }; columns]
}

fn gemm(criterion: &mut Criterion) {
    for (name, rows, columns, segments, len) in PRODUCTS {
        let mut group = criterion.benchmark_group(format!("qs8_gemm/{name}"));
        group.throughput(Throughput::Elements((rows * columns * segments * len) as u64));
        let data = bytes(rows * len + segments * 64);
        let offsets: Vec<u32> =
            (0..rows * segments).map(|i| (i / segments * len + i % segments * 64) as u32).collect();
        let w = bytes(columns * segments * len);
        let mut c = vec![0; rows * columns];
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            if set == InstructionSet::Plain && rows * columns > 1 << 20 {
                continue;
            }
            let weights = PackedWeights::for_set(set, &w, [columns, segments, len]);
            group.bench_function(set.name(), |bencher| {
                bencher.iter(|| {
                    let a = Rows::segmented(&data, &offsets, segments, len);
                    let mut sums = Sums::new(&mut c, [rows, columns], columns, Accumulate::Replace);
                    qs8_gemm(black_box(&a), &weights, &mut sums);
                });
            });
            let requant = PanelRequant::new(&columns_requant(columns), [3, -128, 127])
                .expect("sums that large never tie");
            let mut out = vec![0; rows * columns];
            group.bench_function(format!("{set}, requantized"), |bencher| {
                bencher.iter(|| {
                    let a = Rows::segmented(&data, &offsets, segments, len);
                    let shape = [rows, columns];
                    let mut out = Sums::new(&mut out, shape, columns, Accumulate::Replace);
                    qs8_gemm_requantize(black_box(&a), &weights, &requant, &mut out);
                });
            });
        }
    }
}

fn depthwise(criterion: &mut Criterion) {
    let (side, channels, taps) = (56, 144, 9);
    let mut group = criterion.benchmark_group("qs8_depthwise/56x56_3x3_144");
    group.throughput(Throughput::Elements((side * side * channels * taps) as u64));
    let data = bytes((side + 2) * (side + 2) * channels);
    let mut offsets = Vec::new();
    for pixel in 0..side * side {
        for tap in 0..taps {
            let (y, x) = (pixel / side + tap / 3, pixel % side + tap % 3);
            offsets.push(((y * (side + 2) + x) * channels) as u32);
        }
    }
    let w = bytes(taps * channels);
    let mut c = vec![0; side * side * channels];
    for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
        let weights = PackedDepthwise::for_set(set, &w, taps, channels);
        group.bench_function(set.name(), |bencher| {
            bencher.iter(|| {
                let x = Rows::segmented(&data, &offsets, taps, channels);
                let shape = [side * side, channels];
                let mut sums = Sums::new(&mut c, shape, channels, Accumulate::Replace);
                qs8_depthwise(black_box(&x), &weights, &mut sums);
            });
        });
    }
}

fn depthwise_row(criterion: &mut Criterion) {
    let (side, channels) = (56, 144);
    let mut group = criterion.benchmark_group("qs8_depthwise_row/56x56_3x3_144");
    group.throughput(Throughput::Elements((side * side * channels * 9) as u64));
    let below = (side + 2) * channels;
    let data: Vec<u8> = bytes((side + 2) * below).iter().map(|x| x.cast_unsigned()).collect();
    let shape = DepthwiseShape { kernel: [3; 2], stride: 1, dilation: 1, channels };
    let columns = columns_requant(channels);
    let w = PackedDepthwiseRow::new(&bytes(9 * channels), shape, &columns, [3, -128, 127])
        .expect("sums that large never tie");
    let mut out = vec![0; side * side * channels];
    group.bench_function(InstructionSet::best().name(), |bencher| {
        bencher.iter(|| {
            for (y, out) in out.chunks_exact_mut(side * channels).enumerate() {
                let data = &data[y * below..];
                qs8_depthwise_row(black_box(&DepthwiseRow { data, below }), &w, out);
            }
        });
    });
}

fn requantize(criterion: &mut Criterion) {
    let (rows, columns) = (512, 256);
    let mut group = criterion.benchmark_group("qs8_requantize/512x256");
    group.throughput(Throughput::Elements((rows * columns) as u64));
    let sums: Vec<i32> = bytes(rows * columns).into_iter().map(|b| i32::from(b) * 1000).collect();
    let constants = PackedRequant::new(
        vec![17; columns],
        vec![0xab_cdef; columns],
        vec![33; columns],
        [3, -128, 127],
    );
    let mut out = vec![0; rows * columns];
    group.bench_function(InstructionSet::best().name(), |bencher| {
        bencher.iter(|| qs8_requantize(black_box(&sums), &constants, &mut out));
    });
}

fn add(criterion: &mut Criterion) {
    let len = 56 * 56 * 256;
    let mut group = criterion.benchmark_group("qs8_add/56x56x256");
    group.throughput(Throughput::Elements(len as u64));
    let (a, b) = (bytes(len), bytes(len + 100)[100..].to_vec());
    let constants = AddConstants {
        a_zero: 3,
        a_multiplier: 0x9a_bcde,
        b_zero: -7,
        b_multiplier: 0x45_6789,
        shift: 24,
        zero: 1,
        lo: -128,
        hi: 127,
    };
    let mut out = vec![0; len];
    group.bench_function(InstructionSet::best().name(), |bencher| {
        bencher.iter(|| qs8_add(black_box(&a), &b, &constants, &mut out));
    });
}

criterion_group!(benches, gemm, depthwise, depthwise_row, requantize, add);
criterion_main!(benches);
