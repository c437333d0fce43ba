//! Random legal instructions on random machines: both implementations, all memories.

use std::collections::BTreeMap;

use isa::instructions::*;
use isa::numerics::Rounding;
use proptest::prelude::*;

use super::*;

/// A stream of numbers from one seed (a linear congruential generator, upper bits).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    /// A number in `low..=high`.
    fn within(&mut self, low: i32, high: i32) -> i32 {
        low + (self.next() % (high - low + 1).unsigned_abs()).cast_signed()
    }

    /// A number in `1..=high`, mostly small.
    fn extent(&mut self, high: u32) -> u32 {
        let high = if self.next().is_multiple_of(4) { high } else { high.min(3) };
        1 + self.next() % high
    }

    fn below(&mut self, limit: u32) -> u32 {
        self.next() % limit
    }

    fn flag(&mut self) -> bool {
        self.next().is_multiple_of(4)
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.next() as usize % list.len()]
    }
}

fn random_machine(n: &mut Numbers) -> Hardware {
    let mut hardware = machine(&[
        ("array_rows", n.pick(&[1, 2, 4, 8, 16])),
        ("array_cols", n.pick(&[1, 2, 4, 16])),
        ("scratchpad_kib", 4),
        ("acc_rows", 40),
        ("acc_bits", n.pick(&[32, 32, 24, 40, 48])),
        ("multiplier_bits", n.pick(&[24, 24, 31])),
        ("param_entries", 64),
    ]);
    if n.flag() {
        hardware.rounding = n.pick(&Rounding::ALL);
    }
    hardware
}

/// Memories full of noise that does not overflow at once.
fn random_bench(hardware: &Hardware, n: &mut Numbers) -> Bench {
    let mut bench = Bench::on(hardware);
    bench.memory.spad.iter_mut().for_each(|byte| *byte = n.within(-128, 127) as i8);
    for bank in &mut bench.memory.sums {
        bank.iter_mut().for_each(|sum| *sum = n.within(-100_000, 100_000).into());
    }
    for slot in &mut bench.memory.params {
        for entry in slot {
            // Factors from 1 to 1/4096, so that results neither vanish nor saturate, with few bits now and then for ties.
            let (shift, noise) =
                (n.within(0, 24), if n.flag() { 0 } else { n.next() >> n.within(11, 31) });
            let multiplier = (1 << shift >> n.within(0, 12)).max(1) + (noise & ((1 << shift) - 1));
            let requant = Requant { multiplier, shift: shift as u8 };
            *entry = ParamEntry { bias: n.within(-5000, 5000).into(), requant };
        }
    }
    for slot in &mut bench.memory.tables {
        slot.iter_mut().for_each(|byte| *byte = n.next() as u8);
    }
    let noise: Vec<u8> = (0..DRAM_BYTES).map(|_| n.next() as u8).collect();
    bench.memory.dram.write(0, &noise);
    bench
}

/// Row strides that make sense for a region `w` wide.
struct Strides {
    row: u32,
    block: u32,
    plane: u32,
}

fn strides(n: &mut Numbers, h: u32, w: u32) -> Strides {
    let row = w + n.below(3);
    let block = row * h + n.below(3);
    Strides { row, block, plane: block * 3 + n.below(3) }
}

fn random_registers(n: &mut Numbers, hardware: &Hardware) -> Vec<Op> {
    let (lanes, columns) = (hardware.array_rows, hardware.array_cols);
    let (h, w) = (n.extent(6), n.extent(6));
    let bits = 2 + n.below(7);
    let load_width = if bits <= 4 { 2 * lanes } else { lanes };
    let [input, array, side, out] = [(); 4].map(|()| strides(n, h, w));
    let bounds = |n: &mut Numbers, wide: bool| {
        let reach = if wide && n.flag() { 30_000 } else { 127 };
        let (a, b) = (n.within(-reach - 1, reach), n.within(-reach - 1, reach));
        (a.min(b), a.max(b))
    };
    let out_wide = n.flag();
    let ((lo0, hi0), (lo1, hi1)) = (bounds(n, out_wide), bounds(n, out_wide));
    let small =
        |n: &mut Numbers| if n.flag() { n.within(-3000, 3000) } else { n.within(-128, 127) };
    let window = |n: &mut Numbers| {
        [n.extent(4), n.extent(4), n.extent(3), n.extent(3), n.extent(3), n.extent(3)]
    };
    let [kh, kw, sy, sx, dy, dx] = window(n);
    let [vkh, vkw, vsy, vsx, vdy, vdx] = window(n);
    let stride = |n: &mut Numbers| n.within(-20, 60);
    vec![
        LoadGeom {
            page: 0,
            rows: n.extent(6),
            elems: n.extent(load_width),
            bits,
            spad_stride: 6 + n.below(4),
            dram_stride: n.below(200).into(),
        }
        .into(),
        StoreGeom {
            page: 0,
            rows: n.extent(4),
            bytes: n.extent(lanes),
            spad_stride: n.below(8),
            dram_stride: (4 * lanes + n.below(30)).into(),
        }
        .into(),
        MxuKernel {
            page: 0,
            kh,
            kw,
            sy,
            sx,
            dy,
            dx,
            cols: n.extent(columns),
            nibbles: n.flag(),
            wide: n.flag(),
            pad: n.within(-128, 127),
        }
        .into(),
        MxuInput {
            page: 0,
            h,
            w,
            row_stride: array.row,
            block_stride: array.block,
            plane_stride: array.plane,
        }
        .into(),
        VpuIn {
            page: 0,
            h,
            w,
            row_stride: input.row,
            block_stride: input.block,
            plane_stride: input.plane,
            wide: n.flag(),
        }
        .into(),
        VpuSide {
            page: 0,
            row_stride: n.pick(&[side.row, side.row, 0, out.row]),
            block_stride: n.pick(&[side.block, side.block, 0, out.block]),
            plane_stride: side.plane,
            x_stride: n.pick(&[1, 1, 0]),
            lane_broadcast: n.flag(),
            wide: n.flag(),
        }
        .into(),
        VpuOut {
            page: 0,
            row_stride: n.pick(&[out.row, input.row]),
            block_stride: n.pick(&[out.block, input.block]),
            plane_stride: out.plane,
            wide: out_wide,
        }
        .into(),
        VpuKernel {
            page: 0,
            kh: vkh,
            kw: vkw,
            sy: vsy,
            sx: vsx,
            dy: vdy,
            dx: vdx,
            pad: n.within(-128, 127),
            weights: n.below(100),
            by_count: n.flag(),
        }
        .into(),
        VpuQuant { page: 0, zero0: small(n), lo0, hi0, zero1: small(n), lo1, hi1 }.into(),
        VpuScale {
            page: 0,
            ma: n.pick(&[1_234_567, 2_000_000, 70_000, 3, 1, -70_000]),
            mb: n.pick(&[-1_234_567, 1, 0, -70_000, 70_000]),
            shift: n.below(30),
            za: small(n),
            zb: small(n),
        }
        .into(),
        VpuStride { page: 0, src0: stride(n), src1: stride(n), dst0: stride(n), dst1: stride(n) }
            .into(),
    ]
}

fn random_op(n: &mut Numbers, hardware: &Hardware) -> Op {
    let rows = hardware.scratchpad_rows();
    let (lanes, columns) = (hardware.array_rows, hardware.array_cols);
    let page = 0;
    let (th, tw, blocks) = (n.extent(6), n.extent(6), n.extent(4));
    let (iy0, ix0) = (n.within(-3, 3), n.within(-3, 3));
    let [a, b, dst] = [(); 3].map(|()| n.below(rows * 3 / 4));
    // In place now and then.
    let dst = if n.flag() { a } else { dst };
    let (slot, bank, base) = (n.below(2), n.below(2), n.below(16));
    match n.below(16) {
        0 => Load { page, dst, src: n.below(2000).into(), count: n.extent(5) }.into(),
        1 => LoadParams { slot, src: n.below(2000).into(), base, count: n.extent(8) }.into(),
        2 => LoadTable { slot, src: n.below(2000).into(), bytes: n.extent(2048) }.into(),
        3 => Store { page, src: a, dst: n.below(2000).into(), count: n.extent(5) }.into(),
        4 | 5 => {
            let (acc, add) = (n.below(8), n.flag());
            MxuConv {
                page,
                act: a,
                wgt: n.below(rows / 2),
                acc,
                bank,
                th,
                tw,
                iy0,
                ix0,
                blocks,
                add,
            }
            .into()
        }
        6 => {
            let (acc, lane, cols, add) =
                (n.below(8), n.below(lanes), n.extent(columns), n.next().is_multiple_of(2));
            VpuDrain { page, acc, bank, dst, lane, th, tw, cols, slot, base, b, add }.into()
        }
        7 => VpuDepthwise { page, a, dst, th, tw, iy0, ix0, blocks, slot, base }.into(),
        8 => VpuPool {
            page,
            a,
            dst,
            // Every window needs a valid tap.
            th: th.min(2),
            tw: tw.min(2),
            iy0: n.within(-1, 0),
            ix0: n.within(-1, 0),
            blocks,
            slot,
            base,
            average: n.next().is_multiple_of(2),
        }
        .into(),
        9 => VpuAdd { page, a, b, dst, th, tw, blocks }.into(),
        10 => VpuMul { page, a, b, dst, th, tw, blocks }.into(),
        11 => VpuLut { page, a, dst, th, tw, blocks, slot }.into(),
        12 => VpuMax { page, a, b, dst, th, tw, blocks, least: n.flag() }.into(),
        13 => VpuPrelu { page, a, dst, th, tw, blocks: blocks.min(3), slot, base }.into(),
        14 => VpuSoftmax { page, a, dst, th, tw, channels: n.extent(20), slot }.into(),
        _ => {
            let (outer, inner, len) = (n.extent(5), n.extent(5), n.extent(20));
            let [src_lane, dst_lane] = [n.below(lanes), n.below(lanes)];
            if n.flag() {
                VpuFill { page, dst, dst_lane, outer, inner, len, value: n.within(-128, 127) }
                    .into()
            } else {
                VpuMove { page, src: a, src_lane, dst, dst_lane, outer, inner, len }.into()
            }
        }
    }
}

/// Runs `count` random instructions and returns how many of each kind were legal and did not trap.
fn run_random(seed: u64, count: usize) -> BTreeMap<&'static str, u32> {
    let mut n = Numbers(seed);
    let hardware = random_machine(&mut n);
    let mut bench = random_bench(&hardware, &mut n);
    let mut executed = BTreeMap::new();
    for _ in 0..count {
        for registers in random_registers(&mut n, &hardware) {
            bench.set(registers);
        }
        for _ in 0..4 {
            let op = random_op(&mut n, &hardware);
            match bench.run(op) {
                Ok(()) => *executed.entry(op.mnemonic()).or_insert(0) += 1,
                Err(Trap::Access(_) | Trap::Param { .. } | Trap::AccumulatorWrap { .. }) => {}
                Err(trap) => panic!("{trap}: {op:?}"),
            }
            // Traps may leave sums that trap for ever after.
            for sum in bench.memory.sums.iter_mut().flatten() {
                *sum %= 1 << 20;
            }
        }
    }
    executed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn fast_equals_reference(seed: u64) {
        run_random(seed, 20);
    }
}

#[test]
fn every_instruction_is_reached() {
    let mut total = BTreeMap::new();
    for seed in 0..40 {
        for (mnemonic, count) in run_random(seed, 20) {
            *total.entry(mnemonic).or_insert(0) += count;
        }
    }
    let working: Vec<&str> = MANUAL
        .iter()
        .filter(|doc| !doc.fields.is_empty())
        .map(|doc| doc.mnemonic)
        .filter(|name| {
            !["geom", "kernel", "input", "in", "side", "out", "quant", "scale", "stride"]
                .iter()
                .any(|group| name.ends_with(&format!(".{group}")))
        })
        .collect();
    for mnemonic in working {
        assert!(
            total.get(mnemonic).is_some_and(|&count| count >= 20),
            "too few of {mnemonic}: {total:?}"
        );
    }
}
