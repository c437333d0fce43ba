//! The fast path equals the plain one bit for bit, on random operators and small random networks.

mod common;

use common::{Builder, run_both, single_rounded, value};
use ir::qgraph::{Bounds, Hwc, QGraph, QOp, QType, QValue, QWeights, Window};
use isa::numerics::{Requant, Rounding};
use proptest::prelude::*;
use runtime::{Prepared, QData, QTensor};

fn dtype() -> impl Strategy<Value = QType> {
    prop_oneof![3 => Just(QType::I8), 1 => Just(QType::I16)]
}

fn rounding() -> impl Strategy<Value = Rounding> {
    prop_oneof![4 => Just(Rounding::HalfEven), 1 => prop::sample::select(&Rounding::ALL[..])]
}

/// Zero point in the range of the type.
fn zero_point(dtype: QType) -> impl Strategy<Value = i32> {
    let (lo, hi) = dtype.range();
    prop_oneof![1 => Just(0), 1 => Just(lo), 3 => lo..=hi]
}

/// The whole range of the type or a part of it.
fn bounds(dtype: QType) -> impl Strategy<Value = Bounds> {
    let (lo, hi) = dtype.range();
    let part = (lo..=hi, lo..=hi).prop_map(|(a, b)| Bounds { lo: a.min(b), hi: a.max(b) });
    prop_oneof![2 => Just(Bounds { lo, hi }), 1 => part]
}

/// Factors from 2^-`least` down to 2^-`most`, with few bits (many ties) or many.
fn requant(least: u8, most: u8) -> impl Strategy<Value = Requant> {
    let long = (1_u32 << 23..1 << 24, least + 23..=most + 23);
    let short = (1..4_u32, least..=most);
    prop_oneof![long, short].prop_map(|(multiplier, shift)| Requant { multiplier, shift })
}

/// Factors as quantized networks have them, which the fastest kernels compute.
fn usual_requant() -> impl Strategy<Value = Requant> {
    (1_u32 << 23..1 << 24, 27..=37_u8)
        .prop_map(|(multiplier, shift)| Requant { multiplier: multiplier | 1, shift })
}

/// A tensor of that form; `seed` fills it with a fixed scramble, so that shrinking stays quick.
fn tensor(form: &QValue, seed: u32) -> QTensor {
    let Hwc { h, w, c } = form.shape;
    let mut state = seed | 1;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // One element in eight is extreme.
        match state >> 29 {
            0 => i16::from_ne_bytes([0x80; 2]) | (state >> 31) as i16,
            1 if state & 0x1000_0000 != 0 => i16::MAX,
            _ => (state >> 13) as i16,
        }
    };
    let elements = (0..h * w * c).map(next);
    let data = match form.dtype {
        QType::I8 => QData::I8(elements.map(|x| (x >> 8) as i8).collect()),
        QType::I16 => QData::I16(elements.collect()),
    };
    QTensor { shape: form.shape, data }
}

/// Extents along one axis: `(input, kernel, stride, dilation, before, after, output)`.
fn axis() -> impl Strategy<Value = [usize; 7]> {
    (1..=9_usize, 1..=4_usize, 1..=3_usize, 1..=3_usize, 0..=3_usize, 0..=3_usize).prop_filter_map(
        "the kernel must fit",
        |(input, kernel, stride, dilation, before, after)| {
            let reach = (kernel - 1) * dilation + 1;
            let slack = (input + before + after).checked_sub(reach)?;
            Some([input, kernel, stride, dilation, before, after, slack / stride + 1])
        },
    )
}

/// A window over two such axes with the extents before and after it.
fn window() -> impl Strategy<Value = (Window, [usize; 2], [usize; 2])> {
    (axis(), axis()).prop_map(|(y, x)| {
        let window = Window {
            kernel: [y[1], x[1]],
            stride: [y[2], x[2]],
            dilation: [y[3], x[3]],
            pad: [y[4], x[4], y[5], x[5]],
        };
        (window, [y[0], x[0]], [y[6], x[6]])
    })
}

/// Groups, input and output channels of each: few, many, dense and depthwise.
fn channels() -> impl Strategy<Value = (usize, usize, usize)> {
    prop_oneof![
        (1..=3_usize, 1..=5_usize, 1..=5_usize),
        (Just(1), 1..=40_usize, 1..=40_usize),
        (1..=80_usize, Just(1), Just(1)),
        (1..=20_usize, Just(1), 1..=2_usize),
    ]
}

fn conv() -> impl Strategy<Value = (QGraph, QTensor)> {
    let geometry = (window(), channels(), dtype(), dtype(), rounding(), any::<u32>());
    geometry.prop_flat_map(
        |((window, input, output), (groups, ic, columns), from, to, mode, seed)| {
            let oc = groups * columns;
            let [kh, kw] = window.kernel;
            let weights = prop::collection::vec(-127..=127_i8, oc * kh * kw * ic);
            let least = if from == QType::I16 { 12 } else { 4 };
            let factor = if seed.is_multiple_of(2) && from == QType::I8 {
                usual_requant().boxed()
            } else {
                requant(least, least + 10).boxed()
            };
            let channel = (-100_000..100_000_i64, factor);
            let forms = (zero_point(from), zero_point(to), bounds(to));
            (weights, prop::collection::vec(channel, oc), forms).prop_map(
                move |(data, per_channel, (zx, zy, bounds))| {
                    let weights = QWeights { oc, kernel: [kh, kw], ic, bits: 8, data };
                    let (bias, requant) = per_channel.into_iter().unzip();
                    let op = QOp::Conv { weights, bias, requant, window, groups, bounds };
                    let x = value([input[0], input[1], groups * ic], from, zx);
                    let y = value([output[0], output[1], oc], to, zy);
                    let x_data = tensor(&x, seed);
                    (single_rounded(op, [x], y, mode), x_data)
                },
            )
        },
    )
}

/// Ceil-mode output of a pool, if the padding allows a pool at all (every window must touch the input).
fn pool_window() -> impl Strategy<Value = (Window, [usize; 2], [usize; 2])> {
    (window(), any::<bool>()).prop_filter_map("every window must touch", |((w, x, y), ceil)| {
        let mut output = y;
        for axis in 0..2 {
            let reach = (w.kernel[axis] - 1) * w.dilation[axis] + 1;
            let (before, after) = (w.pad[axis], w.pad[axis + 2]);
            if before >= reach
                || after >= reach
                || (w.kernel[axis] > 1 && w.dilation[axis] > x[axis])
            {
                return None;
            }
            let last_start = output[axis] * w.stride[axis];
            let overruns = last_start + reach > x[axis] + before + after;
            if ceil && overruns && (x[axis] + before + after - reach) % w.stride[axis] != 0 {
                if last_start >= x[axis] + before {
                    continue;
                }
                output[axis] += 1;
            }
        }
        Some((w, x, output))
    })
}

/// A fresh int8 or int16 value of that shape.
fn form(shape: [usize; 3], dtype: QType) -> impl Strategy<Value = QValue> {
    zero_point(dtype).prop_map(move |zero| value(shape, dtype, zero))
}

fn extents() -> impl Strategy<Value = [usize; 3]> {
    (1..=4_usize, 1..=4_usize, 1..=20_usize).prop_map(|(h, w, c)| [h, w, c])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn convolution((graph, x) in conv()) {
        run_both(&graph, [x]);
    }

    #[test]
    fn max_pool(
        (window, x, y) in pool_window(),
        c in 1..=20_usize,
        dtype in dtype(),
        seed in any::<u32>(),
    ) {
        let form = |[h, w]: [usize; 2]| value([h, w, c], dtype, 3);
        let op = QOp::MaxPool { window };
        let graph = single_rounded(op, [form(x)], form(y), Rounding::HalfEven);
        run_both(&graph, [tensor(&form(x), seed)]);
    }

    #[test]
    fn average_pool(
        (window, x, y) in pool_window(),
        c in 1..=20_usize,
        forms in (dtype(), dtype()).prop_flat_map(|(from, to)| {
            (form([1, 1, 1], from), form([1, 1, 1], to), bounds(to))
        }),
        table in prop::collection::vec(requant(1, 6), 16),
        mode in rounding(),
        seed in any::<u32>(),
    ) {
        let (from, to, bounds) = forms;
        let taps = window.kernel[0] * window.kernel[1];
        let op = QOp::AveragePool { window, requant: table[..taps].to_vec(), bounds };
        let from = QValue { shape: Hwc { h: x[0], w: x[1], c }, ..value([x[0], x[1], c], from.dtype, from.zero_point) };
        let to = value([y[0], y[1], c], to.dtype, to.zero_point);
        let x = tensor(&from, seed);
        run_both(&single_rounded(op, [from], to, mode), &[x]);
    }

    #[test]
    fn add_and_mul(
        (a, b, y, bounds) in (extents(), prop::array::uniform3(any::<bool>()), dtype(), dtype(), dtype())
            .prop_flat_map(|(shape, repeat, a, b, y)| {
                let part = std::array::from_fn(|i| if repeat[i] { 1 } else { shape[i] });
                (form(shape, a), form(part, b), form(shape, y), bounds(y))
            }),
        (ma, mb, shift) in (-(1 << 24)..1 << 24_i32, -(1 << 24)..1 << 24_i32, 0..=30_u8),
        factor in requant(6, 14),
        mode in rounding(),
        seed in any::<u32>(),
    ) {
        let x = [tensor(&a, seed), tensor(&b, seed.wrapping_mul(5))];
        let inputs = [a, b];
        let add = QOp::Add { ma, mb, shift, bounds };
        run_both(&single_rounded(add, &inputs, y.clone(), mode), &x);
        let mul = QOp::Mul { requant: factor, bounds };
        run_both(&single_rounded(mul, &inputs, y, mode), &x);
    }

    #[test]
    fn rescale(
        (x, y, bounds) in (extents(), dtype(), dtype()).prop_flat_map(|(shape, x, y)| {
            (form(shape, x), form(shape, y), bounds(y))
        }),
        m in -(1 << 24)..1 << 24_i32,
        shift in 0..=30_u8,
        mode in rounding(),
        seed in any::<u32>(),
    ) {
        let input = tensor(&x, seed);
        run_both(&single_rounded(QOp::Rescale { m, shift, bounds }, [x], y, mode), &[input]);
    }

    #[test]
    fn movement(
        shape in extents(),
        dtype in dtype(),
        before in prop::array::uniform3(0..=2_usize),
        after in prop::array::uniform3(0..=2_usize),
        axis in 0..3_usize,
        more in prop::collection::vec(1..=3_usize, 0..3),
        seed in any::<u32>(),
    ) {
        let zero = 7;
        let x = value(shape, dtype, zero);
        let padded = std::array::from_fn(|i| shape[i] + before[i] + after[i]);
        let op = QOp::Pad { before, after, value: -5 };
        let graph = single_rounded(op, [x.clone()], value(padded, dtype, zero), Rounding::HalfEven);
        run_both(&graph, [tensor(&x, seed)]);

        let mut operands = vec![x];
        let mut joined = shape;
        for extent in more {
            let mut part = shape;
            part[axis] = extent;
            joined[axis] += extent;
            operands.push(value(part, dtype, zero));
        }
        let data: Vec<QTensor> = operands.iter().map(|x| tensor(x, seed)).collect();
        let result = value(joined, dtype, zero);
        run_both(&single_rounded(QOp::Concat { axis }, &operands, result, Rounding::HalfEven), &data);
    }

    #[test]
    fn reorder(
        dims in prop::collection::vec(1..=4_usize, 1..=5),
        order in Just((0..5_usize).collect::<Vec<_>>()).prop_shuffle(),
        dtype in dtype(),
        seed in any::<u32>(),
    ) {
        let perm: Vec<usize> = order.into_iter().filter(|&axis| axis < dims.len()).collect();
        let elements = dims.iter().product();
        let (x, y) = (value([1, 1, elements], dtype, 0), value([1, elements, 1], dtype, 0));
        let data = tensor(&x, seed);
        let op = QOp::Reorder { dims, perm };
        run_both(&single_rounded(op, [x], y, Rounding::HalfEven), &[data]);
    }

    #[test]
    fn gather(
        shape in extents(),
        picks in prop::array::uniform3(prop::collection::vec(any::<prop::sample::Index>(), 1..7)),
        dtype in dtype(),
        seed in any::<u32>(),
    ) {
        let lists: [Vec<usize>; 3] =
            std::array::from_fn(|i| picks[i].iter().map(|pick| pick.index(shape[i])).collect());
        let extents = [lists[0].len(), lists[1].len(), lists[2].len()];
        let (x, y) = (value(shape, dtype, 0), value(extents, dtype, 0));
        let data = tensor(&x, seed);
        let op = QOp::Gather { indices: lists.map(|list| list.into_iter().collect()) };
        run_both(&single_rounded(op, [x], y, Rounding::HalfEven), &[data]);
    }

    #[test]
    fn products_of_two_tensors(
        [h, i, k] in extents(),
        j in 1..=20_usize,
        dtype in dtype(),
        result in dtype(),
        shared in any::<bool>(),
        rounding in rounding(),
        seed in any::<u32>(),
    ) {
        let (a, b) = (value([h, i, k], dtype, 0), value([if shared { 1 } else { h }, j, k], QType::I8, 0));
        let data = [tensor(&a, seed), tensor(&b, seed.wrapping_mul(7))];
        let (lo, hi) = result.range();
        let shift = if dtype == QType::I8 { 31 } else { 38 };
        let requant = Requant { multiplier: 9_000_001, shift };
        let op = QOp::MatMul { requant, bounds: Bounds { lo, hi } };
        let y = value([h, i, j], result, if result == QType::I8 { -7 } else { 0 });
        run_both(&single_rounded(op, [a, b], y, rounding), data);
    }

    #[test]
    fn tables(shape in extents(), seed in any::<u32>(), steep in 0.01..2.0_f64) {
        let (x, mut y) = (value(shape, QType::I8, 0), value(shape, QType::I8, -128));
        let data = tensor(&x, seed);
        let table = (0..256_u32).map(|i| (i.wrapping_mul(seed) >> 3) as i8).collect();
        let graph = single_rounded(QOp::Lut8 { table }, [x.clone()], y.clone(), Rounding::HalfEven);
        run_both(&graph, [data.clone()]);
        y.scale = 1.0 / 256.0;
        let exp = (0..256).map(|d| ((-f64::from(d) * steep).exp() * 8_388_608.0) as u32).collect();
        let graph = single_rounded(QOp::Softmax { exp }, [x], y, Rounding::HalfEven);
        run_both(&graph, [data]);
    }

    #[test]
    fn a_residual_block(
        side in 1..=8_usize,
        c in 1..=24_usize,
        seed in any::<u32>(),
        w in prop::collection::vec(-127..=127_i8, 24 * 24 * 9),
    ) {
        // Convolution, depthwise convolution, sum with the input, pool and dense layer: operands used twice and freed,
        // int16 in the middle.
        let mut b = Builder::new(Rounding::HalfEven);
        let conv = |weights: QWeights, groups, pad| QOp::Conv {
            bias: (0..weights.oc as i64).map(|i| 1000 * i - 5000).collect(),
            requant: vec![Requant { multiplier: 11_184_811, shift: 23 + 9 }; weights.oc],
            window: Window {
                kernel: weights.kernel,
                stride: [1; 2],
                dilation: [1; 2],
                pad: [pad; 4],
            },
            bounds: Bounds { lo: -128, hi: 127 },
            weights,
            groups,
        };
        let shape = [side, side, c];
        let pointwise = QWeights { oc: c, kernel: [1, 1], ic: c, bits: 8, data: w[..c * c].to_vec() };
        let spatial = QWeights { oc: c, kernel: [3, 3], ic: 1, bits: 8, data: w[..c * 9].to_vec() };
        let input = value(shape, QType::I8, -3);
        let data = tensor(&input, seed);
        let x = b.input(input);
        let p = b.node(conv(pointwise.clone(), 1, 0), &[x], value(shape, QType::I8, 5));
        let d = b.node(conv(spatial, c, 1), &[p], value(shape, QType::I8, 0));
        let wide = QOp::Rescale { m: 200, shift: 0, bounds: Bounds { lo: -32768, hi: 32767 } };
        let r = b.node(wide, &[d], value(shape, QType::I16, 100));
        let add = QOp::Add { ma: 90_000, mb: 12_000_000, shift: 24, bounds: Bounds { lo: -100, hi: 127 } };
        let s = b.node(add, &[r, x], value(shape, QType::I8, 1));
        let pool = QOp::AveragePool {
            window: Window { kernel: [side; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 4] },
            requant: vec![Requant { multiplier: (1 << 24) / (side * side) as u32, shift: 24 }],
            bounds: Bounds { lo: -128, hi: 127 },
        };
        let g = b.node(pool, &[s], value([1, 1, c], QType::I8, 0));
        let y = b.node(conv(pointwise, 1, 0), &[g], value([1, 1, c], QType::I8, 0));
        let graph = b.finish(&[y, s, x]);
        run_both(&graph, [data]);
    }
}

/// A convolution of 31 x 29 pixels of `ic` channels times `groups` that keeps their number of pixels or halves it.
fn large_conv([groups, ic, columns]: [usize; 3], kernel: usize, stride: usize) -> QGraph {
    let oc = groups * columns;
    let data = (0..oc * kernel * kernel * ic).map(|i| (i * 37 % 255) as u8 as i8).collect();
    let weights = QWeights { oc, kernel: [kernel; 2], ic, bits: 8, data };
    let requant = vec![Requant { multiplier: (1 << 23) + 5, shift: 33 }; oc];
    let window = common::window(kernel, stride, kernel / 2);
    let bounds = Bounds { lo: -100, hi: 120 };
    let op = QOp::Conv { weights, bias: vec![77; oc], requant, window, groups, bounds };
    let output = [31_usize.div_ceil(stride), 29_usize.div_ceil(stride), oc];
    common::single(op, [value([31, 29, groups * ic], QType::I8, 3)], value(output, QType::I8, -5))
}

#[test]
fn one_image_on_several_threads_gives_the_same() {
    for graph in [
        large_conv([1, 16, 40], 3, 1),
        large_conv([1, 64, 70], 1, 1),
        large_conv([2, 24, 48], 3, 2),
        large_conv([130, 1, 1], 5, 1),
        large_conv([300, 1, 1], 3, 2),
    ] {
        let x = [tensor(&graph.values[0], 11)];
        let expected = run_both(&graph, &x);
        for threads in [2, 3, 64] {
            let prepared = Prepared::with_threads(&graph, threads).unwrap();
            assert_eq!(prepared.run(&x).unwrap(), expected, "{threads} threads");
        }
    }
}
