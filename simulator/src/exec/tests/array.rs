//! The systolic array.

use isa::instructions::*;

use super::*;

const KERNEL: MxuKernel = MxuKernel {
    page: 0,
    kh: 1,
    kw: 1,
    sy: 1,
    sx: 1,
    dy: 1,
    dx: 1,
    cols: 2,
    nibbles: false,
    wide: false,
    pad: 0,
};
const INPUT: MxuInput =
    MxuInput { page: 0, h: 1, w: 2, row_stride: 9, block_stride: 20, plane_stride: 40 };
const CONV: MxuConv = MxuConv {
    page: 0,
    act: 10,
    wgt: 100,
    acc: 3,
    bank: 1,
    th: 1,
    tw: 2,
    iy0: 0,
    ix0: 0,
    blocks: 1,
    add: false,
};

fn bench(kernel: MxuKernel, input: MxuInput) -> Bench {
    let mut bench = Bench::new();
    bench.set(kernel).set(input);
    bench
}

#[test]
fn one_fold_is_a_matrix_product() {
    let mut bench = bench(KERNEL, INPUT);
    bench.put(10, &[1, 2, 3, 4]).put(11, &[-1, 0, 5, 2]);
    bench.put(100, &[1, 1, 1, 1]).put(101, &[1, -1, 2, 0]);
    bench.run(CONV).unwrap();
    assert_eq!([bench.sums(1, 3), bench.sums(1, 4)], [[10, 5], [6, 9]]);
    bench.run(MxuConv { add: true, ..CONV }).unwrap();
    assert_eq!([bench.sums(1, 3), bench.sums(1, 4)], [[20, 10], [12, 18]]);
}

#[test]
fn unused_columns_keep_their_sums() {
    let mut bench = bench(MxuKernel { cols: 1, ..KERNEL }, INPUT);
    bench.put(10, &[1, 2, 3, 4]).put(11, &[0; 4]).put(100, &[1, 0, 0, 0]);
    let before = bench.sums(1, 3)[1];
    bench.run(CONV).unwrap();
    assert_eq!(bench.sums(1, 3), [1, before]);
}

#[test]
fn padding_is_injected_in_every_lane() {
    // Three columns 1, 2, 3 in lane 0; windows of three, two apart, from column -1.
    let kernel = MxuKernel { kw: 3, sx: 2, pad: 10, ..KERNEL };
    let mut bench = bench(kernel, MxuInput { w: 3, ..INPUT });
    for x in 0..3 {
        bench.put(10 + x, &[x as i8 + 1, 0, 0, 0]);
    }
    // Column 0 weighs the taps in lane 0 by 1, 10, 100; column 1 sees lane 1 of the first tap.
    for (tap, weight) in [1, 10, 100].into_iter().enumerate() {
        bench.put(100 + 2 * tap as u32, &[weight, 0, 0, 0]);
        bench.put(101 + 2 * tap as u32, &[0, i8::from(tap == 0), 0, 0]);
    }
    bench.run(MxuConv { ix0: -1, ..CONV }).unwrap();
    assert_eq!([bench.sums(1, 3), bench.sums(1, 4)], [[10 + 10 + 200, 10], [2 + 30 + 1000, 0]]);
}

#[test]
fn folds_run_over_blocks_then_taps() {
    let mut bench = bench(MxuKernel { kw: 2, cols: 1, ..KERNEL }, INPUT);
    for (row, value) in [(10, 1), (11, 2), (30, 3), (31, 4)] {
        bench.put(row, &[value, 0, 0, 0]);
    }
    for (fold, weight) in (100..).zip([1, 10, 100, -100]) {
        bench.put(fold, &[weight, 0, 0, 0]);
    }
    bench.run(MxuConv { tw: 1, blocks: 2, ..CONV }).unwrap();
    assert_eq!(bench.sums(1, 3)[0], 1 + 20 + 300 - 400);
}

#[test]
fn strides_and_dilation_step_over_a_tall_image() {
    // One column of five rows with values 1, 10, 100, .. in lane 3; taps two apart, outputs one apart.
    let kernel = MxuKernel { kh: 2, dy: 2, cols: 1, ..KERNEL };
    let mut bench = bench(kernel, MxuInput { h: 5, w: 1, row_stride: 3, ..INPUT });
    for (y, value) in [1, 2, 4, 8, 16].into_iter().enumerate() {
        bench.put(10 + 3 * y as u32, &[0, 0, 0, value]);
    }
    bench.put(100, &[0, 0, 0, 1]).put(101, &[0, 0, 0, 3]);
    bench.run(MxuConv { th: 3, tw: 1, ..CONV }).unwrap();
    assert_eq!([3, 4, 5].map(|row| bench.sums(1, row)[0]), [1 + 12, 2 + 24, 4 + 48]);
}

#[test]
fn nibbles_cover_two_blocks() {
    let mut bench = bench(MxuKernel { nibbles: true, cols: 1, ..KERNEL }, INPUT);
    bench.put(10, &[1, 2, 3, 4]).put(30, &[5, 6, 7, 8]);
    // Channels 0 to 3 have weights 1, -1, 7, -8; channels 4 to 7 one each.
    bench.put(100, &[0xf1_u8 as i8, 0x87_u8 as i8, 0x11, 0x11]);
    let one_pixel = MxuConv { tw: 1, ..CONV };
    // The partner of an odd last block is absent, whatever its nibbles say.
    bench.run(one_pixel).unwrap();
    assert_eq!(bench.sums(1, 3)[0], 1 - 2 + 21 - 32);
    bench.run(MxuConv { blocks: 2, ..one_pixel }).unwrap();
    assert_eq!(bench.sums(1, 3)[0], 1 - 2 + 21 - 32 + 26);
}

#[test]
fn wide_activations_pass_twice() {
    let kernel = MxuKernel { wide: true, kw: 2, cols: 1, pad: -300, ..KERNEL };
    let mut bench = bench(kernel, MxuInput { w: 1, ..INPUT });
    // 258 = 1*256 + 2 and -3 = -1*256 + 253, low bytes 40 rows further.
    bench.put(10, &[1, -1, 0, 0]).put(50, &[2, 253_u8 as i8, 0, 0]);
    bench.put(100, &[2, 5, 0, 0]).put(101, &[1, 0, 0, 0]);
    bench.run(MxuConv { tw: 1, ..CONV }).unwrap();
    assert_eq!(bench.sums(1, 3)[0], 258 * 2 - 3 * 5 - 300);
}

#[test]
fn a_partial_sum_that_wraps_is_trapped() {
    let mut bench = Bench::on(&machine(&[("array_rows", 4), ("array_cols", 2), ("acc_bits", 16)]));
    bench.set(MxuKernel { kw: 2, cols: 1, ..KERNEL }).set(INPUT);
    bench.put(10, &[127, 127, 127, 0]).put(11, &[-127, -127, -127, 0]);
    bench.put(100, &[127, 127, 127, 0]).put(101, &[127, 127, 127, 0]);
    // The total is 0, but half way it is 48387.
    let trap = bench.run(MxuConv { tw: 1, ..CONV });
    assert_eq!(trap, Err(Trap::AccumulatorWrap { sum: 3 * 127 * 127, bits: 16 }));
}
