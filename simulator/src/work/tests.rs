//! Counts by hand, against the timing cores, and against enumeration.

use isa::access::Pages;
use isa::instructions::{Load, VpuSoftmax};
use isa::instructions::{
    LoadGeom, MxuInput, MxuKernel, VpuIn, VpuKernel, VpuOut, VpuPool, VpuQuant,
};
use proptest::prelude::*;
use timing::Mode;

use super::*;
use crate::sample;

fn work_of(op: impl Into<Op>, registers: &[Op], hardware: &Hardware) -> Work {
    let op = op.into();
    let engine = op.engine().unwrap();
    let mut pages = Pages::default();
    registers.iter().for_each(|&regs| pages.apply(&Inst::new(engine, regs)));
    let inst = Inst::new(engine, op);
    let accesses = access(&inst, &pages, hardware).unwrap();
    count(&inst, &pages, &accesses, hardware)
}

#[test]
fn the_sample_is_counted_by_hand() {
    let work = ProgramWork::count(&sample::program()).unwrap();
    let conv = work.nodes[0];
    // 30 pixels, 9 folds of one block of 16 lanes, 12 columns.
    assert_eq!(conv.mac8, 30 * 9 * 16 * 12);
    assert_eq!((conv.mac4, conv.lane_taps, conv.array_cycles), (0, 0, 270));
    // Weights, parameters and input for the first node; the table and the output for the second.
    let of = |node: usize, class: TrafficClass| work.classes[node][class as usize];
    for (node, moved) in work.nodes.iter().enumerate() {
        let sum: u64 = work.classes[node].iter().sum();
        assert_eq!(sum, moved.dram.read_bytes + moved.dram.write_bytes);
    }
    assert_eq!(of(0, TrafficClass::Weights), 384);
    assert_eq!(of(1, TrafficClass::Weights), 0);
    assert!(of(0, TrafficClass::Params) > 0 && of(1, TrafficClass::Outputs) > 0);
    // Written 9 times and read 8 times by the array, read once by the drain.
    assert_eq!(conv.acc_words, 30 * 12 * (9 + 8 + 1));
    assert_eq!(conv.vector_ops, 360);
    // Taps inside a 6x5 image with a border of 1: (3*6 - 2) * (3*5 - 2) rows.
    assert_eq!(conv.scratchpad.mxu_activations, 16 * 13 * 16);
    assert_eq!(conv.scratchpad.mxu_weights, 108 * 16);
    assert_eq!(conv.scratchpad.load, (30 + 108) * 16);
    assert_eq!(conv.scratchpad.vpu_result, 30 * 16);
    // Input 704..794: 2 bursts; weights 0..324: 6; parameters 328..424: 2.
    let dram = Traffic { read_bytes: 10 * 64, write_bytes: 0, useful_bytes: 90 + 324 + 96 };
    assert_eq!(conv.dram, dram);
    let lut = work.nodes[1];
    assert_eq!((lut.vector_ops, lut.macs()), (30 * 16, 0));
    assert_eq!((lut.scratchpad.vpu_a, lut.scratchpad.store), (480, 480));
    // Table 448..704: 4 bursts; output 832..1192: 6.
    assert_eq!((lut.dram.read_bytes, lut.dram.write_bytes), (4 * 64, 6 * 64));
    let mut both = conv;
    both += lut;
    assert_eq!(work.total, both);
}

#[test]
fn transfers_agree_with_the_timing() {
    let program = sample::program();
    let work = ProgramWork::count(&program).unwrap();
    let timing = timing::run(&program, Mode::Stepped).unwrap();
    let all =
        timing.traffic.iter().filter(|(class, _)| **class != timing::TrafficClass::Instructions);
    let sum = all.fold((0, 0, 0), |sum, (_, t)| {
        (sum.0 + t.read_bytes, sum.1 + t.write_bytes, sum.2 + t.useful_bytes)
    });
    let dram = work.total.dram;
    assert_eq!((dram.read_bytes, dram.write_bytes, dram.useful_bytes), sum);
}

fn kernel(nibbles: bool, wide: bool) -> Op {
    let (kh, kw, sy, sx, dy, dx) = (1, 2, 1, 1, 1, 1);
    MxuKernel { page: 0, kh, kw, sy, sx, dy, dx, cols: 5, nibbles, wide, pad: 0 }.into()
}

#[test]
fn narrow_weights_and_wide_activations_change_the_count() {
    let input = MxuInput { page: 0, h: 4, w: 4, row_stride: 4, block_stride: 16, plane_stride: 48 };
    let conv = MxuConv { th: 2, tw: 3, iy0: 0, ix0: 0, blocks: 3, add: true, ..sample::conv() };
    let work =
        |nibbles, wide| work_of(conv, &[kernel(nibbles, wide), input.into()], &Hardware::default());
    let plain = work(false, false);
    assert_eq!((plain.mac8, plain.mac4, plain.array_cycles), (6 * 2 * 3 * 16 * 5, 0, 36));
    assert_eq!(plain.acc_words, 36 * 5 * 2);
    assert_eq!(plain.scratchpad.mxu_activations, 36 * 16);
    // Two folds of two blocks, the fourth block absent.
    let packed = work(true, false);
    assert_eq!((packed.mac8, packed.mac4, packed.array_cycles), (0, 6 * 2 * 4 * 16 * 5, 24));
    assert_eq!(packed.scratchpad.mxu_activations, 36 * 16);
    assert_eq!(packed.scratchpad.mxu_weights, 2 * 2 * 5 * 16);
    let wide = work(false, true);
    assert_eq!((wide.mac8, wide.array_cycles), (2 * plain.mac8, 72));
    assert_eq!(wide.scratchpad.mxu_activations, 2 * 36 * 16);
}

#[test]
fn a_window_wider_than_the_line_buffer_reads_every_tap() {
    let regs: [Op; 4] = [
        VpuIn {
            page: 1,
            h: 9,
            w: 9,
            row_stride: 9,
            block_stride: 81,
            plane_stride: 0,
            wide: false,
        }
        .into(),
        VpuOut { page: 1, row_stride: 4, block_stride: 12, plane_stride: 0, wide: false }.into(),
        VpuQuant { page: 1, zero0: 0, lo0: 0, hi0: 6, zero1: 0, lo1: 0, hi1: 0 }.into(),
        VpuKernel {
            page: 1,
            kh: 3,
            kw: 2,
            sy: 2,
            sx: 2,
            dy: 1,
            dx: 1,
            pad: 0,
            weights: 0,
            by_count: false,
        }
        .into(),
    ];
    let pool = VpuPool {
        page: 1,
        a: 0,
        dst: 500,
        th: 3,
        tw: 4,
        iy0: -1,
        ix0: 0,
        blocks: 2,
        slot: 0,
        base: 0,
        average: true,
    };
    let work = |line_cols| work_of(pool, &regs, &Hardware { line_cols, ..Hardware::default() });
    // Rows 0..=5 and columns 0..=7 of both blocks.
    assert_eq!(work(8).scratchpad.vpu_a, 2 * 6 * 8 * 16);
    assert_eq!(work(7).scratchpad.vpu_a, 2 * 12 * 6 * 16);
    assert_eq!(work(8).lane_taps, 2 * 12 * 6 * 16);
    assert_eq!(work(8).vector_ops, 2 * 12 * 16);
    let maximum = VpuPool { average: false, ..pool };
    assert_eq!(work_of(maximum, &regs, &Hardware::default()).vector_ops, 0);
}

#[test]
fn softmax_counts_channels_and_not_lanes() {
    let regs: [Op; 2] = [
        VpuIn { page: 0, h: 1, w: 1, row_stride: 1, block_stride: 1, plane_stride: 0, wide: false }
            .into(),
        VpuOut { page: 0, row_stride: 1, block_stride: 1, plane_stride: 0, wide: false }.into(),
    ];
    let softmax = VpuSoftmax { page: 0, a: 0, dst: 0, th: 1, tw: 1, channels: 33, slot: 1 };
    let work = work_of(softmax, &regs, &Hardware::default());
    assert_eq!((work.vector_ops, work.scratchpad.vpu_a), (99, 48));
}

#[test]
fn crowded_sets_are_widened() {
    // 512 x 100 runs that lie on top of each other in fewer than 3000 rows.
    let regs: [Op; 2] = [
        VpuIn { page: 0, h: 1, w: 1, row_stride: 3, block_stride: 5, plane_stride: 0, wide: false }
            .into(),
        VpuOut { page: 0, row_stride: 2, block_stride: 200, plane_stride: 0, wide: false }.into(),
    ];
    let hardware = Hardware { scratchpad_kib: 65536, array_rows: 128, ..Hardware::default() };
    let softmax =
        VpuSoftmax { page: 0, a: 0, dst: 30_000, th: 100, tw: 2, channels: 65_535, slot: 0 };
    let work = work_of(softmax, &regs, &hardware);
    assert_eq!(work.scratchpad.vpu_a, (511 * 5 + 99 * 3 + 2) * 128);
}

proptest! {
    /// Bursts in closed form against the definition, byte by byte.
    #[test]
    fn bursts_equal_enumeration(
        src in 0u64..300, rows in 1u32..9, elems in 1u32..17, bits in 2u32..9, stride in 0u64..200, count in 1u32..5,
    ) {
        let elems = elems.min(16);
        let geom = LoadGeom { page: 0, rows, elems, bits, spad_stride: 50, dram_stride: stride };
        let hardware = Hardware::default();
        let work = work_of(Load { page: 0, dst: 0, src, count }, &[geom.into()], &hardware);
        let run = u64::from(rows * (elems * bits).div_ceil(8));
        let bursts = |start: u64, bytes: u64| {
            let touched: std::collections::BTreeSet<u64> = (start..start + bytes).map(|b| b / 64).collect();
            touched.len() as u64
        };
        let expected = if stride == run {
            bursts(src, run * u64::from(count))
        } else {
            (0..u64::from(count)).map(|g| bursts(src + g * stride, run)).sum()
        };
        prop_assert_eq!(work.dram.read_bytes, expected * 64);
        prop_assert_eq!(work.dram.useful_bytes, run * u64::from(count));
    }
}
