//! The vector engine.

use isa::instructions::*;

use super::*;

/// A byte that nothing wrote.
const POISON: i8 = -91;

const IN: VpuIn =
    VpuIn { page: 0, h: 2, w: 2, row_stride: 2, block_stride: 10, plane_stride: 100, wide: false };
const SIDE: VpuSide = VpuSide {
    page: 0,
    row_stride: 2,
    block_stride: 10,
    plane_stride: 100,
    x_stride: 1,
    lane_broadcast: false,
    wide: false,
};
const OUT: VpuOut =
    VpuOut { page: 0, row_stride: 2, block_stride: 10, plane_stride: 100, wide: false };
const QUANT: VpuQuant =
    VpuQuant { page: 0, zero0: 0, lo0: -128, hi0: 127, zero1: 0, lo1: -128, hi1: 127 };
const WIDE_QUANT: VpuQuant =
    VpuQuant { page: 0, zero0: 0, lo0: -32768, hi0: 32767, zero1: 0, lo1: -32768, hi1: 32767 };
const SCALE: VpuScale = VpuScale { page: 0, ma: 1, mb: 1, shift: 0, za: 0, zb: 0 };
const WINDOW: VpuKernel = VpuKernel {
    page: 0,
    kh: 2,
    kw: 2,
    sy: 1,
    sx: 1,
    dy: 1,
    dx: 1,
    pad: 0,
    weights: 200,
    by_count: false,
};

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.set(IN).set(SIDE).set(OUT).set(QUANT).set(SCALE).set(WINDOW);
    bench
}

const DRAIN: VpuDrain = VpuDrain {
    page: 0,
    acc: 2,
    bank: 0,
    dst: 60,
    lane: 3,
    th: 1,
    tw: 2,
    cols: 2,
    slot: 0,
    base: 5,
    b: 80,
    add: false,
};

/// Accumulators (100, 7) and (-101, 300), halved after a bias of 4, and times three quarters.
fn drained() -> Bench {
    let mut bench = bench();
    bench.memory.sums[0][4..8].copy_from_slice(&[100, 7, -101, 300]);
    bench.param(5, 4, 1, 1).param(6, 0, 3, 2);
    bench
}

#[test]
fn drain_requantizes_into_its_lanes() {
    let mut bench = drained();
    bench.set(VpuQuant { zero0: 1, hi0: 100, ..QUANT });
    bench.run(DRAIN).unwrap();
    // 104/2 + 1; 21/4 = 5.25; -97/2 = -48.5, to even -48; 225 + 1 saturates.
    assert_eq!(bench.row(60), [POISON, POISON, POISON, 53]);
    assert_eq!(bench.row(70), [6, POISON, POISON, POISON]);
    assert_eq!(bench.row(61), [POISON, POISON, POISON, -47]);
    assert_eq!(bench.row(71), [100, POISON, POISON, POISON]);
}

#[test]
fn drain_adds_a_residual_after_saturation() {
    let mut bench = drained();
    bench.set(VpuQuant { zero0: 1, hi0: 100, zero1: 5, ..QUANT });
    bench.set(VpuScale { ma: 2, mb: -1, shift: 1, za: 3, zb: 0, page: 0 });
    bench
        .put(80, &[0, 0, 0, 10])
        .put(90, &[20, 0, 0, 0])
        .put(81, &[0, 0, 0, -128])
        .put(91, &[6, 0, 0, 0]);
    bench.run(VpuDrain { add: true, ..DRAIN }).unwrap();
    // (2*50 - 10)/2 + 5; (2*3 - 20)/2 + 5; (2*-50 + 128)/2 + 5; (2*97 - 6)/2 + 5.
    assert_eq!(
        [bench.row(60)[3], bench.row(70)[0], bench.row(61)[3], bench.row(71)[0]],
        [50, -2, 19, 99]
    );
    // With a multiplier of 0 operand b is not read: (2*50 + 0)/2 + 5.
    bench.set(VpuScale { ma: 2, mb: 0, shift: 1, za: 3, zb: -70, page: 0 });
    bench.run(VpuDrain { add: true, ..DRAIN }).unwrap();
    assert_eq!([bench.row(60)[3], bench.row(70)[0]], [55, 8]);
}

#[test]
fn drain_broadcasts_b_and_writes_16_bits() {
    let mut bench = drained();
    bench.set(VpuOut { wide: true, ..OUT }).set(WIDE_QUANT);
    bench.set(VpuSide { lane_broadcast: true, x_stride: 0, wide: true, ..SIDE });
    // b = 0x0102 everywhere.
    bench.put(80, &[1]).put(180, &[2]);
    bench.run(VpuDrain { add: true, ..DRAIN }).unwrap();
    // 52 + 258 = 310 = 0x0136, 5 + 258 = 263 = 0x0107.
    assert_eq!([bench.row(60)[3], bench.row(160)[3]], [1, 0x36]);
    assert_eq!([bench.row(70)[0], bench.row(170)[0]], [1, 7]);
    assert_eq!(bench.row(160)[..3], [POISON; 3]);
}

#[test]
fn drain_takes_one_lane_of_b_for_all() {
    let mut bench = drained();
    bench.set(VpuSide { lane_broadcast: true, ..SIDE });
    bench.put(80, &[7, 99, 99, 99]).put(81, &[-8, 99, 99, 99]);
    bench.run(VpuDrain { add: true, ..DRAIN }).unwrap();
    // 52 + 7, 5 + 7; -48 - 8, 127 - 8.
    let values = [bench.row(60)[3], bench.row(70)[0], bench.row(61)[3], bench.row(71)[0]];
    assert_eq!(values, [59, 12, -56, 119]);
}

#[test]
fn sums_beyond_32_bits_are_drained() {
    let mut bench = Bench::on(&machine(&[("array_rows", 4), ("array_cols", 2), ("acc_bits", 48)]));
    bench.set(OUT).set(QUANT);
    bench.memory.sums[0][4..8].copy_from_slice(&[5 << 40, -3 << 40, 1 << 40, 0]);
    bench.param(5, 0, 1, 40).param(6, 9, 1, 40);
    bench.run(DRAIN).unwrap();
    let values = [bench.row(60)[3], bench.row(70)[0], bench.row(61)[3], bench.row(71)[0]];
    assert_eq!(values, [5, -3, 1, 0]);
}

#[test]
fn a_bias_that_wraps_is_trapped() {
    let mut bench = drained();
    bench.memory.sums[0][4] = i64::from(i32::MAX) - 3;
    assert_eq!(
        bench.run(DRAIN),
        Err(Trap::AccumulatorWrap { sum: i64::from(i32::MAX) + 1, bits: 32 })
    );
}

const DEPTHWISE: VpuDepthwise = VpuDepthwise {
    page: 0,
    a: 0,
    dst: 60,
    th: 1,
    tw: 2,
    iy0: 0,
    ix0: 0,
    blocks: 1,
    slot: 0,
    base: 0,
};

#[test]
fn depthwise_keeps_lanes_apart() {
    let mut bench = bench();
    bench
        .put(0, &[1, 2, 3, 4])
        .put(1, &[5, 6, 7, 8])
        .put(2, &[9, 10, 11, 12])
        .put(3, &[13, 14, 15, 16]);
    // Lane 0 sums, lane 1 differs along x, lane 2 takes the last tap, lane 3 nothing.
    bench
        .put(200, &[1, -1, 0, 0])
        .put(201, &[1, 1, 0, 0])
        .put(202, &[1, -1, 0, 0])
        .put(203, &[1, 1, 1, 0]);
    for lane in 0..4 {
        bench.param(lane, lane as i64, 1, 0);
    }
    // Padding counts 100 in the column beyond the image.
    bench.set(VpuKernel { pad: 100, ..WINDOW }).set(VpuOut { wide: true, ..OUT }).set(WIDE_QUANT);
    bench.run(DEPTHWISE).unwrap();
    let value = |row: u32, lane: usize| {
        i32::from(bench.row(row)[lane]) << 8 | i32::from(bench.row(row + 100)[lane] as u8)
    };
    assert_eq!([0, 1, 2, 3].map(|lane| value(60, lane)), [28, 1 + 8, 2 + 15, 3]);
    assert_eq!([0, 1, 2, 3].map(|lane| value(61, lane)), [5 + 13 + 200, 1 + 200 - 20, 2 + 100, 3]);
}

#[test]
fn depthwise_takes_16_bits() {
    let mut bench = bench();
    bench.set(VpuIn { wide: true, ..IN }).set(VpuKernel { kh: 1, kw: 1, ..WINDOW });
    // 0x0203 = 515 times 4, an eighth.
    bench.put(0, &[2; 4]).put(100, &[3; 4]).put(200, &[4, 0, -4, 0]);
    for lane in 0..4 {
        bench.param(lane, 0, 1, 8);
    }
    bench.run(VpuDepthwise { tw: 1, ..DEPTHWISE }).unwrap();
    // 2060/256 = 8.05
    assert_eq!(bench.row(60), [8, 0, -8, 0]);
}

#[test]
fn maximum_ignores_padding() {
    let mut bench = bench();
    bench
        .put(0, &[-5, 1, -1, -128])
        .put(1, &[-6, 2, -1, -128])
        .put(2, &[-7, 3, 0, -128])
        .put(3, &[-8, 4, -1, -127]);
    let pool = VpuPool {
        page: 0,
        a: 0,
        dst: 60,
        th: 2,
        tw: 1,
        iy0: -1,
        ix0: 0,
        blocks: 1,
        slot: 0,
        base: 0,
        average: false,
    };
    bench.run(pool).unwrap();
    assert_eq!([bench.row(60), bench.row(62)], [[-5, 2, -1, -128], [-5, 4, 0, -127]]);
    // Eight bits pass into sixteen with their sign.
    bench.set(VpuOut { wide: true, ..OUT });
    bench.run(pool).unwrap();
    assert_eq!([bench.row(60), bench.row(160)], [[-1, 0, -1, -1], [-5, 2, -1, -128]]);
}

#[test]
fn average_divides_by_the_valid_taps() {
    let mut bench = bench();
    bench
        .put(0, &[1, 2, 3, 4])
        .put(1, &[5, 6, 7, 8])
        .put(2, &[9, 10, 11, 12])
        .put(3, &[13, 14, 15, 16]);
    let pool = VpuPool {
        page: 0,
        a: 0,
        dst: 60,
        th: 2,
        tw: 1,
        iy0: -1,
        ix0: 0,
        blocks: 1,
        slot: 0,
        base: 7,
        average: true,
    };
    // Two taps: a half; four taps: a quarter. The zero point 1 of the input becomes 10. Biases are not used.
    bench.param(8, 999, 1, 1).param(10, 999, 1, 2);
    bench.set(VpuKernel { by_count: true, pad: 1, ..WINDOW }).set(VpuQuant { zero0: 10, ..QUANT });
    bench.run(pool).unwrap();
    assert_eq!([bench.row(60), bench.row(62)], [[12, 13, 14, 15], [16, 17, 18, 19]]);
    // Without the count, always the first entry.
    bench.param(7, 0, 1, 0).set(VpuKernel { pad: 1, ..WINDOW });
    bench.run(pool).unwrap();
    assert_eq!(bench.row(60), [10 + 4, 10 + 6, 10 + 8, 10 + 10]);
}

const ADD: VpuAdd = VpuAdd { page: 0, a: 0, b: 20, dst: 60, th: 1, tw: 2, blocks: 1 };

#[test]
fn addition_rounds_once() {
    let mut bench = bench();
    bench
        .put(0, &[1, 2, 3, 100])
        .put(1, &[-1, -2, -3, -100])
        .put(20, &[0, 1, 2, 100])
        .put(21, &[0, -1, -2, -100]);
    bench.set(VpuScale { ma: 3, mb: 1, shift: 1, za: 1, zb: 0, page: 0 }).set(VpuQuant {
        zero1: 1,
        lo1: -100,
        ..QUANT
    });
    bench.run(ADD).unwrap();
    // Sums of 3(a - 1) + b: 0, 4, 8, 397 and -6, -10, -14, -403; half of it, plus 1.
    assert_eq!([bench.row(60), bench.row(61)], [[1, 3, 5, 127], [-2, -4, -6, -100]]);
}

#[test]
fn one_operand_rescales_in_place_between_widths() {
    let mut bench = bench();
    bench.put(0, &[1, 2, 3, -4]).put(1, &[5, 6, 7, -8]);
    bench.set(VpuScale { ma: 100, mb: 0, shift: 0, za: 0, zb: 0, page: 0 });
    bench.set(VpuOut { wide: true, ..OUT }).set(WIDE_QUANT);
    bench.run(ADD).unwrap();
    // 100, 200, 300, -400
    assert_eq!([bench.row(60), bench.row(160)], [[0, 0, 1, -2], [100, 200_u8 as i8, 44, 112]]);
    bench.set(VpuOut { wide: false, ..OUT }).set(QUANT).set(VpuScale {
        ma: 1,
        mb: 0,
        shift: 1,
        za: 0,
        zb: 0,
        page: 0,
    });
    bench.run(VpuAdd { dst: 0, ..ADD }).unwrap();
    assert_eq!([bench.row(0), bench.row(1)], [[0, 1, 2, -2], [2, 3, 4, -4]]);
}

#[test]
fn multiplication_broadcasts_a_pixel_or_a_lane() {
    let mul = VpuMul { page: 0, a: 0, b: 20, dst: 60, th: 2, tw: 2, blocks: 2 };
    let mut bench = bench();
    for row in [0, 1, 2, 3, 10, 11, 12, 13] {
        bench.put(row, &[1, 2, 3, row as i8]);
    }
    bench.put(20, &[10, 20, 30, 2]).put(30, &[1, 1, 1, 1]);
    bench.set(VpuScale { ma: 1, mb: 0, shift: 0, za: 1, zb: 0, page: 0 });
    // One pixel of b for the whole image, as in squeeze-and-excitation.
    bench.set(VpuSide { row_stride: 0, x_stride: 0, ..SIDE });
    bench.run(mul).unwrap();
    assert_eq!(
        [bench.row(60), bench.row(63), bench.row(73)],
        [[0, 20, 60, -2], [0, 20, 60, 4], [0, 1, 2, 12]]
    );
    bench.set(VpuSide { row_stride: 0, x_stride: 0, lane_broadcast: true, ..SIDE });
    bench.run(mul).unwrap();
    assert_eq!([bench.row(60), bench.row(73)], [[0, 10, 20, -10], [0, 10, 20, 120]]);
}

#[test]
fn extrema_compare_rescaled_operands() {
    let max = VpuMax { page: 0, a: 0, b: 20, dst: 60, th: 1, tw: 1, blocks: 1, least: false };
    let mut bench = bench();
    bench.put(0, &[1, 2, 3, -4]).put(20, &[1, 3, 4, -1]);
    // 2 * (a - 1) and 1 * (b + 1).
    bench.set(VpuScale { ma: 2, mb: 1, shift: 0, za: 1, zb: -1, page: 0 });
    bench.run(max).unwrap();
    assert_eq!(bench.row(60), [2, 4, 5, 0]);
    bench.run(VpuMax { least: true, ..max }).unwrap();
    assert_eq!(bench.row(60), [0, 2, 4, -10]);
}

#[test]
fn every_channel_has_its_slope_below_zero() {
    let mut bench = bench();
    bench.put(0, &[-3, 5, -5, 1]);
    for (entry, slope) in bench.memory.params[0][2..].iter_mut().zip([3, 9, -1, 7]) {
        let requant = Requant { multiplier: 2, shift: 1 };
        *entry = ParamEntry { bias: slope, requant };
    }
    bench.set(VpuScale { ma: 9, mb: 9, shift: 9, za: 1, zb: 9, page: 0 });
    bench
        .run(VpuPrelu { page: 0, a: 0, dst: 60, th: 1, tw: 1, blocks: 1, slot: 0, base: 2 })
        .unwrap();
    // -4 * 3/2, 4, -6 * -1/2, 0.
    assert_eq!(bench.row(60), [-6, 4, 3, 0]);
}

#[test]
fn tables_look_up_and_interpolate() {
    let mut bench = bench();
    for (at, byte) in (0..=255).zip(&mut bench.memory.tables[1]) {
        // 127 - a
        *byte = 255_u8.wrapping_sub(at) ^ 0x80;
    }
    bench.put(0, &[-128, 0, 5, 127]).put(1, &[1, 1, 1, 1]);
    let lut = VpuLut { page: 0, a: 0, dst: 60, th: 1, tw: 2, blocks: 1, slot: 1 };
    bench.run(lut).unwrap();
    assert_eq!(bench.row(60), [127, -1, -6, -128]);
    // 16 bits: nodes 256 and 257 are 100 and 228, node 255 is -28.
    for (node, value) in [(255, -28_i16), (256, 100), (257, 228)] {
        bench.memory.tables[1][2 * node..2 * node + 2].copy_from_slice(&value.to_le_bytes());
    }
    bench.set(VpuIn { wide: true, ..IN }).set(VpuOut { wide: true, ..OUT });
    // 0, 127, 3, -1.
    bench.put(0, &[0, 0, 0, -1]).put(100, &[0, 127, 3, -1]).put(1, &[0; 4]).put(101, &[0; 4]);
    bench.run(lut).unwrap();
    assert_eq!([bench.row(60), bench.row(160)], [[0; 4], [100, 227_u8 as i8, 103, 99]]);
}

#[test]
fn softmax_divides_exactly_and_spares_other_lanes() {
    let mut bench = bench();
    for d in 0..256 {
        let value = match d {
            0 => 3_u32,
            1 => 1,
            _ => 0,
        };
        bench.memory.tables[0][4 * d..4 * d + 4].copy_from_slice(&value.to_le_bytes());
    }
    // Five channels in two blocks: the two largest are 5 and 4.
    bench.put(0, &[5, 4, -100, 0]).put(10, &[1, 99, 99, 99]);
    bench.run(VpuSoftmax { page: 0, a: 0, dst: 60, th: 1, tw: 1, channels: 5, slot: 0 }).unwrap();
    // (512*3 + 4)/8 = 192.5, (512 + 4)/8 = 64.5, both rounded down.
    assert_eq!(bench.row(60), [64, -64, -128, -128]);
    assert_eq!(bench.row(70), [-128, POISON, POISON, POISON]);
}
