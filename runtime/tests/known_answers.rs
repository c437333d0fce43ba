//! Every operator on numbers small enough to work out by hand, on both paths.

mod common;

use common::{
    INT8, INT16, bytes, elements, requant, single, single_rounded, value, weights, window, words,
};
use ir::qgraph::{Bounds, QOp, QType, Window};
use isa::numerics::Rounding;

#[test]
fn convolution_padding_reads_the_zero_point() {
    // One channel, 3x3 ones, padding 1, Zx = 5. Input rows: 1 2 / 3 4. Every window sees all four inputs (sum 10) and five
    // padding taps of 5: 35. Bias B' = b - Zx * 9 = 7 - 45 = -38 leaves 35 - 38 = -3, which is b + sum of (x - Zx) =
    // 7 + (10 - 20). Plus Zy = 1: -2.
    let op = QOp::Conv {
        weights: weights([1, 3, 3, 1], &[1; 9]),
        bias: vec![-38],
        requant: vec![requant(1, 0)],
        window: window(3, 1, 1),
        groups: 1,
        bounds: INT8,
    };
    let graph = single(op, [value([2, 2, 1], QType::I8, 5)], value([2, 2, 1], QType::I8, 1));
    assert_eq!(elements(&graph, [bytes([2, 2, 1], &[1, 2, 3, 4])]), [-2; 4]);
}

#[test]
fn convolution_scales_each_channel_and_rounds_ties_to_even() {
    // A dense layer of two outputs on x = (3, -2): 3*1 + -2*-1 = 5 and 3*2 + -2*0 = 6, biases 0 and 1: 5 and 7.
    // 5/2 = 2.5 -> 2; 7/4 = 1.75 -> 2.
    let dense = |rounding, x: [i8; 2]| {
        let op = QOp::Conv {
            weights: weights([2, 1, 1, 2], &[1, -1, 2, 0]),
            bias: vec![0, 1],
            requant: vec![requant(1, 1), requant(1, 2)],
            window: window(1, 1, 0),
            groups: 1,
            bounds: INT8,
        };
        let x_form = value([1, 1, 2], QType::I8, 0);
        let graph = single_rounded(op, [x_form.clone()], x_form, rounding);
        elements(&graph, [bytes([1, 1, 2], &x)])
    };
    assert_eq!(dense(Rounding::HalfEven, [3, -2]), [2, 2]);
    assert_eq!(dense(Rounding::HalfUp, [3, -2]), [3, 2]);
    assert_eq!(dense(Rounding::HalfAway, [3, -2]), [3, 2]);
    assert_eq!(dense(Rounding::Floor, [3, -2]), [2, 1]);
    // x = (-3, 2): -5/2 = -2.5; (-6 + 1)/4 = -1.25.
    assert_eq!(dense(Rounding::HalfEven, [-3, 2]), [-2, -1]);
    assert_eq!(dense(Rounding::HalfUp, [-3, 2]), [-2, -1]);
    assert_eq!(dense(Rounding::HalfAway, [-3, 2]), [-3, -1]);
    assert_eq!(dense(Rounding::Floor, [-3, 2]), [-3, -2]);
}

#[test]
fn grouped_convolution_with_stride_and_dilation() {
    // Two channels, two groups, one row of five pixels; kernel 1x2, stride 2, dilation 2: output 0 reads pixels 0 and 2,
    // output 1 pixels 2 and 4. Channel 0 (1 2 3 4 5) by (1, 10); channel 1 (-1 -2 -3 -4 -5) by (2, -1).
    let op = QOp::Conv {
        weights: weights([2, 1, 2, 1], &[1, 10, 2, -1]),
        bias: vec![0, 100],
        requant: vec![requant(1, 0); 2],
        window: Window { kernel: [1, 2], stride: [1, 2], dilation: [1, 2], pad: [0; 4] },
        groups: 2,
        bounds: Bounds { lo: -128, hi: 101 },
    };
    let graph = single(op, [value([1, 5, 2], QType::I8, 0)], value([1, 2, 2], QType::I8, 0));
    let x = bytes([1, 5, 2], &[1, -1, 2, -2, 3, -3, 4, -4, 5, -5]);
    // 1 + 30, -2 + 3 + 100; 3 + 50, -6 + 5 + 100. The bound clips 101 to itself.
    assert_eq!(elements(&graph, [x]), [31, 101, 53, 99]);
}

#[test]
fn convolution_of_int16() {
    // 300 * 100 + -200 * 50 = 20000, + 1; /8 = 2500.125 -> 2500 as int16, 127 as int8.
    for (dtype, bounds, expected) in [(QType::I16, INT16, 2500), (QType::I8, INT8, 127)] {
        let op = QOp::Conv {
            weights: weights([1, 1, 1, 2], &[100, 50]),
            bias: vec![1],
            requant: vec![requant(1, 3)],
            window: window(1, 1, 0),
            groups: 1,
            bounds,
        };
        let graph = single(op, [value([1, 1, 2], QType::I16, 0)], value([1, 1, 1], dtype, 0));
        assert_eq!(elements(&graph, [words([1, 1, 2], &[300, -200])]), [expected]);
    }
}

#[test]
fn addition_rounds_once() {
    // ((a - 1) * 1 + (b - 2) * 3) / 2 + 4: a = 2, b = 2: 0.5 -> 0, 4. a = 1, b = 3: 1.5 -> 2, 6. a = 127, b = 127: 250.5
    // -> 250, clipped.
    let op = QOp::Add { ma: 1, mb: 3, shift: 1, bounds: Bounds { lo: 5, hi: 100 } };
    let form = |zero| value([1, 3, 1], QType::I8, zero);
    let graph = single(op, [form(1), form(2)], form(4));
    let (a, b) = (bytes([1, 3, 1], &[2, 1, 127]), bytes([1, 3, 1], &[2, 3, 127]));
    assert_eq!(elements(&graph, [a, b]), [5, 6, 100]);
}

#[test]
fn addition_and_multiplication_broadcast_the_second_operand() {
    // a is 2x2x2: 1..8. b of one row: pixel (1, 2), pixel (10, 20); of one column and channel: 100 above, 0 below.
    let a = bytes([2, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8]);
    let form = |shape| value(shape, QType::I8, 0);
    let add = QOp::Add { ma: 1, mb: -1, shift: 0, bounds: INT8 };
    let graph = single(add.clone(), [form([2, 2, 2]), form([1, 2, 2])], form([2, 2, 2]));
    let b = bytes([1, 2, 2], &[1, 2, 10, 20]);
    assert_eq!(elements(&graph, [a.clone(), b]), [0, 0, -7, -16, 4, 4, -3, -12]);
    let graph = single(add, [form([2, 2, 2]), form([2, 1, 1])], form([2, 2, 2]));
    let b = bytes([2, 1, 1], &[100, 0]);
    assert_eq!(elements(&graph, [a.clone(), b]), [-99, -98, -97, -96, 5, 6, 7, 8]);
    // (a - 0) * (b - 1) * 3 / 4: b = (3, -1): 1*2*3/4 = 1.5 -> 2, 2*-2*3/4 = -3, ...
    let mul = QOp::Mul { requant: requant(3, 2), bounds: INT8 };
    let b_form = value([1, 1, 2], QType::I8, 1);
    let graph = single(mul, [form([2, 2, 2]), b_form], form([2, 2, 2]));
    let b = bytes([1, 1, 2], &[3, -1]);
    assert_eq!(elements(&graph, [a, b]), [2, -3, 4, -6, 8, -9, 10, -12]);
}

#[test]
fn rescaling_between_widths() {
    // (x + 128) * 257 - 32768 takes the int8 range onto the int16 range, and back by /257 ~ 65281 / 2^24.
    let op = QOp::Rescale { m: 257, shift: 0, bounds: INT16 };
    let narrow = value([1, 4, 1], QType::I8, -128);
    let wide = value([1, 4, 1], QType::I16, -32768);
    let graph = single(op, [narrow.clone()], wide.clone());
    let x = bytes([1, 4, 1], &[-128, 0, 1, 127]);
    assert_eq!(elements(&graph, [x]), [-32768, 128, 385, 32767]);
    let op = QOp::Rescale { m: 65281, shift: 24, bounds: INT8 };
    let graph = single(op, [wide], narrow);
    let x = words([1, 4, 1], &[-32768, 128, 385, 32767]);
    assert_eq!(elements(&graph, [x]), [-128, 0, 1, 127]);
}

#[test]
fn max_pool_never_takes_the_padding() {
    // 3x3 windows with padding 1 over 2x2 see everything; all values are below the zero point, which padding would be.
    let form = value([2, 2, 1], QType::I8, 0);
    let graph = single(QOp::MaxPool { window: window(3, 1, 1) }, [form.clone()], form);
    assert_eq!(elements(&graph, [bytes([2, 2, 1], &[-9, -4, -7, -128])]), [-4; 4]);
}

#[test]
fn max_pool_in_ceil_mode_overruns_the_input() {
    // Kernel 2, stride 2 over 5 columns: windows (0 1), (2 3), (4). Two channels.
    let op = QOp::MaxPool {
        window: Window { kernel: [1, 2], stride: [1, 2], dilation: [1, 1], pad: [0; 4] },
    };
    let form = |w| value([1, w, 2], QType::I8, 3);
    let graph = single(op, [form(5)], form(3));
    let x = bytes([1, 5, 2], &[1, 9, 2, 8, 3, 7, 4, 6, 5, 5]);
    assert_eq!(elements(&graph, [x]), [2, 9, 4, 7, 5, 5]);
}

#[test]
fn average_pool_divides_by_the_valid_taps() {
    // 1x3 windows with padding 1 over (1 2 4) less Zx = 1: 0 1 3. Sums 1 (two taps), 4 (three), 4 (two), Zy = 10.
    // /2: 0.5 -> 0; /3 as 5592405 / 2^24 (just below 1/3): 1.33 -> 1; /2: 2.
    let op = QOp::AveragePool {
        window: Window { kernel: [1, 3], stride: [1, 1], dilation: [1, 1], pad: [0, 1, 0, 1] },
        requant: vec![requant(1, 0), requant(1, 1), requant(5_592_405, 24)],
        bounds: INT8,
    };
    let form = |zero| value([1, 3, 1], QType::I8, zero);
    let graph = single(op, [form(1)], form(10));
    assert_eq!(elements(&graph, [bytes([1, 3, 1], &[1, 2, 4])]), [10, 11, 12]);
}

#[test]
fn global_average_pool_has_one_entry() {
    // Sum of 1..=4 less 4 * -1 is 14; /4 = 3.5 -> 4.
    let op =
        QOp::AveragePool { window: window(2, 1, 0), requant: vec![requant(1, 2)], bounds: INT8 };
    let graph = single(op, [value([2, 2, 1], QType::I8, -1)], value([1, 1, 1], QType::I8, 0));
    assert_eq!(elements(&graph, [bytes([2, 2, 1], &[1, 2, 3, 4])]), [4]);
}

#[test]
fn table_is_indexed_from_the_lowest_value() {
    let table = (0..256_i32).map(|i| (127 - i) as i8).collect();
    let form = value([1, 1, 4], QType::I8, 0);
    let graph = single(QOp::Lut8 { table }, [form.clone()], form);
    // Entry x + 128 holds 127 - (x + 128) = -1 - x.
    assert_eq!(elements(&graph, [bytes([1, 1, 4], &[-128, -1, 0, 127])]), [127, 0, -1, -128]);
}

#[test]
fn softmax_rounds_the_exact_quotient() {
    // Weights 4, 2, 1 for distances 0, 1, 2 and 0 beyond. Row (5 4 3): 4/7, 2/7, 1/7 of 256 = 146.3, 73.1, 36.6 ->
    // 146, 73, 37, less 128. Row (9 -100 -100): 1, 0, 0: 256 saturates to 255 - 128 = 127.
    let mut exp = vec![0; 256];
    exp[..3].copy_from_slice(&[4, 2, 1]);
    let mut result = value([2, 1, 3], QType::I8, -128);
    result.scale = 1.0 / 256.0;
    let graph = single(QOp::Softmax { exp }, [value([2, 1, 3], QType::I8, 0)], result);
    let x = bytes([2, 1, 3], &[5, 4, 3, 9, -100, -100]);
    assert_eq!(elements(&graph, [x]), [18, -55, -91, 127, -128, -128]);
}

#[test]
fn products_of_rows_with_rows() {
    // Two rows of matrices: [1 2 3] and [4 5 6] against (1 0 -1) and (2 2 2): -2 12 -2 30; halved, ties to even, plus 1.
    let a = [1, 2, 3, 4, 5, 6, 1, 0, 0, 0, 1, 0];
    let b = [1, 0, -1, 2, 2, 2, 7, 8, 9, -1, -2, -3];
    let op = QOp::MatMul { requant: requant(1, 1), bounds: INT8 };
    let i8s = |shape, zero| value(shape, QType::I8, zero);
    let operands = [i8s([2, 2, 3], 0), i8s([2, 2, 3], 0)];
    let graph = single(op.clone(), operands, i8s([2, 2, 2], 1));
    let data = [bytes([2, 2, 3], &a), bytes([2, 2, 3], &b)];
    // 7 / 2 = 3.5 and 8 / 2 and -1 / 2 and -2 / 2.
    assert_eq!(elements(&graph, data), [0, 7, 0, 16, 5, 1, 5, 0]);
    // The same columns for both.
    let graph = single(op, [i8s([2, 2, 3], 0), i8s([1, 2, 3], 0)], i8s([2, 2, 2], 1));
    let data = [bytes([2, 2, 3], &a), bytes([1, 2, 3], &b[..6])];
    assert_eq!(elements(&graph, data), [0, 7, 0, 16, 1, 2, 1, 2]);
}

#[test]
fn concatenation_along_each_axis() {
    let form = |shape| value(shape, QType::I8, 0);
    let join = |axis, b: [usize; 3], y: [usize; 3]| {
        let graph = single(QOp::Concat { axis }, [form([2, 1, 2]), form(b)], form(y));
        elements(&graph, [bytes([2, 1, 2], &[1, 2, 3, 4]), bytes(b, &[5, 6])])
    };
    assert_eq!(join(0, [1, 1, 2], [3, 1, 2]), [1, 2, 3, 4, 5, 6]);
    assert_eq!(join(2, [2, 1, 1], [2, 1, 3]), [1, 2, 5, 3, 4, 6]);
    let graph =
        single(QOp::Concat { axis: 1 }, [form([2, 1, 1]), form([2, 2, 1])], form([2, 3, 1]));
    let (a, b) = (bytes([2, 1, 1], &[1, 2]), bytes([2, 2, 1], &[3, 4, 5, 6]));
    assert_eq!(elements(&graph, [a, b]), [1, 3, 4, 2, 5, 6]);
}

#[test]
fn border_on_every_axis() {
    // One pixel (1 2) with one row above, one column to the right, one channel in front.
    let op = QOp::Pad { before: [1, 0, 1], after: [0, 1, 0], value: 9 };
    let graph = single(op, [value([1, 1, 2], QType::I16, 9)], value([2, 2, 3], QType::I16, 9));
    let expected = [9, 9, 9, 9, 9, 9, 9, 1, 2, 9, 9, 9];
    assert_eq!(elements(&graph, [words([1, 1, 2], &[1, 2])]), expected);
}

#[test]
fn gather_picks_by_a_list_per_axis() {
    // Rows (1 2)(3 4) and (5 6)(7 8): the second row first and last, the first column twice, channels exchanged.
    let lists = [vec![1, 0, 1], vec![0, 0], vec![1, 0]];
    let indices = lists.map(|list| list.into_iter().collect());
    let (x, y) = (value([2, 2, 2], QType::I8, 3), value([3, 2, 2], QType::I8, 3));
    let graph = single(QOp::Gather { indices }, [x], y);
    let expected = [6, 5, 6, 5, 2, 1, 2, 1, 6, 5, 6, 5];
    assert_eq!(elements(&graph, [bytes([2, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8])]), expected);
}

#[test]
fn channel_shuffle_is_a_reorder() {
    // Two groups of three channels, (0 1 2)(3 4 5), become 0 3 1 4 2 5 at each of two pixels.
    let op = QOp::Reorder { dims: vec![2, 2, 3], perm: vec![0, 2, 1] };
    let form = value([1, 2, 6], QType::I8, 0);
    let graph = single(op, [form.clone()], form);
    let x: Vec<i8> = (0..12).collect();
    let expected = [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11];
    assert_eq!(elements(&graph, [bytes([1, 2, 6], &x)]), expected);
}

#[test]
fn depth_to_space_moves_runs() {
    // Axes (h, w, block row, block column, c) to (h, block row, w, block column, c): 1x2 pixels of 2x2x1 blocks.
    let op = QOp::Reorder { dims: vec![1, 2, 2, 2, 1], perm: vec![0, 2, 1, 3, 4] };
    let graph = single(op, [value([1, 2, 4], QType::I16, 0)], value([2, 4, 1], QType::I16, 0));
    let x: Vec<i16> = (0..8).collect();
    assert_eq!(elements(&graph, [words([1, 2, 4], &x)]), [0, 1, 4, 5, 2, 3, 6, 7]);
}
